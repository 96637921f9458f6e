"""What scans add up to depends on what happened, and not on how it was told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ndr import NdrReason
from domain.pricing import IST
from domain.scans import Scan, ShipmentView, fold, in_order
from domain.shipping import (
    FINAL_STATES,
    FORWARD,
    RTO_STATES,
    START,
    Direction,
    ShippingError,
    may_follow,
)
from domain.shipping import ShipmentState as S

START_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def scan(status: S, hour: float, reason: str = "", code: str | None = None) -> Scan:
    return Scan(
        awb="AWB1",
        status=status,
        at=START_AT + hour * HOUR,
        carrier_status_id=status.value if code is None else code,
        reason=reason,
        location="Hub",
    )


def way(*statuses: S) -> list[Scan]:
    """One scan each, an hour apart."""
    return [scan(status, hour) for hour, status in enumerate(statuses)]


def test_nothing_was_told_yet() -> None:
    assert fold([]) == ShipmentView(state=S.BOOKED)
    assert fold([], Direction.REVERSE) == ShipmentView(state=S.RVP_SCHEDULED)


def test_a_parcel_that_arrives_at_the_second_attempt() -> None:
    told = [
        scan(S.PICKED_UP, 0),
        scan(S.IN_TRANSIT, 8),
        scan(S.OUT_FOR_DELIVERY, 24),
        scan(S.NDR, 28, "Consignee unavailable"),
        scan(S.IN_TRANSIT, 30, code="back-at-hub"),
        scan(S.OUT_FOR_DELIVERY, 48),
        scan(S.DELIVERED, 52),
    ]
    assert fold(told) == ShipmentView(
        state=S.DELIVERED,
        since=START_AT + 52 * HOUR,
        attempts=1,
        last_scan_at=START_AT + 52 * HOUR,
        ndr_reasons=(NdrReason.CUSTOMER_ABSENT,),
    )


def test_order_is_by_own_time_and_not_by_arrival() -> None:
    told = way(S.PICKED_UP, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED)
    assert fold(reversed(told)) == fold(told)
    assert fold(told[3:]).state is S.DELIVERED


@pytest.mark.parametrize("late", sorted(set(FORWARD) - {S.DELIVERED}))
def test_nothing_turns_a_delivered_parcel_back(late: S) -> None:
    told = way(S.PICKED_UP, S.OUT_FOR_DELIVERY, S.DELIVERED)
    odd = scan(late, 30, code="odd")
    view = fold([*told, odd])
    assert view == replace(fold(told), last_scan_at=odd.at, contradictions=(odd,))


def test_of_one_moment_the_further_is_later() -> None:
    told = [scan(s, 0) for s in (S.DELIVERED, S.RTO_INITIATED, S.OUT_FOR_DELIVERY, S.IN_TRANSIT)]
    view = fold(told)
    assert view.state is S.DELIVERED
    assert view.contradictions == (told[1],)


def test_a_scan_told_twice_is_one_scan() -> None:
    told = [scan(S.OUT_FOR_DELIVERY, 0), scan(S.NDR, 1, "locked")]
    twice = [*told, replace(told[1], at=told[1].at.astimezone(IST)), *told]
    assert fold(twice) == fold(told)
    assert len(in_order(twice)) == 2


def test_the_fuller_telling_of_a_scan_counts() -> None:
    bare = scan(S.UNMAPPED, 1, code="77")
    known = replace(bare, status=S.NDR)
    full = replace(known, reason="customer refused")
    for told in ([bare, known, full], [full, known, bare], [known, full, bare, known]):
        view = fold(told)
        assert (view.state, view.ndr_reasons, view.unmapped) == (S.NDR, (NdrReason.REFUSED,), ())


def test_two_scans_in_a_row_are_one_attempt() -> None:
    told = [scan(S.NDR, 1), scan(S.NDR, 2, "cash not ready"), scan(S.NDR, 3, "premises closed")]
    view = fold(told)
    assert (view.attempts, view.ndr_reasons) == (1, (NdrReason.CASH_NOT_READY,))
    assert view.since == START_AT + HOUR


def test_attempts_are_counted_with_a_reason_each() -> None:
    told = [
        scan(S.OUT_FOR_DELIVERY, 0),
        scan(S.NDR, 1, "locked"),
        scan(S.OUT_FOR_DELIVERY, 24),
        scan(S.NDR, 25, "phone switched off"),
        scan(S.OUT_FOR_DELIVERY, 48),
        scan(S.NDR, 49),
        scan(S.RTO_INITIATED, 50),
        scan(S.RTO_DELIVERED, 90),
    ]
    view = fold(told)
    assert (view.state, view.attempts) == (S.RTO_DELIVERED, 3)
    assert view.ndr_reasons == (
        NdrReason.CUSTOMER_ABSENT,
        NdrReason.PHONE_UNREACHABLE,
        NdrReason.OTHER,
    )


@pytest.mark.parametrize("forward", [S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.NDR, S.DELIVERED])
def test_a_parcel_on_its_way_back_stays_so(forward: S) -> None:
    told = way(S.OUT_FOR_DELIVERY, S.RTO_INITIATED)
    odd = scan(forward, 5, code="odd")
    view = fold([*told, odd])
    assert (view.state, view.attempts, view.contradictions) == (S.RTO_INITIATED, 0, (odd,))
    # nor does being lost in between make it forget where it was going
    lost = scan(S.LOST, 4)
    assert fold([*told, lost, odd]).state is S.LOST
    assert fold([*told, lost, odd, scan(S.RTO_IN_TRANSIT, 6)]).state is S.RTO_IN_TRANSIT


def test_what_was_lost_may_be_found() -> None:
    assert fold(way(S.IN_TRANSIT, S.LOST)).state is S.LOST
    assert fold(way(S.IN_TRANSIT, S.LOST, S.OUT_FOR_DELIVERY, S.DELIVERED)).state is S.DELIVERED


def test_a_courier_may_fetch_what_was_cancelled() -> None:
    assert fold(way(S.BOOKED, S.CANCELLED)).state is S.CANCELLED
    assert fold(way(S.BOOKED, S.CANCELLED, S.PICKED_UP)).state is S.PICKED_UP
    late = fold(way(S.PICKED_UP, S.CANCELLED))
    assert (late.state, len(late.contradictions)) == (S.PICKED_UP, 1)


def test_what_nobody_mapped_is_kept_and_moves_nothing() -> None:
    odd = scan(S.UNMAPPED, 9, "Shipment in bonded area", code="X-901")
    told = way(S.PICKED_UP, S.IN_TRANSIT)
    assert fold([odd, *told]) == replace(fold(told), unmapped=(odd,), last_scan_at=odd.at)


def test_a_reverse_parcel() -> None:
    told = way(S.RVP_SCHEDULED, S.PICKUP_FAILED, S.RVP_SCHEDULED, S.RVP_PICKED, S.DTO_DELIVERED)
    odd = scan(S.OUT_FOR_DELIVERY, 2.5)
    view = fold([*told, odd], Direction.REVERSE)
    assert (view.state, view.attempts, view.contradictions) == (S.DTO_DELIVERED, 0, (odd,))
    assert fold(way(S.RVP_SCHEDULED, S.QC_FAILED), Direction.REVERSE).state is S.QC_FAILED


def test_refusals() -> None:
    with pytest.raises(ShippingError) as refused:
        fold([scan(S.BOOKED, 0), replace(scan(S.BOOKED, 0), awb="AWB2")])
    assert refused.value.code == "MIXED_PARCELS"
    with pytest.raises(ShippingError) as refused:
        replace(scan(S.BOOKED, 0), at=datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point
    assert refused.value.code == "TIME_NOT_AWARE"
    with pytest.raises(ShippingError) as refused:
        replace(scan(S.BOOKED, 0), awb="")
    assert refused.value.code == "AWB_MISSING"


# lives that are drawn

REASONS = ("locked", "refused", "cash not ready", "no landmark", "")


def life(random: Random, direction: Direction) -> list[Scan]:
    """A way through the table until it ends or stops, told once, in order, minutes apart."""
    state, clock, told = START[direction], START_AT, []
    turned = False
    for number in range(random.randint(0, 12)):
        after = sorted(s for s in S if may_follow(state, s, direction))
        if turned:
            after = [s for s in after if s in RTO_STATES or s in (S.LOST, S.DAMAGED)]
        if not after:
            break
        state = random.choice(after)
        turned = turned or state in RTO_STATES
        clock += timedelta(minutes=random.randint(1, 3_000))
        reason = random.choice(REASONS) if state is S.NDR else ""
        told.append(
            Scan(awb="A", status=state, at=clock, carrier_status_id=f"c{number}", reason=reason)
        )
    return told


def noise(random: Random, told: list[Scan], direction: Direction) -> list[Scan]:
    """Scans that contradict the life: none may follow what was known at its moment."""
    odd = []
    for number in range(random.randint(0, 4)):
        at = START_AT + timedelta(minutes=random.randint(0, 20_000), seconds=30)
        before = [s for s in told if s.at < at]
        state = before[-1].status if before else START[direction]
        turned = any(s.status in RTO_STATES for s in before)
        allowed = {s for s in S if may_follow(state, s, direction)}
        if turned:
            allowed &= RTO_STATES | {S.LOST, S.DAMAGED}
        status = random.choice(sorted(set(S) - allowed - {state, S.UNMAPPED}))
        odd.append(Scan(awb="A", status=status, at=at, carrier_status_id=f"odd{number}"))
    return odd


def mangled(random: Random, told: list[Scan]) -> list[Scan]:
    """The same scans doubled and reordered."""
    doubled = [s for s in told for _ in range(random.randint(1, 3))]
    random.shuffle(doubled)
    return doubled


@pytest.mark.parametrize("direction", Direction)
def test_a_thousand_lives_doubled_reordered_and_contradicted(direction: Direction) -> None:
    ends = set()
    for seed in range(500):
        random = Random(f"{direction} {seed}")
        told = life(random, direction)
        clean = fold(told, direction)
        odd = noise(random, told, direction)
        view = fold(mangled(random, [*told, *odd]), direction)
        assert clean.state is (told[-1].status if told else START[direction])
        assert clean.contradictions == ()
        assert view.contradictions == in_order(odd)
        kept = replace(view, contradictions=(), last_scan_at=clean.last_scan_at)
        assert kept == clean, seed
        ends.add(clean.state)
    assert ends >= (FINAL_STATES - {S.DTO_DELIVERED} if direction is Direction.FORWARD else set())
    assert len(ends) > 4


SCANS = st.lists(
    st.builds(
        Scan,
        awb=st.just("A"),
        status=st.sampled_from(S),
        at=st.integers(0, 6).map(lambda hours: START_AT + hours * HOUR),
        carrier_status_id=st.sampled_from("abcd"),
        reason=st.sampled_from(REASONS),
        location=st.sampled_from(["", "Hub"]),
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(SCANS, st.sampled_from(Direction), st.randoms(use_true_random=False))
def test_any_scans_in_any_order_give_one_view(
    told: list[Scan], direction: Direction, random: Random
) -> None:
    """Even tellings that disagree about one and the same scan."""
    view = fold(told, direction)
    assert fold(mangled(random, told), direction) == view
    assert fold(in_order(told), direction) == view


@given(SCANS, st.sampled_from(Direction))
def test_every_scan_is_taken_kept_or_known(told: list[Scan], direction: Direction) -> None:
    view = fold(told, direction)
    once = in_order(told)
    assert view.unmapped == tuple(s for s in once if s.status is S.UNMAPPED)
    assert view.last_scan_at == max((s.at for s in told), default=None)
    assert view.attempts == len(view.ndr_reasons) <= sum(s.status is S.NDR for s in once)
    assert set(view.contradictions) <= set(once)
    if not told:
        assert view.state is START[direction]


def test_five_thousand_scans() -> None:
    """Sixty days of a carrier that talks too much."""
    chatter = [scan(S.IN_TRANSIT, n / 4, code=f"hub{n}") for n in range(5_000)]
    view = fold([*chatter, *chatter, scan(S.DELIVERED, 1_440)])
    assert (view.state, view.contradictions) == (S.DELIVERED, ())
    assert view.last_scan_at == START_AT + 1_440 * HOUR
