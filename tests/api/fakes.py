"""An engine whose answers a test chooses, and which remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from api.engine import HistoryPage, SagaUnknown
from domain.orders import OrderState
from saga import CancelRequest, CancelVerdict, Resolution, Resolved, TimelineView
from workflows.contracts.checkout import CheckoutAnswer, PlaceOrder
from workflows.contracts.payments import PSPEvent
from workflows.contracts.refunds import RefundAnswer, RequestRefund

Placing = Callable[[PlaceOrder], Awaitable[CheckoutAnswer | None]]


class FakeEngine:
    """Implements `api.engine.Engine`; set an attribute to an error to have it raised."""

    def __init__(self) -> None:
        self.placing: Placing = confirmed
        self.ended_with: CheckoutAnswer | None = None
        self.refunding: RefundAnswer | Exception | None = None
        self.refund_ended_with: RefundAnswer | None = None
        self.refunds: list[RequestRefund] = []
        self.verdict: CancelVerdict | Exception | None = CancelVerdict.CANCELLED
        self.view: TimelineView | Exception = SagaUnknown()
        self.resolved: Resolved | Exception = Resolved(accepted=True, message="RETRY accepted")
        self.page: HistoryPage | Exception = HistoryPage([], b"")
        self.telling: Exception | None = None
        self.healthy: Exception | None = None
        self.orders: list[PlaceOrder] = []
        self.asked = asyncio.Event()
        self.cancels: list[tuple[str, CancelRequest]] = []
        self.resolutions: list[tuple[str, Resolution]] = []
        self.pages: list[tuple[str, int, bytes]] = []
        self.told: list[tuple[str, PSPEvent]] = []

    async def place(self, order: PlaceOrder, within: float) -> CheckoutAnswer | None:
        self.orders.append(order)
        self.asked.set()
        return await self.placing(order)

    async def placed(self, order_id: str) -> CheckoutAnswer | None:
        return self.ended_with

    async def refund(self, request: RequestRefund, within: float) -> RefundAnswer | None:
        self.refunds.append(request)
        if isinstance(self.refunding, Exception):
            raise self.refunding
        return self.refunding

    async def refunded(self, refund: str) -> RefundAnswer | None:
        return self.refund_ended_with

    async def cancel(
        self, order_id: str, request: CancelRequest, within: float
    ) -> CancelVerdict | None:
        self.cancels.append((order_id, request))
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def timeline(self, saga_id: str, within: float) -> TimelineView:
        if isinstance(self.view, Exception):
            raise self.view
        return self.view

    async def resolve(self, saga_id: str, resolution: Resolution) -> Resolved:
        self.resolutions.append((saga_id, resolution))
        if isinstance(self.resolved, Exception):
            raise self.resolved
        return self.resolved

    async def history(self, saga_id: str, size: int, token: bytes) -> HistoryPage:
        self.pages.append((saga_id, size, token))
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    async def tell_payment(self, order_id: str, event: PSPEvent) -> None:
        if self.telling is not None:
            raise self.telling
        self.told.append((order_id, event))

    async def check(self) -> None:
        if self.healthy is not None:
            raise self.healthy


async def confirmed(order: PlaceOrder) -> CheckoutAnswer:
    """Sells everything for 648 rupees."""
    return CheckoutAnswer(
        order_id=order.order.order_id, state=OrderState.CONFIRMED, total_paise=648_00
    )


def answering(
    state: OrderState, *, code: str = "", message: str = "", total_paise: int = 648_00
) -> Placing:
    """Answers every order alike."""

    async def place(order: PlaceOrder) -> CheckoutAnswer:
        return CheckoutAnswer(
            order_id=order.order.order_id,
            state=state,
            total_paise=total_paise,
            code=code,
            message=message,
        )

    return place


def failing(error: Exception) -> Placing:
    """Fails every order alike."""

    async def place(order: PlaceOrder) -> CheckoutAnswer:
        raise error

    return place


def held(until: asyncio.Event) -> Placing:
    """Confirms, but only once the event is set."""

    async def place(order: PlaceOrder) -> CheckoutAnswer:
        await until.wait()
        return await confirmed(order)

    return place
