"""Whether a PSP's event tells us anything that our books do not have."""

from __future__ import annotations

from domain.payments import PaymentState
from domain.webhooks import EventKind

_S = PaymentState
# the states of an attempt that an event of this kind cannot add to
_KNOWN: dict[EventKind, frozenset[PaymentState]] = {
    EventKind.PAYMENT_AUTHORISED: frozenset(
        {
            _S.AUTHORISED,
            _S.PARTIALLY_CAPTURED,
            _S.CAPTURED,
            _S.REFUND_PENDING,
            _S.PARTIALLY_REFUNDED,
            _S.REFUNDED,
            _S.DISPUTED,
        }
    ),
    EventKind.PAYMENT_FAILED: frozenset({_S.FAILED, _S.EXPIRED, _S.VOIDED}),
    EventKind.PAYMENT_EXPIRED: frozenset({_S.FAILED, _S.EXPIRED, _S.VOIDED}),
    EventKind.PAYMENT_VOIDED: frozenset({_S.VOIDED, _S.REFUNDED}),
}


# Refunds and disputes have states of their own, which the attempt's does not show.
REFUNDS = frozenset({EventKind.REFUND_SUCCEEDED, EventKind.REFUND_FAILED})
DISPUTES = frozenset({EventKind.DISPUTE_OPENED, EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST})
ABOUT_MORE = DISPUTES | {EventKind.REFUND_FAILED}


def is_news(
    kind: EventKind, *, told: tuple[int, int], state: PaymentState, known: tuple[int, int]
) -> bool:
    """Whether an event goes beyond the books.

    `told` and `known` are what was captured and refunded of the attempt, in paise, by the event
    and by our books; `state` is the attempt's. Money we have not booked is always news.
    """
    if told[0] > known[0] or told[1] > known[1] or kind in ABOUT_MORE:
        return True
    if kind in (EventKind.PAYMENT_CAPTURED, EventKind.REFUND_SUCCEEDED, EventKind.OTHER):
        return False
    return state not in _KNOWN[kind]
