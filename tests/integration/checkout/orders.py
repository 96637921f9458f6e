"""One customer's order: placed, followed, paid, cancelled, and looked up in every book."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from db.ids import stable_ulid
from domain.payments import PaymentMethod
from saga import CancelRequest, CancelVerdict, Event, EventKind, Resolution, Resolved, TimelineView
from saga import search_attributes as attributes
from tests.integration.checkout.books import Books, read_books
from tests.integration.checkout.wire import Call
from workflows.contracts.checkout import (
    PLACE,
    WORKFLOW,
    CheckoutAnswer,
    CheckoutTimings,
    PlaceOrder,
)
from workflows.contracts.ids import (
    CHECKOUT,
    REFUND,
    SAGAS,
    checkout_id,
    late_payment_id,
    payment_id,
    refund_id,
)
from workflows.contracts.orders import OpenOrder, OrderLine
from workflows.contracts.payments import LateOutcome, PaymentTimings
from workflows.contracts.refunds import ANSWER, RefundAnswer, RefundTimings, RequestRefund
from workflows.contracts.refunds import WORKFLOW as REFUND_WORKFLOW

if TYPE_CHECKING:
    from tests.integration.checkout.market import Market

PSPS = ("alphapay", "betapay")
# Shorter than in production by so much that no test waits long for nothing.
TIMINGS = PaymentTimings(
    action=20, poll=0.3, ladder=(0.2, 0.3, 0.5, 1, 2, 2, 2, 2), late=8, late_poll=0.5
)
_PAUSE_S = 0.1
_THEN = datetime(2026, 5, 5, 6, 30, tzinfo=UTC)
# Longer than anything takes on a busy machine; what takes longer hangs.
_PATIENCE_S = 60


class Order:
    """An order of the market, by its name; `id` is its order id, `first` the PSP asked first."""

    def __init__(self, market: Market, name: str, order_id: str, sku: str, first: str) -> None:
        self.market = market
        self.name = name
        self.id = order_id
        self.sku = sku
        self.first = first

    def request(
        self,
        instrument: str = "tok_ok",
        method: PaymentMethod = PaymentMethod.CARD,
        *,
        qty: int = 1,
        timings: PaymentTimings = TIMINGS,
        hold: int = 60,
        review: float = 20,
        **order: Any,
    ) -> PlaceOrder:
        """What the customer asks for; `order` replaces fields of OpenOrder."""
        wanted: dict[str, Any] = {
            "order_id": self.id,
            "user_id": f"u-{self.name}",
            "address_id": f"a-{self.name}",
            "lines": [OrderLine(sku=self.sku, qty=qty)],
            "payment_method": method,
        }
        return PlaceOrder(
            order=OpenOrder(**{**wanted, **order}),
            instrument=instrument,
            timings=CheckoutTimings(hold=hold, review=review, payment=timings),
        )

    async def place(self, *how: Any, **also: Any) -> CheckoutAnswer:
        """Start the checkout as the edge does, and answer with its first word."""
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            WORKFLOW,
            self.request(*how, **also),
            id=checkout_id(self.id),
            task_queue=SAGAS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=attributes(CHECKOUT, self.id),
            result_type=CheckoutAnswer,
        )
        async with asyncio.timeout(_PATIENCE_S):
            answer: CheckoutAnswer = await self.market.client.execute_update_with_start_workflow(
                PLACE,
                start_workflow_operation=start,
                id=f"place-{self.id}",
                result_type=CheckoutAnswer,
            )
        return answer

    async def buy(self, *how: Any, **also: Any) -> str:
        """Place the order and wait for its end, which is the answer: state, and why if refused."""
        await self.place(*how, **also)
        return await self.end()

    async def end(self) -> str:
        """Wait for the checkout to end: "CONFIRMED", or "REFUSED/OUT_OF_STOCK"."""
        handle = self.market.client.get_workflow_handle(
            checkout_id(self.id), result_type=CheckoutAnswer
        )
        async with asyncio.timeout(_PATIENCE_S):
            answer: CheckoutAnswer = await handle.result()
        return f"{answer.state}/{answer.code}" if answer.code else answer.state.value

    @property
    def checkout(self) -> WorkflowHandle[Any, Any]:
        return self.market.client.get_workflow_handle(checkout_id(self.id))

    @property
    def payment(self) -> WorkflowHandle[Any, Any]:
        return self.market.client.get_workflow_handle(payment_id(self.id))

    def watch(self, attempt: int, webhook: str = "") -> WorkflowHandle[Any, LateOutcome]:
        """The watcher over an attempt that was left behind."""
        return self.market.client.get_workflow_handle(
            late_payment_id(self.ref(attempt), webhook), result_type=LateOutcome
        )

    def ref(self, attempt: int) -> str:
        """Our reference for an attempt in the PSP's books."""
        return f"{self.id}-{attempt}"

    async def timeline(self, handle: WorkflowHandle[Any, Any] | None = None) -> TimelineView:
        """A saga's own view of itself; the checkout's if none is named."""
        asked = handle or self.checkout
        view: TimelineView = await asked.query("timeline", result_type=TimelineView)
        return view

    async def until(
        self,
        there: Callable[[TimelineView], Any],
        handle: WorkflowHandle[Any, Any] | None = None,
        within_s: float = 30,
    ) -> TimelineView:
        """Wait until a saga is as wanted."""
        deadline = time.monotonic() + within_s
        view = None
        while time.monotonic() < deadline:
            try:
                view = await self.timeline(handle)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            else:
                if there(view):
                    return view
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError(f"{self.name} did not come that far: {view and told(view)}")

    async def until_parked(self, handle: WorkflowHandle[Any, Any] | None = None) -> TimelineView:
        """Wait until a person is asked."""
        return await self.until(lambda view: view.parked, handle)

    async def resolve(
        self,
        step: str,
        action: str,
        actor: str = "agent",
        handle: WorkflowHandle[Any, Any] | None = None,
    ) -> Resolved:
        """Answer for a parked step."""
        resolution = Resolution(step=step, action=action, actor=actor, note="looked into it")
        resolved: Resolved = await (handle or self.checkout).execute_update(
            "resolve", resolution, result_type=Resolved
        )
        return resolved

    async def cancel(self) -> CancelVerdict:
        """Ask the checkout to stop, as its customer."""
        verdict: CancelVerdict = await self.checkout.execute_update(
            "cancel",
            CancelRequest(actor="customer", reason="changed my mind"),
            result_type=CancelVerdict,
        )
        return verdict

    async def refund(self, refund: str, paise: int | None = None) -> RefundAnswer:
        """Ask money back as the edge does, and hear whether it is promised."""
        request = RequestRefund(
            refund_id=stable_ulid(_THEN, self.id, refund),
            order_id=self.id,
            amount_paise=paise,
            reason="arrived broken",
            requested_by="agent",
            timings=RefundTimings(poll=0.3, pay_within=20),
        )
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            REFUND_WORKFLOW,
            request,
            id=refund_id(request.refund_id),
            task_queue=SAGAS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=attributes(REFUND, self.id),
            result_type=RefundAnswer,
        )
        async with asyncio.timeout(_PATIENCE_S):
            answer: RefundAnswer = await self.market.client.execute_update_with_start_workflow(
                ANSWER, start_workflow_operation=start, id=refund, result_type=RefundAnswer
            )
        return answer

    def refunding(self, refund: str) -> WorkflowHandle[Any, RefundAnswer]:
        """The saga of a refund."""
        return self.market.client.get_workflow_handle(
            refund_id(stable_ulid(_THEN, self.id, refund)), result_type=RefundAnswer
        )

    async def refunded(self, refund: str) -> str:
        """Wait for a refund to end: "DONE", or "FAILED/REFUND_TOO_LARGE"."""
        async with asyncio.timeout(_PATIENCE_S):
            answer = await self.refunding(refund).result()
        return f"{answer.state}/{answer.code}" if answer.code else answer.state.value

    async def customer(self, choice: str, attempt: int = 1) -> httpx.Response:
        """What the customer does at the PSP's page: approve, decline or cancel."""
        for box in self.market.psps.values():
            for row in await box.books(self.ref(attempt)):
                return await box.customer(row["id"], choice)
        raise AssertionError(f"no PSP has {self.ref(attempt)}")

    def calls(self, psp: str) -> list[str]:
        """The operations that a PSP was asked for, in order; look-ups left out."""
        reading = ("find", "find_refund")
        return [
            call.operation
            for call in self.market.wires[psp].calls
            if call.merchant_ref.startswith(self.id) and call.operation not in reading
        ]

    def calls_of(self, psp: str, operation: str) -> list[Call]:
        """The calls of one operation at a PSP."""
        return [
            call
            for call in self.market.wires[psp].calls
            if call.merchant_ref.startswith(self.id) and call.operation == operation
        ]

    def keys(self, psp: str, operation: str) -> list[str]:
        """The idempotency keys that calls of an operation carried."""
        return [call.key for call in self.calls_of(psp, operation)]

    async def books(self) -> Books:
        """What all books say about this order now."""
        return await read_books(self.market, self.id, self.sku)

    async def settled(self, expected: Books, within_s: float = 15) -> None:
        """Wait until all books say what is expected, and assert it."""
        deadline = time.monotonic() + within_s
        # books that other processes write tell nobody when they change
        while (found := await self.books()) != expected and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_S)
        assert found == expected, found.differences(expected)


def waiting(**other: Any) -> PaymentTimings:
    """The tests' timings, but for some."""
    return TIMINGS.model_copy(update=other)


def told(view: TimelineView) -> list[str]:
    """A timeline in words."""
    return [event.words() for event in view.events]


def events(view: TimelineView, kind: EventKind) -> list[Event]:
    """The events of a kind."""
    return [event for event in view.events if event.kind is kind]


def steps(view: TimelineView, *kinds: EventKind) -> Sequence[str]:
    """The steps to which something of these kinds happened, in order."""
    return [event.step for event in view.events if event.kind in kinds]


def code_of(error: BaseException) -> str:
    """The stable code of a saga's failure."""
    cause = error.__cause__ if not isinstance(error, ApplicationError) else error
    assert isinstance(cause, ApplicationError)
    return str(cause.details[0])
