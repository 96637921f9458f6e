"""What a failed delivery leads to."""

from datetime import date, timedelta

import pytest

from domain.ndr import (
    RULES,
    WORDS,
    NdrChoice,
    NdrDecision,
    NdrReason,
    NextStep,
    days_to_choose,
    next_after_ndr,
    reason_of,
)
from domain.shipping import ShippingError

FRIDAY = date(2026, 3, 6)
MONDAY = FRIDAY + timedelta(days=3)


def test_the_customer_is_asked_what_the_reason_allows() -> None:
    assert next_after_ndr(NdrReason.ADDRESS_INCOMPLETE, 1, failed_on=FRIDAY) == NdrDecision(
        step=NextStep.ASK,
        why="attempt 1 failed (ADDRESS_INCOMPLETE)",
        offers=frozenset({NdrChoice.CORRECTED_ADDRESS, NdrChoice.CANCEL}),
    )


@pytest.mark.parametrize("choice", [None, *NdrChoice])
def test_the_third_failure_sends_it_back_whatever_is_chosen(choice: NdrChoice | None) -> None:
    decision = next_after_ndr(
        NdrReason.CUSTOMER_ABSENT, 3, failed_on=FRIDAY, choice=choice, other_day=MONDAY
    )
    assert decision == NdrDecision(step=NextStep.RTO, why="attempt 3 of 3 failed (CUSTOMER_ABSENT)")


def test_the_choices() -> None:
    def chosen(choice: NdrChoice, day: date | None = None) -> NdrDecision:
        return next_after_ndr(
            NdrReason.CUSTOMER_ABSENT, 2, failed_on=FRIDAY, choice=choice, other_day=day
        )

    assert chosen(NdrChoice.CANCEL).step is NextStep.RTO
    assert chosen(NdrChoice.CORRECTED_ADDRESS) == NdrDecision(
        step=NextStep.REATTEMPT, why="the customer corrected the address", correct_address=True
    )
    assert chosen(NdrChoice.OTHER_DAY, MONDAY) == NdrDecision(
        step=NextStep.REATTEMPT, why="the customer asked for 2026-03-09", on=MONDAY
    )


@pytest.mark.parametrize("days", [-1, 0, 2, 7])
def test_days_that_cannot_be_chosen(days: int) -> None:
    """Past, the day itself, a Sunday, and more than six days off."""
    with pytest.raises(ShippingError) as refused:
        next_after_ndr(
            NdrReason.CASH_NOT_READY,
            1,
            failed_on=FRIDAY,
            choice=NdrChoice.OTHER_DAY,
            other_day=FRIDAY + timedelta(days=days),
        )
    assert refused.value.code == "DAY_NOT_POSSIBLE"
    assert "take a day from 2026-03-07 to 2026-03-12 that is no Sunday" in str(refused.value)


def test_the_days_to_choose() -> None:
    assert days_to_choose(FRIDAY) == tuple(FRIDAY + timedelta(days=n) for n in (1, 3, 4, 5, 6))
    # the sixth day after a Monday is a Sunday
    assert days_to_choose(MONDAY)[-1] == MONDAY + timedelta(days=5)


def test_a_choice_that_is_not_offered() -> None:
    with pytest.raises(ShippingError) as refused:
        next_after_ndr(
            NdrReason.OUT_OF_AREA,
            1,
            failed_on=FRIDAY,
            choice=NdrChoice.OTHER_DAY,
            other_day=MONDAY,
        )
    assert refused.value.code == "CHOICE_NOT_OFFERED"
    assert str(refused.value) == (
        "OTHER_DAY is not offered after OUT_OF_AREA: choose CANCEL, CORRECTED_ADDRESS"
    )


@pytest.mark.parametrize("reason", NdrReason)
def test_silence_follows_the_rule_of_the_reason(reason: NdrReason) -> None:
    back = {
        NdrReason.ADDRESS_INCOMPLETE,
        NdrReason.CUSTOMER_MOVED,
        NdrReason.OUT_OF_AREA,
        NdrReason.REFUSED,
    }
    decision = next_after_ndr(reason, 1, failed_on=FRIDAY, answer_overdue=True)
    assert decision.step is (NextStep.RTO if reason in back else NextStep.REATTEMPT)
    assert decision.offers == frozenset()


def test_every_reason_has_a_rule_and_a_way_out() -> None:
    assert RULES.keys() == set(NdrReason)
    assert all(NdrChoice.CANCEL in rule.offers for rule in RULES.values())
    assert all(rule.unanswered is not NextStep.ASK for rule in RULES.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Consignee unavailable", NdrReason.CUSTOMER_ABSENT),
        ("COD not ready", NdrReason.CASH_NOT_READY),
        ("Customer REFUSED to accept", NdrReason.REFUSED),
        ("Refused to give OTP", NdrReason.OTP_NOT_GIVEN),
        ("Bad/Incomplete Address", NdrReason.ADDRESS_INCOMPLETE),
        ("Consignee shifted from the address", NdrReason.CUSTOMER_MOVED),
        ("Customer asked for future delivery", NdrReason.OTHER_DAY_ASKED),
        ("Will try again today", NdrReason.OTHER),
        ("", NdrReason.OTHER),
        ("NOT_TRIED", NdrReason.NOT_TRIED),
    ],
)
def test_carriers_words(text: str, reason: NdrReason) -> None:
    assert reason_of(text) is reason


def test_no_word_hides_another() -> None:
    """A word is found as written, so none before it in the table is a part of it."""
    for word, reason in WORDS:
        assert reason_of(word) is reason
        assert word == word.casefold()
