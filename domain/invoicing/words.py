"""Amounts in words."""

from __future__ import annotations

from domain.money import PAISE_PER_RUPEE, Money

_SMALL = (
    "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten",
    "Eleven", "Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen",
    "Nineteen",
)  # fmt: skip
_TENS = (
    "", "Ten", "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety",
)  # fmt: skip
_SCALES = ((1_00_00_000, "Crore"), (1_00_000, "Lakh"), (1_000, "Thousand"), (100, "Hundred"))


def amount_in_words(amount: Money) -> str:
    """Indian style: 'Rupees One Lakh Two and Fifty Paise Only'; negative: 'Minus Rupees …'."""
    rupees, paise = divmod(abs(amount.paise), PAISE_PER_RUPEE)
    words = f"Rupees {_words(rupees)}" + (f" and {_words(paise)} Paise" if paise else "")
    return f"{'Minus ' if amount.is_negative else ''}{words} Only"


def _words(number: int) -> str:
    for scale, name in _SCALES:
        if number >= scale:
            many, rest = divmod(number, scale)
            return f"{_words(many)} {name}" + (f" {_words(rest)}" if rest else "")
    if number < len(_SMALL):
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
