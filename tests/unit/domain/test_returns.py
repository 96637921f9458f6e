"""What may come back and until when, and what a quality check leads to."""

import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from domain import quality
from domain.errors import DomainError
from domain.quality import Checked, Grade, Graded, Settled, Shelf, Verdict, judge
from domain.returns import (
    FINAL_STATES,
    REASONS,
    TERMS,
    TRANSITIONS,
    Allowance,
    Fault,
    PolicyRow,
    ReturnClass,
    ReturnReason,
    ReturnRefused,
    ReturnRequest,
    ReturnState,
    Wish,
    allowance,
    check_return,
    check_transition,
    class_of,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OURS, NOBODYS = Fault.OURS, Fault.NOBODYS
TEE = ReturnRequest(
    category=("Clothing", "Men's Clothing", "T-Shirts"),
    ordered_at=NOW,
    delivered_at=NOW + 3 * DAY,
    asked_at=NOW + 4 * DAY,
    reason=ReturnReason.DOES_NOT_FIT,
    wish=Wish.REFUND,
)
PHONE = replace(
    TEE,
    category=("Mobiles & Accessories", "Mobiles"),
    reason=ReturnReason.DEFECTIVE,
    wish=Wish.REPLACEMENT,
    photos=2,
)
TEA = replace(TEE, category=("Grocery", "Tea"), reason=ReturnReason.DAMAGED, photos=1)


def code_of(request: ReturnRequest) -> str:
    with pytest.raises(ReturnRefused) as refused:
        check_return(request)
    return refused.value.code


# eligibility


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (("Clothing", "Men's Clothing", "T-Shirts"), ReturnClass.TEN_DAYS),
        (("Clothing", "Women's Clothing", "Lingerie, Sleep & Swimwear", "Bras"), ReturnClass.NONE),
        (("Computers", "Laptops"), ReturnClass.REPLACEMENT_ONLY),
        (("Grocery",), ReturnClass.NONE),
        (("Books",), ReturnClass.SEVEN_DAYS),
        ((), ReturnClass.SEVEN_DAYS),
    ],
)
def test_the_class_of_a_category(category: tuple[str, ...], expected: ReturnClass) -> None:
    assert class_of(category, date(2026, 3, 1)) is expected


def test_the_terms_are_those_of_the_day_of_the_order() -> None:
    policy = (
        PolicyRow((), date(2026, 1, 1), ReturnClass.SEVEN_DAYS),
        PolicyRow((), date(2026, 3, 1), ReturnClass.TEN_DAYS),
        PolicyRow(("Books",), date(2026, 2, 1), ReturnClass.NONE),
    )
    assert class_of((), date(2026, 2, 28), policy) is ReturnClass.SEVEN_DAYS
    assert class_of((), date(2026, 3, 1), policy) is ReturnClass.TEN_DAYS
    # a row about the category counts more than a newer one about everything
    assert class_of(("Books", "Novels"), date(2026, 3, 9), policy) is ReturnClass.NONE
    assert class_of(("Books",), date(2026, 1, 31), policy) is ReturnClass.SEVEN_DAYS
    with pytest.raises(ReturnRefused) as refused:
        class_of(("Books",), date(2025, 12, 31), policy)
    assert refused.value.code == "NO_RETURN_TERMS"


def test_the_window_ends_with_an_indian_day() -> None:
    # delivered on 4 March at 17:30 in India: until the end of 14 March
    until = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)
    assert check_return(TEE) == Allowance(frozenset(Wish), until)
    second = timedelta(seconds=1)
    assert check_return(replace(TEE, asked_at=until - second)).until == until
    assert code_of(replace(TEE, asked_at=until)) == "RETURN_WINDOW_CLOSED"
    with pytest.raises(ReturnRefused, match="it could be returned until 2026-03-14"):
        check_return(replace(TEE, asked_at=until))
    # a delivery after 18:30 UTC is tomorrow's in India
    late = replace(TEE, delivered_at=datetime(2026, 3, 4, 18, 30, tzinfo=UTC))
    assert check_return(replace(late, asked_at=until)).until == until + DAY


def test_seven_days_are_fewer() -> None:
    book = replace(TEE, category=("Books",), asked_at=datetime(2026, 3, 11, 18, 30, tzinfo=UTC))
    assert code_of(book) == "RETURN_WINDOW_CLOSED"
    assert check_return(replace(book, asked_at=book.asked_at - timedelta(seconds=1)))


def test_replacement_only() -> None:
    assert check_return(PHONE).wishes == {Wish.REPLACEMENT}
    assert code_of(replace(PHONE, wish=Wish.REFUND)) == "WISH_NOT_OFFERED"
    assert code_of(replace(PHONE, reason=ReturnReason.CHANGED_MIND)) == "NOT_RETURNABLE"
    # where the same cannot be sent again, money takes its place
    gone = replace(PHONE, replaceable=False, wish=Wish.REFUND)
    assert check_return(gone).wishes == {Wish.REFUND}
    assert code_of(replace(gone, reason=ReturnReason.CHANGED_MIND)) == "NOT_RETURNABLE"


def test_what_never_comes_back_does_when_it_is_our_fault() -> None:
    assert check_return(TEA).wishes == frozenset(Wish)
    assert code_of(replace(TEA, reason=ReturnReason.CHANGED_MIND)) == "NOT_RETURNABLE"
    with pytest.raises(ReturnRefused, match="Grocery >> Tea does not come back for CHANGED_MIND"):
        check_return(replace(TEA, reason=ReturnReason.CHANGED_MIND))


def test_what_came_late_is_paid_back_and_not_sent_again() -> None:
    late = replace(PHONE, reason=ReturnReason.ARRIVED_LATE, wish=Wish.REFUND, photos=0)
    assert check_return(late).wishes == {Wish.REFUND}
    assert code_of(replace(late, wish=Wish.REPLACEMENT)) == "WISH_NOT_OFFERED"


def test_other_refusals() -> None:
    assert code_of(replace(TEE, asked_at=TEE.delivered_at - DAY)) == "NOT_DELIVERED_YET"
    assert code_of(replace(TEA, photos=0)) == "PHOTOS_NEEDED"
    assert code_of(replace(TEE, ordered_at=datetime(2021, 1, 1, tzinfo=UTC))) == "NO_RETURN_TERMS"


@pytest.mark.parametrize("reason", [r for r in ReturnReason if REASONS[r].fault is OURS])
@pytest.mark.parametrize("category", [("Grocery",), ("Computers",), ("Books",), ("Clothing",)])
def test_no_class_is_without_an_answer_to_our_fault(
    reason: ReturnReason, category: tuple[str, ...]
) -> None:
    allowed = allowance(category, NOW, NOW, reason)
    assert allowed.wishes
    assert allowed.until >= datetime(2026, 3, 8, 18, 30, tzinfo=UTC)


def test_the_tables_are_whole() -> None:
    assert TERMS.keys() == set(ReturnClass)
    assert REASONS.keys() == set(ReturnReason)
    assert quality.RULES.keys() == {(grade, fault) for grade in Grade for fault in Fault}


def test_the_life_of_a_return() -> None:
    ends = {ReturnState.REFUNDED, ReturnState.REPLACED, ReturnState.REJECTED}
    assert ends | {ReturnState.CANCELLED} == FINAL_STATES
    # once it is with us, nobody cancels it; goods that are ours again are answered for
    for state in (ReturnState.PICKED_UP, ReturnState.RECEIVED, ReturnState.DISPUTED):
        assert ReturnState.CANCELLED not in TRANSITIONS[state]
    assert TRANSITIONS[ReturnState.ACCEPTED] == {ReturnState.REFUNDED, ReturnState.REPLACED}
    with pytest.raises(DomainError, match="a return cannot go from REQUESTED to REFUNDED"):
        check_transition(ReturnState.REQUESTED, ReturnState.REFUNDED)


# the quality check


def graded(line: int, qty: int, grade: Grade, fault: Fault = NOBODYS) -> Graded:
    return Graded(line=line, qty=qty, grade=grade, fault=fault)


def test_a_check_that_passes() -> None:
    assert judge([graded(0, 2, Grade.AS_NEW), graded(1, 1, Grade.DAMAGED, OURS)]) == Checked(
        Verdict.PASS,
        (Settled(0, 2, NOBODYS, Shelf.RESTOCK), Settled(1, 1, OURS, Shelf.WRITE_OFF)),
        (),
    )


def test_a_check_that_fails() -> None:
    assert judge([graded(0, 1, Grade.USED, OURS), graded(0, 1, Grade.MISSING)]) == Checked(
        Verdict.FAIL,
        (),
        (Settled(0, 1, OURS, Shelf.HOLD), Settled(0, 1, NOBODYS, Shelf.NOWHERE)),
    )


def test_a_check_that_passes_in_part() -> None:
    assert judge([graded(0, 1, Grade.AS_NEW), graded(0, 1, Grade.DAMAGED)]) == Checked(
        Verdict.PARTIAL,
        (Settled(0, 1, NOBODYS, Shelf.RESTOCK),),
        (Settled(0, 1, NOBODYS, Shelf.HOLD),),
    )


def test_checks_that_are_none() -> None:
    with pytest.raises(ReturnRefused) as refused:
        judge([])
    assert refused.value.code == "NOTHING_CHECKED"
    with pytest.raises(ReturnRefused) as refused:
        judge([graded(0, 0, Grade.AS_NEW)])
    assert refused.value.code == "QUANTITY_OUT_OF_RANGE"


def test_only_what_is_accepted_is_sold_again() -> None:
    for rule in quality.RULES.values():
        assert rule.accepted is (rule.shelf in (Shelf.RESTOCK, Shelf.WRITE_OFF))


def test_a_refusal_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(ReturnRefused("SOME_CODE", "words")))  # noqa: S301 - our own bytes
    assert (type(copy), copy.code, str(copy)) == (ReturnRefused, "SOME_CODE", "words")
