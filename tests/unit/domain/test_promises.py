"""Promised days, and when they are broken."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest

from domain.pricing import IST
from domain.promises import Breach, Promise, WorkingDays, breach, promise
from domain.scans import ShipmentView
from domain.shipping import ShipmentState as S
from domain.shipping import ShippingError

FRIDAY = date(2026, 3, 6)
SATURDAY, SUNDAY, MONDAY = (FRIDAY + timedelta(days=n) for n in (1, 2, 3))


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), IST)


@pytest.mark.parametrize(
    ("ready", "days", "leaves", "arrives"),
    [
        (at(FRIDAY, 15), 0, FRIDAY, FRIDAY),
        (at(FRIDAY, 15), 1, FRIDAY, SATURDAY),
        (at(FRIDAY, 15), 2, FRIDAY, MONDAY),
        (at(FRIDAY, 15, 1), 1, SATURDAY, MONDAY),
        # past the cut-off on Saturday, and at any hour of Sunday, the van of Monday is next
        (at(SATURDAY, 16), 0, MONDAY, MONDAY),
        (at(SUNDAY, 9), 0, MONDAY, MONDAY),
        (at(SUNDAY, 23), 0, MONDAY, MONDAY),
        # 19:00 UTC is past midnight in India
        (datetime(2026, 3, 5, 19, tzinfo=UTC), 0, FRIDAY, FRIDAY),
    ],
)
def test_promises(ready: datetime, days: int, leaves: date, arrives: date) -> None:
    assert promise(ready, days) == Promise(leaves, arrives)


def test_holidays_count_as_sundays() -> None:
    days = WorkingDays(holidays=frozenset({MONDAY}))
    assert promise(at(SATURDAY, 9), 1, days) == Promise(SATURDAY, MONDAY + timedelta(days=1))


def test_promises_that_cannot_be_made() -> None:
    refusals: dict[str, Callable[[], object]] = {
        "TIME_NOT_AWARE": lambda: promise(datetime(2026, 3, 6, 12), 1),  # noqa: DTZ001
        "DAYS_OUT_OF_RANGE": lambda: promise(at(FRIDAY, 9), -1),
        "NEVER_OPEN": lambda: WorkingDays(closed=frozenset(range(7))),
    }
    for code, bad in refusals.items():
        with pytest.raises(ShippingError) as refused:
            bad()
        assert refused.value.code == code


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "since_due", "now_due", "expected"),
    [
        (S.IN_TRANSIT, -SECOND, -SECOND, None),
        (S.IN_TRANSIT, -SECOND, timedelta(0), Breach.DELIVERY_LATE),
        (S.NDR, -SECOND, SECOND, Breach.DELIVERY_LATE),
        (S.DELIVERED, -SECOND, 9 * SECOND, None),
        (S.DELIVERED, timedelta(0), 9 * SECOND, Breach.DELIVERY_LATE),
        (S.RTO_INITIATED, -SECOND, -SECOND, Breach.NOT_DELIVERED),
        (S.LOST, -SECOND, -SECOND, Breach.NOT_DELIVERED),
        (S.CANCELLED, -SECOND, 9 * SECOND, None),
    ],
)
def test_breaches_of_delivery(
    state: S, since_due: timedelta, now_due: timedelta, expected: Breach | None
) -> None:
    made = Promise(FRIDAY, MONDAY)
    due = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)
    assert made.delivery_due == due
    view = ShipmentView(state=state, since=due + since_due)
    assert breach(view, made.pickup_due, made.delivery_due, due + now_due) is expected


@pytest.mark.parametrize("state", [S.BOOKED, S.PICKUP_SCHEDULED, S.PICKUP_FAILED, S.PICKED_UP])
def test_breaches_of_pickup(state: S) -> None:
    made = Promise(FRIDAY, MONDAY)
    view = ShipmentView(state=state)
    ends = at(SATURDAY, 0)
    assert breach(view, made.pickup_due, made.delivery_due, ends - SECOND) is None
    late = None if state is S.PICKED_UP else Breach.PICKUP_LATE
    assert breach(view, made.pickup_due, made.delivery_due, ends) is late
