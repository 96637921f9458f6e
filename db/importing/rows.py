"""What the readers of all formats hand over, row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

# ids of things that have no time of their own begin here
EPOCH: Final = datetime(2016, 1, 1, tzinfo=UTC)
MAX_PAISE: Final = 1_00_00_000_00  # one crore rupees
MAX_TITLE: Final = 300
MAX_DESCRIPTION: Final = 5_000

_SPACE = re.compile(r"\s+")


class BadValue(ValueError):
    """A row cannot be imported; the text says which value is wrong and what it should be."""


class UnknownFormat(ValueError):
    """The file is no product file that we can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVariant:
    """One buyable form; prices in paise, `stock` None lets the importer choose."""

    sku: str
    attributes: Mapping[str, str]
    mrp_paise: int
    price_paise: int
    grams: int
    stock: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """A product of a file, with one or more of its variants; `line` is where its row begins."""

    line: int
    external_id: str
    made_at: datetime
    title: str
    brand: str | None
    category: tuple[str, ...]
    description: str
    tax_class: str
    hsn: str
    image_urls: Sequence[str]
    specifications: Mapping[str, Any]
    rating: Decimal | None
    variants: tuple[NewVariant, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: the physical line on which it begins, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What an import did; rows of the file, and rows of each table that are new or changed."""

    rows: int = 0
    added: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)

    def count(self, table: str, *, added: int, changed: int = 0) -> None:
        """Add to what is known of a table."""
        self.added[table] = self.added.get(table, 0) + added
        self.changed[table] = self.changed.get(table, 0) + changed


Fields = Mapping[str, str]
RowReader = Callable[[int, Fields], NewProduct]


def words(text: str) -> str:
    """`text` in one line, with single spaces."""
    return _SPACE.sub(" ", text).strip()


def required(fields: Fields, name: str) -> str:
    """A column that must not be empty, in one line; raises BadValue."""
    value = words(fields[name])
    if not value:
        raise BadValue(f"{name} is empty")
    return value


def rupees(fields: Fields, name: str) -> int:
    """A price in rupees, such as 379 or 1,299.50, in paise; raises BadValue."""
    value = required(fields, name)
    try:
        paise = Decimal(value.removeprefix("₹").replace(",", "").strip()) * 100
    except InvalidOperation:
        raise BadValue(f"{name} is {value!r}: write rupees, such as 379 or 1299.50") from None
    if not paise.is_finite() or not 0 < paise <= MAX_PAISE or paise != int(paise):
        raise BadValue(f"{name} is {value!r}: a price is ₹ 0.01 to ₹ 1 crore, in whole paise")
    return int(paise)


def prices(fields: Fields, mrp: str, price: str) -> tuple[int, int]:
    """MRP and price in paise; raises BadValue, also when the price is above the MRP."""
    most, asked = rupees(fields, mrp), rupees(fields, price)
    if asked > most:
        raise BadValue(f"{price} {fields[price].strip()} is above {mrp} {fields[mrp].strip()}")
    return most, asked


def levels(path: str) -> tuple[str, ...]:
    """The levels of a category path such as 'Clothing >> Women'; empty ones are dropped."""
    return tuple(level for part in path.split(">>") if (level := words(part)))


def links(urls: Sequence[Any]) -> list[str]:
    """The web addresses among `urls`, each once."""
    web = (
        u.strip() for u in urls if isinstance(u, str) and u.strip().startswith(("http:", "https:"))
    )
    return list(dict.fromkeys(web))
