"""When a parcel is promised, and whether the promise was broken. Days are India's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from domain.pricing import IST
from domain.scans import ShipmentView
from domain.shipping import ENDED, FREE_TO_CANCEL, RTO_STATES, ShipmentState, ShippingError

SUNDAY = 6
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingDays:
    """Which days count: what is ready after `cut_off` (Indian time) leaves a working day later.

    `closed` are weekdays from Monday, 0, to Sunday, 6. Raises ShippingError NEVER_OPEN.
    """

    cut_off: time = time(15)
    closed: frozenset[int] = frozenset({SUNDAY})
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if self.closed >= frozenset(range(7)):
            raise ShippingError("NEVER_OPEN", "every weekday is closed: leave one open")

    def is_open(self, day: date) -> bool:
        """Whether warehouses send and couriers deliver on a day."""
        return day.weekday() not in self.closed and day not in self.holidays

    def on_or_after(self, day: date) -> date:
        """The first working day from `day` on."""
        while not self.is_open(day):
            day += ONE_DAY
        return day

    def after(self, day: date, count: int) -> date:
        """The working day that is `count` working days later."""
        for _ in range(count):
            day = self.on_or_after(day + ONE_DAY)
        return day


USUAL = WorkingDays()


@dataclass(frozen=True, slots=True)
class Promise:
    """The days on which a parcel leaves the warehouse and reaches the customer, at the latest."""

    leaves_on: date
    arrives_on: date

    @property
    def pickup_due(self) -> datetime:
        """The moment (aware) from which a parcel that was not picked up is late."""
        return end_of(self.leaves_on)

    @property
    def delivery_due(self) -> datetime:
        """The moment (aware) from which a parcel that was not delivered is late."""
        return end_of(self.arrives_on)


def promise(ready_at: datetime, promised_days: int, days: WorkingDays = USUAL) -> Promise:
    """What may be promised for a parcel that is packed at a moment (aware).

    `promised_days` are the carrier's working days from pickup to the door. Raises ShippingError
    TIME_NOT_AWARE or DAYS_OUT_OF_RANGE.
    """
    if ready_at.utcoffset() is None:
        raise ShippingError("TIME_NOT_AWARE", f"{ready_at} has no time zone: pass an aware one")
    if promised_days < 0:
        raise ShippingError("DAYS_OUT_OF_RANGE", f"{promised_days} days: a promise is 0 or more")
    local = ready_at.astimezone(IST)
    missed = local.time() > days.cut_off
    leaves = days.on_or_after(local.date() + ONE_DAY if missed else local.date())
    return Promise(leaves_on=leaves, arrives_on=days.after(leaves, promised_days))


def end_of(day: date) -> datetime:
    """The midnight at which an Indian day ends (aware)."""
    return datetime.combine(day + ONE_DAY, time(), IST)


class Breach(StrEnum):
    """How a promise was broken."""

    PICKUP_LATE = "PICKUP_LATE"
    DELIVERY_LATE = "DELIVERY_LATE"
    NOT_DELIVERED = "NOT_DELIVERED"


def breach(
    view: ShipmentView, pickup_due: datetime, delivery_due: datetime, now: datetime
) -> Breach | None:
    """How a parcel breaks its promise as of `now`; None while it keeps it. All moments aware.

    A parcel that turned round, was lost or was damaged will not come any more: it is
    NOT_DELIVERED at once. A cancelled one was promised to nobody.
    """
    if view.state is ShipmentState.CANCELLED:
        return None
    if view.state is ShipmentState.DELIVERED:
        late = view.since is not None and view.since >= delivery_due
        return Breach.DELIVERY_LATE if late else None
    if view.state in RTO_STATES or view.state in ENDED:
        return Breach.NOT_DELIVERED
    if now >= delivery_due:
        return Breach.DELIVERY_LATE
    waiting = view.state in FREE_TO_CANCEL
    return Breach.PICKUP_LATE if waiting and now >= pickup_due else None
