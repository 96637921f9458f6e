"""The catalogue as customers read it, and as checkout prices from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.paging import Page, bounded, decode, page_of
from db.sql import fetch, fetch_one, sql
from domain.gst import TaxClass
from domain.money import Money
from domain.pincode import distance_rank
from domain.pricing import Coupon, CouponKind

SEPARATOR = " >> "


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRecord:
    """A node of the tree; `products` counts those on show in it and below it."""

    id: str
    parent_id: str | None
    name: str
    path: str
    depth: int
    products: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCard:
    """A product as lists show it: its cheapest listing's price, that variant's MRP (paise)."""

    id: str
    title: str
    brand: str | None
    category: str
    image_url: str | None
    rating: Decimal | None
    sku: str
    price_paise: int
    mrp_paise: int
    in_stock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRecord:
    """One seller's price for a variant, in paise."""

    id: str
    seller_id: str
    seller: str
    price_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecord:
    """A buyable form of a product, its listings cheapest first.

    `available` counts free units everywhere; `nearest_warehouse` is the code of the one with
    stock that is nearest to the PIN code asked for.
    """

    sku: str
    attributes: dict[str, Any]
    mrp_paise: int
    grams: int
    listings: tuple[ListingRecord, ...]
    available: int
    nearest_warehouse: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """A product with everything that its page shows."""

    id: str
    title: str
    brand: str | None
    category: str
    description: str
    tax_class: str
    hsn: str
    image_urls: list[str]
    specifications: dict[str, Any]
    rating: Decimal | None
    variants: tuple[VariantRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleLine:
    """A listing on show, with what checkout prices it by. Amounts in paise."""

    sku: str
    title: str
    listing_id: str
    seller_id: str
    seller_state: str
    price_paise: int
    mrp_paise: int
    tax_class: TaxClass
    hsn: str


_CATEGORIES = sql("SELECT id, parent_id, name, path, depth FROM categories ORDER BY path")
_PER_CATEGORY = sql(
    """
    SELECT category_id, count(*) AS products FROM products WHERE status = 'ACTIVE'
    GROUP BY category_id
    """
)
_SEARCH = """
    SELECT p.id, p.title, p.brand, c.path AS category, p.image_urls ->> 0 AS image_url, p.rating,
           best.sku, best.price_paise, best.mrp_paise,
           EXISTS (SELECT FROM variants AS v JOIN stock_levels AS s ON s.sku = v.sku
                   WHERE v.product_id = p.id AND s.on_hand > 0) AS in_stock
    FROM products AS p
    JOIN categories AS c ON c.id = p.category_id
    JOIN LATERAL (
        SELECT v.sku, l.price_paise, v.mrp_paise
        FROM variants AS v JOIN listings AS l ON l.sku = v.sku
        WHERE v.product_id = p.id AND l.status = 'ACTIVE'
        ORDER BY l.price_paise, v.sku LIMIT 1
    ) AS best ON true
    WHERE p.status = 'ACTIVE' AND {where}
    ORDER BY p.id LIMIT :limit
"""
_CONDITIONS = {
    "category": "(c.path = :category OR c.path LIKE :below)",
    "text": "(p.title ILIKE :text OR p.brand ILIKE :text)",
    "after": "p.id > :after",
}
_PRODUCT = sql(
    """
    SELECT p.id, p.title, p.brand, c.path AS category, p.description, p.tax_class, p.hsn,
           p.image_urls, p.specifications, p.rating
    FROM products AS p JOIN categories AS c ON c.id = p.category_id
    WHERE p.id = :id AND p.status = 'ACTIVE'
    """,
    json=("image_urls", "specifications"),
)
_VARIANTS = sql(
    """
    SELECT sku, attributes, mrp_paise, grams FROM variants WHERE product_id = :id ORDER BY sku
    """,
    json=("attributes",),
)
_LISTINGS = sql(
    """
    SELECT v.sku, l.id, l.seller_id, s.display_name AS seller, l.price_paise
    FROM variants AS v JOIN listings AS l ON l.sku = v.sku JOIN sellers AS s ON s.id = l.seller_id
    WHERE v.product_id = :id AND l.status = 'ACTIVE' ORDER BY l.price_paise, l.id
    """
)
_SHELVES = sql(
    """
    SELECT v.sku, w.code, w.pincode, s.on_hand
    FROM variants AS v JOIN stock_levels AS s ON s.sku = v.sku
    JOIN warehouses AS w ON w.id = s.warehouse_id
    WHERE v.product_id = :id AND s.on_hand > 0 ORDER BY w.code
    """
)
_FOR_SALE = sql(
    """
    SELECT l.sku, p.title, l.id AS listing_id, l.seller_id, s.state_code AS seller_state,
           l.price_paise, v.mrp_paise, p.tax_class, p.hsn
    FROM listings AS l JOIN variants AS v ON v.sku = l.sku
    JOIN products AS p ON p.id = v.product_id JOIN sellers AS s ON s.id = l.seller_id
    WHERE l.sku = ANY(CAST(:skus AS text[])) AND l.status = 'ACTIVE' AND p.status = 'ACTIVE'
    ORDER BY l.sku, l.price_paise, l.id
    """
)
_COUPON = sql(
    """
    SELECT code, kind, value, min_order_paise, max_discount_paise, active_from, active_to
    FROM offers WHERE code = upper(:code) AND status = 'ACTIVE'
    """
)


async def categories(session: AsyncSession) -> tuple[CategoryRecord, ...]:
    """The whole tree, every node after its parent."""
    own = {row["category_id"]: row["products"] for row in await fetch(session, _PER_CATEGORY)}
    rows = sorted(await fetch(session, _CATEGORIES), key=lambda row: row["path"].split(SEPARATOR))
    total: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: -row["depth"]):
        total[row["id"]] += own.get(row["id"], 0)
        if row["parent_id"] is not None:
            total[row["parent_id"]] += total[row["id"]]
    return tuple(CategoryRecord(**row, products=total[row["id"]]) for row in rows)


async def search(
    session: AsyncSession,
    *,
    category: str | None = None,
    text: str | None = None,
    after: str | None = None,
    limit: int = 24,
) -> Page[ProductCard]:
    """Products on show in a category (its path) and below it, whose title or brand has `text`."""
    limit = bounded(limit)
    values: dict[str, Any] = {}
    if category:
        values["category"] = category
        values["below"] = _like(category) + SEPARATOR + "%"
    if text:
        values["text"] = f"%{_like(text)}%"
    if after is not None:
        (values["after"],) = decode(after, 1)
    where = " AND ".join(text for name, text in _CONDITIONS.items() if name in values) or "true"
    statement = sql(_SEARCH.format(where=where))
    rows = await fetch(session, statement, **values, limit=limit + 1)
    return page_of([ProductCard(**row) for row in rows], limit, lambda card: (card.id,))


async def product(
    session: AsyncSession, product_id: str, *, pincode: str | None = None
) -> ProductRecord:
    """A product on show; raises NotFound, and InvalidPincode for a wrong `pincode`."""
    row = await fetch_one(session, _PRODUCT, id=product_id)
    if row is None:
        raise NotFound("product", product_id)
    listings = await fetch(session, _LISTINGS, id=product_id)
    shelves = await fetch(session, _SHELVES, id=product_id)
    variants = tuple(
        VariantRecord(
            **variant,
            listings=tuple(_listing(row) for row in listings if row["sku"] == variant["sku"]),
            **_availability([row for row in shelves if row["sku"] == variant["sku"]], pincode),
        )
        for variant in await fetch(session, _VARIANTS, id=product_id)
    )
    return ProductRecord(**row, variants=variants)


async def for_sale(session: AsyncSession, skus: Sequence[str]) -> tuple[SaleLine, ...]:
    """Every listing on show of these SKUs, by SKU and then cheapest first."""
    rows = await fetch(session, _FOR_SALE, skus=list(skus))
    return tuple(SaleLine(**{**row, "tax_class": TaxClass(row["tax_class"])}) for row in rows)


async def coupon(session: AsyncSession, code: str) -> Coupon | None:
    """The coupon with a code, in any case; whether it applies is the coupon's own business."""
    row = await fetch_one(session, _COUPON, code=code)
    if row is None:
        return None
    most = row["max_discount_paise"]
    return Coupon(
        code=row["code"],
        kind=CouponKind(row["kind"]),
        value=row["value"],
        min_order=Money(row["min_order_paise"]),
        max_discount=None if most is None else Money(most),
        active_from=row["active_from"],
        active_to=row["active_to"],
    )


def _like(text: str) -> str:
    """`text` as it stands, inside a LIKE pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _listing(row: RowMapping) -> ListingRecord:
    return ListingRecord(
        id=row["id"],
        seller_id=row["seller_id"],
        seller=row["seller"],
        price_paise=row["price_paise"],
    )


def _availability(shelves: Sequence[RowMapping], pincode: str | None) -> dict[str, Any]:
    nearest = None
    if pincode is not None:
        ranked = [(distance_rank(row["pincode"], pincode), row["code"]) for row in shelves]
        nearest = min(ranked)[1] if ranked else None
    return {"available": sum(row["on_hand"] for row in shelves), "nearest_warehouse": nearest}
