"""Reading a product file as a stream: its format from its header, its rows with their lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from db.importing import marketplace, own
from db.importing.rows import BadRow, BadValue, Fields, NewProduct, RowReader, UnknownFormat

if TYPE_CHECKING:
    from _csv import Reader

_FORMATS: Final[Mapping[tuple[str, ...], Callable[[], RowReader]]] = {
    marketplace.COLUMNS: lambda: marketplace.read,
    own.COLUMNS: own.Reader,
}
# a description is long, but not this long: an unclosed quote would swallow the file
_LONGEST_FIELD: Final = 1_000_000


class ProductFile:
    """A product file, read once from its beginning; `read_bytes` tells how far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.read_bytes = 0

    def __iter__(self) -> Iterator[NewProduct | BadRow]:
        """Every row as a product, or why it is none. Raises UnknownFormat, OSError."""
        csv.field_size_limit(_LONGEST_FIELD)
        with self.path.open("rb") as file:
            rows = csv.reader(self._lines(file))
            columns = self._header(next(rows, []))
            yield from self._products(rows, columns, _FORMATS[columns]())

    def _products(
        self, rows: Reader, columns: tuple[str, ...], read: RowReader
    ) -> Iterator[NewProduct | BadRow]:
        lines: dict[str, int] = {}
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows)
                product = read(line, _fields(row, columns))
                _once(product, lines)
            except StopIteration:
                return
            except BadValue as error:
                yield BadRow(line, str(error))
            except csv.Error as error:
                yield BadRow(line, f"the row cannot be read, perhaps for an open quote: {error}")
            else:
                yield product

    def _lines(self, file: IO[bytes]) -> Iterator[str]:
        for number, line in enumerate(file):
            self.read_bytes += len(line)
            # what is not UTF-8 is kept as surrogates, so that its row can be named
            text = line.decode("utf-8", "surrogateescape")
            yield text.removeprefix("\ufeff") if number == 0 else text

    def _header(self, row: list[str]) -> tuple[str, ...]:
        columns = tuple(name.strip() for name in row)
        if columns in _FORMATS:
            return columns
        found = ", ".join(columns[:4]) or "nothing"
        raise UnknownFormat(
            f"{self.path} begins with the columns {found!r}…, which is no product file: "
            "docs/catalogue-format.md has the formats"
        )


def _fields(row: list[str], columns: tuple[str, ...]) -> Fields:
    if not any(value.strip() for value in row):
        raise BadValue("the row is blank")
    if len(row) != len(columns):
        raise BadValue(f"the row has {len(row)} columns, the header {len(columns)}")
    text = "".join(row)
    if "\0" in text:
        raise BadValue("the row has a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadValue("the row is not UTF-8 text")
    return dict(zip(columns, row, strict=True))


def _once(product: NewProduct, lines: dict[str, int]) -> None:
    """Refuse a SKU that an earlier row had."""
    for variant in product.variants:
        first = lines.setdefault(variant.sku, product.line)
        if first != product.line:
            raise BadValue(f"SKU {variant.sku} is on line {first} too")
