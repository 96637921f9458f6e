"""The price pipeline: MRP → seller's price → coupon → shipping → taxes → total.

Prices include tax, so the taxes are taken apart and add nothing. The breakdown is kept with
the order, and `PriceBreakdown.to_json` is its audit record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from domain.errors import PricingError
from domain.gst import SHIPPING_SAC, TaxClass, TaxedAmount, rate_bp, tax_apart
from domain.money import BASIS_POINTS, Money, Rounding, total

MAX_QTY = 20
MAX_LINES = 50

# a tax's day begins at midnight in India
IST = timezone(timedelta(hours=5, minutes=30), "IST")


class CouponKind(StrEnum):
    """PERCENT coupons are valued in basis points, FLAT ones in paise."""

    PERCENT = "PERCENT"
    FLAT = "FLAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One line of a basket; prices are per piece and include tax, states are GST codes."""

    sku: str
    title: str
    qty: int
    mrp: Money
    unit_price: Money
    tax_class: TaxClass
    hsn: str
    seller_id: str
    seller_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A discount on the goods, good from `active_from` until just before `active_to`."""

    code: str
    kind: CouponKind
    value: int
    min_order: Money
    max_discount: Money | None
    active_from: datetime
    active_to: datetime

    def __post_init__(self) -> None:
        too_much = self.kind is CouponKind.PERCENT and self.value > BASIS_POINTS
        if self.value < 1 or too_much:
            raise PricingError(
                "COUPON_INVALID",
                f"coupon {self.code}: a {self.kind} of {self.value} is no discount",
            )

    def discount_on(self, goods: Money, at: datetime) -> Money:
        """What it takes off `goods`, at most all of them.

        Raises PricingError COUPON_NOT_ACTIVE or COUPON_MINIMUM_NOT_MET.
        """
        if not self.active_from <= at < self.active_to:
            raise PricingError("COUPON_NOT_ACTIVE", f"coupon {self.code} is not active: remove it")
        if goods < self.min_order:
            raise PricingError(
                "COUPON_MINIMUM_NOT_MET",
                f"coupon {self.code} needs goods of {self.min_order}, and these are {goods}: "
                f"add {self.min_order - goods} or remove it",
            )
        if self.kind is CouponKind.PERCENT:
            off = goods.percent(self.value, Rounding.HALF_UP)
        else:
            off = Money(self.value, goods.currency)
        return min(off, goods) if self.max_discount is None else min(off, goods, self.max_discount)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingRule:
    """A flat fee, tax included, waived once the goods after coupon reach `free_from`.

    The platform delivers, so `supplier_state` is the state of its own registration.
    """

    fee: Money
    free_from: Money
    supplier_state: str
    tax_class: TaxClass = TaxClass.STANDARD

    def fee_for(self, goods: Money) -> Money:
        """What delivery of goods worth `goods` costs."""
        return Money.zero(goods.currency) if goods >= self.free_from else self.fee


STANDARD_SHIPPING = ShippingRule(fee=Money(49_00), free_from=Money(499_00), supplier_state="29")


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLine:
    """A line with its share of the coupon; `taxed.inclusive` is what the customer pays for it."""

    line: PriceLine
    base: Money
    mrp_discount: Money
    coupon: Money
    taxed: TaxedAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBreakdown:
    """How a total came about: Σ lines + shipping + round-off = total."""

    lines: tuple[PricedLine, ...]
    base: Money
    goods: Money
    coupon_code: str | None
    coupon: Money
    shipping: TaxedAmount
    tax: Money
    round_off: Money
    total: Money

    @property
    def steps(self) -> tuple[tuple[str, Money], ...]:
        """The pipeline, each step by what it adds; `taxes_included` is only a part of these."""
        return (
            ("base", self.base),
            ("seller_price", self.goods - self.base),
            ("coupon", -self.coupon),
            ("shipping", self.shipping.inclusive),
            ("taxes_included", self.tax),
            ("round_off", self.round_off),
            ("total", self.total),
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dict for storage and the edge; every amount is an integer of paise."""
        return {
            "lines": [_line_json(line) for line in self.lines],
            "base_paise": self.base.paise,
            "goods_paise": self.goods.paise,
            "coupon_code": self.coupon_code,
            "coupon_paise": self.coupon.paise,
            "shipping_paise": self.shipping.inclusive.paise,
            "shipping_tax": {**_tax_json(self.shipping), "sac": SHIPPING_SAC},
            "tax_paise": self.tax.paise,
            "round_off_paise": self.round_off.paise,
            "total_paise": self.total.paise,
            "currency": self.total.currency,
            "steps": [{"name": name, "amount_paise": by.paise} for name, by in self.steps],
        }


def price_order(
    lines: Sequence[PriceLine],
    coupon: Coupon | None,
    place_of_supply_state: str,
    at: datetime,
    shipping: ShippingRule = STANDARD_SHIPPING,
) -> PriceBreakdown:
    """Price a basket at a moment (aware), for delivery to a state (GST code).

    The lines keep their order, which does not affect any amount. Raises PricingError with the
    code EMPTY_ORDER, TOO_MANY_LINES, QUANTITY_OUT_OF_RANGE, PRICE_INVALID, TIME_NOT_AWARE,
    COUPON_NOT_ACTIVE, COUPON_MINIMUM_NOT_MET, UNKNOWN_STATE or NO_GST_RATE; CurrencyMismatch.
    """
    _check_basket(lines)
    _check_aware(at)
    currency = lines[0].unit_price.currency
    goods = total((line.unit_price * line.qty for line in lines), currency)
    off = coupon.discount_on(goods, at) if coupon else Money.zero(currency)
    shares = _coupon_shares(lines, off)
    priced = tuple(
        _price_line(line, share, place_of_supply_state, at)
        for line, share in zip(lines, shares, strict=True)
    )
    delivery = _price_shipping(shipping, goods - off, place_of_supply_state, at)
    exact = goods - off + delivery.inclusive
    payable = exact.rounded_to_rupee()
    return PriceBreakdown(
        lines=priced,
        base=total((line.base for line in priced), currency),
        goods=goods,
        coupon_code=coupon.code if coupon else None,
        coupon=off,
        shipping=delivery,
        tax=total((line.taxed.tax for line in priced), currency) + delivery.tax,
        round_off=payable - exact,
        total=payable,
    )


def _check_basket(lines: Sequence[PriceLine]) -> None:
    if not lines:
        raise PricingError("EMPTY_ORDER", "the order has no lines: add a product")
    if len(lines) > MAX_LINES:
        raise PricingError(
            "TOO_MANY_LINES", f"{len(lines)} lines are more than {MAX_LINES}: split the order"
        )
    for line in lines:
        if not 1 <= line.qty <= MAX_QTY:
            raise PricingError(
                "QUANTITY_OUT_OF_RANGE",
                f"{line.qty} of {line.sku}: a line takes 1 to {MAX_QTY} pieces",
            )
        if line.unit_price.paise <= 0 or line.unit_price > line.mrp:
            raise PricingError(
                "PRICE_INVALID",
                f"{line.sku} at {line.unit_price}: a price is above zero and at most "
                f"the MRP, {line.mrp}",
            )


def _check_aware(at: datetime) -> None:
    if at.utcoffset() is None:
        raise PricingError("TIME_NOT_AWARE", f"{at} has no time zone: pass an aware datetime")


def _coupon_shares(lines: Sequence[PriceLine], off: Money) -> list[Money]:
    """Each line's share by value; odd paise go by content, so that line order changes nothing."""
    order = sorted(range(len(lines)), key=lambda index: _content(lines[index]))
    values = [(lines[index].unit_price * lines[index].qty).paise for index in order]
    shares = dict(zip(order, off.allocate(values), strict=True))
    return [shares[index] for index in range(len(lines))]


def _content(line: PriceLine) -> tuple[str, str, int, int, str, str]:
    return (
        line.sku,
        line.seller_id,
        line.qty,
        line.unit_price.paise,
        line.tax_class,
        line.seller_state,
    )


def _price_line(line: PriceLine, share: Money, place: str, at: datetime) -> PricedLine:
    base, goods = line.mrp * line.qty, line.unit_price * line.qty
    paid = goods - share
    # tax is due on what is paid, and of pieces a paisa apart the dearest sets the rate
    dearest = paid.allocate([1] * line.qty)[0]
    rate = rate_bp(line.tax_class, dearest, at.astimezone(IST).date())
    taxed = tax_apart(paid, rate, supplier_state=line.seller_state, place_of_supply=place)
    return PricedLine(line=line, base=base, mrp_discount=base - goods, coupon=share, taxed=taxed)


def _price_shipping(rule: ShippingRule, goods: Money, place: str, at: datetime) -> TaxedAmount:
    fee = rule.fee_for(goods)
    rate = rate_bp(rule.tax_class, fee, at.astimezone(IST).date())
    return tax_apart(fee, rate, supplier_state=rule.supplier_state, place_of_supply=place)


def _line_json(priced: PricedLine) -> dict[str, Any]:
    line = priced.line
    return {
        "sku": line.sku,
        "title": line.title,
        "qty": line.qty,
        "mrp_paise": line.mrp.paise,
        "unit_price_paise": line.unit_price.paise,
        "base_paise": priced.base.paise,
        "mrp_discount_paise": priced.mrp_discount.paise,
        "coupon_paise": priced.coupon.paise,
        "total_paise": priced.taxed.inclusive.paise,
        **_tax_json(priced.taxed),
        "hsn": line.hsn,
        "seller_id": line.seller_id,
    }


def _tax_json(taxed: TaxedAmount) -> dict[str, int]:
    return {
        "taxable_paise": taxed.taxable.paise,
        "cgst_paise": taxed.cgst.paise,
        "sgst_paise": taxed.sgst.paise,
        "igst_paise": taxed.igst.paise,
        "gst_rate_bp": taxed.rate_bp,
    }
