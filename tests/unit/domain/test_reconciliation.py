"""Lines against movements: the same whatever the order, and nothing left out or counted twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases import Outcome
from domain.money import Money
from domain.payments import PaymentMethod
from domain.reconciliation import Finding, item_of, reconcile
from domain.settlements import (
    TERMS,
    BadSettlementLine,
    FeeRow,
    LineKind,
    Movement,
    SettlementLine,
    Terms,
    business_day,
    terms_of,
)

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
FREE = Terms(grace_days=2)
K = LineKind


def line(
    line_id: str,
    gross: int = 1000_00,
    *,
    kind: LineKind = K.PAYMENT,
    payment: str = "pay_1",
    merchant: str = "o1-1",
    fee: int = 0,
    tax: int = 0,
    held: bool = False,
    returned: str = "",
    key: str = "",
) -> SettlementLine:
    return SettlementLine(
        provider="alphapay",
        line_id=line_id,
        kind=kind,
        gross=Money(gross),
        fee=Money(fee),
        tax=Money(tax),
        net=Money(gross - fee - tax),
        occurred_at=NOON,
        settled_on=DAY,
        payment_ref=payment,
        merchant_ref=merchant,
        return_ref=returned,
        return_key=key,
        on_hold=held,
    )


def moved(
    key: str,
    amount: int = 1000_00,
    *,
    kind: LineKind = K.PAYMENT,
    payment: str = "pay_1",
    merchant: str = "o1-1",
    days_ago: int = 0,
    returned: str = "",
    return_key: str = "",
) -> Movement:
    return Movement(
        key=key,
        kind=kind,
        payment=merchant,
        amount=Money(amount),
        at=NOON - timedelta(days=days_ago),
        payment_ref=payment,
        merchant_ref=merchant,
        return_ref=returned,
        return_key=return_key,
        method=PaymentMethod.CARD,
    )


def judged(
    lines: list[SettlementLine], movements: list[Movement], terms: Terms = FREE
) -> dict[str, tuple[Outcome, int]]:
    """By subject: the outcome and the difference in paise."""
    found = reconcile(lines, movements, as_of=DAY, terms=terms)
    assert len({one.subject for one in found}) == len(found)
    return {one.subject: (one.outcome, one.facts.difference) for one in found}


def test_what_agrees() -> None:
    assert judged([line("a")], [moved("m")]) == {"m": (Outcome.MATCHED, 0)}


def test_by_our_name_where_the_provider_gives_none_of_its_own() -> None:
    assert judged([line("a", payment="")], [moved("m")]) == {"m": (Outcome.MATCHED, 0)}
    assert judged([line("a", payment="pay_9")], [moved("m", payment="")]) == {
        "m": (Outcome.MATCHED, 0)
    }


def test_a_second_payment_under_our_name_is_not_the_one_we_know() -> None:
    assert judged([line("a"), line("b", payment="pay_2")], [moved("m")]) == {
        "m": (Outcome.MATCHED, 0),
        "line:b": (Outcome.MISSING_HERE, -1000_00),
    }


def test_the_same_payment_paid_out_twice() -> None:
    assert judged([line("a"), line("b")], [moved("m")]) == {
        "m": (Outcome.MATCHED, 0),
        "line:b": (Outcome.DUPLICATE, -1000_00),
    }


def test_what_they_have_not_settled_is_pending_until_the_grace_is_over() -> None:
    movements = [moved(f"m{days}", days_ago=days, merchant=f"o{days}-1") for days in (0, 2, 3)]
    assert judged([], movements) == {
        "m0": (Outcome.PENDING, 1000_00),
        "m2": (Outcome.PENDING, 1000_00),
        "m3": (Outcome.MISSING_THERE, 1000_00),
    }


def test_another_amount() -> None:
    assert judged([line("a", 900_00)], [moved("m")]) == {"m": (Outcome.AMOUNT_DIFFERS, 100_00)}


def test_in_parts_on_either_side() -> None:
    assert judged([line("a", 600_00), line("b", 400_00)], [moved("m")]) == {
        "m": (Outcome.MATCHED, 0)
    }
    assert judged([line("a")], [moved("m", 600_00), moved("n", 400_00)]) == {
        "m": (Outcome.MATCHED, 0)
    }
    assert judged([line("a", 600_00)], [moved("m")]) == {"m": (Outcome.AMOUNT_DIFFERS, 400_00)}


def test_refunds_are_told_apart_by_name_before_amount() -> None:
    refunds = [
        moved("r1", -100_00, kind=K.REFUND, returned="rfd_1", return_key="k1"),
        moved("r2", -100_00, kind=K.REFUND, returned="", return_key="k2"),
    ]
    second = line("b", -100_00, kind=K.REFUND, returned="rfd_2", key="k2")
    assert judged([second], refunds) == {
        "r2": (Outcome.MATCHED, 0),
        "r1": (Outcome.PENDING, -100_00),
    }
    nameless = line("c", -100_00, kind=K.REFUND, payment="", merchant="", returned="rfd_1")
    assert judged([nameless], refunds) == {
        "r1": (Outcome.MATCHED, 0),
        "r2": (Outcome.PENDING, -100_00),
    }


def test_a_payment_and_its_refund_are_two_things() -> None:
    refund = line("b", -1000_00, kind=K.REFUND)
    assert judged([line("a"), refund], [moved("m")]) == {
        "m": (Outcome.MATCHED, 0),
        "line:b": (Outcome.MISSING_HERE, 1000_00),
    }


def test_what_is_held_back_is_not_settled() -> None:
    assert judged([line("a", held=True)], [moved("m", days_ago=9)]) == {
        "m": (Outcome.ON_HOLD, 1000_00)
    }
    assert judged([line("a", held=True)], []) == {"line:a": (Outcome.MISSING_HERE, 0)}
    assert judged([line("a"), line("b", held=True)], [moved("m")]) == {
        "m": (Outcome.MATCHED, 0),
        "line:b": (Outcome.DUPLICATE, 0),
    }


@pytest.mark.parametrize(
    ("fee", "tax", "expected"),
    [
        (20_00, 3_60, (Outcome.MATCHED, 0)),
        (20_01, 3_59, (Outcome.MATCHED, 0)),
        (20_02, 3_60, (Outcome.FEE_DIFFERS, 2)),
        (20_00, 3_58, (Outcome.FEE_DIFFERS, -2)),
        (0, 0, (Outcome.FEE_DIFFERS, -23_60)),
    ],
)
def test_the_fee_is_that_of_the_contract(fee: int, tax: int, expected: object) -> None:
    found = judged([line("a", fee=fee, tax=tax)], [moved("m")], TERMS["alphapay"])
    assert found == {"m": expected}


def test_without_a_contract_no_fee_is_judged() -> None:
    assert judged([line("a", fee=999_00)], [moved("m")])["m"] == (Outcome.MATCHED, 0)


def test_two_currencies_are_never_one_payment() -> None:
    dollars = SettlementLine(
        provider="alphapay", line_id="a", kind=K.PAYMENT, gross=Money(1000_00, "USD"),
        fee=Money(0, "USD"), tax=Money(0, "USD"), net=Money(1000_00, "USD"), occurred_at=NOON,
        settled_on=DAY, payment_ref="pay_1", merchant_ref="o1-1",
    )  # fmt: skip
    assert judged([dollars], [moved("m")]) == {
        "line:a": (Outcome.MISSING_HERE, -1000_00),
        "m": (Outcome.PENDING, 1000_00),
    }


_PAYMENTS = st.sampled_from(["", "1", "2"])
_AMOUNTS = st.sampled_from([100, 200, 300])
_KINDS = st.sampled_from([K.PAYMENT, K.REFUND])


@st.composite
def _lines(draw: st.DrawFn) -> list[SettlementLine]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        kind, payment, merchant = draw(_KINDS), draw(_PAYMENTS), draw(_PAYMENTS)
        sign = -1 if kind is K.REFUND else 1
        found.append(
            line(
                f"l{number}", sign * draw(_AMOUNTS), kind=kind, payment=payment and f"p{payment}",
                merchant=merchant and f"m{merchant}", held=draw(st.booleans()),
                fee=draw(st.sampled_from([0, 2])), key=draw(st.sampled_from(["", "k1", "k2"])),
            )
        )  # fmt: skip
    return found


@st.composite
def _movements(draw: st.DrawFn) -> list[Movement]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        kind, payment, merchant = draw(_KINDS), draw(_PAYMENTS), draw(st.sampled_from(["1", "2"]))
        sign = -1 if kind is K.REFUND else 1
        found.append(
            moved(
                f"x{number}", sign * draw(_AMOUNTS), kind=kind, payment=payment and f"p{payment}",
                merchant=f"m{merchant}", days_ago=draw(st.integers(0, 5)),
                return_key=draw(st.sampled_from(["", "k1", "k2"])),
            )
        )  # fmt: skip
    return found


def _run(lines: list[SettlementLine], movements: list[Movement]) -> tuple[Finding, ...]:
    return reconcile(lines, movements, as_of=DAY, terms=TERMS["alphapay"])


@given(_lines(), _movements(), st.data())
def test_neither_order_nor_repetition_matters(
    lines: list[SettlementLine], movements: list[Movement], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(lines), max_size=3)) if lines else []
    told = data.draw(st.permutations(lines + again))
    booked = data.draw(st.permutations(movements))
    assert _run(told, booked) == _run(lines, movements)


@given(_lines(), _movements())
def test_everything_is_in_exactly_one_finding(
    lines: list[SettlementLine], movements: list[Movement]
) -> None:
    found = _run(lines, movements)
    items = Counter(item for one in found for item in one.items)
    assert items == Counter([*map(item_of, lines), *(one.key for one in movements)])
    assert len({one.subject for one in found}) == len(found)


@given(_lines(), _movements())
def test_matched_and_differences_add_up_to_the_lines(
    lines: list[SettlementLine], movements: list[Movement]
) -> None:
    found = _run(lines, movements)
    assert sum(one.theirs.paise for one in found) == sum(one.gross.paise for one in lines)
    assert sum(one.ours.paise for one in found) == sum(one.amount.paise for one in movements)
    unsettled = sum(one.amount.paise for one in movements) - sum(one.paid.paise for one in lines)
    assert sum(one.facts.unsettled for one in found) == unsettled
    assert all(one.facts.unsettled == 0 for one in found if one.outcome is Outcome.MATCHED)


@given(_lines(), _movements())
def test_only_whole_payments_matter_to_each_other(
    lines: list[SettlementLine], movements: list[Movement]
) -> None:
    """What is found of one kind does not hang on the others: runs may look at parts."""
    whole = _run(lines, movements)
    parts: list[Finding] = []
    for kind in LineKind:
        parts += _run(
            [one for one in lines if one.kind is kind],
            [one for one in movements if one.kind is kind],
        )
    assert sorted(parts, key=lambda one: one.subject) == list(whole)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": Money(1)}, "less fee ₹ 0.00 and tax ₹ 0.00 is not net ₹ 0.01"),
        ({"kind": K.REFUND}, "a REFUND moves money away from us, not ₹ 10.00"),
        ({"line_id": ""}, "no id of its own"),
        ({"occurred_at": datetime(2026, 11, 20)}, "no time zone"),  # noqa: DTZ001
    ],
)
def test_a_line_that_contradicts_itself(changes: dict[str, object], words: str) -> None:
    given_ = {
        "provider": "alphapay", "line_id": "a", "kind": K.PAYMENT, "gross": Money(1000),
        "fee": Money(0), "tax": Money(0), "net": Money(1000), "occurred_at": NOON,
        "settled_on": DAY,
    }  # fmt: skip
    with pytest.raises(BadSettlementLine, match=words):
        SettlementLine(**{**given_, **changes})  # type: ignore[arg-type]


def test_days_are_indias() -> None:
    assert business_day(datetime(2026, 11, 20, 18, 29, 59, tzinfo=UTC)) == date(2026, 11, 20)
    assert business_day(datetime(2026, 11, 20, 18, 30, tzinfo=UTC)) == date(2026, 11, 21)


def test_the_most_specific_fee_counts() -> None:
    terms = Terms(
        fees=(FeeRow(K.PAYMENT, "*", 200, 1_00), FeeRow(K.PAYMENT, PaymentMethod.UPI_QR, 0))
    )
    hundred = Money(100_00)
    assert terms.fee(K.PAYMENT, PaymentMethod.CARD, hundred) == (Money(3_00), Money(54))
    assert terms.fee(K.PAYMENT, PaymentMethod.UPI_QR, hundred) == (Money(0), Money(0))
    assert terms.fee(K.REFUND, PaymentMethod.CARD, hundred) is None


def test_terms_of_those_we_have_no_contract_with() -> None:
    assert terms_of("alphapay").grace_days == 2
    assert (terms_of("somebody").grace_days, terms_of("somebody").fees) == (3, ())
    assert terms_of("carrier:bluedart").grace_days == 10
