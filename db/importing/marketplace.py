"""The public sample of an Indian marketplace's crawl: one row per product.

Whole-rupee prices, the category tree as a JSON list of one ' >> ' path that often ends in the
brand or the product itself, specifications as text of Ruby hashes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

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

COLUMNS: Final = (
    "uniq_id", "crawl_timestamp", "product_url", "product_name", "product_category_tree", "pid",
    "retail_price", "discounted_price", "image", "is_FK_Advantage_product", "description",
    "product_rating", "overall_rating", "brand", "product_specifications",
)  # fmt: skip
MAX_DEPTH: Final = 4

# a quoted text, or the arrow and the nil that JSON does not know
_RUBY = re.compile(r'"(?:[^"\\]|\\.)*"|=>|\bnil\b')


def read(line: int, fields: Fields) -> NewProduct:
    """A product from a row; raises BadValue."""
    title = required(fields, "product_name")[:MAX_TITLE]
    category = _category(fields["product_category_tree"], title)
    mrp, price = prices(fields, "retail_price", "discounted_price")
    pid = required(fields, "pid")
    shelf = rules.shelf_for(category)
    sizes = shelf.sizes or ("",)
    return NewProduct(
        line=line,
        external_id=required(fields, "uniq_id"),
        made_at=_moment(fields["crawl_timestamp"]),
        title=title,
        brand=words(fields["brand"]) or None,
        category=category,
        description=words(fields["description"])[:MAX_DESCRIPTION],
        tax_class=shelf.tax_class,
        hsn=shelf.hsn,
        image_urls=links(_json_list(fields["image"])),
        specifications=specifications(fields["product_specifications"]),
        rating=_rating(fields["overall_rating"]),
        variants=tuple(
            NewVariant(
                sku=f"{pid}-{size.replace(' ', '')}" if size else pid,
                attributes={"size": size} if size else {},
                mrp_paise=mrp,
                price_paise=price,
                grams=rules.grams(shelf, pid),
            )
            for size in sizes
        ),
    )


def specifications(text: str) -> dict[str, Any]:
    """The key-value pairs in the text of a Ruby hash; values without a key are under 'notes'.

    Text that cannot be read gives none: specifications are only shown.
    """
    try:
        listed = orjson.loads(_RUBY.sub(_as_json, text) or "{}")["product_specification"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    pairs: dict[str, Any] = {}
    notes: list[str] = []
    for entry in listed if isinstance(listed, list) else [listed]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("value"), str):
            continue
        if isinstance(entry.get("key"), str):
            pairs[words(entry["key"])] = words(entry["value"])
        else:
            notes.append(words(entry["value"]))
    return {**pairs, "notes": notes} if notes else pairs


def _as_json(match: re.Match[str]) -> str:
    return {"=>": ":", "nil": "null"}.get(match[0], match[0])


def _category(tree: str, title: str) -> tuple[str, ...]:
    """The shop's levels of a path: those before the brand's or the product's own begin."""
    paths = _json_list(tree)
    if not paths or not isinstance(paths[0], str) or not levels(paths[0]):
        raise BadValue(f"product_category_tree is {tree[:60]!r}: it names no category")
    path = levels(paths[0])
    if len(path) == 1 and path[0] not in rules.DEPARTMENTS:
        # a path of one level is mostly the product's own name
        return rules.category_of_title(title)
    maker = title.split()[0].casefold()
    shop = list(path[:1])
    for level in path[1:MAX_DEPTH]:
        if level.split()[0].casefold() == maker:
            break
        shop.append(level)
    return tuple(shop)


def _json_list(text: str) -> list[Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return value if isinstance(value, list) else []


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return EPOCH


def _rating(text: str) -> Decimal | None:
    try:
        rating = Decimal(text.strip())
    except InvalidOperation:
        return None
    return rating.quantize(Decimal("0.1")) if 0 <= rating <= 5 else None
