"""Numbers and days of GST documents: consecutive in a financial year, at most 16 characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from domain.errors import DomainError
from domain.pricing import IST

# Rule 46(b): at most 16 characters, of letters, digits, dash and slash
MAX_NUMBER = 16
PREFIX = re.compile(r"[A-Z0-9-]{1,5}")


@dataclass(frozen=True, slots=True, order=True)
class FinancialYear:
    """From 1 April of `start` to 31 March of the next year, by the calendar in India."""

    start: int

    @classmethod
    def of(cls, at: datetime) -> FinancialYear:
        """The year that a moment (aware) lies in."""
        day = day_of(at)
        return cls(day.year if day.month >= 4 else day.year - 1)

    @property
    def code(self) -> str:
        """As numbers carry it: '2627'."""
        return f"{self.start % 100:02d}{(self.start + 1) % 100:02d}"

    def __str__(self) -> str:
        return f"{self.start}-{(self.start + 1) % 100:02d}"


def day_of(at: datetime) -> date:
    """The day in India at a moment; raises DomainError TIME_NOT_AWARE."""
    if at.utcoffset() is None:
        raise DomainError("TIME_NOT_AWARE", f"{at} has no time zone: pass an aware datetime")
    return at.astimezone(IST).date()


def document_number(prefix: str, year: FinancialYear, seq: int) -> str:
    """`<prefix>/<year>/<seq>`, such as 'INV/2627/000042'.

    Raises DomainError PREFIX_INVALID, or SERIES_FULL once 16 characters do not hold it.
    """
    if not PREFIX.fullmatch(prefix):
        raise DomainError(
            "PREFIX_INVALID", f"{prefix!r} is no prefix: use 1 to 5 of A-Z, 0-9 and '-'"
        )
    number = f"{prefix}/{year.code}/"
    digits = MAX_NUMBER - len(number)
    if seq < 1 or len(str(seq)) > digits:
        raise DomainError(
            "SERIES_FULL",
            f"number {seq} does not fit {number} with {digits} digits: give a shorter prefix",
        )
    return number + str(seq).zfill(min(6, digits))
