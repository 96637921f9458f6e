"""The catalogue as customers read it, and as checkout prices from it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import BadCursor, NotFound, constraint_of
from db.importing.seeding import seed
from db.repositories import catalogue
from db.session import Database
from domain.errors import InvalidPincode
from domain.gst import TaxClass
from domain.money import Money
from domain.pricing import CouponKind
from tests.integration.db import shop
from tests.integration.db.shop import BENGALURU, BHIWANDI, KETTLE, NOON, SHIRT

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def seeded(db: Database) -> Database:
    await seed(db, ROOT / "catalogue")
    return db


async def titles(db: Database, **wanted: Any) -> list[str]:
    async with db.reading() as session:
        return [card.title for card in (await catalogue.search(session, **wanted)).items]


async def test_a_category_has_what_lies_below_it(seeded: Database) -> None:
    sarees = await titles(seeded, category="Clothing >> Women >> Sarees")
    assert sorted(sarees) == ["Banarasi Silk Blend Saree", "Everyday Linen Saree"]
    assert len(await titles(seeded, category="Clothing >> Women")) == 7
    assert len(await titles(seeded, category="Clothing")) == 16
    assert await titles(seeded, category="Cloth") == []
    assert await titles(seeded, category="Clothing >> W%") == []


async def test_text_is_found_as_it_stands(seeded: Database) -> None:
    assert await titles(seeded, text="SAREE", category="Clothing >> Women") == await titles(
        seeded, text="saree"
    )
    assert await titles(seeded, text="tamra", category="Kitchen >> Storage") == [
        "Masala Dabba with Seven Bowls"
    ]
    assert await titles(seeded, text="%") == []
    assert await titles(seeded, text="_") == []
    assert await titles(seeded, text="'; DROP TABLE products; --") == []


async def test_pages_show_every_product_once(seeded: Database) -> None:
    everything = await titles(seeded, limit=200)
    assert len(everything) == 62
    paged: list[str] = []
    cursor = None
    async with seeded.reading() as session:
        for _ in range(7):
            page = await catalogue.search(session, after=cursor, limit=10)
            paged += [card.title for card in page.items]
            cursor = page.next
        assert cursor is None
        with pytest.raises(BadCursor):
            await catalogue.search(session, after="nobody's")
    assert paged == everything


async def test_a_card_has_the_cheapest_price(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=1)
    other = """INSERT INTO listings (id, sku, seller_id, price_paise, status)
        SELECT 'cheap', :sku, id, 100, :status FROM sellers WHERE id <> 'seller'"""
    twin = """INSERT INTO sellers SELECT 'other', legal_name, display_name, 'x', state_code, pincode
        FROM sellers"""
    await shop.run(shop_db, twin)
    await shop.run(shop_db, other, sku=SHIRT, status="WITHDRAWN")
    async with shop_db.reading() as session:
        cards = {card.sku: card for card in (await catalogue.search(session)).items}
    assert (cards[SHIRT].price_paise, cards[SHIRT].mrp_paise) == (599_00, 2_000_00)
    assert (cards[SHIRT].in_stock, cards[KETTLE].in_stock) == (True, False)
    await shop.run(shop_db, "UPDATE listings SET status = 'ACTIVE'")
    async with shop_db.reading() as session:
        cards = {card.sku: card for card in (await catalogue.search(session)).items}
        lines = await catalogue.for_sale(session, [KETTLE, SHIRT])
    assert cards[SHIRT].price_paise == 100
    assert [(line.sku, line.listing_id, line.price_paise) for line in lines] == [
        (KETTLE, f"l-{KETTLE}", 1_299_00),
        (SHIRT, "cheap", 100),
        (SHIRT, f"l-{SHIRT}", 599_00),
    ]
    assert (lines[0].seller_state, lines[0].tax_class) == ("27", TaxClass.STANDARD)
    assert (lines[0].mrp_paise, lines[0].hsn) == (2_000_00, "8516")


async def test_a_product_knows_the_nearest_warehouse(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=2, bom=3)
    async with shop_db.reading() as session:
        (here,) = (await catalogue.product(session, f"p-{SHIRT}", pincode="560001")).variants
        (there,) = (await catalogue.product(session, f"p-{SHIRT}", pincode="400001")).variants
        (anywhere,) = (await catalogue.product(session, f"p-{SHIRT}")).variants
        (kettle,) = (await catalogue.product(session, f"p-{KETTLE}", pincode="560001")).variants
        with pytest.raises(InvalidPincode):
            await catalogue.product(session, f"p-{SHIRT}", pincode="12")
        with pytest.raises(NotFound):
            await catalogue.product(session, "p-nothing")
    assert here.nearest_warehouse == BENGALURU.upper()
    assert there.nearest_warehouse == BHIWANDI.upper()
    assert (anywhere.nearest_warehouse, anywhere.available) == (None, 5)
    assert (kettle.nearest_warehouse, kettle.available) == (None, 0)
    assert [(listing.seller, listing.price_paise) for listing in here.listings] == [
        ("Sahyadri", 599_00)
    ]


async def test_what_is_withdrawn_is_not_for_sale(shop_db: Database) -> None:
    await shop.run(
        shop_db, "UPDATE products SET status = 'WITHDRAWN' WHERE id = :id", id=f"p-{SHIRT}"
    )
    async with shop_db.reading() as session:
        assert [card.sku for card in (await catalogue.search(session)).items] == [KETTLE]
        assert [line.sku for line in await catalogue.for_sale(session, [SHIRT, KETTLE])] == [KETTLE]
        with pytest.raises(NotFound):
            await catalogue.product(session, f"p-{SHIRT}")


async def test_the_tree_counts_what_lies_below(seeded: Database) -> None:
    async with seeded.reading() as session:
        tree = await catalogue.categories(session)
    count = {node.path: node.products for node in tree}
    assert count["Clothing >> Women >> Sarees"] == 2
    assert count["Clothing >> Women"] == 7
    assert count["Clothing"] == 16
    assert sum(node.products for node in tree if node.depth == 1) == 62
    seen: set[str | None] = {None}
    for node in tree:
        assert node.parent_id in seen
        seen.add(node.id)


async def test_a_coupon_is_found_in_any_case(shop_db: Database) -> None:
    async with shop_db.reading() as session:
        coupon = await catalogue.coupon(session, "ten")
        assert await catalogue.coupon(session, "eleven") is None
    assert coupon is not None
    assert (coupon.code, coupon.kind, coupon.value) == ("TEN", CouponKind.PERCENT, 1000)
    assert (coupon.min_order, coupon.max_discount) == (Money(500_00), Money(200_00))
    assert (coupon.active_from, coupon.active_to) == (NOON, NOON + timedelta(days=30))
    await shop.run(shop_db, "UPDATE offers SET status = 'WITHDRAWN'")
    async with shop_db.reading() as session:
        assert await catalogue.coupon(session, "TEN") is None


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE listings SET price_paise = 0", "ck_listings_price_positive"),
        ("UPDATE variants SET mrp_paise = -1", "ck_variants_mrp_positive"),
        ("UPDATE variants SET grams = 0", "ck_variants_grams_positive"),
        ("INSERT INTO listings SELECT 'x', sku, seller_id, 1 FROM listings",
         "uq_listings_sku_seller_id"),
        ("UPDATE products SET rating = 5.1", "ck_products_rating"),
        ("UPDATE offers SET value = 10001", "ck_offers_value"),
        ("UPDATE offers SET code = 'ten'", "ck_offers_code_upper"),
        ("UPDATE offers SET active_to = active_from", "ck_offers_active"),
        ("UPDATE categories SET depth = 2", "ck_categories_depth"),
        ("UPDATE warehouses SET pincode = '56214'", "ck_warehouses_pincode"),
        ("DELETE FROM sellers", "fk_products_seller_id"),
    ],
)  # fmt: skip
async def test_the_database_refuses(shop_db: Database, statement: str, constraint: str) -> None:
    with pytest.raises(DBAPIError) as refusal:
        await shop.run(shop_db, statement)
    assert constraint_of(refusal.value) == constraint
