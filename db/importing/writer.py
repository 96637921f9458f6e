"""Writing products in bulk: one transaction and a handful of statements per batch.

Every row has an id or key made from what it is, so that a second import finds it. The file is
right about products, prices and weights; stock is received once and then only sold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from db.ids import stable_ulid
from db.importing import rules
from db.importing.rows import EPOCH, BadRow, ImportReport, NewProduct, NewVariant
from db.sql import dumps, execute, fetch, sql
from domain.pincode import state_code_for

# any number will do, as long as nobody else's advisory lock has it
_LOCK: Final = 7_205_759_404

_Rows = list[dict[str, Any]]


def _bulk(statement: str, columns: str) -> TextClause:
    """A statement over `given`: the JSON rows bound as `:rows`, with these columns."""
    source = f"SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g ({columns})"  # noqa: S608
    return sql(f"WITH given AS ({source}) {statement}")


_SERIAL = sql("SELECT pg_advisory_xact_lock(:lock)")
_SELLERS = _bulk(
    """
    INSERT INTO sellers (id, legal_name, display_name, gstin, state_code, pincode)
    SELECT id, legal_name, display_name, gstin, state_code, pincode FROM given
    ON CONFLICT DO NOTHING
    """,
    "id text, legal_name text, display_name text, gstin text, state_code text, pincode text",
)
_WAREHOUSES = _bulk(
    """
    INSERT INTO warehouses (id, code, name, pincode, state_code)
    SELECT id, code, name, pincode, state_code FROM given ON CONFLICT DO NOTHING
    """,
    "id text, code text, name text, pincode text, state_code text",
)
_CATEGORIES = _bulk(
    """
    INSERT INTO categories (id, parent_id, name, path, depth)
    SELECT given.id, parent.id, given.name, given.path, given.depth
    FROM given LEFT JOIN categories AS parent ON parent.path = given.parent
    ON CONFLICT (path) DO NOTHING
    """,
    "id text, parent text, name text, path text, depth int",
)
_PRODUCTS = _bulk(
    """
    INSERT INTO products AS p (id, external_id, seller_id, category_id, title, brand, description,
                               tax_class, hsn, image_urls, specifications, rating)
    SELECT g.id, external_id, seller_id, c.id, title, brand, description, tax_class, hsn,
           image_urls, specifications, rating
    FROM given AS g JOIN categories AS c ON c.path = g.category
    ON CONFLICT (external_id) DO UPDATE
    SET category_id = excluded.category_id, title = excluded.title, brand = excluded.brand,
        description = excluded.description, tax_class = excluded.tax_class, hsn = excluded.hsn,
        image_urls = excluded.image_urls, specifications = excluded.specifications,
        rating = excluded.rating, updated_at = now()
    WHERE (p.category_id, p.title, p.brand, p.description, p.tax_class, p.hsn, p.image_urls,
           p.specifications, p.rating)
        IS DISTINCT FROM (excluded.category_id, excluded.title, excluded.brand,
           excluded.description, excluded.tax_class, excluded.hsn, excluded.image_urls,
           excluded.specifications, excluded.rating)
    RETURNING old.id IS NULL AS added
    """,
    "id text, external_id text, seller_id text, category text, title text, brand text, "
    "description text, tax_class text, hsn text, image_urls jsonb, specifications jsonb, "
    "rating numeric(2, 1)",
)
_VARIANTS = _bulk(
    """
    INSERT INTO variants AS v (sku, product_id, attributes, mrp_paise, grams)
    SELECT sku, p.id, attributes, mrp_paise, grams
    FROM given JOIN products AS p ON p.external_id = given.product
    ON CONFLICT (sku) DO UPDATE
    SET attributes = excluded.attributes, mrp_paise = excluded.mrp_paise, grams = excluded.grams
    WHERE (v.attributes, v.mrp_paise, v.grams)
        IS DISTINCT FROM (excluded.attributes, excluded.mrp_paise, excluded.grams)
    RETURNING old.sku IS NULL AS added
    """,
    "sku text, product text, attributes jsonb, mrp_paise bigint, grams int",
)
_LISTINGS = _bulk(
    """
    INSERT INTO listings AS l (id, sku, seller_id, price_paise)
    SELECT id, sku, seller_id, price_paise FROM given
    ON CONFLICT (sku, seller_id) DO UPDATE
    SET price_paise = excluded.price_paise, updated_at = now()
    WHERE l.price_paise <> excluded.price_paise
    RETURNING old.id IS NULL AS added
    """,
    "id text, sku text, seller_id text, price_paise bigint",
)
_RECEIVE = _bulk(
    """
    INSERT INTO stock_entries (entry_key, sku, warehouse_id, kind, on_hand_delta)
    SELECT entry_key, sku, warehouse_id, 'RECEIVE', qty FROM given
    ORDER BY sku, warehouse_id
    ON CONFLICT (entry_key) DO NOTHING RETURNING true AS added
    """,
    "entry_key text, sku text, warehouse_id text, qty bigint",
)
_OWNERS = sql(
    """
    SELECT v.sku, p.external_id FROM variants AS v JOIN products AS p ON p.id = v.product_id
    WHERE v.sku = ANY(CAST(:skus AS text[]))
    """
)


def seller_id(seller: rules.SellerRow) -> str:
    """The id of one of our sellers."""
    return stable_ulid(EPOCH, "seller", seller.key)


def warehouse_id(code: str) -> str:
    """The id of one of our warehouses."""
    return stable_ulid(EPOCH, "warehouse", code)


async def prepare(session: AsyncSession) -> None:
    """Make the sellers and warehouses that products need."""
    sellers = [
        {
            "id": seller_id(s),
            "legal_name": s.legal_name,
            "display_name": s.display_name,
            "gstin": s.gstin,
            "state_code": s.gstin[:2],
            "pincode": s.pincode,
        }
        for s in rules.SELLERS
    ]
    warehouses = [
        {
            "id": warehouse_id(w.code),
            "code": w.code,
            "name": w.name,
            "pincode": w.pincode,
            "state_code": state_code_for(w.pincode),
        }
        for w in rules.WAREHOUSES
    ]
    await execute(session, _SELLERS, rows=dumps(sellers))
    await execute(session, _WAREHOUSES, rows=dumps(warehouses))


async def write(session: AsyncSession, batch: Sequence[NewProduct], report: ImportReport) -> None:
    """Write a batch, and what it did into `report`; rows whose SKU is another product's are bad."""
    # two imports side by side take turns: they would wait on each other's rows crosswise
    await execute(session, _SERIAL, lock=_LOCK)
    products = await _ours(session, batch, report)
    await _categories(session, products, report)
    newest = {product.external_id: product for product in products}
    await _tell(session, _PRODUCTS, [_product(p) for p in newest.values()], "products", report)
    sold = [(product, variant) for product in products for variant in product.variants]
    await _tell(session, _VARIANTS, [_variant(*pair) for pair in sold], "variants", report)
    await _tell(session, _LISTINGS, list(_listings(sold)), "listings", report)
    await _tell(session, _RECEIVE, list(_receipts(sold)), "stock entries", report)


async def _ours(
    session: AsyncSession, batch: Sequence[NewProduct], report: ImportReport
) -> list[NewProduct]:
    skus = [variant.sku for product in batch for variant in product.variants]
    owners = {row["sku"]: row["external_id"] for row in await fetch(session, _OWNERS, skus=skus)}
    ours = []
    for product in batch:
        foreign = [
            variant.sku
            for variant in product.variants
            if owners.get(variant.sku, product.external_id) != product.external_id
        ]
        if foreign:
            report.bad.append(BadRow(product.line, f"SKU {foreign[0]} belongs to another product"))
        else:
            ours.append(product)
    return ours


async def _categories(
    session: AsyncSession, products: Sequence[NewProduct], report: ImportReport
) -> None:
    paths = {p.category[:depth] for p in products for depth in range(1, len(p.category) + 1)}
    for depth in sorted({len(path) for path in paths}):
        rows = [
            {
                "id": stable_ulid(EPOCH, "category", *path),
                "parent": " >> ".join(path[:-1]),
                "name": path[-1],
                "path": " >> ".join(path),
                "depth": depth,
            }
            for path in sorted(paths)
            if len(path) == depth
        ]
        report.count("categories", added=await execute(session, _CATEGORIES, rows=dumps(rows)))


async def _tell(
    session: AsyncSession, statement: TextClause, rows: _Rows, table: str, report: ImportReport
) -> None:
    answers = await fetch(session, statement, rows=dumps(rows)) if rows else []
    added = sum(row["added"] for row in answers)
    report.count(table, added=added, changed=len(answers) - added)


def _product(product: NewProduct) -> dict[str, Any]:
    return {
        "id": stable_ulid(product.made_at, "product", product.external_id),
        "external_id": product.external_id,
        "seller_id": seller_id(rules.sellers_of(product.external_id)[0]),
        "category": " >> ".join(product.category),
        "title": product.title,
        "brand": product.brand,
        "description": product.description,
        "tax_class": product.tax_class,
        "hsn": product.hsn,
        "image_urls": list(product.image_urls),
        "specifications": dict(product.specifications),
        "rating": None if product.rating is None else str(product.rating),
    }


def _variant(product: NewProduct, variant: NewVariant) -> dict[str, Any]:
    return {
        "sku": variant.sku,
        "product": product.external_id,
        "attributes": dict(variant.attributes),
        "mrp_paise": variant.mrp_paise,
        "grams": variant.grams,
    }


def _listings(sold: Iterable[tuple[NewProduct, NewVariant]]) -> Iterable[dict[str, Any]]:
    for product, variant in sold:
        for place, seller in enumerate(rules.sellers_of(product.external_id)):
            yield {
                "id": stable_ulid(product.made_at, "listing", variant.sku, seller.key),
                "sku": variant.sku,
                "seller_id": seller_id(seller),
                "price_paise": rules.price_of(
                    place, variant.price_paise, variant.mrp_paise, variant.sku
                ),
            }


def _receipts(sold: Iterable[tuple[NewProduct, NewVariant]]) -> Iterable[dict[str, Any]]:
    for _, variant in sold:
        for code, qty in rules.stock_of(variant.sku, variant.stock).items():
            yield {
                "entry_key": f"import/{variant.sku}/{code}",
                "sku": variant.sku,
                "warehouse_id": warehouse_id(code),
                "qty": qty,
            }
