"""GST: rates that depend on class, price and date, and the split by place of supply.

Prices include tax. A rate holds from its row's day until the next row; a day before the first
row is refused rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from domain.errors import PricingError
from domain.money import BASIS_POINTS, Money, Rounding, divide
from domain.regions import STATES


class TaxClass(StrEnum):
    """What kind of goods a rate is for."""

    ZERO = "ZERO"
    ESSENTIAL = "ESSENTIAL"
    REDUCED = "REDUCED"
    STANDARD = "STANDARD"
    DURABLE = "DURABLE"
    DEMERIT = "DEMERIT"
    APPAREL = "APPAREL"
    FOOTWEAR = "FOOTWEAR"


@dataclass(frozen=True, slots=True)
class Band:
    """A rate in basis points for pieces priced up to and including `up_to` paise; None: all."""

    rate_bp: int
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class RateRow:
    """The bands of a class, cheapest first, from a day on (Indian time) until its next row."""

    since: date
    bands: tuple[Band, ...]


def _flat(since: date, rate_bp: int) -> RateRow:
    return RateRow(since, (Band(rate_bp),))


def _by_price(since: date, up_to_rupees: int, low_bp: int, high_bp: int) -> RateRow:
    return RateRow(since, (Band(low_bp, up_to_rupees * 100), Band(high_bp)))


_FIRST = date(2022, 1, 1)
_REFORM = date(2025, 9, 22)

RATES: Mapping[TaxClass, tuple[RateRow, ...]] = MappingProxyType(
    {
        TaxClass.ZERO: (_flat(_FIRST, 0),),
        TaxClass.ESSENTIAL: (_flat(_FIRST, 500),),
        TaxClass.REDUCED: (_flat(_FIRST, 1200), _flat(_REFORM, 500)),
        TaxClass.STANDARD: (_flat(_FIRST, 1800),),
        TaxClass.DURABLE: (_flat(_FIRST, 2800), _flat(_REFORM, 1800)),
        TaxClass.DEMERIT: (_flat(_FIRST, 2800), _flat(_REFORM, 4000)),
        TaxClass.APPAREL: (
            _by_price(_FIRST, 1000, 500, 1200),
            _by_price(_REFORM, 2500, 500, 1800),
        ),
        TaxClass.FOOTWEAR: (
            _by_price(_FIRST, 1000, 1200, 1800),
            _by_price(_REFORM, 2500, 500, 1800),
        ),
    }
)

# a heading of each class that has its rate, for products whose seller named none
DEFAULT_HSN: Mapping[TaxClass, str] = MappingProxyType(
    {
        TaxClass.ZERO: "4901",  # printed books
        TaxClass.ESSENTIAL: "0902",  # tea
        TaxClass.REDUCED: "7323",  # kitchen utensils of steel
        TaxClass.STANDARD: "8517",  # telephones
        TaxClass.DURABLE: "8415",  # air conditioners
        TaxClass.DEMERIT: "2202",  # aerated drinks
        TaxClass.APPAREL: "6109",  # T-shirts
        TaxClass.FOOTWEAR: "6404",  # shoes with textile uppers
    }
)
SHIPPING_SAC = "996812"  # courier services


def rate_bp(tax_class: TaxClass, unit_price: Money, on: date) -> int:
    """The GST rate in basis points on a day (Indian time).

    `unit_price` is what a piece is sold for, tax included; comparing it with the price limit
    errs towards the higher rate. Raises PricingError NO_GST_RATE before the table begins.
    """
    in_force = [row for row in RATES[tax_class] if row.since <= on]
    if not in_force:
        raise PricingError(
            "NO_GST_RATE",
            f"no GST rate is known for {tax_class} on {on}: the table begins on {_FIRST}",
        )
    bands = in_force[-1].bands
    return next(b.rate_bp for b in bands if b.up_to is None or unit_price.paise <= b.up_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxedAmount:
    """An amount that includes its tax, taken apart: inclusive = taxable + cgst + sgst + igst."""

    inclusive: Money
    taxable: Money
    cgst: Money
    sgst: Money
    igst: Money
    rate_bp: int

    @property
    def tax(self) -> Money:
        """The tax in it, over all heads."""
        return self.inclusive - self.taxable


def taxable_value(inclusive: Money, rate_bp: int) -> Money:
    """The value before tax: inclusive × 10,000 / (10,000 + rate), rounded half up."""
    return inclusive.scaled(BASIS_POINTS, BASIS_POINTS + rate_bp, Rounding.HALF_UP)


def tax_apart(
    inclusive: Money, rate_bp: int, *, supplier_state: str, place_of_supply: str
) -> TaxedAmount:
    """Take the tax out of `inclusive` and split it by place of supply.

    Within a state half is CGST and half SGST, the odd paisa going to SGST; between states all
    is IGST. States are GST codes such as '29'; raises PricingError UNKNOWN_STATE for others.
    """
    _check_state(supplier_state)
    _check_state(place_of_supply)
    taxable = taxable_value(inclusive, rate_bp)
    tax, none = inclusive - taxable, Money.zero(inclusive.currency)
    cgst, sgst, igst = none, none, tax
    if supplier_state == place_of_supply:
        cgst = Money(divide(tax.paise, 2, Rounding.FLOOR), tax.currency)
        sgst, igst = tax - cgst, none
    return TaxedAmount(
        inclusive=inclusive, taxable=taxable, cgst=cgst, sgst=sgst, igst=igst, rate_bp=rate_bp
    )


def _check_state(code: str) -> None:
    if code not in STATES:
        raise PricingError("UNKNOWN_STATE", f"{code!r} is no GST state code, such as 29 or 07")
