"""GST documents by hand, and what must hold for any order and any series of returns."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.gst import TaxedAmount, tax_apart
from domain.invoicing import (
    DELIVERY_LINE,
    Document,
    DocumentKind,
    Draft,
    FinancialYear,
    Line,
    Pieces,
    Recipient,
    Sold,
    Supplier,
    amount_in_words,
    check_supplier,
    day_of,
    document_number,
    draft_credit_note,
    draft_invoices,
)
from domain.money import Money, total
from domain.refund_shares import SoldLine, divide_payment

MUMBAI = Supplier(
    id="sahyadri",
    legal_name="Sahyadri Traders LLP",
    gstin="27ABKFS6310P1ZM",
    address=("Unit 4, Saki Vihar Road", "Mumbai 400072"),
    state_code="27",
)
PLATFORM = replace(
    MUMBAI, id="platform", legal_name="SagaKart", gstin="29AADCS4821K1ZI", state_code="29"
)
SUPPLIERS = {supplier.id: supplier for supplier in (MUMBAI, PLATFORM)}
ASHA = Recipient(name="Asha", address=("12 MG Road", "Bengaluru 560001"), state_code="29")
NOON = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
HEADS = ("gross", "taxable", "cgst", "sgst", "igst", "total")


def line(
    line_no: int = 1,
    *,
    qty: int = 3,
    price: int = 599_00,
    paid: int | None = None,
    rate_bp: int = 1800,
    states: tuple[str, str] = ("27", "29"),
) -> Line:
    """`qty` pieces at `price` paise each, for which `paid` paise are paid in all."""
    gross = Money(price * qty)
    taxed = tax_apart(
        gross if paid is None else Money(paid),
        rate_bp, supplier_state=states[0], place_of_supply=states[1],
    )  # fmt: skip
    return Line(
        line_no=line_no, sku=f"SKU-{line_no}", description="Shirt", hsn="6109", qty=qty,
        gross=gross, taxable=taxed.taxable, cgst=taxed.cgst, sgst=taxed.sgst, igst=taxed.igst,
        rate_bp=rate_bp,
    )  # fmt: skip


def sold(line: Line, supplier_id: str = "sahyadri", round_off: int = 0) -> Sold:
    return Sold(supplier_id, line, Money(round_off))


def pieces_of(*lines: Line) -> Pieces:
    """What is paid for each piece of an order of these lines, delivered for nothing."""
    parts = [SoldLine(each.qty, taxed(each)) for each in lines]
    exact = total(each.total for each in lines)
    nothing = tax_apart(Money(0), 1800, supplier_state="29", place_of_supply="29")
    paid = divide_payment(parts, nothing, exact.rounded_to_rupee())
    return {each.line_no: shares for each, shares in zip(lines, paid.pieces, strict=True)}


def taxed(line: Line) -> TaxedAmount:
    return TaxedAmount(
        inclusive=line.total, taxable=line.taxable, cgst=line.cgst, sgst=line.sgst,
        igst=line.igst, rate_bp=line.rate_bp,
    )  # fmt: skip


def issued(*lines: Line, recipient: Recipient = ASHA) -> Document:
    """The invoice of an order that has these lines and no others."""
    pieces = pieces_of(*lines)
    items = [
        Sold("sahyadri", each, total(piece.round_off for piece in pieces[each.line_no]))
        for each in lines
    ]
    (draft,) = draft_invoices("o1", recipient, items, SUPPLIERS)
    return Document(draft=draft, number="INV/2627/000001", issued_at=NOON)


def note(invoice: Document, returned: dict[int, int], before: dict[int, int]) -> Draft:
    return draft_credit_note(
        invoice, invoice_id="i1", source_id="r1", reason="Too small",
        pieces=pieces_of(*invoice.draft.lines), credited=before, returned=returned,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "start", "code", "text"),
    [
        (datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC), 2025, "2526", "2025-26"),
        (datetime(2026, 3, 31, 18, 30, tzinfo=UTC), 2026, "2627", "2026-27"),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), 2026, "2627", "2026-27"),
        (datetime(2099, 4, 1, tzinfo=UTC), 2099, "9900", "2099-00"),
    ],
)
def test_the_year_turns_at_midnight_in_india(
    at: datetime, start: int, code: str, text: str
) -> None:
    year = FinancialYear.of(at)
    assert (year.start, year.code, str(year)) == (start, code, text)


def test_days_are_indias_and_need_a_zone() -> None:
    assert day_of(datetime(2026, 5, 4, 18, 30, tzinfo=UTC)) == date(2026, 5, 5)
    with pytest.raises(DomainError, match="no time zone") as refusal:
        day_of(datetime(2026, 5, 4))  # noqa: DTZ001 - the point
    assert refusal.value.code == "TIME_NOT_AWARE"


@pytest.mark.parametrize(
    ("prefix", "seq", "number"),
    [
        ("INV", 1, "INV/2627/000001"),
        ("INV", 9_999_999, "INV/2627/9999999"),
        ("A", 42, "A/2627/000042"),
        ("AB-12", 99_999, "AB-12/2627/99999"),
    ],
)
def test_numbers_fit_sixteen_characters(prefix: str, seq: int, number: str) -> None:
    assert document_number(prefix, FinancialYear(2026), seq) == number
    assert len(number) <= 16


@pytest.mark.parametrize(
    ("prefix", "seq", "code"),
    [
        ("INV", 10_000_000, "SERIES_FULL"),
        ("AB-12", 100_000, "SERIES_FULL"),
        ("INV", 0, "SERIES_FULL"),
        ("", 1, "PREFIX_INVALID"),
        ("inv", 1, "PREFIX_INVALID"),
        ("TOOLONG", 1, "PREFIX_INVALID"),
        ("A/B", 1, "PREFIX_INVALID"),
    ],
)
def test_numbers_that_break_the_rule_are_refused(prefix: str, seq: int, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        document_number(prefix, FinancialYear(2026), seq)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "Rupees Zero Only"),
        (1, "Rupees Zero and One Paise Only"),
        (19_00, "Rupees Nineteen Only"),
        (20_00, "Rupees Twenty Only"),
        (100_00, "Rupees One Hundred Only"),
        (1_005_05, "Rupees One Thousand Five and Five Paise Only"),
        (
            12_34_567_89,
            (
                "Rupees Twelve Lakh Thirty-Four Thousand Five Hundred Sixty-Seven"
                " and Eighty-Nine Paise Only"
            ),
        ),
        (1_00_00_000_00, "Rupees One Crore Only"),
        (
            1_25_000_00_00_001_00,
            "Rupees One Lakh Twenty-Five Thousand Crore One Only",
        ),
        (-50_00, "Minus Rupees Fifty Only"),
    ],
)
def test_amounts_in_words(paise: int, words: str) -> None:
    assert amount_in_words(Money(paise)) == words


def test_an_invoice_between_states_by_hand() -> None:
    draft = issued(line(paid=1_697_30)).draft
    sums = draft.sums
    assert (sums.gross, sums.discount) == (Money(1_797_00), Money(99_70))
    assert (sums.taxable, sums.igst) == (Money(1_438_39), Money(258_91))
    assert (sums.cgst, sums.sgst) == (Money(0), Money(0))
    assert (draft.round_off, draft.payable) == (Money(-30), Money(1_697_00))
    assert (draft.kind, draft.source_id, draft.against) == (DocumentKind.INVOICE, "o1", None)
    assert (draft.place_of_supply, draft.within_state) == ("29", False)


def test_each_supplier_has_its_own_invoice_with_the_round_off_of_its_lines() -> None:
    fee = replace(
        line(DELIVERY_LINE, qty=1, price=49_00, states=("29", "29")), hsn="996812", unit="OTH"
    )
    goods, more = line(1, qty=1, price=99_40), line(2, qty=1, price=99_00)
    ours, theirs = draft_invoices(
        "o1", ASHA, [sold(more, round_off=-16), sold(fee, "platform", -8),
        sold(goods, round_off=-16)], SUPPLIERS,
    )  # fmt: skip
    assert [draft.supplier.id for draft in (ours, theirs)] == ["platform", "sahyadri"]
    assert ours.lines == (fee,)
    assert theirs.lines == (goods, more)
    assert (ours.round_off, theirs.round_off) == (Money(-8), Money(-32))
    assert ours.payable + theirs.payable == Money(247_00)
    assert (ours.within_state, ours.sums.cgst, ours.sums.sgst) == (True, Money(373), Money(374))


def test_goods_for_nothing_are_invoiced_for_nothing() -> None:
    invoice = issued(line(paid=0))
    assert (invoice.draft.payable, invoice.draft.sums.discount) == (Money(0), Money(1_797_00))
    credit = note(invoice, {1: 2}, {})
    assert (credit.payable, credit.sums.gross, credit.sums.qty) == (Money(0), Money(1_198_00), 2)


@pytest.mark.parametrize(
    ("rates", "title"),
    [
        ([1800, 500], "Tax Invoice"),
        ([0, 0], "Bill of Supply"),
        ([0, 500], "Invoice-cum-Bill of Supply"),
    ],
)
def test_the_title_follows_the_rates(rates: list[int], title: str) -> None:
    lines = [line(number, rate_bp=rate) for number, rate in enumerate(rates, start=1)]
    invoice = issued(*lines)
    assert invoice.draft.title == title
    assert note(invoice, {1: 1}, {}).title == "Credit Note"


@pytest.mark.parametrize(("state", "head"), [("29", "SGST"), ("04", "UTGST"), ("07", "SGST")])
def test_union_territories_levy_utgst(state: str, head: str) -> None:
    assert issued(line(), recipient=replace(ASHA, state_code=state)).draft.state_head == head


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"gstin": "27ABKFS6310P1Z"}, "GSTIN '27ABKFS6310P1Z'"),
        ({"gstin": "29ABKFS6310P1ZM"}, "GSTIN of another state"),
        ({"state_code": "99"}, "state '99'"),
        ({"legal_name": " "}, "no name"),
        ({"address": ()}, "no address"),
        ({"credit_note_prefix": "INV"}, "one prefix for both kinds"),
        ({"invoice_prefix": "inv"}, "prefixes"),
        ({"min_hsn_digits": 5}, "5 HSN digits"),
    ],
)
def test_a_supplier_without_its_facts_issues_nothing(change: dict[str, object], why: str) -> None:
    check_supplier(MUMBAI)
    with pytest.raises(DomainError, match=why) as refusal:
        check_supplier(replace(MUMBAI, **change))  # type: ignore[arg-type]
    assert refusal.value.code == "SUPPLIER_INVALID"


@pytest.mark.parametrize(
    ("items", "recipient", "code"),
    [
        ([], ASHA, "NOTHING_SOLD"),
        ([sold(line())], replace(ASHA, name=""), "RECIPIENT_INVALID"),
        ([sold(line())], replace(ASHA, address=()), "RECIPIENT_INVALID"),
        ([sold(line())], replace(ASHA, state_code="99"), "RECIPIENT_INVALID"),
        ([sold(replace(line(), hsn="61"))], ASHA, "HSN_INVALID"),
        ([sold(line(states=("29", "29")))], ASHA, "TAX_HEADS_WRONG"),
        ([sold(line(), "platform")], ASHA, "TAX_HEADS_WRONG"),
    ],
)
def test_what_cannot_be_invoiced_is_refused(
    items: list[Sold], recipient: Recipient, code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        draft_invoices("o1", recipient, items, SUPPLIERS)
    assert refusal.value.code == code


def test_a_large_supplier_needs_six_digits_of_hsn() -> None:
    large = {"sahyadri": replace(MUMBAI, min_hsn_digits=6)}
    with pytest.raises(DomainError, match="at least 6") as refusal:
        draft_invoices("o1", ASHA, [sold(line())], large)
    assert refusal.value.code == "HSN_INVALID"
    six = replace(line(), hsn="610910")
    (draft,) = draft_invoices("o1", ASHA, [sold(six)], large)
    assert draft.lines == (six,)


def test_a_credit_note_by_hand() -> None:
    # three pieces for 1,000.40, of which 40 paise are rounded off
    invoice = issued(line(paid=1_000_40))
    first = note(invoice, {1: 1}, {})
    rest = note(invoice, {1: 2}, {1: 1})
    assert (first.payable, rest.payable) == (Money(333_33), Money(666_67))
    assert (first.round_off, rest.round_off) == (Money(-14), Money(-26))
    assert (first.sums.igst, first.sums.taxable) == (Money(50_87), Money(282_60))
    assert (rest.sums.igst, rest.sums.taxable) == (Money(101_73), Money(565_20))
    assert first.against is not None
    assert (first.against.number, first.against.issued_on) == ("INV/2627/000001", date(2026, 5, 4))
    assert (first.kind, first.source_id, first.reason) == (
        DocumentKind.CREDIT_NOTE, "r1", "Too small",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("returned", "before", "code"),
    [
        ({}, {}, "NOTHING_TO_CREDIT"),
        ({1: 0}, {}, "NOTHING_TO_CREDIT"),
        ({1: 4}, {}, "CREDIT_TOO_LARGE"),
        ({1: 2}, {1: 2}, "CREDIT_TOO_LARGE"),
        ({1: -1, 2: 1}, {}, "CREDIT_TOO_LARGE"),
        ({7: 1}, {}, "CREDIT_TOO_LARGE"),
    ],
)
def test_no_more_is_credited_than_was_sold(
    returned: dict[int, int], before: dict[int, int], code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        note(issued(line(1), line(2)), returned, before)
    assert refusal.value.code == code


def test_shares_of_another_order_are_refused() -> None:
    invoice = issued(line(paid=1_000_40))
    share = pieces_of(line(paid=1_000_40))[1][0]
    richer = replace(share, round_off=share.round_off + Money(1))
    for pieces in ({}, pieces_of(line(paid=999_40)), pieces_of(line(qty=2, paid=1_000_40)),
                   {1: (richer, *pieces_of(line(paid=1_000_40))[1][1:])}):  # fmt: skip
        with pytest.raises(DomainError) as refusal:
            draft_credit_note(
                invoice, invoice_id="i1", source_id="r1", reason="", pieces=pieces, credited={},
                returned={1: 1},
            )  # fmt: skip
        assert refusal.value.code == "SHARES_DIFFER"


@st.composite
def invoices(draw: st.DrawFn) -> Document:
    within = draw(st.booleans())
    states = ("27", "27") if within else ("27", "29")
    lines = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        qty, price = draw(st.integers(1, 7)), draw(st.integers(1, 5_000_00))
        paid = draw(st.integers(0, price * qty) | st.integers(0, min(9, price * qty)))
        rate = draw(st.sampled_from([0, 500, 1200, 1800, 2800, 4000]))
        lines.append(line(number, qty=qty, price=price, paid=paid, rate_bp=rate, states=states))
    return issued(*lines, recipient=replace(ASHA, state_code=states[1]))


@given(invoice=invoices(), data=st.data())
def test_any_series_of_returns_adds_up_to_the_invoice(
    invoice: Document, data: st.DataObject
) -> None:
    pieces = [each.line_no for each in invoice.draft.lines for _ in range(each.qty)]
    order = data.draw(st.permutations(pieces))
    notes: list[Draft] = []
    credited: Counter[int] = Counter()
    while order:
        many = data.draw(st.integers(1, len(order)))
        part, order = Counter(order[:many]), order[many:]
        notes.append(note(invoice, dict(part), dict(credited)))
        credited += part
    for head in HEADS:
        amounts = [getattr(credit.sums, head) for credit in notes]
        assert total(amounts) == getattr(invoice.draft.sums, head), head
    assert total(credit.payable for credit in notes) == invoice.draft.payable
    assert invoice.draft.payable.paise % 100 == 0
    for credit in notes:
        assert credit.payable.paise >= 0
        for each in credit.lines:
            heads = (each.taxable, each.cgst, each.sgst, each.igst, each.discount)
            assert min(head.paise for head in heads) >= 0
