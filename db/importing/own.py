"""Our own format, one row per variant: `docs/catalogue-format.md` describes it."""

from __future__ import annotations

from typing import Final

from db.importing import rules
from db.importing.rows import (
    EPOCH,
    MAX_DESCRIPTION,
    MAX_TITLE,
    BadValue,
    Fields,
    NewProduct,
    NewVariant,
    levels,
    links,
    prices,
    required,
    words,
)
from domain.gst import TaxClass

COLUMNS: Final = (
    "product_id", "title", "brand", "category", "description", "tax_class", "hsn", "image_urls",
    "sku", "size", "colour", "mrp", "price", "grams", "stock",
)  # fmt: skip
# these may be left empty where the row above is of the same product
_PRODUCT: Final = COLUMNS[1:8]
MAX_GRAMS: Final = 200_000
MAX_STOCK: Final = 100_000


class Reader:
    """Reads rows in file order: a row may leave to the one above what both would say."""

    def __init__(self) -> None:
        self._above: Fields = {}
        self._first_lines: dict[str, int] = {}

    def __call__(self, line: int, fields: Fields) -> NewProduct:
        """A product with the row's variant; raises BadValue."""
        fields = self._filled(line, fields)
        category = levels(required(fields, "category"))
        if not category:
            raise BadValue("category is only '>>': write levels, such as Clothing >> Women")
        shelf = rules.shelf_for(category)
        mrp, price = prices(fields, "mrp", "price")
        sku = required(fields, "sku")
        return NewProduct(
            line=line,
            external_id=required(fields, "product_id"),
            made_at=EPOCH,
            title=required(fields, "title")[:MAX_TITLE],
            brand=words(fields["brand"]) or None,
            category=category,
            description=words(fields["description"])[:MAX_DESCRIPTION],
            tax_class=_tax_class(fields["tax_class"]) or shelf.tax_class,
            hsn=_hsn(fields["hsn"]) or shelf.hsn,
            image_urls=links(fields["image_urls"].split()),
            specifications={},
            rating=None,
            variants=(
                NewVariant(
                    sku=sku,
                    attributes={
                        n: words(fields[n]) for n in ("size", "colour") if fields[n].strip()
                    },
                    mrp_paise=mrp,
                    price_paise=price,
                    grams=_whole(fields, "grams", 1, MAX_GRAMS) or rules.grams(shelf, sku),
                    stock=_whole(fields, "stock", 0, MAX_STOCK),
                ),
            ),
        )

    def _filled(self, line: int, fields: Fields) -> Fields:
        product = required(fields, "product_id")
        if product == self._above.get("product_id"):
            for name in _PRODUCT:
                if fields[name].strip() not in ("", self._above[name].strip()):
                    raise BadValue(f"{name} differs from the row above, of the same product")
            fields = {**fields, **{name: self._above[name] for name in _PRODUCT}}
        elif product in self._first_lines:
            first = self._first_lines[product]
            raise BadValue(f"product {product} is on line {first} too: keep its rows together")
        self._first_lines.setdefault(product, line)
        self._above = {**fields, "product_id": product}
        return fields


def _tax_class(text: str) -> str | None:
    name = text.strip().upper()
    if name and name not in TaxClass.__members__:
        raise BadValue(f"tax_class is {text!r}: it is one of {', '.join(TaxClass.__members__)}")
    return name or None


def _hsn(text: str) -> str | None:
    code = text.strip()
    if code and not (code.isascii() and code.isdigit() and len(code) in (4, 6, 8)):
        raise BadValue(f"hsn is {text!r}: it has 4, 6 or 8 digits")
    return code or None


def _whole(fields: Fields, name: str, least: int, most: int) -> int | None:
    text = fields[name].strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise BadValue(f"{name} is {text!r}: it is a whole number from {least} to {most}")
    return int(text)
