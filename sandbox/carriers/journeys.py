"""What becomes of a parcel, as planned steps: drawn by the shares that Indian carriers see.

Cash on delivery comes back (RTO) in 22, 27 or 35 of a hundred, by whether the first attempt is made
within two days, five, or later; prepaid in under two. Three attempts, then the way back.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """A thing that a carrier says of a parcel, before it is worded its way."""

    BOOKED = "booked"
    PICKUP_SCHEDULED = "pickup_scheduled"
    PICKUP_FAILED = "pickup_failed"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    RTO_INITIATED = "rto_initiated"
    RTO_IN_TRANSIT = "rto_in_transit"
    RTO_OUT_FOR_DELIVERY = "rto_out_for_delivery"
    RTO_DELIVERED = "rto_delivered"
    LOST = "lost"
    DAMAGED = "damaged"
    CANCELLED = "cancelled"
    RVP_SCHEDULED = "rvp_scheduled"
    RVP_PICKED = "rvp_picked"
    QC_FAILED = "qc_failed"
    DTO_DELIVERED = "dto_delivered"
    ODD = "odd"  # a status that no merchant has heard of


# (days after the journey begins, step, why a delivery failed)
Planned = tuple[float, Step, str | None]
# A number in [0, 1) for a question, the same each time it is asked.
Draw = Callable[[str], float]

S = Step
ENDED: Final = frozenset(
    {S.DELIVERED, S.RTO_DELIVERED, S.LOST, S.DAMAGED, S.CANCELLED, S.QC_FAILED, S.DTO_DELIVERED}
)
BEFORE_PICKUP: Final = frozenset({S.BOOKED, S.PICKUP_SCHEDULED, S.PICKUP_FAILED, S.RVP_SCHEDULED})
RETURNING: Final = frozenset({S.RTO_INITIATED, S.RTO_IN_TRANSIT, S.RTO_OUT_FOR_DELIVERY})
REASONS: Final = ("unavailable", "refused", "address", "later")
MOST_ATTEMPTS: Final = 3
PREPAID_RTO: Final = 0.018
# (share of parcels, first and last day of the first attempt, RTO share of cash on delivery)
BANDS: Final = ((0.35, 1, 2, 0.22), (0.45, 3, 5, 0.27), (0.20, 6, 8, 0.35))
LOST_SHARE, DAMAGED_SHARE = 0.003, 0.002
FIRST_FAILS = 0.12  # of those that arrive in the end
HELPED_BY_CUSTOMER = 0.7  # of attempts that a customer asked for


def forward(draw: Draw, *, cod: bool) -> list[Planned]:
    """From pickup to the door, or back."""
    days, share = _first_attempt(draw)
    steps: list[Planned] = [(0.3, S.PICKED_UP, None), (0.6, S.IN_TRANSIT, None)]
    mishap = draw("mishap")
    if mishap < LOST_SHARE + DAMAGED_SHARE:
        return [*steps, (days, S.LOST if mishap < LOST_SHARE else S.DAMAGED, None)]
    if draw("rto") < (share if cod else PREPAID_RTO):
        return [*steps, *attempts(draw, days, fails=MOST_ATTEMPTS)]
    return [*steps, *attempts(draw, days, fails=int(draw("first") < FIRST_FAILS))]


def attempts(draw: Draw, days: float, *, fails: int, made: int = 0) -> list[Planned]:
    """Attempts from a day on, after those `made`: so many fail; past the third it goes back."""
    steps: list[Planned] = []
    for n in range(made, made + fails):
        reason = REASONS[int(draw(f"reason{n}") * len(REASONS))]
        steps += [(days, S.OUT_FOR_DELIVERY, None), (days + 0.3, S.UNDELIVERED, reason)]
        days += 1
        if n + 1 >= MOST_ATTEMPTS:
            return [*steps, *back(days - 0.4)]
    return [*steps, (days, S.OUT_FOR_DELIVERY, None), (days + 0.3, S.DELIVERED, None)]


def back(days: float) -> list[Planned]:
    """The way back to the sender."""
    return [
        (days, S.RTO_INITIATED, None),
        (days + 0.3, S.RTO_IN_TRANSIT, None),
        (days + 2.0, S.RTO_OUT_FOR_DELIVERY, None),
        (days + 2.3, S.RTO_DELIVERED, None),
    ]


def reverse(draw: Draw) -> list[Planned]:
    """From the customer's door to the sender's."""
    days, _ = _first_attempt(draw)
    return [(0.8, S.RVP_PICKED, None), (0.8 + days, S.DTO_DELIVERED, None)]


def again(draw: Draw, days: float, *, made: int) -> list[Planned]:
    """After the customer asked for another attempt, `made` having failed."""
    helped = draw(f"again{made}") < HELPED_BY_CUSTOMER
    return attempts(draw, days, fails=0 if helped else MOST_ATTEMPTS, made=made)


def given(rows: Iterable[Iterable[object]]) -> list[Planned]:
    """A lifecycle that somebody gave, as rows of days, step and reason; ValueError."""
    steps: list[Planned] = []
    for row in rows:
        days, step, *reason = row
        if not isinstance(days, int | float) or isinstance(days, bool) or days < 0:
            raise ValueError(f"{days!r} is not a number of days from 0 up")
        why = str(reason[0]) if reason and reason[0] is not None else None
        steps.append((float(days), Step(str(step)), why))
    return sorted(steps, key=lambda each: each[0])


def _first_attempt(draw: Draw) -> tuple[float, float]:
    """The day of the first attempt, and the share of cash on delivery that comes back then."""
    drawn = draw("band")
    for share, first, last, rto in BANDS:
        if drawn < share:
            return first + drawn / share * (last - first), rto
        drawn -= share
    return float(BANDS[-1][2]), BANDS[-1][3]
