"""Refunds that somebody asked for: reserved in our books, sent under one key, booked once."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.guard import once, once_only, take_back
from activities.payments.books import book_refund, follow_attempt
from activities.payments.provider import Providers, ask_again, ask_same
from activities.payments.psp import Operation, RefundResult, RefundStatus
from db.errors import NotFound
from db.repositories import orders, outbox, payments, refunds, sagas
from db.repositories.payments import AttemptRecord, PaymentRecord
from db.repositories.refunds import NewRefund, RefundRecord
from db.repositories.steps import Undoing
from domain.money import Money
from domain.orders import OrderState
from domain.payments import PaymentState
from domain.refunds import RefundKind, RefundState
from saga import Call, StepFailed, Undo, implements, key_for
from workflows.contracts import refunds as contract
from workflows.contracts.ids import REFUND
from workflows.contracts.refunds import PlannedRefund, RequestRefund, SentRefund

# Until then the checkout's own undo gives back what there is to give.
_BEING_SOLD = (OrderState.CREATED, OrderState.ON_HOLD, OrderState.AWAITING_PAYMENT)
_TAKEN = (
    PaymentState.CAPTURED,
    PaymentState.PARTIALLY_CAPTURED,
    PaymentState.PARTIALLY_REFUNDED,
    PaymentState.DISPUTED,
    PaymentState.REFUNDED,
)
_STATES = {
    RefundStatus.DONE: RefundState.DONE,
    RefundStatus.FAILED: RefundState.FAILED,
}
TOPIC = "payments"


class RefundActivities:
    """Refunds, at the PSP that took the money."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._database = providers.database

    @implements(contract.RESERVE)
    async def reserve(self, request: RequestRefund, call: Call) -> PlannedRefund:
        """Set aside what goes back, so that no other refund can have it too."""

        async def effect(session: AsyncSession) -> PlannedRefund:
            payment = await _sold_payment(session, request.order_id)
            attempt = await _paid_attempt(session, payment)
            amount = await self._amount(session, request, attempt)
            order = await orders.get(session, request.order_id)
            await sagas.begin(
                session,
                call.saga_id,
                kind=REFUND,
                order_id=request.order_id,
                customer_id=order.user_id,
            )
            await refunds.add(
                session,
                NewRefund(
                    id=request.refund_id,
                    refund_key=key_for(request.refund_id, "refund", "do", attempt.psp),
                    attempt_id=attempt.id,
                    order_id=request.order_id,
                    amount_paise=amount,
                    reason=request.reason,
                    kind=RefundKind.REQUESTED,
                    requested_by=request.requested_by,
                ),
            )
            return PlannedRefund(
                refund_id=request.refund_id,
                order_id=request.order_id,
                attempt_id=attempt.id,
                psp=attempt.psp,
                psp_ref=attempt.psp_ref or "",
                amount_paise=amount,
                currency=payment.currency,
            )

        return await once(self._database, call, PlannedRefund, effect)

    @implements(contract.RELEASE)
    async def release(self, undo: Undo[RequestRefund, PlannedRefund], call: Call) -> None:
        """Let go of what was set aside and never sent."""

        async def effect(session: AsyncSession, _: Undoing) -> None:
            refund = await refunds.get(session, undo.input.refund_id)
            await refunds.settle(session, refund.refund_key, RefundState.FAILED)

        await take_back(self._database, call, effect)

    @implements(contract.SEND)
    async def send(self, planned: PlannedRefund, call: Call) -> SentRefund:
        """Ask the PSP to pay; under its key it pays once, however often it is asked."""
        refund = await self._refund(planned)
        if refund.state is RefundState.DONE:
            return _sent(refund, RefundState.DONE)
        psp = self._providers.psp(planned.psp)
        if refund.refusals or Operation.REFUND not in psp.caps.keyed:
            # A request that was refused may have gone through after all.
            seen = await self._find(planned, refund)
            if seen.status in (RefundStatus.DONE, RefundStatus.PENDING):
                return _sent(refund, _state(seen), seen.ref)
        money = Money(planned.amount_paise, planned.currency)
        told = await psp.refund(planned.psp_ref, money, key=_request_key(refund))
        return await self._understood(planned, refund, told)

    @implements(contract.LOOK)
    async def look(self, planned: PlannedRefund, call: Call) -> SentRefund:
        """Look where a refund stands; runs again while the PSP cannot be reached."""
        refund = await self._refund(planned)
        seen = await self._find(planned, refund)
        return _sent(refund, _state(seen), seen.ref)

    @implements(contract.BOOK)
    async def book(self, planned: PlannedRefund, call: Call) -> SentRefund:
        """Book the money once its PSP says that it paid; raises StepFailed when it did not."""
        refund = await self._refund(planned)
        seen = await self._find(planned, refund)
        if seen.status is not RefundStatus.DONE:
            raise StepFailed(
                f"REFUND_{seen.status}",
                f"{planned.psp} has not paid refund {planned.refund_id}: it is {seen.status}",
            )
        attempt = await self._providers.attempt(planned.attempt_id)
        async with self._database.unit_of_work() as session:
            await refunds.settle(
                session, refund.refund_key, RefundState.DONE, psp_refund_ref=seen.ref
            )
            await book_refund(session, attempt, refund.refund_key, planned.amount_paise)
            await follow_attempt(session, attempt.id)
            await outbox.add(
                session,
                topic=TOPIC,
                key=planned.order_id,
                schema="refund.done",
                version=1,
                payload={"refund_id": refund.id, "amount_paise": planned.amount_paise},
                event_id=f"{refund.refund_key}:done",
            )
        return _sent(refund, RefundState.DONE, seen.ref)

    @implements(contract.CLOSE)
    async def close(self, planned: PlannedRefund, call: Call) -> None:
        """End a refund that its PSP will not pay; what was set aside is free again."""

        async def effect(session: AsyncSession) -> None:
            refund = await refunds.get(session, planned.refund_id)
            await refunds.settle(session, refund.refund_key, RefundState.FAILED)

        await once_only(self._database, call, effect)

    async def _amount(
        self, session: AsyncSession, request: RequestRefund, attempt: AttemptRecord
    ) -> int:
        taken = await refunds.taken(session, attempt.id)
        if await refunds.disputed(session, attempt.id):
            raise StepFailed(
                "PAYMENT_DISPUTED",
                "the customer's bank is asked about this payment; a refund now could pay twice",
            )
        if taken.left <= 0:
            raise StepFailed("NOTHING_TO_REFUND", "all that was taken has gone back already")
        amount = request.amount_paise or taken.left
        if amount > taken.left:
            raise StepFailed(
                "REFUND_TOO_LARGE", f"{amount} paise asked for, {taken.left} paise are left"
            )
        caps = self._providers.psp(attempt.psp).caps
        if amount < taken.captured and not caps.several_refunds:
            raise StepFailed("REFUND_NOT_POSSIBLE", f"{attempt.psp} gives back whole payments only")
        return amount

    async def _refund(self, planned: PlannedRefund) -> RefundRecord:
        async with self._database.reading() as session:
            return await refunds.get(session, planned.refund_id)

    async def _find(self, planned: PlannedRefund, refund: RefundRecord) -> RefundResult:
        seen = await self._providers.psp(planned.psp).find_refund(
            key=_request_key(refund), payment_ref=planned.psp_ref
        )
        if seen.status is RefundStatus.UNKNOWN:
            raise ask_again(planned.psp, "the refund cannot be looked up")
        return seen

    async def _understood(
        self, planned: PlannedRefund, refund: RefundRecord, told: RefundResult
    ) -> SentRefund:
        if told.failure_class is None and told.status is not RefundStatus.FAILED:
            return _sent(refund, _state(told), told.ref)
        code = f"{told.failure_class or ''}/{told.failure_code or ''}"
        if ask_same(planned.psp, Operation.REFUND, told):
            raise ask_again(planned.psp, f"the refund is not confirmed: {code}")
        async with self._database.unit_of_work() as session:
            await refunds.refused(session, refund)
        raise StepFailed(code, f"{planned.psp} refuses the refund: {told.failure_code}")


async def _sold_payment(session: AsyncSession, order_id: str) -> PaymentRecord:
    try:
        order = await orders.get(session, order_id)
    except NotFound as error:
        raise StepFailed("NOTHING_TO_REFUND", "there is no such order") from error
    if order.state in _BEING_SOLD:
        raise StepFailed("ORDER_NOT_PAID", "the order is still being paid; cancel it instead")
    payment = await payments.of_order(session, order_id)
    if payment is None:
        raise StepFailed("NOTHING_TO_REFUND", "nothing was paid for this order")
    return payment


async def _paid_attempt(session: AsyncSession, payment: PaymentRecord) -> AttemptRecord:
    attempts = await payments.attempts_of(session, payment.order_id)
    paid = next((one for one in attempts if one.state in _TAKEN and one.captured_paise), None)
    if paid is None:
        raise StepFailed("NOTHING_TO_REFUND", "no PSP took money for this order")
    return paid


def _request_key(refund: RefundRecord) -> str:
    """A request that was refused for good is over; the next one is another, with its own key."""
    return refund.refund_key + (f":{refund.refusals}" if refund.refusals else "")


def _state(told: RefundResult) -> RefundState:
    return _STATES.get(told.status, RefundState.PENDING)


def _sent(refund: RefundRecord, state: RefundState, ref: str | None = None) -> SentRefund:
    return SentRefund(refund_id=refund.id, state=state, psp_refund_ref=ref or "")
