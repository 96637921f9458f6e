"""The contract of a carrier: what is asked for happens, once, and is shown as it happened."""

from __future__ import annotations

import pytest

from activities.shipping.carriers import BookingState, DeedState, NdrAction, NdrKind
from activities.shipping.registry import CARRIERS
from domain.carriers import Quote
from domain.money import Money
from domain.payments import FailureClass
from domain.scans import fold
from domain.shipping import Direction, ShipmentState
from tests.carriers.conftest import Subject, days_ahead

S = ShipmentState
HOME = ((0.2, "picked_up"), (0.5, "in_transit"), (1.0, "out_for_delivery"))
# What each thing that happens to a parcel must be to us, whatever the carrier calls it.
MEANING = {
    "pickup_failed": S.PICKUP_FAILED,
    "picked_up": S.PICKED_UP,
    "in_transit": S.IN_TRANSIT,
    "out_for_delivery": S.OUT_FOR_DELIVERY,
    "undelivered": S.NDR,
    "delivered": S.DELIVERED,
    "rto_initiated": S.RTO_INITIATED,
    "rto_in_transit": S.RTO_IN_TRANSIT,
    "rto_out_for_delivery": S.RTO_OUT_FOR_DELIVERY,
    "rto_delivered": S.RTO_DELIVERED,
    "lost": S.LOST,
    "damaged": S.DAMAGED,
    "cancelled": S.CANCELLED,
    "odd": S.UNMAPPED,
}
BACKWARDS = {
    "rvp_picked": S.RVP_PICKED,
    "qc_failed": S.QC_FAILED,
    "dto_delivered": S.DTO_DELIVERED,
}
# Where a carrier has no word of its own.
COARSER = {
    ("delhivery", "rto_initiated"): S.RTO_IN_TRANSIT,
    ("delhivery", "damaged"): S.LOST,
    ("delhivery", "qc_failed"): S.CANCELLED,
}


async def test_what_it_costs(subject: Subject) -> None:
    offers = (await subject.carrier.serviceable("560099", "411001", cod=False, grams=740)).offers
    cost = {"swift": 90_00, "shiprocket": 96_00, "delhivery": 93_00}[subject.name]
    assert offers == (Quote(carrier=subject.name, promised_days=5, cost=Money(cost)),)
    cash = await subject.carrier.serviceable("560099", "411001", cod=True, grams=740)
    assert [one.cost for one in cash.offers] == [Money(cost + 35_00)]


async def test_where_it_does_not_go(subject: Subject) -> None:
    to, cod = {
        "swift": ("744101", False),
        "shiprocket": ("194101", False),
        "delhivery": ("190001", True),
    }[subject.name]
    told = await subject.carrier.serviceable("560099", to, cod=cod, grams=500)
    assert (told.offers, told.failure_class) == ((), None)


async def test_a_booking_is_found_by_our_reference(subject: Subject, ref: str) -> None:
    assert (await subject.carrier.find(merchant_ref=ref)).state is BookingState.NOT_FOUND
    booked = await subject.booked(ref, cash=2_499_50)
    found = await subject.carrier.find(merchant_ref=ref)
    assert (found.state, found.awb, found.ref) == (BookingState.BOOKED, booked.awb, booked.ref)
    assert found.merchant_ref == booked.merchant_ref == ref
    (row,) = await subject.books(ref)
    assert (row["awb"], row["collect"], row["reverse"]) == (booked.awb, 2_499_50, False)
    assert [scan.status for scan in await subject.scans(booked)] == [S.BOOKED]


async def test_a_prepaid_parcel_collects_nothing(subject: Subject, ref: str) -> None:
    await subject.booked(ref)
    assert [row["collect"] for row in await subject.books(ref)] == [0]


async def test_from_the_shelf_to_the_door(subject: Subject, ref: str) -> None:
    await subject.lives(
        ref,
        *HOME,
        (1.3, "undelivered", "later"),
        (2.0, "out_for_delivery"),
        (2.3, "delivered"),
    )
    booked = await subject.booked(ref)
    await subject.asked(booked, ref)
    await subject.until(ref, "delivered")
    scans = await subject.scans(booked)
    assert [scan.status for scan in scans] == [
        S.BOOKED,
        S.PICKUP_SCHEDULED,
        S.PICKED_UP,
        S.IN_TRANSIT,
        S.OUT_FOR_DELIVERY,
        S.NDR,
        S.OUT_FOR_DELIVERY,
        S.DELIVERED,
    ]
    assert {scan.awb for scan in scans} == {booked.awb}
    view = fold(scans)
    assert (view.state, view.attempts, view.ndr_reasons) == (S.DELIVERED, 1, ("OTHER_DAY_ASKED",))
    assert (view.unmapped, view.contradictions) == ((), ())


async def test_three_attempts_and_back(subject: Subject, ref: str) -> None:
    tries = [
        step
        for day in (1, 2, 3)
        for step in ((day, "out_for_delivery"), (day + 0.3, "undelivered", "refused"))
    ]
    home = ((4, "rto_initiated"), (4.2, "rto_in_transit"), (5, "rto_out_for_delivery"))
    await subject.lives(ref, (0.2, "picked_up"), *tries, *home, (5.2, "rto_delivered"))
    booked = await subject.booked(ref, cash=100_00)
    await subject.asked(booked, ref)
    await subject.until(ref, "rto_delivered")
    view = fold(await subject.scans(booked))
    assert (view.state, view.attempts) == (S.RTO_DELIVERED, 3)
    assert set(view.ndr_reasons) == {"REFUSED"}
    assert view.contradictions == ()


async def test_each_thing_that_happens_has_its_meaning(subject: Subject, ref: str) -> None:
    booked = await subject.booked(ref)
    for step in MEANING:
        await subject.scan(ref, step, "unavailable" if step == "undelivered" else None)
    wanted = [COARSER.get((subject.name, step), state) for step, state in MEANING.items()]
    scans = await subject.scans(booked)
    assert [scan.status for scan in scans] == [S.BOOKED, *wanted]
    (odd,) = fold(scans).unmapped
    raw = {"swift": "x-ray", "shiprocket": "courier:X-DRONE", "delhivery": "XX/Weighed Again/X-ODD"}
    assert odd.carrier_status_id == raw[subject.name]


async def test_fetched_from_the_customer(subject: Subject, ref: str) -> None:
    await subject.lives(ref, (0.3, "rvp_picked"), (1, "dto_delivered"))
    booked = await subject.fetched_back(ref)
    await subject.until(ref, "dto_delivered")
    scans = await subject.scans(booked)
    assert [one.status for one in scans] == [S.RVP_SCHEDULED, S.RVP_PICKED, S.DTO_DELIVERED]
    assert fold(scans, Direction.REVERSE).state is S.DTO_DELIVERED
    assert [row["reverse"] for row in await subject.books(ref)] == [True]


async def test_each_thing_on_the_way_back_has_its_meaning(subject: Subject, ref: str) -> None:
    await subject.lives(ref)
    booked = await subject.fetched_back(ref)
    for step in BACKWARDS:
        await subject.scan(ref, step)
    wanted = [COARSER.get((subject.name, step), state) for step, state in BACKWARDS.items()]
    assert [one.status for one in await subject.scans(booked)] == [S.RVP_SCHEDULED, *wanted]


async def test_a_pickup_asked_for_twice_is_one(subject: Subject, ref: str) -> None:
    await subject.lives(ref)
    booked = await subject.booked(ref)
    await subject.asked(booked, ref)
    await subject.asked(booked, ref)
    (row,) = await subject.books(ref)
    assert row["steps"] == ["booked", "pickup_scheduled"]


async def test_cancelled_before_pickup(subject: Subject, ref: str) -> None:
    booked = await subject.booked(ref)
    for _ in range(2):
        assert (await subject.carrier.cancel(booked, key="k")).state is DeedState.DONE
    (row,) = await subject.books(ref)
    assert row["steps"] == ["booked", "cancelled"]
    assert fold(await subject.scans(booked)).state is S.CANCELLED
    assert (await subject.carrier.find(merchant_ref=ref)).state is BookingState.CANCELLED


async def test_too_late_to_cancel(subject: Subject, ref: str) -> None:
    """After pickup a parcel is not called off: it goes on, or it is turned round."""
    await subject.lives(ref, (0.1, "picked_up"))
    booked = await subject.booked(ref)
    await subject.asked(booked, ref)
    await subject.until(ref, "picked_up")
    told = await subject.carrier.cancel(booked, key="k")
    if subject.name == "delhivery":
        assert told.state is DeedState.RETURNING
        await subject.until(ref, "rto_delivered")
        assert fold(await subject.scans(booked)).state is S.RTO_DELIVERED
    else:
        assert (told.state, told.failure_class) == (
            DeedState.TOO_LATE,
            FailureClass.INVALID_REQUEST,
        )
        assert fold(await subject.scans(booked)).state is S.PICKED_UP


async def failed_once(subject: Subject, ref: str) -> str:
    """A parcel whose delivery has just failed, with nothing planned after that."""
    booked = await subject.booked(ref)
    await subject.scan(ref, "picked_up")
    await subject.scan(ref, "out_for_delivery")
    await subject.scan(ref, "undelivered", "address")
    assert booked.awb
    return booked.awb


async def outcome(subject: Subject, awb: str, action: NdrAction) -> DeedState:
    """What becomes of an NDR action in the end, having been PENDING where that is the manner."""
    told = await subject.carrier.ndr_action(awb, action, key="k")
    later = subject.carrier.caps.later_actions and action.kind is not NdrKind.RETURN
    if not later:
        return told.state
    assert told.state is DeedState.PENDING
    assert told.ref
    while (now := await subject.carrier.action(told.ref)).state is DeedState.PENDING:
        pass
    return now.state


async def test_a_corrected_address_brings_it_to_the_door(subject: Subject, ref: str) -> None:
    awb = await failed_once(subject, ref)
    address = subject.parcel(ref).destination
    action = NdrAction(kind=NdrKind.EDIT_ADDRESS, address=address)
    assert await outcome(subject, awb, action) is DeedState.DONE
    await subject.until(ref, "delivered")
    view = fold((await subject.carrier.track(awb)).scans)
    assert (view.state, view.attempts) == (S.DELIVERED, 1)


async def test_another_day(subject: Subject, ref: str) -> None:
    awb = await failed_once(subject, ref)
    action = NdrAction(kind=NdrKind.DEFER, on=days_ahead(3))
    assert await outcome(subject, awb, action) is DeedState.DONE
    (row,) = await subject.until(ref, "out_for_delivery", times=2)
    assert row["steps"][4:5] == ["out_for_delivery"]


async def test_a_day_too_far_ahead_is_refused(subject: Subject, ref: str) -> None:
    awb = await failed_once(subject, ref)
    action = NdrAction(kind=NdrKind.DEFER, on=days_ahead(9))
    assert await outcome(subject, awb, action) is DeedState.REFUSED
    assert [row["state"] for row in await subject.books(ref)] == ["undelivered"]


async def test_the_customer_does_not_want_it(subject: Subject, ref: str) -> None:
    awb = await failed_once(subject, ref)
    assert await outcome(subject, awb, NdrAction(kind=NdrKind.RETURN)) is DeedState.DONE
    await subject.until(ref, "rto_delivered")
    view = fold((await subject.carrier.track(awb)).scans)
    assert (view.state, view.contradictions) == (S.RTO_DELIVERED, ())


async def test_nothing_to_instruct_before_a_failure(subject: Subject, ref: str) -> None:
    booked = await subject.booked(ref)
    assert booked.awb
    assert await outcome(subject, booked.awb, NdrAction(kind=NdrKind.REATTEMPT)) is (
        DeedState.REFUSED
    )
    assert [row["steps"] for row in await subject.books(ref)] == [["booked"]]


@pytest.mark.parametrize("name", sorted(CARRIERS))
def test_the_table_leads_to_the_adapter(name: str) -> None:
    row = CARRIERS[name]
    adapter = row.load()
    assert adapter.__name__.lower() == name
    assert row.sandbox is (name == "swift")
    assert adapter.caps.keyed
