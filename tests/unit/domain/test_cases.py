"""What becomes of a difference."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.cases import (
    CORRECTION_DUE,
    DIFFERENCES,
    NEXT_STEPS,
    TRANSITIONS,
    CaseState,
    Facts,
    Outcome,
    SecondPersonNeeded,
    check_transition,
    follow,
    second_agrees,
)
from domain.errors import IllegalTransition

MISSING = Facts(outcome=Outcome.MISSING_THERE, ours=100)
OTHER = Facts(outcome=Outcome.AMOUNT_DIFFERS, ours=100, settled=90)
SOON, LATE = timedelta(days=1), CORRECTION_DUE + timedelta(seconds=1)
S = CaseState


@pytest.mark.parametrize(
    ("state", "before", "now", "since", "after"),
    [
        (S.OPEN, MISSING, MISSING, LATE, S.OPEN),
        (S.OPEN, MISSING, None, SOON, S.CORRECTED),
        (S.OPEN, MISSING, OTHER, SOON, S.OPEN),
        (S.EXPLAINED, MISSING, MISSING, LATE, S.EXPLAINED),
        (S.EXPLAINED, MISSING, OTHER, SOON, S.OPEN),
        (S.EXPLAINED, MISSING, None, SOON, S.CORRECTED),
        (S.WRITTEN_OFF, MISSING, MISSING, LATE, S.WRITTEN_OFF),
        (S.WRITTEN_OFF, MISSING, OTHER, SOON, S.OPEN),
        (S.WRITTEN_OFF, MISSING, None, SOON, S.CORRECTED),
        # said to be corrected: it may take its time to show, but not for ever
        (S.CORRECTED, MISSING, MISSING, SOON, S.CORRECTED),
        (S.CORRECTED, MISSING, MISSING, LATE, S.OPEN),
        (S.CORRECTED, MISSING, None, SOON, S.CORRECTED),
        (S.CORRECTED, None, None, LATE, S.CORRECTED),
        (S.CORRECTED, None, MISSING, SOON, S.OPEN),
    ],
)
def test_where_a_case_goes(
    state: CaseState,
    before: Facts | None,
    now: Facts | None,
    since: timedelta,
    after: CaseState,
) -> None:
    assert follow(state, before, now, since) is after
    if after is not state:
        check_transition(state, after)


def test_the_table_is_whole_and_refuses_the_rest() -> None:
    assert set(TRANSITIONS) == set(CaseState)
    with pytest.raises(IllegalTransition, match="cannot go from CORRECTED to WRITTEN_OFF"):
        check_transition(S.CORRECTED, S.WRITTEN_OFF)
    with pytest.raises(IllegalTransition):
        check_transition(S.EXPLAINED, S.WRITTEN_OFF)


def test_every_difference_has_a_next_step() -> None:
    assert set(NEXT_STEPS) == set(DIFFERENCES) == set(Outcome) - {Outcome.MATCHED, Outcome.PENDING}
    assert all(step.owner and step.words.endswith(".") for step in NEXT_STEPS.values())


def test_a_write_off_takes_two_people() -> None:
    assert second_agrees(None, "asha") is False
    assert second_agrees("asha", "rohan") is True
    with pytest.raises(SecondPersonNeeded, match="asha asked for this write-off"):
        second_agrees("asha", "asha")


def test_what_is_missed_and_what_is_left_on_the_account() -> None:
    fee = Facts(outcome=Outcome.FEE_DIFFERS, ours=100, settled=100, fee_due=2, fee_taken=5)
    assert (OTHER.difference, OTHER.unsettled) == (10, 10)
    assert (fee.difference, fee.unsettled) == (3, 0)
    assert OTHER.words("INR") == "AMOUNT_DIFFERS: ours ₹ 1.00, settled ₹ 0.90"
    assert fee.words("INR") == "FEE_DIFFERS: agreed ₹ 0.02, taken ₹ 0.05"
