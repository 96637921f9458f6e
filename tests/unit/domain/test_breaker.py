"""A breaker opens on technical failures, tries again after a pause, and closes on successes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breaker import (
    COUNTED_AS,
    TRANSITIONS,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Health,
    Tally,
    check_transition,
    due,
    health_of,
)
from domain.errors import IllegalTransition
from domain.outcomes import BY_FAILURE, Outcome, outcome_of
from domain.payments import FailureClass, PaymentState

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = BreakerPolicy()
CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_the_table() -> None:
    assert dict(TRANSITIONS) == {
        CLOSED: frozenset({OPEN}),
        OPEN: frozenset({HALF}),
        HALF: frozenset({CLOSED, OPEN}),
    }
    check_transition(HALF, OPEN)
    with pytest.raises(IllegalTransition, match="a breaker cannot go from OPEN to CLOSED"):
        check_transition(OPEN, CLOSED)


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        (Tally(technical=9), CLOSED),
        (Tally(technical=10), OPEN),
        (Tally(technical=5, approved=5), OPEN),
        (Tally(technical=5, approved=6), CLOSED),
        # a customer's decline, and one who left, are the PSP at work
        (Tally(declined=1000), CLOSED),
        (Tally(technical=5, declined=3, other=3), CLOSED),
        (Tally(), CLOSED),
    ],
)
def test_closed_opens_on_a_share_of_technical_failures(
    recent: Tally, expected: BreakerState
) -> None:
    assert due(Health(recent=recent), POLICY, NOW) is expected


@pytest.mark.parametrize(("after", "expected"), [(0, OPEN), (29.999, OPEN), (30, HALF), (99, HALF)])
def test_open_is_half_open_after_a_pause(after: float, expected: BreakerState) -> None:
    breaker = Breaker(state=OPEN, since=NOW)
    # whatever the results are meanwhile
    health = Health(breaker=breaker, recent=Tally(technical=50))
    assert due(health, POLICY, NOW + seconds(after)) is expected
    assert breaker.at(NOW + seconds(after), POLICY).state is expected


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [(0, 0, HALF), (4, 0, HALF), (5, 0, CLOSED), (0, 1, OPEN), (9, 1, OPEN)],
)
def test_half_open_closes_on_successes_and_opens_on_one_failure(
    good: int, bad: int, expected: BreakerState
) -> None:
    breaker = Breaker(state=HALF, since=NOW, good=good, bad=bad)
    assert due(Health(breaker=breaker, recent=Tally(technical=50)), POLICY, NOW) is expected


def test_results_count_within_their_windows() -> None:
    slot = POLICY.slot_of(NOW)
    one = Tally(approved=1)
    slots = {slot - age: one for age in range(100)}
    health = health_of(Breaker(), slots, POLICY, NOW)
    assert health.recent.results == POLICY.window // POLICY.slot
    assert health.rate.results == POLICY.rate_window // POLICY.slot
    later = health_of(Breaker(), slots, POLICY, NOW + seconds(POLICY.rate_window - POLICY.slot))
    assert (later.recent.results, later.rate.results) == (0, 1)


def test_what_opened_a_breaker_does_not_open_it_again() -> None:
    slots = {POLICY.slot_of(NOW) - age: Tally(technical=5) for age in range(5)}
    assert due(health_of(Breaker(), slots, POLICY, NOW), POLICY, NOW) is OPEN
    closed = Breaker(state=CLOSED, since=NOW)
    after = health_of(closed, slots, POLICY, NOW + seconds(5))
    assert after.recent == Tally()
    assert after.rate.technical == 25
    assert due(after, POLICY, NOW + seconds(5)) is CLOSED


def test_tallies() -> None:
    tally = Tally(approved=97, declined=2, technical=1, other=7) + Tally(approved=1)
    assert (tally.results, tally.decided, tally.success) == (108, 101, 97)
    assert Tally(other=3).success is None


@pytest.mark.parametrize("failure", FailureClass)
def test_only_what_the_psp_failed_at_is_technical(failure: FailureClass) -> None:
    technical = {"NOT_SENT", "REJECTED_TRANSIENT", "CONFIG", "UNKNOWN"}
    counted = COUNTED_AS[outcome_of(PaymentState.FAILED, failure)]
    assert (counted == "technical") is (failure.value in technical)
    assert set(BY_FAILURE) == set(FailureClass)
    assert set(COUNTED_AS) == set(Outcome)


@pytest.mark.parametrize(
    ("state", "failure", "outcome"),
    [
        (PaymentState.AUTHORISED, None, Outcome.APPROVED),
        # an answer that was lost and found
        (PaymentState.CAPTURED, FailureClass.UNKNOWN, Outcome.APPROVED),
        (PaymentState.REFUNDED, None, Outcome.APPROVED),
        (PaymentState.FAILED, FailureClass.DECLINED_SOFT, Outcome.DECLINED),
        (PaymentState.VOIDED, FailureClass.FRAUD, Outcome.DECLINED),
        (PaymentState.VOIDED, FailureClass.NOT_SENT, Outcome.TECHNICAL),
        (PaymentState.VOIDED, FailureClass.UNKNOWN, Outcome.TECHNICAL),
        (PaymentState.UNKNOWN, FailureClass.UNKNOWN, Outcome.UNKNOWN),
        (PaymentState.CREATED, FailureClass.UNKNOWN, Outcome.UNKNOWN),
        (PaymentState.UNKNOWN, None, Outcome.UNKNOWN),
        (PaymentState.UNKNOWN, FailureClass.IN_PROGRESS, Outcome.OPEN),
        (PaymentState.CREATED, None, Outcome.OPEN),
        (PaymentState.ACTION_REQUIRED, None, Outcome.OPEN),
        (PaymentState.VOIDED, None, Outcome.ABANDONED),
        (PaymentState.EXPIRED, FailureClass.EXPIRED, Outcome.ABANDONED),
        (PaymentState.FAILED, FailureClass.AUTH_REQUIRED, Outcome.STEPPED_UP),
        (PaymentState.FAILED, FailureClass.INVALID_REQUEST, Outcome.INVALID),
    ],
)
def test_outcomes(state: PaymentState, failure: FailureClass | None, outcome: Outcome) -> None:
    assert outcome_of(state, failure) is outcome


@given(
    st.lists(
        st.tuples(st.sampled_from(["approved", "technical", "declined"]), st.integers(0, 40)),
        max_size=60,
    )
)
def test_a_life_of_a_breaker_keeps_to_its_table(results: list[tuple[str, int]]) -> None:
    breaker, slots, now, seen = Breaker(), dict[int, Tally](), NOW, [CLOSED]
    for counted, pause in results:
        now += seconds(pause)
        slot = POLICY.slot_of(now)
        slots[slot] = slots.get(slot, Tally()) + Tally(**{counted: 1})
        if breaker.state is HALF:
            name = "bad" if counted == "technical" else "good"
            breaker = replace(breaker, **{name: getattr(breaker, name) + 1})
        new = due(health_of(breaker, slots, POLICY, now), POLICY, now)
        if new is not breaker.state:
            breaker = Breaker(state=new, since=now)
            seen.append(new)
    for old, new in pairwise(seen):
        check_transition(old, new)
    if all(counted != "technical" for counted, _ in results):
        assert seen == [CLOSED]
