"""A settlement report as a CSV file, for providers that have no API to ask, and for carriers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final, TypeVar

from domain.errors import DomainError
from domain.money import INR, Money
from domain.pricing import IST
from domain.settlements import LineKind, SettlementLine

T = TypeVar("T")

REQUIRED: Final = ("line_id", "kind", "gross", "fee", "tax", "net", "settled_on")
OPTIONAL: Final = (
    "payment_ref",
    "merchant_ref",
    "return_ref",
    "return_key",
    "occurred_at",
    "settlement_id",
    "utr",
    "on_hold",
)
LONGEST: Final = 200
_YES_NO: Final = {"": False, "no": False, "yes": True}


class BadSettlementFile(DomainError):
    """A file that is no settlement report of ours; the message says which columns it must have."""

    def __init__(self, message: str) -> None:
        super().__init__("BAD_SETTLEMENT_FILE", message)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no settlement line: the physical line on which it begins, and why."""

    line: int
    reason: str


def read_settlements(
    provider: str, text: Iterable[str]
) -> tuple[tuple[SettlementLine, ...], tuple[BadRow, ...]]:
    """The lines of a file, and the rows that are none; raises BadSettlementFile.

    A row that is there twice counts once; two rows of one id that differ are refused.
    """
    found: dict[str, tuple[int, SettlementLine]] = {}
    bad: list[BadRow] = []
    for number, row in _rows(text):
        if isinstance(row, str):
            bad.append(BadRow(number, row))
            continue
        try:
            line = _line(provider, row)
        except (DomainError, ValueError) as error:
            bad.append(BadRow(number, str(error)))
            continue
        first, earlier = found.setdefault(line.line_id, (number, line))
        if earlier != line:
            reason = f"line_id {line.line_id!r} is on line {first} too, with other values"
            bad.append(BadRow(number, reason))
    return tuple(line for _, line in found.values()), tuple(bad)


def _rows(text: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str] | str]]:
    """Each row with the line it begins on, by column; or what keeps it from being one."""
    reader = csv.reader(text, strict=True)
    try:
        columns = _columns(next(reader, []))
    except csv.Error as error:
        raise BadSettlementFile(f"the header cannot be read: {error}") from error
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"the row cannot be read, perhaps for an open quote: {error}"
            continue
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(columns):
            yield number, f"the row has {len(values)} columns, the header {len(columns)}"
            continue
        yield number, {name: value.strip() for name, value in zip(columns, values, strict=True)}


def _columns(header: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(name.removeprefix("\ufeff").strip() for name in header)
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise BadSettlementFile(f"the header has no {', '.join(missing)}")
    unknown = [name for name in columns if name not in (*REQUIRED, *OPTIONAL)]
    if unknown:
        raise BadSettlementFile(
            f"the header has {', '.join(map(repr, unknown))}; known are "
            f"{', '.join((*REQUIRED, *OPTIONAL))}"
        )
    if len(set(columns)) < len(columns):
        raise BadSettlementFile("the header has a column twice")
    return columns


def _line(provider: str, row: Mapping[str, str]) -> SettlementLine:
    for name, value in row.items():
        if len(value) > LONGEST or not value.isprintable():
            raise ValueError(f"{name} is over {LONGEST} characters, or has some that do not print")
    kind = row["kind"].upper()
    if kind not in LineKind.__members__:
        raise ValueError(f"kind is {row['kind']!r}: write one of {', '.join(LineKind)}")
    named = [row.get(name, "") for name in OPTIONAL[:4]]
    if kind != LineKind.ADJUSTMENT and not any(named):
        raise ValueError(f"a {kind} needs payment_ref or merchant_ref to say whose it is")
    settled_on = _read("settled_on", row, date.fromisoformat, "a day such as 2026-11-22")
    on_hold = row.get("on_hold", "").lower()
    if on_hold not in _YES_NO:
        raise ValueError(f"on_hold is {on_hold!r}: write yes or no")
    return SettlementLine(
        provider=provider,
        line_id=row["line_id"],
        kind=LineKind(kind),
        gross=_rupees("gross", row),
        fee=_rupees("fee", row),
        tax=_rupees("tax", row),
        net=_rupees("net", row),
        occurred_at=_occurred(row, settled_on),
        settled_on=settled_on,
        payment_ref=row.get("payment_ref", ""),
        merchant_ref=row.get("merchant_ref", ""),
        return_ref=row.get("return_ref", ""),
        return_key=row.get("return_key", ""),
        settlement_id=row.get("settlement_id", ""),
        utr=row.get("utr", ""),
        on_hold=_YES_NO[on_hold],
    )


def _occurred(row: Mapping[str, str], settled_on: date) -> datetime:
    if not row.get("occurred_at"):
        return datetime.combine(settled_on, time(), IST)
    said = _read(
        "occurred_at", row, datetime.fromisoformat, "a time such as 2026-11-22T10:30+05:30"
    )
    # without a zone a report's clock is India's
    return said if said.tzinfo else said.replace(tzinfo=IST)


def _rupees(name: str, row: Mapping[str, str]) -> Money:
    try:
        return Money.from_rupees(row[name])
    except DomainError as error:
        raise ValueError(f"{name} is {row[name]!r}: write {INR} such as 1299.50 or -20") from error


def _read(name: str, row: Mapping[str, str], read: Callable[[str], T], wanted: str) -> T:
    try:
        return read(row[name])
    except ValueError as error:
        raise ValueError(f"{name} is {row[name]!r}: write {wanted}") from error
