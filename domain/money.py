"""Money: an integer of paise with its currency, split without loss, rounded by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.errors import CurrencyMismatch, InvalidMoney

__all__ = ["CurrencyMismatch", "InvalidMoney", "Money", "Rounding", "divide", "total"]

INR = "INR"
PAISE_PER_RUPEE = 100
BASIS_POINTS = 10_000
_RUPEES = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,2})0*)?")


class Rounding(StrEnum):
    """How a fraction becomes an integer.

    HALF_UP takes the half away from zero, so that a refund mirrors its charge; FLOOR goes
    towards minus infinity; HALF_EVEN takes the half to the even neighbour.
    """

    HALF_UP = "HALF_UP"
    FLOOR = "FLOOR"
    HALF_EVEN = "HALF_EVEN"


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator` as an integer; raises InvalidMoney unless denominator > 0."""
    if denominator <= 0:
        raise InvalidMoney(f"cannot divide by {denominator}: the denominator must be positive")
    floor, remainder = divmod(numerator, denominator)
    if rounding is Rounding.FLOOR or 2 * remainder < denominator:
        return floor
    if 2 * remainder > denominator:
        return floor + 1
    if rounding is Rounding.HALF_EVEN:
        return floor + floor % 2
    return floor + 1 if numerator > 0 else floor


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (paise), possibly negative, with its ISO 4217 currency."""

    paise: int
    currency: str = INR

    def __post_init__(self) -> None:
        if type(self.paise) is not int:
            raise InvalidMoney(f"{self.paise!r} is not a whole number of paise: pass an int")
        code = self.currency
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise InvalidMoney(f"{code!r} is not a currency: use an ISO 4217 code such as INR")

    @classmethod
    def zero(cls, currency: str = INR) -> Money:
        """Nothing, in `currency`."""
        return cls(0, currency)

    @classmethod
    def from_rupees(cls, rupees: str | int | Decimal) -> Money:
        """Read rupees such as '1,299.50'; raises InvalidMoney on anything else or finer."""
        text = format(rupees, "f") if isinstance(rupees, Decimal) else str(rupees)
        match = _RUPEES.fullmatch(text.strip().replace(",", ""))
        if isinstance(rupees, float) or match is None:
            raise InvalidMoney(f"{rupees!r} is not an amount in rupees and paise, such as 1299.50")
        sign, whole, fraction = match.groups()
        paise = int(whole) * PAISE_PER_RUPEE + int((fraction or "").ljust(2, "0"))
        return cls(-paise if sign else paise)

    @property
    def is_zero(self) -> bool:
        """Whether it is nothing."""
        return self.paise == 0

    @property
    def is_negative(self) -> bool:
        """Whether it is less than nothing."""
        return self.paise < 0

    def __add__(self, other: Money) -> Money:
        return Money(self.paise + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.paise - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.paise, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.paise), self.currency)

    def __mul__(self, factor: int) -> Money:
        if type(factor) is not int:
            raise InvalidMoney(f"money times {factor!r}: multiply by an int, or use percent()")
        return Money(self.paise * factor, self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: Money) -> bool:
        return self.paise < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.paise <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.paise > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.paise >= self._same(other)

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split in proportion to `weights` by largest remainder, losing no paisa.

        Each share is within a paisa of its exact part, and equal remainders favour the earlier
        weight. Raises InvalidMoney unless the weights are ints ≥ 0 with a positive sum.
        """
        if any(type(weight) is not int or weight < 0 for weight in weights) or sum(weights) == 0:
            raise InvalidMoney(f"weights {list(weights)} must be ints ≥ 0 with a positive sum")
        amount, whole = abs(self.paise), sum(weights)
        parts = [divmod(amount * weight, whole) for weight in weights]
        shares = [share for share, _ in parts]
        by_remainder = sorted(range(len(parts)), key=lambda index: (-parts[index][1], index))
        for index in by_remainder[: amount - sum(shares)]:
            shares[index] += 1
        sign = -1 if self.paise < 0 else 1
        return tuple(Money(sign * share, self.currency) for share in shares)

    def percent(self, basis_points: int, rounding: Rounding = Rounding.HALF_UP) -> Money:
        """`basis_points` hundredths of a per cent of it, to the paisa (1,800 is 18 %)."""
        return self.scaled(basis_points, BASIS_POINTS, rounding)

    def scaled(self, numerator: int, denominator: int, rounding: Rounding) -> Money:
        """`numerator / denominator` of it, to the paisa."""
        return Money(divide(self.paise * numerator, denominator, rounding), self.currency)

    def rounded_to_rupee(self) -> Money:
        """The nearest whole rupee, 50 paise up (section 170 of the CGST Act)."""
        rupees = divide(self.paise, PAISE_PER_RUPEE, Rounding.HALF_UP)
        return Money(rupees * PAISE_PER_RUPEE, self.currency)

    def in_rupees(self) -> str:
        """For people, in lakh grouping: '₹ 12,34,567.89'; raises CurrencyMismatch unless INR."""
        if self.currency != INR:
            raise CurrencyMismatch(self.currency, INR)
        rupees, paise = divmod(abs(self.paise), PAISE_PER_RUPEE)
        sign = "-" if self.is_negative else ""
        return f"{sign}₹ {_lakh_grouping(rupees)}.{paise:02d}"

    def __str__(self) -> str:
        if self.currency == INR:
            return self.in_rupees()
        major, minor = divmod(abs(self.paise), PAISE_PER_RUPEE)
        return f"{'-' if self.is_negative else ''}{self.currency} {major:,}.{minor:02d}"

    def _same(self, other: Money) -> int:
        """The other amount's paise, once its currency is known to be ours."""
        if not isinstance(other, Money):
            raise InvalidMoney(f"{other!r} is not money: wrap it as Money(paise)")
        if other.currency != self.currency:
            raise CurrencyMismatch(self.currency, other.currency)
        return other.paise


def total(amounts: Iterable[Money], currency: str = INR) -> Money:
    """Their sum, which is nothing of `currency` when there are none."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result


def _lakh_grouping(rupees: int) -> str:
    """Digits in the Indian grouping: the last three, then pairs."""
    head, tail = str(rupees)[:-3], str(rupees)[-3:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return ",".join([*pairs, tail])
