"""Refunds are the paid share, to the paisa, however the pieces come back."""

import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gst import DEFAULT_HSN, TaxClass, TaxedAmount, tax_apart
from domain.money import Money, total
from domain.pricing import (
    Coupon,
    CouponKind,
    PriceBreakdown,
    PriceLine,
    ShippingRule,
    price_order,
)
from domain.refund_shares import (
    SHIPPING,
    Back,
    LineShare,
    PaidShares,
    RefundShareError,
    Share,
    SoldLine,
    divide_payment,
    shares_of,
    shares_of_record,
)
from domain.refund_shares import ShippingRule as FeeRule
from domain.returns import Fault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OURS, NOBODYS = Fault.OURS, Fault.NOBODYS


def sold(paise: int, qty: int, rate_bp: int = 1800, place: str = "29") -> SoldLine:
    taxed = tax_apart(Money(paise), rate_bp, supplier_state="29", place_of_supply=place)
    return SoldLine(qty, taxed)


def fee(paise: int) -> TaxedAmount:
    return tax_apart(Money(paise), 1800, supplier_state="29", place_of_supply="29")


def refunded(shares: tuple[LineShare, ...]) -> list[tuple[int, int, int]]:
    return [(one.line, one.qty, one.share.refund.paise) for one in shares]


def heads(share: Share) -> tuple[int, ...]:
    amounts = (share.refund, share.taxable, share.cgst, share.sgst, share.igst, share.round_off)
    return tuple(amount.paise for amount in amounts)


# ₹ 100.01 for three pieces at 5 %, ₹ 349.50 for one at 18 % and ₹ 49.00: ₹ 498.51, so ₹ 499 paid
BY_HAND = divide_payment([sold(10001, 3, 500), sold(34950, 1)], fee(4900), Money(49900))


def test_shares_by_hand() -> None:
    assert [heads(piece) for piece in BY_HAND.pieces[0]] == [
        (3337, 3175, 79, 80, 0, 3),
        (3337, 3175, 79, 79, 0, 4),
        (3337, 3175, 80, 79, 0, 3),
    ]
    assert [heads(piece) for piece in BY_HAND.pieces[1]] == [(34984, 29619, 2665, 2666, 0, 34)]
    assert heads(BY_HAND.shipping) == (4905, 4153, 373, 374, 0, 5)
    assert BY_HAND.paid == Money(49900)


def test_the_fee_goes_back_with_the_last_piece_if_all_was_our_fault() -> None:
    first = [Back(0, 2, OURS)]
    rest = [Back(1, 1, OURS), Back(0, 1, OURS)]
    assert refunded(BY_HAND.refund(first)) == [(0, 2, 6674)]
    assert refunded(BY_HAND.refund(rest, first)) == [
        (0, 1, 3337),
        (1, 1, 34984),
        (SHIPPING, 1, 4905),
    ]
    assert refunded(BY_HAND.refund([Back(0, 3, OURS), Back(1, 1, OURS)]))[-1] == (SHIPPING, 1, 4905)


@pytest.mark.parametrize("before", [NOBODYS, OURS])
def test_the_fee_stays_where_it_was_not_all_our_fault(before: Fault) -> None:
    after = OURS if before is NOBODYS else NOBODYS
    shares = BY_HAND.refund([Back(1, 1, after)], [Back(0, 3, before)])
    assert refunded(shares) == [(1, 1, 34984)]


def test_the_rule_of_the_fee_is_data() -> None:
    at_once = FeeRule(faults=frozenset(Fault), only_with_all=False)
    first = [Back(0, 1, NOBODYS)]
    assert refunded(BY_HAND.refund(first, rule=at_once)) == [(0, 1, 3337), (SHIPPING, 1, 4905)]
    # and never twice
    assert refunded(BY_HAND.refund([Back(0, 1, OURS)], first, at_once)) == [(0, 1, 3337)]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([Back(2, 1, OURS)], "UNKNOWN_LINE"),
        ([Back(SHIPPING, 1, OURS)], "UNKNOWN_LINE"),
        ([Back(0, 0, OURS)], "QUANTITY_OUT_OF_RANGE"),
        ([Back(0, 2, OURS)], "MORE_THAN_SOLD"),
        ([Back(0, 1, OURS), Back(0, 1, NOBODYS)], "MORE_THAN_SOLD"),
    ],
)
def test_pieces_that_were_never_sold(asked: list[Back], code: str) -> None:
    with pytest.raises(RefundShareError) as refused:
        BY_HAND.refund(asked, [Back(0, 2, OURS)])
    assert refused.value.code == code


def test_payments_that_are_not_the_orders() -> None:
    with pytest.raises(RefundShareError) as refused:
        divide_payment([sold(10001, 3)], fee(0), Money(9900))
    assert refused.value.code == "PAYMENT_NOT_THE_ORDERS"
    assert str(refused.value) == "₹ 99.00 was paid, and lines and delivery come to ₹ 100.00"
    with pytest.raises(RefundShareError) as refused:
        divide_payment([], fee(4900), Money(4900))
    assert refused.value.code == "EMPTY_ORDER"
    with pytest.raises(RefundShareError) as refused:
        divide_payment([sold(10000, 0)], fee(0), Money(10000))
    assert refused.value.code == "QUANTITY_OUT_OF_RANGE"


def test_an_order_that_a_coupon_paid_for_has_nothing_to_give_back() -> None:
    free = divide_payment([sold(0, 2)], fee(0), Money(0))
    assert refunded(free.refund([Back(0, 2, OURS)])) == [(0, 2, 0)]
    # coins below half a rupee are rounded away, and their rounding is in the note
    coins = divide_payment([sold(49, 2)], fee(0), Money(0))
    assert [piece.refund for piece in coins.pieces[0]] == [Money(0), Money(0)]
    assert total(piece.round_off for piece in coins.pieces[0]) == Money(-49)


@st.composite
def orders(draw: st.DrawFn) -> PriceBreakdown:
    def line(number: int) -> PriceLine:
        tax_class = draw(st.sampled_from(TaxClass))
        # cheap pieces make odd paise weigh most
        unit_price = draw(st.integers(1, 60) | st.integers(1, 40_000_00))
        return PriceLine(
            sku=f"SKU{number}",
            title="anything",
            qty=draw(st.integers(1, 20)),
            mrp=Money(unit_price),
            unit_price=Money(unit_price),
            tax_class=tax_class,
            hsn=DEFAULT_HSN[tax_class],
            seller_id="S1",
            seller_state=draw(st.sampled_from(["27", "29"])),
        )

    coupon = Coupon(
        code="ANY",
        kind=CouponKind.PERCENT,
        value=draw(st.integers(1, 10_000)),
        min_order=Money(0),
        max_discount=draw(st.none() | st.integers(1, 1_000_00).map(Money)),
        active_from=NOW,
        active_to=NOW + DAY,
    )
    return price_order(
        [line(number) for number in range(draw(st.integers(1, 5)))],
        draw(st.none() | st.just(coupon)),
        "29",
        NOW,
        ShippingRule(
            fee=Money(draw(st.integers(0, 200_00))), free_from=Money(499_00), supplier_state="29"
        ),
    )


def series(random: Random, shares: PaidShares, fault: Fault) -> list[list[Back]]:
    """Returns that together bring everything back: any split, in any order."""
    pieces = [line for line, sold_ in enumerate(shares.pieces) for _ in sold_]
    random.shuffle(pieces)
    returns: list[list[Back]] = []
    while pieces:
        some = pieces[: random.randint(1, len(pieces))]
        pieces = pieces[len(some) :]
        returns.append([Back(line, qty, fault) for line, qty in Counter(some).items()])
    return returns


def all_back(shares: PaidShares, returns: list[list[Back]]) -> list[LineShare]:
    before: list[Back] = []
    given_back: list[LineShare] = []
    for asked in returns:
        given_back += shares.refund(asked, before)
        before += asked
    return given_back


def added(parts: list[LineShare], line: int) -> tuple[int, ...]:
    of_line = [heads(part.share) for part in parts if part.line == line]
    return tuple(sum(column) for column in zip(*of_line, strict=True))


@settings(max_examples=200)
@given(orders(), st.randoms(use_true_random=False))
def test_any_returns_of_everything_are_the_payment(order: PriceBreakdown, random: Random) -> None:
    shares = shares_of(order)
    assert shares.paid == order.total
    parts = all_back(shares, series(random, shares, OURS))
    assert total(part.share.refund for part in parts) == order.total
    # the credit notes are the invoice, head by head
    for line, priced in enumerate(order.lines):
        taxed = priced.taxed
        invoiced = (taxed.taxable, taxed.cgst, taxed.sgst, taxed.igst)
        assert added(parts, line)[1:5] == tuple(amount.paise for amount in invoiced)
    assert total(part.share.round_off for part in parts) == order.round_off
    fees = [part.share for part in parts if part.line == SHIPPING]
    assert len(fees) == (0 if order.shipping.inclusive.is_zero else 1)
    assert all(one.taxable == order.shipping.taxable for one in fees)
    taxes = total(p.share.cgst + p.share.sgst + p.share.igst for p in parts)
    assert taxes == order.tax


@given(orders(), st.randoms(use_true_random=False))
def test_what_is_nobodys_fault_leaves_the_fee_alone(order: PriceBreakdown, random: Random) -> None:
    shares = shares_of(order)
    parts = all_back(shares, series(random, shares, NOBODYS))
    back = total(part.share.refund for part in parts)
    assert back == order.total - shares.shipping.refund
    assert all(part.line != SHIPPING for part in parts)


@given(orders(), st.randoms(use_true_random=False))
def test_the_order_of_returns_changes_no_sum(order: PriceBreakdown, random: Random) -> None:
    """Nor does one return of part of it owe anything to how the rest came back."""
    shares = shares_of(order)
    returns = series(random, shares, OURS)
    one, other = all_back(shares, returns), all_back(shares, returns[::-1])
    for line in range(len(shares.pieces)):
        assert added(one, line) == added(other, line)
    assert sum(p.share.refund.paise for p in one) == sum(p.share.refund.paise for p in other)


@settings(max_examples=200)
@given(orders())
def test_each_piece_is_its_paid_share(order: PriceBreakdown) -> None:
    shares = shares_of(order)
    exact = order.total - order.round_off
    for line, pieces in zip(order.lines, shares.pieces, strict=True):
        paid = total(piece.refund for piece in pieces)
        # the line's share of the payment to the paisa: paid / total = inclusive / exact
        off = paid.paise * exact.paise - line.taxed.inclusive.paise * order.total.paise
        assert abs(off) < max(exact.paise, 1)
        for k in range(len(pieces) + 1):
            first = total(piece.refund for piece in pieces[:k])
            assert abs(2 * (first.paise * len(pieces) - paid.paise * k)) <= len(pieces)
    for piece in (*(p for line in shares.pieces for p in line), shares.shipping):
        # within a state both heads are half of the tax, to the paisa
        assert abs(piece.sgst - piece.cgst) <= Money(1) or piece.igst > Money(0)
        refund, *invoiced, round_off = heads(piece)
        assert sum(invoiced) + round_off == refund
        assert min(refund, *invoiced) >= 0


@given(orders())
def test_stored_orders_give_the_same_shares(order: PriceBreakdown) -> None:
    assert shares_of_record(order.to_json()) == shares_of(order)


def test_a_refusal_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(RefundShareError("SOME_CODE", "words")))  # noqa: S301 - our own bytes
    assert (type(copy), copy.code, str(copy)) == (RefundShareError, "SOME_CODE", "words")
