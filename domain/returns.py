"""Returns: what may come back, until when and for what, and what a quality check leads to.

Terms depend on the category and on the day of the order (Indian time). Goods that are not what
was sold may be sent back whatever the terms say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.errors import DomainError
from domain.pricing import IST
from domain.promises import end_of
from domain.states import check, final_states, transition_table


class ReturnRefused(DomainError):
    """A return that the terms do not allow, with the reason for the customer."""


class ReturnState(StrEnum):
    """Where a return is. DISPUTED waits for a person after a quality check that failed."""

    REQUESTED = "REQUESTED"
    PICKUP_SCHEDULED = "PICKUP_SCHEDULED"
    PICKUP_FAILED = "PICKUP_FAILED"
    PICKED_UP = "PICKED_UP"
    RECEIVED = "RECEIVED"
    DISPUTED = "DISPUTED"
    ACCEPTED = "ACCEPTED"
    REFUNDED = "REFUNDED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


_S = ReturnState
TRANSITIONS: Mapping[ReturnState, frozenset[ReturnState]] = transition_table(
    ReturnState,
    {
        _S.REQUESTED: {_S.PICKUP_SCHEDULED, _S.PICKUP_FAILED, _S.REJECTED, _S.CANCELLED},
        _S.PICKUP_SCHEDULED: {_S.PICKUP_FAILED, _S.PICKED_UP, _S.RECEIVED, _S.ACCEPTED}
        | {_S.REJECTED, _S.CANCELLED},
        _S.PICKUP_FAILED: {_S.PICKUP_SCHEDULED, _S.PICKED_UP, _S.RECEIVED, _S.ACCEPTED}
        | {_S.REJECTED, _S.CANCELLED},
        # what is lost after the pickup is accepted unseen: the customer handed it over
        _S.PICKED_UP: {_S.RECEIVED, _S.ACCEPTED},
        _S.RECEIVED: {_S.ACCEPTED, _S.DISPUTED},
        _S.DISPUTED: {_S.ACCEPTED, _S.REJECTED},
        _S.ACCEPTED: {_S.REFUNDED, _S.REPLACED},
        _S.REFUNDED: set(),
        _S.REPLACED: set(),
        _S.REJECTED: set(),
        _S.CANCELLED: set(),
    },
)
FINAL_STATES = final_states(TRANSITIONS)


def check_transition(old: ReturnState, new: ReturnState) -> None:
    """Raise IllegalTransition unless a return may go from `old` to `new`."""
    check("a return", TRANSITIONS, old, new)


class Wish(StrEnum):
    """What the customer wants for the goods."""

    REFUND = "REFUND"
    REPLACEMENT = "REPLACEMENT"


class ReturnClass(StrEnum):
    """What a category allows."""

    TEN_DAYS = "TEN_DAYS"
    SEVEN_DAYS = "SEVEN_DAYS"
    REPLACEMENT_ONLY = "REPLACEMENT_ONLY"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Terms:
    """How many days after the day of delivery, and for what.

    `wishes` are offered for any reason, `if_ours` where the fault is ours; none: not at all.
    """

    days: int
    wishes: frozenset[Wish]
    if_ours: frozenset[Wish]


_BOTH = frozenset(Wish)
_NONE = frozenset[Wish]()
# Consumer Protection (E-Commerce) Rules, 2020, rule 6: no seller may refuse to take back what is
# defective, not as advertised or late, so no class is without an answer to our own fault
TERMS: Mapping[ReturnClass, Terms] = MappingProxyType(
    {
        ReturnClass.TEN_DAYS: Terms(10, _BOTH, _BOTH),
        ReturnClass.SEVEN_DAYS: Terms(7, _BOTH, _BOTH),
        ReturnClass.REPLACEMENT_ONLY: Terms(7, _NONE, frozenset({Wish.REPLACEMENT})),
        ReturnClass.NONE: Terms(7, _NONE, _BOTH),
    }
)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """The class of products below `path`, for orders of `since` and later, until the next row."""

    path: tuple[str, ...]
    since: date
    return_class: ReturnClass


_FIRST = date(2022, 1, 1)
_C = ReturnClass
# the longest path wins, then the latest day; the empty path is the class of everything else
POLICY: tuple[PolicyRow, ...] = (
    PolicyRow((), _FIRST, _C.SEVEN_DAYS),
    PolicyRow(("Clothing",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Clothing", "Women's Clothing", "Lingerie, Sleep & Swimwear"), _FIRST, _C.NONE),
    PolicyRow(("Footwear",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Jewellery",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Watches",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Sunglasses",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Bags, Wallets & Belts",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Furniture",), _FIRST, _C.TEN_DAYS),
    PolicyRow(("Mobiles & Accessories",), _FIRST, _C.REPLACEMENT_ONLY),
    PolicyRow(("Electronics",), _FIRST, _C.REPLACEMENT_ONLY),
    PolicyRow(("Computers",), _FIRST, _C.REPLACEMENT_ONLY),
    PolicyRow(("Appliances",), _FIRST, _C.REPLACEMENT_ONLY),
    PolicyRow(("Baby Care",), _FIRST, _C.NONE),
    PolicyRow(("Beauty and Personal Care",), _FIRST, _C.NONE),
    PolicyRow(("Grocery",), _FIRST, _C.NONE),
    PolicyRow(("Food & Nutrition",), _FIRST, _C.NONE),
)


class ReturnReason(StrEnum):
    """Why goods come back."""

    DAMAGED = "DAMAGED"
    DEFECTIVE = "DEFECTIVE"
    WRONG_ITEM = "WRONG_ITEM"
    NOT_AS_DESCRIBED = "NOT_AS_DESCRIBED"
    PARTS_MISSING = "PARTS_MISSING"
    ARRIVED_LATE = "ARRIVED_LATE"
    DOES_NOT_FIT = "DOES_NOT_FIT"
    CHANGED_MIND = "CHANGED_MIND"


class Fault(StrEnum):
    """Whose doing it is: OURS stands for seller, warehouse and carrier alike."""

    OURS = "OURS"
    NOBODYS = "NOBODYS"


@dataclass(frozen=True, slots=True)
class ReasonRule:
    """Whose fault a reason names, whether it needs photographs, and if only money answers it."""

    fault: Fault
    photos: bool
    refund_only: bool = False


_R = ReturnReason
REASONS: Mapping[ReturnReason, ReasonRule] = MappingProxyType(
    {
        _R.DAMAGED: ReasonRule(Fault.OURS, photos=True),
        _R.DEFECTIVE: ReasonRule(Fault.OURS, photos=True),
        _R.WRONG_ITEM: ReasonRule(Fault.OURS, photos=True),
        _R.NOT_AS_DESCRIBED: ReasonRule(Fault.OURS, photos=True),
        _R.PARTS_MISSING: ReasonRule(Fault.OURS, photos=True),
        # the same again would come later still
        _R.ARRIVED_LATE: ReasonRule(Fault.OURS, photos=False, refund_only=True),
        _R.DOES_NOT_FIT: ReasonRule(Fault.NOBODYS, photos=False),
        _R.CHANGED_MIND: ReasonRule(Fault.NOBODYS, photos=False),
    }
)


def class_of(
    category: Sequence[str], ordered_on: date, policy: Sequence[PolicyRow] = POLICY
) -> ReturnClass:
    """The class of a category path for an order of an Indian day.

    Raises ReturnRefused NO_RETURN_TERMS before the table begins.
    """
    rows = [
        row
        for row in policy
        if row.since <= ordered_on and tuple(category[: len(row.path)]) == row.path
    ]
    if not rows:
        raise ReturnRefused(
            "NO_RETURN_TERMS", f"no terms of return are known for orders of {ordered_on}"
        )
    return max(rows, key=lambda row: (len(row.path), row.since)).return_class


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequest:
    """What a customer asks for: pieces of one line; moments are aware.

    `replaceable` says whether the same can be sent again: where it cannot, money takes its place.
    """

    category: tuple[str, ...]
    ordered_at: datetime
    delivered_at: datetime
    asked_at: datetime
    reason: ReturnReason
    wish: Wish
    photos: int = 0
    replaceable: bool = True


@dataclass(frozen=True, slots=True)
class Allowance:
    """For what pieces may be returned (nothing: not at all), until just before when (aware)."""

    wishes: frozenset[Wish]
    until: datetime


def allowance(
    category: Sequence[str],
    ordered_at: datetime,
    delivered_at: datetime,
    reason: ReturnReason,
    *,
    replaceable: bool = True,
) -> Allowance:
    """What the terms of a category allow for a reason; raises ReturnRefused NO_RETURN_TERMS."""
    terms = TERMS[class_of(category, ordered_at.astimezone(IST).date())]
    rule = REASONS[reason]
    wishes = terms.if_ours if rule.fault is Fault.OURS else terms.wishes
    if wishes and (rule.refund_only or not replaceable):
        wishes = frozenset({Wish.REFUND})
    last = delivered_at.astimezone(IST).date() + timedelta(days=terms.days)
    return Allowance(wishes, end_of(last))


def check_return(request: ReturnRequest) -> Allowance:
    """What the return is allowed by.

    Raises ReturnRefused NOT_DELIVERED_YET, NO_RETURN_TERMS, NOT_RETURNABLE, RETURN_WINDOW_CLOSED,
    WISH_NOT_OFFERED or PHOTOS_NEEDED.
    """
    if request.asked_at < request.delivered_at:
        raise ReturnRefused(
            "NOT_DELIVERED_YET", "the parcel has not arrived: cancel the order instead"
        )
    allowed = allowance(
        request.category,
        request.ordered_at,
        request.delivered_at,
        request.reason,
        replaceable=request.replaceable,
    )
    if not allowed.wishes:
        raise ReturnRefused(
            "NOT_RETURNABLE",
            f"{' >> '.join(request.category)} does not come back for {request.reason}: it does "
            "when it is not what was sold",
        )
    if request.asked_at >= allowed.until:
        last = allowed.until.astimezone(IST).date() - timedelta(days=1)
        raise ReturnRefused("RETURN_WINDOW_CLOSED", f"it could be returned until {last}")
    if request.wish not in allowed.wishes:
        offered = ", ".join(sorted(allowed.wishes))
        raise ReturnRefused(
            "WISH_NOT_OFFERED", f"a {request.wish} is not offered here: choose {offered}"
        )
    if REASONS[request.reason].photos and request.photos < 1:
        raise ReturnRefused("PHOTOS_NEEDED", f"{request.reason}: add a photograph of the goods")
    return allowed
