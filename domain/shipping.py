"""The life of a parcel, towards the customer (FORWARD) and back from one (REVERSE).

Carriers skip scans, so every table lets a parcel jump ahead; none lets it come back to life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.errors import DomainError, IllegalTransition


class ShippingError(DomainError):
    """A parcel, quote, promise or answer that the rules of shipping cannot take."""


class Direction(StrEnum):
    """FORWARD goes to the customer, and may turn round (RTO); REVERSE fetches a return (RVP)."""

    FORWARD = "FORWARD"
    REVERSE = "REVERSE"


class ShipmentState(StrEnum):
    """Where a parcel is, and what a scan says of it.

    NDR is a failed delivery attempt, RTO the way back to the origin, RVP a reverse pickup and
    DTO its delivery to the origin. QC_FAILED is the courier's check at the customer's door.
    """

    BOOKED = "BOOKED"
    PICKUP_SCHEDULED = "PICKUP_SCHEDULED"
    PICKUP_FAILED = "PICKUP_FAILED"
    PICKED_UP = "PICKED_UP"
    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    NDR = "NDR"
    DELIVERED = "DELIVERED"
    RTO_INITIATED = "RTO_INITIATED"
    RTO_IN_TRANSIT = "RTO_IN_TRANSIT"
    RTO_OUT_FOR_DELIVERY = "RTO_OUT_FOR_DELIVERY"
    RTO_DELIVERED = "RTO_DELIVERED"
    LOST = "LOST"
    DAMAGED = "DAMAGED"
    CANCELLED = "CANCELLED"
    UNMAPPED = "UNMAPPED"
    RVP_SCHEDULED = "RVP_SCHEDULED"
    RVP_PICKED = "RVP_PICKED"
    QC_FAILED = "QC_FAILED"
    DTO_DELIVERED = "DTO_DELIVERED"


Table = Mapping[ShipmentState, frozenset[ShipmentState]]


def _table(rows: Mapping[ShipmentState, Iterable[ShipmentState]]) -> Table:
    # a state does not follow itself: hearing it again is no transition
    return MappingProxyType({state: frozenset(after) - {state} for state, after in rows.items()})


_S = ShipmentState
RTO_STATES = frozenset(
    {_S.RTO_INITIATED, _S.RTO_IN_TRANSIT, _S.RTO_OUT_FOR_DELIVERY, _S.RTO_DELIVERED}
)
_MISHAPS = {_S.LOST, _S.DAMAGED}
_AHEAD = {_S.IN_TRANSIT, _S.OUT_FOR_DELIVERY, _S.NDR, _S.DELIVERED} | _MISHAPS | RTO_STATES
_BEFORE_PICKUP = {_S.PICKUP_SCHEDULED, _S.PICKUP_FAILED, _S.PICKED_UP, _S.CANCELLED}
_BACK = {_S.RTO_IN_TRANSIT, _S.RTO_OUT_FOR_DELIVERY, _S.RTO_DELIVERED} | _MISHAPS

FORWARD: Table = _table(
    {
        _S.BOOKED: _BEFORE_PICKUP | _AHEAD,
        _S.PICKUP_SCHEDULED: _BEFORE_PICKUP | _AHEAD,
        _S.PICKUP_FAILED: _BEFORE_PICKUP | _AHEAD,
        _S.PICKED_UP: _AHEAD,
        _S.IN_TRANSIT: _AHEAD,
        _S.OUT_FOR_DELIVERY: _AHEAD,
        _S.NDR: _AHEAD,
        _S.DELIVERED: set(),
        _S.RTO_INITIATED: _BACK,
        _S.RTO_IN_TRANSIT: _BACK,
        _S.RTO_OUT_FOR_DELIVERY: _BACK,
        _S.RTO_DELIVERED: set(),
        # carriers find what they had given up
        _S.LOST: _AHEAD,
        _S.DAMAGED: _AHEAD,
        # a courier may fetch a parcel whose cancellation had not reached him
        _S.CANCELLED: {_S.PICKED_UP} | _AHEAD,
    }
)

_FETCHED = {_S.RVP_PICKED, _S.DTO_DELIVERED} | _MISHAPS
REVERSE: Table = _table(
    {
        _S.RVP_SCHEDULED: {_S.PICKUP_FAILED, _S.QC_FAILED, _S.CANCELLED} | _FETCHED,
        _S.PICKUP_FAILED: {_S.RVP_SCHEDULED, _S.QC_FAILED, _S.CANCELLED} | _FETCHED,
        # the courier may be sent once more after a refusal at the door
        _S.QC_FAILED: {_S.RVP_SCHEDULED, _S.CANCELLED} | _FETCHED,
        _S.RVP_PICKED: {_S.DTO_DELIVERED} | _MISHAPS,
        _S.DTO_DELIVERED: set(),
        _S.LOST: _FETCHED,
        _S.DAMAGED: _FETCHED,
        _S.CANCELLED: {_S.RVP_SCHEDULED} | _FETCHED,
    }
)

TRANSITIONS: Mapping[Direction, Table] = MappingProxyType(
    {Direction.FORWARD: FORWARD, Direction.REVERSE: REVERSE}
)
START: Mapping[Direction, ShipmentState] = MappingProxyType(
    {Direction.FORWARD: _S.BOOKED, Direction.REVERSE: _S.RVP_SCHEDULED}
)
FINAL_STATES = frozenset({_S.DELIVERED, _S.RTO_DELIVERED, _S.DTO_DELIVERED})
# tracking ends here; of these, only the final ones can never be followed by another
ENDED = FINAL_STATES | {_S.LOST, _S.DAMAGED, _S.CANCELLED, _S.QC_FAILED}
FREE_TO_CANCEL = frozenset({_S.BOOKED, _S.PICKUP_SCHEDULED, _S.PICKUP_FAILED})

# of two scans of one moment the one further on is the later. CANCELLED stands before PICKED_UP,
# and a mishap before what tells that the parcel goes on: what is seen to move is on its way.
_ORDER = (
    _S.UNMAPPED,
    _S.BOOKED,
    _S.RVP_SCHEDULED,
    _S.PICKUP_SCHEDULED,
    _S.PICKUP_FAILED,
    _S.CANCELLED,
    _S.QC_FAILED,
    _S.PICKED_UP,
    _S.RVP_PICKED,
    _S.LOST,
    _S.DAMAGED,
    _S.IN_TRANSIT,
    _S.OUT_FOR_DELIVERY,
    _S.NDR,
    _S.DELIVERED,
    _S.RTO_INITIATED,
    _S.RTO_IN_TRANSIT,
    _S.RTO_OUT_FOR_DELIVERY,
    _S.RTO_DELIVERED,
    _S.DTO_DELIVERED,
)
RANK: Mapping[ShipmentState, int] = MappingProxyType({s: rank for rank, s in enumerate(_ORDER)})


def may_follow(
    old: ShipmentState, new: ShipmentState, direction: Direction = Direction.FORWARD
) -> bool:
    """Whether a parcel on its way in `direction` may go from `old` to `new`."""
    return new in TRANSITIONS[direction].get(old, frozenset())


def check_transition(
    old: ShipmentState, new: ShipmentState, direction: Direction = Direction.FORWARD
) -> None:
    """Raise IllegalTransition unless a parcel may go from `old` to `new`."""
    if not may_follow(old, new, direction):
        after = TRANSITIONS[direction].get(old, frozenset())
        kind = f"a {direction.lower()} shipment"
        raise IllegalTransition(kind, old.value, new.value, tuple(sorted(after)))
