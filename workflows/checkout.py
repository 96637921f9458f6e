"""The checkout saga: from a customer's click to a confirmed order, or to nothing at all."""

from datetime import timedelta

from temporalio import workflow

from domain.orders import OrderState
from domain.risk import RiskDecision
from saga import NothingToUndo, Refused, RolledBack, Saga, SagaWorkflow, StepFailed
from workflows.contracts import checkout, orders, payments, risk, stock
from workflows.contracts.checkout import CheckoutAnswer, PlaceOrder
from workflows.contracts.ids import CHECKOUT
from workflows.contracts.sagas import RECORD

ACCEPT = "ACCEPT"
REJECT = "REJECT"


@workflow.defn(name=checkout.WORKFLOW)
class CheckoutSaga(SagaWorkflow):
    """Open, reserve, score, pay; capture is the point of no return; commit, confirm."""

    kind = CHECKOUT
    recorder = RECORD

    @workflow.init
    def __init__(self, request: PlaceOrder) -> None:
        super().__init__()
        self._request = request
        self._total_paise = 0
        self._answer: CheckoutAnswer | None = None

    @workflow.run
    async def run(self, request: PlaceOrder) -> CheckoutAnswer:
        """Return how the order ended."""
        try:
            async with self.saga as saga:
                await self._sell(saga, request)
        except RolledBack as ended:
            return await self._tell(orders.end_state(ended.code), ended.code, ended.message)
        return await self._tell(OrderState.CONFIRMED)

    async def _sell(self, saga: Saga, request: PlaceOrder) -> None:
        order = request.order
        saga.about(order.order_id, order.user_id)
        opened = await saga.step("open order", orders.OPEN, order, undo=orders.CANCEL)
        self._total_paise = opened.total_paise
        await saga.step(
            "reserve stock",
            stock.RESERVE,
            stock.ReserveStock(
                order_id=order.order_id,
                pincode=opened.pincode,
                lines=opened.lines,
                hold_seconds=request.timings.hold,
            ),
            undo=stock.RELEASE,
        )
        await self._accept_risk(saga, request, opened)
        if opened.total_paise == 0:
            saga.go_forward("a coupon pays for everything")
        else:
            await self._charge(saga, request, opened)
        await saga.must(
            "commit stock",
            stock.COMMIT,
            stock.CommitStock(order_id=order.order_id),
            park_as="STOCK_NOT_COMMITTED",
        )
        await saga.must(
            "confirm order",
            orders.CONFIRM,
            orders.ConfirmOrder(order_id=order.order_id),
            park_as="ORDER_NOT_CONFIRMED",
        )

    async def _charge(self, saga: Saga, request: PlaceOrder, opened: orders.OpenedOrder) -> None:
        payment = await saga.step(
            "authorise payment",
            payments.AUTHORISE_PAYMENT,
            _payment_of(request, opened),
            undo=payments.GIVE_BACK,
            inquire=payments.FIND_PAYMENT,
            money=True,
            park_as="PAYMENT_UNKNOWN",
        )
        try:
            await saga.pivot(
                "capture payment",
                payments.CAPTURE,
                payment,
                inquire=payments.FIND_CAPTURE,
                scope=payment.psp,
                # Capturing what is captured changes nothing at any PSP.
                resend=True,
                ladder=request.timings.payment.ladder,
                park_as="CAPTURE_UNKNOWN",
            )
        except StepFailed as refused:
            # The PSP's own words are in the timeline; the customer needs to know what to do.
            raise Refused(
                "PAYMENT_DECLINED", "the payment was declined; please try another way to pay"
            ) from refused

    async def _accept_risk(
        self, saga: Saga, request: PlaceOrder, opened: orders.OpenedOrder
    ) -> None:
        order = request.order
        scored = await saga.step(
            "score risk",
            risk.SCORE,
            risk.ScoreRisk(
                order_id=order.order_id,
                user_id=order.user_id,
                device_id=request.device_id,
                pincode=opened.pincode,
                amount_paise=opened.total_paise,
                method=order.payment_method,
            ),
            undo=NothingToUndo("it reads, and counts the attempt as an attempt"),
        )
        reasons = ", ".join(scored.reasons)
        if scored.decision is RiskDecision.REJECT:
            saga.note("score risk", "RISK_REJECTED", reasons)
            raise Refused("RISK_REJECTED", "we cannot accept this order")
        if scored.decision is RiskDecision.HOLD:
            await self._ask_an_agent(saga, request, f"score {scored.score}: {reasons}")

    async def _ask_an_agent(self, saga: Saga, request: PlaceOrder, why: str) -> None:
        order_id = request.order.order_id
        await saga.step(
            "put order on hold",
            orders.MARK,
            orders.MarkOrder(order_id=order_id, state=OrderState.ON_HOLD, note="RISK_HOLD"),
            undo=NothingToUndo("ending the order ends its hold"),
        )
        self._tell_now(OrderState.ON_HOLD, "RISK_HOLD", "we are checking this order")
        answer = await saga.decide(
            "review risk",
            "RISK_HOLD",
            why,
            options=[ACCEPT, REJECT],
            timeout=timedelta(seconds=request.timings.review),
        )
        if answer is None:
            raise Refused("RISK_REVIEW_TIMED_OUT", "we could not check this order in time")
        if answer.action == REJECT:
            raise Refused("RISK_REJECTED", "we cannot accept this order")

    @workflow.update(name=checkout.PLACE)
    async def place(self) -> CheckoutAnswer:
        """Answer once the order is confirmed, refused, or waits on somebody."""
        await workflow.wait_condition(lambda: self._answer is not None)
        assert self._answer is not None  # noqa: S101 - for the type checker
        return self._answer

    @workflow.signal(name=checkout.CUSTOMER_MUST_ACT)
    def customer_must_act(self, action: payments.NextAction) -> None:
        """Hear from the payment saga that the customer has to do something."""
        if not self.saga.log.state.ended:
            self._tell_now(
                OrderState.AWAITING_PAYMENT, "PAYMENT_ACTION", "waiting for your payment", action
            )

    async def _tell(self, state: OrderState, code: str = "", message: str = "") -> CheckoutAnswer:
        self._tell_now(state, code, message)
        assert self._answer is not None  # noqa: S101 - just set
        return await self.drained(self._answer)

    def _tell_now(
        self,
        state: OrderState,
        code: str = "",
        message: str = "",
        action: payments.NextAction | None = None,
    ) -> None:
        self._answer = CheckoutAnswer(
            order_id=self._request.order.order_id,
            state=state,
            total_paise=self._total_paise,
            code=code,
            message=message,
            next_action=action,
        )


def _payment_of(request: PlaceOrder, opened: orders.OpenedOrder) -> payments.PayOrder:
    return payments.PayOrder(
        order_id=opened.order_id,
        user_id=request.order.user_id,
        amount_paise=opened.total_paise,
        currency=opened.currency,
        method=request.order.payment_method,
        instrument=request.instrument,
        bound_to=request.bound_to,
        bin=request.bin,
        bank=request.bank,
        pincode=opened.pincode,
        timings=request.timings.payment,
    )
