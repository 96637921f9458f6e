"""The contract under failure: one class each, no parcel twice, and the truth can be looked up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from activities.shipping.carriers import BookingState, DeedState, NdrAction, NdrKind
from domain.money import Money
from domain.payments import FailureClass
from tests.carriers.conftest import Subject
from tests.sandbox.harness import free_port

F = FailureClass
READ_TIMEOUT_PASSED_MS = 1300
# Whether the parcel is in the carrier's books after a booking that met the fault.
FAULTS = [
    ("timeout_before", F.UNKNOWN, 0),
    ("timeout_after", F.UNKNOWN, 1),
    ("connection_reset", F.UNKNOWN, 1),
    ("slow", F.UNKNOWN, 1),
    ("http_500_before", F.UNKNOWN, 0),
    ("http_500_after", F.UNKNOWN, 1),
    ("unreadable_body", F.UNKNOWN, 1),
    ("rate_limited", F.REJECTED_TRANSIENT, 0),
]


async def test_one_parcel_though_the_answer_to_book_was_lost(subject: Subject, ref: str) -> None:
    """The carrier took the parcel, and its answer never came."""
    awb, parcel = await subject.awb(), subject.parcel(ref)
    await subject.fault("book", ref, "timeout_after")
    lost = await subject.carrier.book(parcel, key="k", awb=awb)
    assert (lost.state, lost.failure_class) == (BookingState.UNKNOWN, F.UNKNOWN)

    found = await subject.carrier.find(merchant_ref=ref)
    again = await subject.carrier.book(parcel, key="k", awb=awb)
    assert found.state in (BookingState.BOOKED, BookingState.INCOMPLETE)
    assert (again.state, again.failure_class) == (BookingState.BOOKED, None)
    assert again.awb == (awb or found.awb or again.awb)

    (row,) = await subject.books(ref)
    assert (row["awb"], row["steps"]) == (again.awb, ["booked"])
    assert (await subject.carrier.find(merchant_ref=ref)).awb == again.awb


@pytest.mark.parametrize(("fault", "failure", "parcels"), FAULTS)
async def test_an_answer_to_book_that_fails(
    subject: Subject, fault: str, failure: FailureClass, parcels: int, ref: str
) -> None:
    awb = await subject.awb()
    await subject.fault("book", ref, fault, slow_ms=READ_TIMEOUT_PASSED_MS)
    told = await subject.carrier.book(subject.parcel(ref), key="k", awb=awb)
    if fault == "slow":
        await asyncio.sleep(0.5)
    undecided = failure is F.UNKNOWN
    assert (told.failure_class, told.outcome_unknown) == (failure, undecided)
    assert told.state is (BookingState.UNKNOWN if undecided else BookingState.REFUSED)
    assert told.awb is None
    found = await subject.carrier.find(merchant_ref=ref)
    assert (found.state is not BookingState.NOT_FOUND) is bool(parcels)
    assert len(await subject.books(ref)) == parcels


async def test_down_is_certain_only_where_it_says_that_nothing_was_done(
    subject: Subject, ref: str
) -> None:
    await subject.fault("book", ref, "gateway_down")
    told = await subject.carrier.book(subject.parcel(ref), key="k", awb=await subject.awb())
    wanted = F.REJECTED_TRANSIENT if subject.name == "swift" else F.UNKNOWN
    assert told.failure_class is wanted
    assert await subject.books(ref) == []


async def test_the_same_booking_eight_times_at_once(subject: Subject, ref: str) -> None:
    awb, parcel = await subject.awb(), subject.parcel(ref)
    told = await asyncio.gather(*(subject.carrier.book(parcel, key="k", awb=awb) for _ in range(8)))
    (row,) = await subject.books(ref)
    assert row["steps"] == ["booked"]
    assert {one.awb for one in told if one.state is BookingState.BOOKED} == {row["awb"]}
    # Who came between another's two calls may only say that he does not know, or is not done.
    rest = {one.state for one in told} - {BookingState.BOOKED}
    assert rest <= {BookingState.UNKNOWN, BookingState.INCOMPLETE}
    assert (await subject.carrier.book(parcel, key="k", awb=awb)).awb == row["awb"]


async def test_the_same_reference_for_something_else(subject: Subject, ref: str) -> None:
    """Whatever is asked for a second time under a reference, there is one parcel."""
    if subject.carrier.caps.reserves:
        first = await subject.booked(ref)
        other = replace(subject.parcel(ref), merchant_ref=f"{ref}-b")
        told = await subject.carrier.book(other, key="k", awb=first.awb)
        assert (told.state, told.failure_code) == (BookingState.REFUSED, "waybill_of_another")
        assert await subject.books(other.merchant_ref) == []
    else:
        await subject.booked(ref)
        other = replace(subject.parcel(ref), collect=Money(77_00))
        await subject.carrier.book(other, key="k")
    assert [row["collect"] for row in await subject.books(ref)] == [0]


async def test_a_look_up_may_lag(subject: Subject, ref: str) -> None:
    """Not found proves nothing until the grace has passed."""
    await subject.booked(ref)
    await subject.fault("find", ref, "stale_listing", stale_ms=60_000)
    assert (await subject.carrier.find(merchant_ref=ref)).state is BookingState.NOT_FOUND
    assert (await subject.carrier.find(merchant_ref=ref)).state is BookingState.BOOKED


@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_look_up_that_fails_finds_nothing_out(
    subject: Subject, fault: str, ref: str
) -> None:
    await subject.fault("find", ref, fault)
    told = await subject.carrier.find(merchant_ref=ref)
    assert (told.state, told.failure_class) == (BookingState.UNKNOWN, F.UNKNOWN)


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "unreadable_body"])
async def test_a_lost_answer_to_cancel(subject: Subject, fault: str, ref: str) -> None:
    booked = await subject.booked(ref)
    await subject.fault("cancel", ref, fault)
    lost = await subject.carrier.cancel(booked, key="k")
    assert (lost.state, lost.failure_class) == (DeedState.UNKNOWN, F.UNKNOWN)
    assert (await subject.carrier.cancel(booked, key="k")).state is DeedState.DONE
    assert [row["steps"] for row in await subject.books(ref)] == [["booked", "cancelled"]]


async def test_a_lost_answer_to_a_pickup(subject: Subject, ref: str) -> None:
    await subject.lives(ref)
    booked = await subject.booked(ref)
    about = f"hub-{ref}" if subject.name == "delhivery" else ref
    await subject.fault("pickup", about, "timeout_after")
    with pytest.raises(AssertionError):
        await subject.asked(booked, ref)
    await subject.asked(booked, ref)
    assert [row["steps"] for row in await subject.books(ref)] == [["booked", "pickup_scheduled"]]


async def test_a_lost_answer_to_an_ndr_action(subject: Subject, ref: str) -> None:
    booked = await subject.booked(ref)
    await subject.scan(ref, "undelivered", "later")
    await subject.fault("ndr", ref, "timeout_after")
    assert booked.awb
    told = await subject.carrier.ndr_action(booked.awb, NdrAction(kind=NdrKind.REATTEMPT), key="k")
    assert (told.state, told.failure_class) == (DeedState.UNKNOWN, F.UNKNOWN)
    await subject.until(ref, "out_for_delivery")


async def test_tracking_that_fails_is_no_empty_history(subject: Subject, ref: str) -> None:
    booked = await subject.booked(ref)
    assert booked.awb
    await subject.fault("track", ref, "http_500_before")
    told = await subject.carrier.track(booked.awb)
    assert (told.scans, told.failure_class) == ((), F.UNKNOWN)


async def test_a_wrong_key(subject: Subject, ref: str) -> None:
    stranger = subject.adapter(api_key="somebody:else")
    told = await stranger.book(subject.parcel(ref), key="k", awb="1")
    assert (told.state, told.failure_class) == (BookingState.REFUSED, F.CONFIG)
    assert await subject.books(ref) == []


async def test_nobody_there(subject: Subject, ref: str) -> None:
    nowhere = subject.adapter(url=f"http://127.0.0.1:{free_port()}")
    told = await nowhere.book(subject.parcel(ref), key="k", awb="1")
    assert (told.state, told.failure_class) == (BookingState.REFUSED, F.NOT_SENT)
    assert (await nowhere.find(merchant_ref=ref)).state is BookingState.UNKNOWN


async def test_twenty_parcels_under_heavy_faults(subject: Subject, ref: str) -> None:
    """Whoever looks before he books again has one parcel for each reference in the end."""
    await subject.server.faults(profile="heavy", seed=11, slow_ms=50, stale_ms=100)
    refs = [f"{ref}-{n}" for n in range(20)]
    try:
        awbs = [await _stubborn(subject, one) for one in refs]
    finally:
        await subject.server.faults()
    assert len(set(awbs)) == 20
    books = [await subject.books(one) for one in refs]
    assert [[row["awb"] for row in rows] for rows in books] == [[awb] for awb in awbs]
    assert all(rows[0]["steps"] == ["booked"] for rows in books)


async def _stubborn(subject: Subject, ref: str) -> str:
    awb = None
    while subject.carrier.caps.reserves and awb is None:
        awb = (await subject.carrier.reserve()).awb
    for _ in range(30):
        told = await subject.carrier.book(subject.parcel(ref), key="k", awb=awb)
        if told.state is BookingState.UNKNOWN:
            told = await subject.carrier.find(merchant_ref=ref)
        if told.state is BookingState.BOOKED and told.awb:
            return told.awb
    raise AssertionError(f"{ref} was not booked: {told}")
