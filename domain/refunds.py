"""Money that goes back: refunds, disputes, and what of a payment they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.payments import PaymentState
from domain.states import check, transition_table


class RefundState(StrEnum):
    """Where one refund is: PENDING until the PSP says that it paid, or that it will not."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class RefundKind(StrEnum):
    """Why money goes back.

    GIVEN_BACK undoes a payment that no order needs; REQUESTED is asked for by a person or a
    return; DOUBLE returns a second payment that a PSP made of one request.
    """

    GIVEN_BACK = "GIVEN_BACK"
    REQUESTED = "REQUESTED"
    DOUBLE = "DOUBLE"


class DisputeState(StrEnum):
    """Where a customer's dispute at their bank stands."""

    OPEN = "OPEN"
    WON = "WON"
    LOST = "LOST"


_R = RefundState
# DONE is final: what a PSP paid out stays paid out. A PSP may pay after it said that it failed.
REFUND_TRANSITIONS: Mapping[RefundState, frozenset[RefundState]] = transition_table(
    RefundState,
    {
        _R.PENDING: {_R.DONE, _R.FAILED, _R.UNKNOWN},
        _R.UNKNOWN: {_R.PENDING, _R.DONE, _R.FAILED},
        _R.FAILED: {_R.DONE},
        _R.DONE: set(),
    },
)
_D = DisputeState
# Arbitration may turn either end around; a closed dispute is not opened again.
DISPUTE_TRANSITIONS: Mapping[DisputeState, frozenset[DisputeState]] = transition_table(
    DisputeState, {_D.OPEN: {_D.WON, _D.LOST}, _D.WON: {_D.LOST}, _D.LOST: {_D.WON}}
)


def check_dispute(old: DisputeState, new: DisputeState) -> None:
    """Raise IllegalTransition unless a dispute may go from `old` to `new`."""
    check("a dispute", DISPUTE_TRANSITIONS, old, new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one attempt took and what has gone back of it, in paise.

    `under_way` is asked back but not yet paid; it counts as gone, so that two refunds which fit
    one by one cannot both go.
    """

    captured: int
    refunded: int = 0
    charged_back: int = 0
    under_way: int = 0

    @property
    def left(self) -> int:
        """What can still be given back."""
        return self.captured - self.refunded - self.charged_back - self.under_way

    def state(self, *, disputed: bool) -> PaymentState:
        """The state of an attempt whose money was taken; an open dispute comes before all."""
        returned = self.refunded + self.charged_back
        if disputed:
            return PaymentState.DISPUTED
        if returned == 0:
            return PaymentState.CAPTURED
        whole = returned >= self.captured
        return PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED
