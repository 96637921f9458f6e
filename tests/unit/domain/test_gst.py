"""Rates by class, price and day; tax taken out of a price and split to the paisa."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PricingError
from domain.gst import DEFAULT_HSN, RATES, TaxClass, rate_bp, tax_apart, taxable_value
from domain.money import Money
from domain.regions import STATES

T = TaxClass
BEFORE, SINCE = date(2025, 9, 21), date(2025, 9, 22)
RATES_BP = st.sampled_from([0, 500, 1200, 1800, 2800, 4000])
AMOUNTS = st.integers(0, 10**11).map(Money)


@pytest.mark.parametrize(
    ("tax_class", "rupees", "before", "since"),
    [
        (T.ZERO, "100", 0, 0),
        (T.ESSENTIAL, "100", 500, 500),
        (T.REDUCED, "100", 1200, 500),
        (T.STANDARD, "100", 1800, 1800),
        (T.DURABLE, "100", 2800, 1800),
        (T.DEMERIT, "100", 2800, 4000),
        (T.APPAREL, "1000", 500, 500),
        (T.APPAREL, "1000.01", 1200, 500),
        (T.APPAREL, "2500", 1200, 500),
        (T.APPAREL, "2500.01", 1200, 1800),
        (T.FOOTWEAR, "1000", 1200, 500),
        (T.FOOTWEAR, "1000.01", 1800, 500),
        (T.FOOTWEAR, "2500", 1800, 500),
        (T.FOOTWEAR, "2500.01", 1800, 1800),
    ],
)
def test_rates(tax_class: TaxClass, rupees: str, before: int, since: int) -> None:
    price = Money.from_rupees(rupees)
    assert rate_bp(tax_class, price, BEFORE) == before
    assert rate_bp(tax_class, price, SINCE) == since


@pytest.mark.parametrize("tax_class", T)
def test_the_table_has_every_class_and_says_where_it_begins(tax_class: TaxClass) -> None:
    assert [row.since for row in RATES[tax_class]] == sorted({r.since for r in RATES[tax_class]})
    assert all(row.bands[-1].up_to is None for row in RATES[tax_class])
    assert len(DEFAULT_HSN[tax_class]) == 4
    assert rate_bp(tax_class, Money(1), date(2022, 1, 1)) >= 0
    with pytest.raises(PricingError, match="the table begins on 2022-01-01") as refused:
        rate_bp(tax_class, Money(1), date(2021, 12, 31))
    assert refused.value.code == "NO_GST_RATE"


def test_within_a_state_the_odd_paisa_is_sgst() -> None:
    taxed = tax_apart(Money(99900), 500, supplier_state="29", place_of_supply="29")
    assert (taxed.taxable, taxed.cgst, taxed.sgst, taxed.igst) == (
        Money(95143),
        Money(2378),
        Money(2379),
        Money(0),
    )
    assert (taxed.inclusive, taxed.tax, taxed.rate_bp) == (Money(99900), Money(4757), 500)


def test_between_states_all_is_igst() -> None:
    taxed = tax_apart(Money(99900), 500, supplier_state="27", place_of_supply="29")
    assert (taxed.taxable, taxed.cgst, taxed.sgst, taxed.igst) == (
        Money(95143),
        Money(0),
        Money(0),
        Money(4757),
    )


@pytest.mark.parametrize(("supplier", "place"), [("99", "29"), ("29", "KA"), ("", "29")])
def test_unknown_states_are_refused(supplier: str, place: str) -> None:
    with pytest.raises(PricingError, match="no GST state code") as refused:
        tax_apart(Money(1), 500, supplier_state=supplier, place_of_supply=place)
    assert refused.value.code == "UNKNOWN_STATE"


@given(AMOUNTS, RATES_BP)
def test_extraction_is_the_inverse_of_adding_tax(inclusive: Money, rate: int) -> None:
    taxable = taxable_value(inclusive, rate)
    assert abs(taxable.paise * (10_000 + rate) - inclusive.paise * 10_000) * 2 <= 10_000 + rate
    assert abs((taxable + taxable.percent(rate) - inclusive).paise) <= 1
    assert Money(0) <= taxable <= inclusive


@given(AMOUNTS, RATES_BP, st.sampled_from(sorted(STATES)), st.sampled_from(sorted(STATES)))
def test_the_split_sums_to_the_tax(amount: Money, rate: int, supplier: str, place: str) -> None:
    taxed = tax_apart(amount, rate, supplier_state=supplier, place_of_supply=place)
    assert taxed.cgst + taxed.sgst + taxed.igst == taxed.tax
    assert taxed.taxable + taxed.tax == taxed.inclusive == amount
    if supplier == place:
        assert taxed.igst.is_zero
        assert (taxed.sgst - taxed.cgst).paise == taxed.tax.paise % 2
    else:
        assert taxed.igst == taxed.tax
