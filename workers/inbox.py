"""Deliver what the webhook inbox holds: to the payment saga, or to a watcher after it."""

import asyncio
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.payments.books import book_dispute
from db.errors import NotFound
from db.ids import new_ulid
from db.outage import is_outage
from db.relay import pause
from db.repositories import inbox, payments, refunds, sagas
from db.repositories.inbox import WebhookRecord
from db.repositories.payments import AttemptRecord, PaymentRecord
from db.repositories.refunds import NewDispute
from db.repositories.sagas import SagaFilter
from db.session import Database
from db.vocabulary import Trust
from domain.news import DISPUTES, REFUNDS, is_news
from domain.payments import PaymentState
from domain.refunds import DisputeState
from domain.webhooks import EventKind
from saga import search_attributes
from workflows.contracts.checkout import PSP_EVENT
from workflows.contracts.ids import LATE_PAYMENT, SAGAS, late_payment_id, payment_id, refund_id
from workflows.contracts.payments import (
    WATCH,
    AuthoriseAttempt,
    PaymentTimings,
    PSPEvent,
    WatchLate,
)
from workflows.contracts.refunds import REFUND_EVENT

_IDLE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_BATCH = 50
_MONEY_ARRIVED = (EventKind.PAYMENT_AUTHORISED, EventKind.PAYMENT_CAPTURED)
# An attempt that our books hold for over; money that arrives for it is nobody's.
_OVER = (
    PaymentState.UNKNOWN,
    PaymentState.FAILED,
    PaymentState.EXPIRED,
    PaymentState.VOIDING,
    PaymentState.VOIDED,
)
_DISPUTE_STATES = {
    EventKind.DISPUTE_OPENED: DisputeState.OPEN,
    EventKind.DISPUTE_WON: DisputeState.WON,
    EventKind.DISPUTE_LOST: DisputeState.LOST,
}
_log = structlog.get_logger("inbox")


class Delivery(StrEnum):
    """Where an event went."""

    TO_PAYMENT = "TO_PAYMENT"
    TO_REFUND = "TO_REFUND"
    TO_BOOKS = "TO_BOOKS"
    TO_WATCHER = "TO_WATCHER"
    TO_NEW_WATCHER = "TO_NEW_WATCHER"
    OLD_NEWS = "OLD_NEWS"


class Deliverer:
    """Takes events from the inbox until each has reached whoever must act on it."""

    def __init__(
        self,
        database: Database,
        client: Client,
        timings: PaymentTimings,
        *,
        grace_seconds: float = 2.0,
    ) -> None:
        self._database = database
        self._client = client
        self._timings = timings
        self._grace = grace_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; a lost server is waited for."""
        back_off = _IDLE_SECONDS
        while not stop.is_set():
            try:
                delivered = await self.deliver_batch()
                back_off = _IDLE_SECONDS
            except Exception as error:
                if not isinstance(error, RPCError) and not is_outage(error):
                    raise
                _log.warning("inbox_waits", error=type(error).__name__, seconds=back_off)
                delivered = 0
                back_off = min(back_off * 2, _LONGEST_PAUSE_SECONDS)
            if delivered < _BATCH:
                await pause(stop, back_off)

    async def deliver_batch(self) -> int:
        """Deliver what is due; returns how many events were looked at."""
        async with self._database.unit_of_work() as session:
            due = await inbox.undelivered(
                session, datetime.now(UTC), grace_seconds=self._grace, limit=_BATCH
            )
            for webhook in due:
                attempt = await payments.attempt_by_ref(
                    session,
                    webhook.provider,
                    merchant_ref=webhook.payment_ref,
                    # of refunds and disputes some PSPs name only their own payment
                    psp_ref=webhook.payload.get("ref") or None,
                )
                if attempt is None:
                    _log.warning("no_such_attempt", webhook=webhook.id, provider=webhook.provider)
                    await inbox.mark_failed(session, webhook.id, "no attempt of ours")
                    continue
                payment = await payments.get(session, attempt.payment_id)
                went = await self._deliver(session, webhook, attempt, payment)
                _log.info(
                    "webhook_delivered", webhook=webhook.id, order_id=attempt.order_id, to=went
                )
                await inbox.mark_delivered(session, webhook.id, order_id=attempt.order_id)
        return len(due)

    async def _deliver(
        self,
        session: AsyncSession,
        webhook: WebhookRecord,
        attempt: AttemptRecord,
        payment: PaymentRecord,
    ) -> Delivery:
        if webhook.kind in DISPUTES:
            return await _book_dispute(session, webhook, attempt)
        if webhook.kind in REFUNDS and await self._tell_refund(session, webhook, attempt):
            return Delivery.TO_REFUND
        told = (int(webhook.payload["captured"]), int(webhook.payload["refunded"]))
        known = (attempt.captured_paise, attempt.refunded_paise)
        if not is_news(EventKind(webhook.kind), told=told, state=attempt.state, known=known):
            return Delivery.OLD_NEWS
        event = PSPEvent(attempt_id=attempt.id, kind=webhook.kind)
        if await self._signal(payment_id(attempt.order_id), event):
            return Delivery.TO_PAYMENT
        if await self._signal(late_payment_id(attempt.id), event):
            return Delivery.TO_WATCHER
        if webhook.kind in _MONEY_ARRIVED and attempt.state in _OVER:
            if webhook.trust is Trust.TOKEN_ONLY and await self._tell_one(session, attempt, event):
                return Delivery.TO_WATCHER
            await self._watch(webhook, attempt, payment)
            return Delivery.TO_NEW_WATCHER
        return Delivery.OLD_NEWS

    async def _tell_refund(
        self, session: AsyncSession, webhook: WebhookRecord, attempt: AttemptRecord
    ) -> bool:
        key = str(webhook.payload.get("refund_merchant_ref") or "")
        try:
            # a request that follows a refused one has a number after the refund's own key
            refund = await refunds.by_key(session, key.partition(":")[0])
        except NotFound:
            return False
        event = PSPEvent(attempt_id=attempt.id, kind=webhook.kind)
        return await self._signal(refund_id(refund.id), event, REFUND_EVENT)

    async def _tell_one(
        self, session: AsyncSession, attempt: AttemptRecord, event: PSPEvent
    ) -> bool:
        """Tell a watcher that another event started: forgers get one for all that they send."""
        wanted = SagaFilter(kind=LATE_PAYMENT, order_id=attempt.order_id)
        page = await sagas.list_sagas(session, wanted, limit=_BATCH)
        about = f"{late_payment_id(attempt.id)}:"
        for one in page.items:
            if one.ended_at is None and one.id.startswith(about):
                return await self._signal(one.id, event)
        return False

    async def _signal(self, saga_id: str, event: PSPEvent, name: str = PSP_EVENT) -> bool:
        try:
            await self._client.get_workflow_handle(saga_id).signal(name, event)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def _watch(
        self, webhook: WebhookRecord, attempt: AttemptRecord, payment: PaymentRecord
    ) -> None:
        request = AuthoriseAttempt(
            attempt_id=attempt.id,
            payment_id=payment.id,
            order_id=attempt.order_id,
            seq=attempt.seq,
            psp=attempt.psp,
            amount_paise=attempt.amount_paise,
            currency=payment.currency,
            method=payment.method,
            instrument="",
            reason="a webhook told of money for an attempt that was over",
            expires_in=0,
        )
        try:
            await self._start(request, webhook.id)
        except WorkflowAlreadyStartedError:
            # Its watcher has ended: who replays the event wants another look, under another id.
            await self._start(request, f"{webhook.id}-{new_ulid()}")

    async def _start(self, request: AuthoriseAttempt, of: str) -> None:
        await self._client.start_workflow(
            WATCH,
            WatchLate(attempt=request, timings=self._timings),
            id=late_payment_id(request.attempt_id, of),
            task_queue=SAGAS,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes(LATE_PAYMENT, request.order_id),
            start_signal=PSP_EVENT,
            start_signal_args=[PSPEvent(attempt_id=request.attempt_id, kind="REPLAYED")],
        )


async def _book_dispute(
    session: AsyncSession, webhook: WebhookRecord, attempt: AttemptRecord
) -> Delivery:
    """A dispute is the bank's decision, and nothing we could ask a saga about: it is recorded."""
    told = webhook.payload
    # an event whose sender anybody could be must not close a payment to refunds
    if webhook.trust is not Trust.SIGNED or not told.get("dispute_ref"):
        return Delivery.OLD_NEWS
    dispute = NewDispute(
        id=new_ulid(),
        psp=attempt.psp,
        psp_dispute_ref=str(told["dispute_ref"]),
        attempt_id=attempt.id,
        order_id=attempt.order_id,
        amount_paise=int(told.get("dispute_amount") or attempt.captured_paise),
        state=_DISPUTE_STATES[EventKind(webhook.kind)],
        at=webhook.occurred_at,
        reason=told.get("failure_code"),
    )
    booked = await book_dispute(session, dispute, attempt)
    return Delivery.TO_BOOKS if booked else Delivery.OLD_NEWS
