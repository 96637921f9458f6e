"""Stand-ins for the business sagas: they do nothing, but answer like them."""

from datetime import timedelta

from temporalio import workflow

from domain.orders import OrderState
from saga import RolledBack, SagaWorkflow
from workflows.contracts.checkout import PLACE, PSP_EVENT, WORKFLOW, CheckoutAnswer, PlaceOrder
from workflows.contracts.payments import PSPEvent


@workflow.defn(name=WORKFLOW)
class StandInCheckout(SagaWorkflow):
    """The first line's SKU says how it goes: SELL, REVIEW (waits for a person) or SLOW."""

    kind = "checkout"

    @workflow.init
    def __init__(self, request: PlaceOrder) -> None:
        super().__init__()
        self._order_id = request.order.order_id
        self._answer: CheckoutAnswer | None = None

    @workflow.run
    async def run(self, request: PlaceOrder) -> CheckoutAnswer:
        how = request.order.lines[0].sku
        try:
            async with self.saga as saga:
                saga.about(self._order_id, request.order.user_id)
                if how == "REVIEW":
                    self._answer = self._said(OrderState.ON_HOLD)
                    await saga.decide(
                        "review", "RISK_HOLD", "why", options=["ACCEPT"],
                        timeout=timedelta(minutes=5),
                    )  # fmt: skip
                if how == "SLOW":
                    await saga.until(lambda: False, timedelta(minutes=5))
                saga.go_forward("sold")
        except RolledBack:
            self._answer = self._said(OrderState.CANCELLED)
            return await self.drained(self._answer)
        self._answer = self._said(OrderState.CONFIRMED)
        return await self.drained(self._answer)

    def _said(self, state: OrderState) -> CheckoutAnswer:
        return CheckoutAnswer(order_id=self._order_id, state=state, total_paise=599_00)

    @workflow.update(name=PLACE)
    async def place(self) -> CheckoutAnswer:
        await workflow.wait_condition(lambda: self._answer is not None)
        assert self._answer is not None
        return self._answer


@workflow.defn(name="StandInPayment")
class StandInPayment:
    """Ends once it has heard of one event."""

    def __init__(self) -> None:
        self._heard: list[PSPEvent] = []

    @workflow.run
    async def run(self) -> list[PSPEvent]:
        await workflow.wait_condition(lambda: bool(self._heard))
        return self._heard

    @workflow.signal(name=PSP_EVENT)
    def psp_event(self, event: PSPEvent) -> None:
        self._heard.append(event)
