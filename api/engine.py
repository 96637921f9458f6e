"""The edge's way to running sagas: start, ask, tell; and what can go wrong on it.

EngineError
├── EngineUnreachable   nothing is known to have been taken: the caller may send again
├── SagaEnded           the saga is over, or was over before the request came
├── SagaUnknown         the engine has never had it, or keeps it no more
└── ResolutionRefused   the saga's own validator said no; carries its code
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from saga import CancelRequest, CancelVerdict, Resolution, Resolved, TimelineView
from workflows.contracts.checkout import CheckoutAnswer, PlaceOrder
from workflows.contracts.payments import PSPEvent
from workflows.contracts.refunds import RefundAnswer, RequestRefund


class EngineError(Exception):
    """Base of what can go wrong between the edge and the engine."""


class EngineUnreachable(EngineError):
    """The engine did not answer, and did not start what was asked for as far as we know."""


class SagaEnded(EngineError):
    """Too late: the saga is over."""


class SagaUnknown(EngineError):
    """There is no such saga in the engine."""


class ResolutionRefused(EngineError):
    """The saga refused an answer for a parked step."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some events of a saga's history, readable, and the token of the page after them."""

    events: list[dict[str, Any]]
    next: bytes


class Engine(Protocol):
    """What the edge asks of the engine. Times in seconds; None means: not decided in time."""

    async def place(self, order: PlaceOrder, within: float) -> CheckoutAnswer | None:
        """Start an order's checkout, or join the one under way, and wait for its answer.

        Raises SagaEnded, EngineUnreachable. None promises that the saga runs.
        """

    async def placed(self, order_id: str) -> CheckoutAnswer | None:
        """The answer that an ended checkout gave, None when it gave none.

        Raises EngineUnreachable: that nothing was heard says nothing about the order.
        """

    async def refund(self, request: RequestRefund, within: float) -> RefundAnswer | None:
        """Start a refund, or join the one under way, and wait until it is promised or refused.

        Raises SagaEnded, EngineUnreachable. None promises that the saga runs.
        """

    async def refunded(self, refund: str) -> RefundAnswer | None:
        """The answer that an ended refund gave, if it gave one. Raises EngineUnreachable."""

    async def cancel(
        self, order_id: str, request: CancelRequest, within: float
    ) -> CancelVerdict | None:
        """Ask a checkout to stop. Raises SagaEnded, SagaUnknown, EngineUnreachable."""

    async def timeline(self, saga_id: str, within: float) -> TimelineView:
        """A saga's own view of itself. Raises SagaUnknown, EngineUnreachable."""

    async def resolve(self, saga_id: str, resolution: Resolution) -> Resolved:
        """Answer for a parked step. Raises ResolutionRefused, SagaEnded, SagaUnknown, ..."""

    async def history(self, saga_id: str, size: int, token: bytes) -> HistoryPage:
        """A page of the events behind a saga. Raises SagaUnknown, EngineUnreachable."""

    async def tell_payment(self, order_id: str, event: PSPEvent) -> None:
        """Tell an order's payment of a webhook. Raises SagaUnknown (also when it has ended)."""

    async def check(self) -> None:
        """Raise EngineUnreachable unless the engine answers."""
