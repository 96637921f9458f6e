"""What one attempt at a payment came to, as success rates and circuit breakers count it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.payments import FailureClass, PaymentState


class Outcome(StrEnum):
    """How an attempt went. DECLINED is the customer's bank speaking, TECHNICAL the PSP failing.

    ABANDONED: the customer left, or we let go of it. STEPPED_UP: asked again with 3-D Secure.
    INVALID: our own request was wrong. OPEN: not decided yet.
    """

    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    TECHNICAL = "TECHNICAL"
    UNKNOWN = "UNKNOWN"
    ABANDONED = "ABANDONED"
    STEPPED_UP = "STEPPED_UP"
    INVALID = "INVALID"
    OPEN = "OPEN"


_S = PaymentState
_F = FailureClass
_APPROVED = frozenset(
    {
        _S.AUTHORISED,
        _S.PARTIALLY_CAPTURED,
        _S.CAPTURED,
        _S.REFUND_PENDING,
        _S.PARTIALLY_REFUNDED,
        _S.REFUNDED,
        _S.DISPUTED,
    }
)
_OPEN = frozenset({_S.CREATED, _S.ACTION_REQUIRED, _S.PENDING})
_UNDECIDED = frozenset({_S.UNKNOWN, _S.CREATED})
BY_FAILURE: Mapping[FailureClass, Outcome] = MappingProxyType(
    {
        _F.NOT_SENT: Outcome.TECHNICAL,
        _F.REJECTED_TRANSIENT: Outcome.TECHNICAL,
        _F.CONFIG: Outcome.TECHNICAL,
        # an outcome that stayed unknown until the attempt was taken back
        _F.UNKNOWN: Outcome.TECHNICAL,
        _F.DECLINED_SOFT: Outcome.DECLINED,
        _F.DECLINED_HARD: Outcome.DECLINED,
        _F.FRAUD: Outcome.DECLINED,
        _F.AUTH_REQUIRED: Outcome.STEPPED_UP,
        _F.EXPIRED: Outcome.ABANDONED,
        _F.INVALID_REQUEST: Outcome.INVALID,
        _F.IN_PROGRESS: Outcome.OPEN,
    }
)


def outcome_of(state: PaymentState, failure: FailureClass | None) -> Outcome:
    """What an attempt in a state, with the failure that is known of it, came to."""
    if state in _APPROVED:
        return Outcome.APPROVED
    if failure is FailureClass.UNKNOWN and state in _UNDECIDED:
        return Outcome.UNKNOWN
    if failure is not None:
        return BY_FAILURE[failure]
    if state is PaymentState.UNKNOWN:
        return Outcome.UNKNOWN
    return Outcome.OPEN if state in _OPEN else Outcome.ABANDONED
