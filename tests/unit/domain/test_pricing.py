"""The price pipeline by hand, and what must hold for every basket."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CurrencyMismatch, PricingError
from domain.gst import DEFAULT_HSN, TaxClass
from domain.money import Money, total
from domain.pricing import (
    MAX_LINES,
    Coupon,
    CouponKind,
    PriceBreakdown,
    PriceLine,
    ShippingRule,
    price_order,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHIPPING = ShippingRule(fee=Money(4900), free_from=Money(49900), supplier_state="29")
TEE = PriceLine(
    sku="TEE",
    title="Cotton T-shirt",
    qty=2,
    mrp=Money(99900),
    unit_price=Money(49900),
    tax_class=TaxClass.APPAREL,
    hsn="6109",
    seller_id="S1",
    seller_state="29",
)
PHONE = PriceLine(
    sku="PHONE",
    title="Phone",
    qty=1,
    mrp=Money(1599900),
    unit_price=Money(1249950),
    tax_class=TaxClass.STANDARD,
    hsn="8517",
    seller_id="S2",
    seller_state="27",
)
TENTH = Coupon(
    code="TENTH",
    kind=CouponKind.PERCENT,
    value=1000,
    min_order=Money(100000),
    max_discount=Money(50000),
    active_from=NOW - timedelta(days=1),
    active_to=NOW + timedelta(days=1),
)


def flat(paise: int) -> Coupon:
    return replace(
        TENTH,
        code="FLAT",
        kind=CouponKind.FLAT,
        value=paise,
        min_order=Money(0),
        max_discount=None,
    )


def price(lines: list[PriceLine], coupon: Coupon | None = None, **changes: Any) -> PriceBreakdown:
    given_ = {"place_of_supply_state": "29", "at": NOW, "shipping": SHIPPING, **changes}
    return price_order(lines, coupon, **given_)


def test_two_sellers_one_coupon_by_hand() -> None:
    assert price([TEE, PHONE], TENTH).to_json() == {
        "lines": [
            {
                "sku": "TEE",
                "title": "Cotton T-shirt",
                "qty": 2,
                "mrp_paise": 99900,
                "unit_price_paise": 49900,
                "base_paise": 199800,
                "mrp_discount_paise": 100000,
                "coupon_paise": 3697,
                "total_paise": 96103,
                "taxable_paise": 91527,
                "cgst_paise": 2288,
                "sgst_paise": 2288,
                "igst_paise": 0,
                "gst_rate_bp": 500,
                "hsn": "6109",
                "seller_id": "S1",
            },
            {
                "sku": "PHONE",
                "title": "Phone",
                "qty": 1,
                "mrp_paise": 1599900,
                "unit_price_paise": 1249950,
                "base_paise": 1599900,
                "mrp_discount_paise": 349950,
                "coupon_paise": 46303,
                "total_paise": 1203647,
                "taxable_paise": 1020040,
                "cgst_paise": 0,
                "sgst_paise": 0,
                "igst_paise": 183607,
                "gst_rate_bp": 1800,
                "hsn": "8517",
                "seller_id": "S2",
            },
        ],
        "base_paise": 1799700,
        "goods_paise": 1349750,
        "coupon_code": "TENTH",
        "coupon_paise": 50000,
        "shipping_paise": 0,
        "shipping_tax": {
            "taxable_paise": 0,
            "cgst_paise": 0,
            "sgst_paise": 0,
            "igst_paise": 0,
            "gst_rate_bp": 1800,
            "sac": "996812",
        },
        "tax_paise": 188183,
        "round_off_paise": 50,
        "total_paise": 1299800,
        "currency": "INR",
        "steps": [
            {"name": "base", "amount_paise": 1799700},
            {"name": "seller_price", "amount_paise": -449950},
            {"name": "coupon", "amount_paise": -50000},
            {"name": "shipping", "amount_paise": 0},
            {"name": "taxes_included", "amount_paise": 188183},
            {"name": "round_off", "amount_paise": 50},
            {"name": "total", "amount_paise": 1299800},
        ],
    }


def test_a_small_order_pays_for_delivery() -> None:
    tee = replace(TEE, qty=1, unit_price=Money(39900), seller_state="27")
    priced = price([tee])
    assert (priced.lines[0].taxed.taxable, priced.lines[0].taxed.igst) == (
        Money(38000),
        Money(1900),
    )
    assert priced.shipping.inclusive == Money(4900)
    assert (priced.shipping.taxable, priced.shipping.cgst, priced.shipping.sgst) == (
        Money(4153),
        Money(373),
        Money(374),
    )
    assert (priced.tax, priced.round_off, priced.total) == (Money(2647), Money(0), Money(44800))
    assert priced.coupon_code is None


def test_delivery_is_free_from_the_threshold_after_the_coupon() -> None:
    one = replace(TEE, qty=1)
    assert price([one]).shipping.inclusive == Money(0)
    assert price([one], flat(1)).shipping.inclusive == Money(4900)


@pytest.mark.parametrize(("paise", "rate"), [(250000, 500), (250001, 1800)])
def test_the_price_of_a_piece_sets_the_rate(paise: int, rate: int) -> None:
    tee = replace(TEE, mrp=Money(300000), unit_price=Money(paise))
    assert price([tee]).lines[0].taxed.rate_bp == rate


def test_the_rate_follows_what_is_paid_and_the_dearest_piece() -> None:
    tee = replace(TEE, mrp=Money(300000), unit_price=Money(260000))
    assert price([tee], flat(20000)).lines[0].taxed.rate_bp == 500
    # ₹ 5,000.01 over two pieces: one of them is above the limit
    assert price([tee], flat(19999)).lines[0].taxed.rate_bp == 1800


def test_the_day_of_a_rate_begins_at_midnight_in_india() -> None:
    tee = replace(TEE, mrp=Money(150000), unit_price=Money(150000))
    last_second = datetime(2025, 9, 21, 18, 29, 59, tzinfo=UTC)
    rates = [
        price([tee], at=at).lines[0].taxed.rate_bp
        for at in (last_second, last_second + timedelta(seconds=1))
    ]
    assert rates == [1200, 500]


def test_a_coupon_never_takes_more_than_the_goods() -> None:
    priced = price([TEE, PHONE], flat(99_999_999))
    assert priced.coupon == priced.goods == Money(1349750)
    assert [line.taxed.inclusive for line in priced.lines] == [Money(0), Money(0)]
    assert priced.total == Money(4900)


@pytest.mark.parametrize(
    ("at", "active"),
    [
        (TENTH.active_from - timedelta(microseconds=1), False),
        (TENTH.active_from, True),
        (TENTH.active_to - timedelta(microseconds=1), True),
        (TENTH.active_to, False),
    ],
)
def test_when_a_coupon_is_active(at: datetime, active: bool) -> None:
    if active:
        assert price([PHONE], TENTH, at=at).coupon == Money(50000)
        return
    with pytest.raises(PricingError, match="coupon TENTH is not active") as refused:
        price([PHONE], TENTH, at=at)
    assert refused.value.code == "COUPON_NOT_ACTIVE"


def test_a_coupon_has_a_minimum() -> None:
    assert price([replace(TEE, qty=1, mrp=Money(100000), unit_price=Money(100000))], TENTH)
    with pytest.raises(PricingError) as refused:
        price([TEE], TENTH)
    assert refused.value.code == "COUPON_MINIMUM_NOT_MET"
    assert str(refused.value) == (
        "coupon TENTH needs goods of ₹ 1,000.00, and these are ₹ 998.00: add ₹ 2.00 or remove it"
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [(CouponKind.PERCENT, 0), (CouponKind.PERCENT, 10_001), (CouponKind.FLAT, 0)],
)
def test_a_coupon_that_is_no_discount(kind: CouponKind, value: int) -> None:
    with pytest.raises(PricingError) as refused:
        replace(TENTH, kind=kind, value=value)
    assert refused.value.code == "COUPON_INVALID"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "EMPTY_ORDER"),
        ([TEE] * (MAX_LINES + 1), "TOO_MANY_LINES"),
        ([replace(TEE, qty=0)], "QUANTITY_OUT_OF_RANGE"),
        ([TEE, replace(TEE, qty=21)], "QUANTITY_OUT_OF_RANGE"),
        ([replace(TEE, qty=-1)], "QUANTITY_OUT_OF_RANGE"),
        ([replace(TEE, unit_price=Money(0))], "PRICE_INVALID"),
        ([replace(TEE, unit_price=Money(99901))], "PRICE_INVALID"),
        ([replace(TEE, seller_state="XX")], "UNKNOWN_STATE"),
    ],
)
def test_refused_baskets(lines: list[PriceLine], code: str) -> None:
    with pytest.raises(PricingError) as refused:
        price(lines)
    assert refused.value.code == code


def test_other_refusals() -> None:
    with pytest.raises(PricingError) as refused:
        price([TEE], at=datetime(2026, 3, 1, 12))  # noqa: DTZ001 - that is the point
    assert refused.value.code == "TIME_NOT_AWARE"
    with pytest.raises(PricingError) as refused:
        price([TEE], at=datetime(2021, 3, 1, tzinfo=UTC))
    assert refused.value.code == "NO_GST_RATE"
    with pytest.raises(CurrencyMismatch):
        price([TEE, replace(PHONE, mrp=Money(9, "USD"), unit_price=Money(9, "USD"))])


def test_the_largest_quantity_and_number_of_lines_are_priced() -> None:
    priced = price([replace(TEE, qty=20)] * MAX_LINES)
    assert priced.total == Money(49900 * 20 * MAX_LINES)


@st.composite
def lines_(draw: st.DrawFn) -> PriceLine:
    tax_class = draw(st.sampled_from(TaxClass))
    unit_price = draw(st.integers(1, 40_000_00))
    return PriceLine(
        sku=draw(st.sampled_from(["A", "B", "C", "D"])),
        title="anything",
        qty=draw(st.integers(1, 20)),
        mrp=Money(unit_price + draw(st.integers(0, 10_000_00))),
        unit_price=Money(unit_price),
        tax_class=tax_class,
        hsn=DEFAULT_HSN[tax_class],
        seller_id=draw(st.sampled_from(["S1", "S2"])),
        seller_state=draw(st.sampled_from(["27", "29"])),
    )


BASKETS = st.lists(lines_(), min_size=1, max_size=6)
COUPONS = st.none() | st.builds(
    replace,
    st.just(TENTH),
    kind=st.sampled_from(CouponKind),
    value=st.integers(1, 10_000),
    min_order=st.just(Money(0)),
    max_discount=st.none() | st.integers(1, 1_000_00).map(Money),
)


@given(BASKETS, COUPONS)
def test_every_breakdown_adds_up(lines: list[PriceLine], coupon: Coupon | None) -> None:
    priced = price(lines, coupon)
    paid = total(line.taxed.inclusive for line in priced.lines)
    assert paid + priced.shipping.inclusive + priced.round_off == priced.total
    assert priced.total.paise % 100 == 0
    assert -50 < priced.round_off.paise <= 50
    assert total(line.coupon for line in priced.lines) == priced.coupon
    assert Money(0) <= priced.coupon <= priced.goods
    assert priced.tax == priced.shipping.tax + total(line.taxed.tax for line in priced.lines)
    for line in priced.lines:
        taxed = line.taxed
        assert Money(0) <= line.coupon <= line.line.unit_price * line.line.qty
        assert line.base - line.mrp_discount - line.coupon == taxed.inclusive
        assert taxed.taxable + taxed.cgst + taxed.sgst + taxed.igst == taxed.inclusive
        assert min(taxed.cgst, taxed.sgst, taxed.igst) >= Money(0)


@given(BASKETS, COUPONS)
def test_the_steps_lead_to_the_total(lines: list[PriceLine], coupon: Coupon | None) -> None:
    steps = dict(price(lines, coupon).steps)
    parts = [by for name, by in steps.items() if name not in ("taxes_included", "total")]
    assert total(parts) == steps["total"]


@given(BASKETS, COUPONS, st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_no_amount(
    lines: list[PriceLine], coupon: Coupon | None, random: Random
) -> None:
    shuffled = list(lines)
    random.shuffle(shuffled)
    one, other = price(lines, coupon), price(shuffled, coupon)
    assert replace(one, lines=()) == replace(other, lines=())
    amounts = [
        sorted((p.line.sku, p.coupon.paise, p.taxed.tax.paise) for p in priced.lines)
        for priced in (one, other)
    ]
    assert amounts[0] == amounts[1]
    assert [p.line for p in other.lines] == shuffled


def test_an_odd_paisa_goes_by_content_and_not_by_position() -> None:
    a, b = replace(TEE, sku="A"), replace(TEE, sku="B")
    for lines in ([a, b], [b, a]):
        shares = {p.line.sku: p.coupon.paise for p in price(lines, flat(101)).lines}
        assert shares == {"A": 51, "B": 50}


@given(BASKETS, COUPONS)
def test_json_is_plain_and_in_whole_paise(lines: list[PriceLine], coupon: Coupon | None) -> None:
    priced = price(lines, coupon)
    plain = priced.to_json()
    assert json.loads(json.dumps(plain)) == plain
    amounts = [value for key, value in plain.items() if key.endswith("_paise")]
    amounts += [v for line in plain["lines"] for k, v in line.items() if k.endswith("_paise")]
    assert {type(amount) for amount in amounts} == {int}
