"""The payment saga: one payment, attempts at PSPs in turn, and never two of them charged."""

from collections import deque
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.orders import OrderState
from domain.payments import (
    Decision,
    FailureClass,
    Operation,
    PaymentMethod,
    PaymentState,
    decide,
)
from saga import (
    NothingToUndo,
    Refused,
    RolledBack,
    Saga,
    SagaWorkflow,
    StepFailed,
    search_attributes,
)
from workflows.contracts import checkout, orders, payments
from workflows.contracts.ids import LATE_PAYMENT, PAYMENT, checkout_id, late_payment_id
from workflows.contracts.payments import (
    AttemptResult,
    AuthoriseAttempt,
    PaymentAuthorised,
    PaymentPlan,
    PayOrder,
    PSPEvent,
    RouteStop,
    WatchLate,
)
from workflows.contracts.sagas import RECORD

_PAID = (PaymentState.AUTHORISED, PaymentState.CAPTURED, PaymentState.PARTIALLY_CAPTURED)
_OPEN = (PaymentState.ACTION_REQUIRED, PaymentState.PENDING, PaymentState.CREATED)


@workflow.defn(name=payments.AUTHORISE_PAYMENT.name)
class PaymentSaga(SagaWorkflow):
    """Ask PSPs in turn until one holds the money; leave nothing behind at the others."""

    kind = PAYMENT
    recorder = RECORD

    @workflow.init
    def __init__(self, request: PayOrder) -> None:
        super().__init__()
        self._request = request
        self._begun: list[tuple[RouteStop, AuthoriseAttempt]] = []
        self._heard: list[str] = []

    @workflow.run
    async def run(self, request: PayOrder) -> PaymentAuthorised:
        """Return the attempt that holds the money; raises RolledBack when none does."""
        try:
            async with self.saga as saga:
                authorised = await self._pay(saga, request)
        except RolledBack as ended:
            await self.saga.shielded(self._watch_all_but(None))
            raise await self.drained(ended) from None
        await self.saga.shielded(self._watch_all_but(authorised.attempt_id))
        return await self.drained(authorised)

    @workflow.signal(name=checkout.PSP_EVENT)
    def psp_event(self, event: PSPEvent) -> None:
        """Hear that a PSP has news of an attempt. What the news is, the PSP is asked."""
        self._heard.append(event.attempt_id)

    async def _pay(self, saga: Saga, request: PayOrder) -> PaymentAuthorised:
        saga.about(request.order_id, request.user_id)
        plan = await saga.step("open payment", payments.OPEN, request, undo=payments.ABANDON)
        if request.method is PaymentMethod.COD:
            return _authorised(request, plan, "", "cod", "", PaymentState.COD_DUE)
        attempt, result = await self._ask_in_turn(saga, request, plan)
        return _authorised(request, plan, attempt.attempt_id, attempt.psp, result.ref, result.state)

    async def _ask_in_turn(
        self, saga: Saga, request: PayOrder, plan: PaymentPlan
    ) -> tuple[AuthoriseAttempt, AttemptResult]:
        turns = deque((stop, False) for stop in plan.route)
        failure = StepFailed("PAYMENT_UNAVAILABLE", "no payment provider could be asked")
        while turns:
            stop, three_ds = turns.popleft()
            attempt = self._next_attempt(request, plan, stop, three_ds)
            name = f"authorise via {stop.psp}" + (" with 3-D Secure" if three_ds else "")
            try:
                result = await self._authorise(saga, name, stop, attempt)
                return attempt, await self._customer_acts(saga, attempt, result)
            except StepFailed as failed:
                failure = failed
            decision = _decide(stop.psp, failure, request.method, three_ds)
            saga.note(name, decision, f"after {failure.code}")
            if decision is Decision.STEP_UP and not three_ds:
                turns.appendleft((stop, True))
            elif decision is not Decision.NEXT_PSP:
                break
            # Going elsewhere is safe only once nothing can come of this attempt.
            await saga.undo_now(name, "GOING_ELSEWHERE", failure.code)
        raise _refusal(failure)

    async def _authorise(
        self, saga: Saga, name: str, stop: RouteStop, attempt: AuthoriseAttempt
    ) -> AttemptResult:
        return await saga.step(
            name,
            payments.AUTHORISE,
            attempt,
            undo=payments.VOID,
            inquire=payments.FIND,
            scope=stop.psp,
            money=True,
            resend=stop.resend,
            ladder=self._request.timings.ladder,
            park_as="AUTHORISATION_UNKNOWN",
        )

    async def _customer_acts(
        self, saga: Saga, attempt: AuthoriseAttempt, result: AttemptResult
    ) -> AttemptResult:
        """Wait until the customer has paid at the PSP, by its word and not by the webhook's."""
        if result.state not in _OPEN:
            return _paid(result)
        await saga.step(
            f"ask the customer via {attempt.psp} #{attempt.seq}",
            orders.MARK,
            orders.MarkOrder(order_id=attempt.order_id, state=OrderState.AWAITING_PAYMENT),
            undo=NothingToUndo("ending the order ends its wait"),
        )
        await self._tell_checkout(result)
        timings = self._request.timings
        deadline = workflow.now() + timedelta(seconds=timings.action)
        with saga.waiting("the customer to pay"):
            while result.state in _OPEN:
                left = deadline - workflow.now()
                if left <= timedelta():
                    raise Refused("PAYMENT_EXPIRED", "the payment was not completed in time")
                pause = min(left, timedelta(seconds=timings.poll))
                await saga.until(lambda: attempt.attempt_id in self._heard, pause)
                self._heard.clear()
                result = await saga.look("look at the payment", payments.LOOK, attempt) or result
        return _paid(result)

    async def _tell_checkout(self, result: AttemptResult) -> None:
        if result.next_action is None or workflow.info().parent is None:
            return
        parent = workflow.get_external_workflow_handle(checkout_id(self._request.order_id))
        try:
            await parent.signal(checkout.CUSTOMER_MUST_ACT, result.next_action)
        except FailureError:
            # A checkout that is gone has asked us to cancel; that request is on its way.
            workflow.logger.warning("the checkout could not be told of the customer's action")

    def _next_attempt(
        self, request: PayOrder, plan: PaymentPlan, stop: RouteStop, three_ds: bool
    ) -> AuthoriseAttempt:
        seq = len(self._begun) + 1
        attempt = AuthoriseAttempt(
            attempt_id=f"{request.order_id}-{seq}",
            payment_id=plan.payment_id,
            order_id=request.order_id,
            seq=seq,
            psp=stop.psp,
            amount_paise=request.amount_paise,
            currency=request.currency,
            method=request.method,
            instrument=request.instrument,
            reason=stop.reason,
            expires_in=int(request.timings.action),
            three_ds=three_ds,
            bank=request.bank,
        )
        self._begun.append((stop, attempt))
        return attempt

    async def _watch_all_but(self, chosen: str | None) -> None:
        """Leave a watcher over each attempt that its PSP may still turn into a success."""
        for stop, attempt in self._begun:
            if stop.late and attempt.attempt_id != chosen:
                await workflow.start_child_workflow(
                    payments.WATCH,
                    WatchLate(attempt=attempt, timings=self._request.timings),
                    id=late_payment_id(attempt.attempt_id),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    search_attributes=search_attributes(LATE_PAYMENT, attempt.order_id),
                )


def _decide(psp: str, failure: StepFailed, method: PaymentMethod, three_ds: bool) -> Decision:
    name, _, code = failure.code.partition("/")
    if name not in FailureClass.__members__:
        # A person said that it did not happen, which is proof enough to go elsewhere.
        return Decision.NEXT_PSP
    return decide(psp, Operation.AUTHORISE, FailureClass(name), code, method, three_ds=three_ds)


def _paid(result: AttemptResult) -> AttemptResult:
    if result.state in _PAID:
        return result
    if result.state in (PaymentState.EXPIRED, PaymentState.VOIDED):
        raise Refused("PAYMENT_EXPIRED", "the payment was not completed in time")
    raise Refused("PAYMENT_DECLINED", "the payment was declined; please try another way to pay")


def _refusal(failure: StepFailed) -> Refused:
    name = failure.code.partition("/")[0]
    if name in (FailureClass.NOT_SENT, FailureClass.REJECTED_TRANSIENT, "PAYMENT_UNAVAILABLE"):
        return Refused("PAYMENT_UNAVAILABLE", "payments are not available right now")
    if name == FailureClass.EXPIRED:
        return Refused("PAYMENT_EXPIRED", "the payment was not completed in time")
    return Refused("PAYMENT_DECLINED", "the payment was declined; please try another way to pay")


def _authorised(
    request: PayOrder,
    plan: PaymentPlan,
    attempt_id: str,
    psp: str,
    ref: str,
    state: PaymentState,
) -> PaymentAuthorised:
    return PaymentAuthorised(
        payment_id=plan.payment_id,
        order_id=request.order_id,
        attempt_id=attempt_id,
        psp=psp,
        ref=ref,
        state=state,
        amount_paise=request.amount_paise,
        currency=request.currency,
    )
