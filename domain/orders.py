"""The life of an order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from domain.states import check, final_states, transition_table


class OrderState(StrEnum):
    """Where an order is, from the customer's click to the returned parcel."""

    CREATED = "CREATED"
    ON_HOLD = "ON_HOLD"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    CONFIRMED = "CONFIRMED"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    RETURN_REQUESTED = "RETURN_REQUESTED"
    RETURNED = "RETURNED"


_O = OrderState
_UNSOLD_ENDS = {_O.REFUSED, _O.CANCELLED, _O.EXPIRED}

TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = transition_table(
    OrderState,
    {
        _O.CREATED: {_O.ON_HOLD, _O.AWAITING_PAYMENT, _O.CONFIRMED} | _UNSOLD_ENDS,
        _O.ON_HOLD: {_O.AWAITING_PAYMENT, _O.CONFIRMED} | _UNSOLD_ENDS,
        _O.AWAITING_PAYMENT: {_O.CONFIRMED} | _UNSOLD_ENDS,
        _O.CONFIRMED: {_O.SHIPPED, _O.CANCELLED},
        _O.REFUSED: set(),
        _O.CANCELLED: set(),
        _O.EXPIRED: set(),
        # a parcel refused at the door comes back without ever being delivered
        _O.SHIPPED: {_O.DELIVERED, _O.RETURNED},
        _O.DELIVERED: {_O.RETURN_REQUESTED},
        # a return that is withdrawn or refused leaves the goods with the customer
        _O.RETURN_REQUESTED: {_O.RETURNED, _O.DELIVERED},
        _O.RETURNED: set(),
    },
)

FINAL_STATES = final_states(TRANSITIONS)


def check_transition(old: OrderState, new: OrderState) -> None:
    """Raise IllegalTransition unless an order may go from `old` to `new`."""
    check("an order", TRANSITIONS, old, new)
