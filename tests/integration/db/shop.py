"""A small shop for the tests: three warehouses, two SKUs, a seller and a customer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.ids import new_ulid
from db.repositories import orders, stock, users
from db.session import Database
from domain.gst import TaxClass
from domain.money import Money
from domain.payments import PaymentMethod
from domain.pricing import PriceBreakdown, PriceLine, price_order

SHIRT, KETTLE = "SHIRT-M", "KETTLE"
BENGALURU, BHIWANDI, GURUGRAM = "w-blr", "w-bom", "w-del"
PINCODES = {BENGALURU: "562149", BHIWANDI: "421302", GURUGRAM: "122503"}
PRICES = {SHIRT: 599_00, KETTLE: 1_299_00}
NOON = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(hours=1)


async def open_shop(db: Database) -> None:
    """Everything but stock."""
    async with db.unit_of_work() as session:
        session.add(
            models.Seller(
                id="seller", legal_name="Sahyadri Retail Private Limited", display_name="Sahyadri",
                gstin="27AAACS1234A1Z5", state_code="27", pincode="421302",
            )
        )  # fmt: skip
        session.add(
            models.Category(id="things", parent_id=None, name="Things", path="Things", depth=1)
        )
        for key, pincode in PINCODES.items():
            session.add(
                models.Warehouse(
                    id=key, code=key.upper(), name=key, pincode=pincode, state_code="29"
                )
            )
        await session.flush()
        for sku in (SHIRT, KETTLE):
            await _put_on_sale(session, sku)
        session.add(models.Offer(
            id="offer", code="TEN", kind="PERCENT", value=1000, min_order_paise=500_00,
            max_discount_paise=200_00, active_from=NOON, active_to=NOON + timedelta(days=30),
        ))  # fmt: skip
        await users.add(session, users.NewUser(
            id="asha", email="Asha@Example.in", phone=None, name="Asha", password_hash="argon2…",
        ))  # fmt: skip
        await users.add_address(session, users.NewAddress(
            id="home", user_id="asha", name="Asha", line1="12 MG Road", line2="", city="Bengaluru",
            state_code="29", pincode="560001", phone="9800000001",
        ))  # fmt: skip


async def _put_on_sale(session: AsyncSession, sku: str) -> None:
    session.add(models.Product(
        id=f"p-{sku}", external_id=sku, seller_id="seller", category_id="things",
        title=sku.title(), brand=None, tax_class=TaxClass.STANDARD, hsn="8516",
    ))  # fmt: skip
    await session.flush()
    session.add(models.Variant(sku=sku, product_id=f"p-{sku}", mrp_paise=2_000_00, grams=500))
    await session.flush()
    session.add(models.Listing(id=f"l-{sku}", sku=sku, seller_id="seller", price_paise=PRICES[sku]))


async def stock_up(db: Database, sku: str, **units: int) -> None:
    """`stock_up(db, SHIRT, blr=3)` receives three shirts in Bengaluru."""
    async with db.unit_of_work() as session:
        for warehouse, qty in units.items():
            await stock.receive(session, sku, f"w-{warehouse}", qty, f"first/{sku}/{warehouse}")


def basket(*wanted: tuple[str, int]) -> PriceBreakdown:
    """Lines priced for delivery to Karnataka, from a seller in Maharashtra."""
    lines = [
        PriceLine(
            sku=sku, title=sku.title(), qty=qty, mrp=Money(2_000_00), unit_price=Money(PRICES[sku]),
            tax_class=TaxClass.STANDARD, hsn="8516", seller_id="seller", seller_state="27",
        )
        for sku, qty in wanted
    ]  # fmt: skip
    return price_order(lines, None, "29", datetime.combine(date(2026, 5, 4), NOON.timetz()))


def new_order(*wanted: tuple[str, int], order_id: str | None = None) -> orders.NewOrder:
    """An order of Asha's, not yet written."""
    order_id = order_id or new_ulid()
    breakdown = basket(*(wanted or ((SHIRT, 1),)))
    return orders.NewOrder(
        id=order_id,
        user_id="asha",
        breakdown=breakdown,
        listing_ids=[f"l-{line.line.sku}" for line in breakdown.lines],
        item_ids=[new_ulid() for _ in breakdown.lines],
        pincode="560001",
        payment_method=PaymentMethod.CARD,
        address={"line1": "12 MG Road", "pincode": "560001"},
        saga_id=f"checkout:{order_id}",
    )


async def placed(db: Database, *wanted: tuple[str, int]) -> str:
    """An order of Asha's, written; answers with its id."""
    order = new_order(*wanted)
    async with db.unit_of_work() as session:
        await orders.create(session, order)
    return order.id


async def run(db: Database, statement: str, **values: Any) -> None:
    """One statement in a unit of work of its own."""
    async with db.unit_of_work() as session:
        await session.execute(text(statement), values)


async def rows(db: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with db.reading() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def levels(db: Database, sku: str) -> dict[str, tuple[int, int, int, int]]:
    """(on hand, reserved, shipped, written off) by warehouse."""
    async with db.reading() as session:
        return {
            level.warehouse_id: (level.on_hand, level.reserved, level.shipped, level.written_off)
            for level in await stock.levels(session, [sku])
        }


async def assert_levels_fold(db: Database) -> None:
    """Every level is the sum of its entries."""
    level = "SELECT sku, warehouse_id, on_hand, reserved, shipped, written_off FROM stock_levels"
    fold = """
        SELECT sku, warehouse_id, sum(on_hand_delta)::bigint, sum(reserved_delta)::bigint,
               sum(shipped_delta)::bigint, sum(written_off_delta)::bigint
        FROM stock_entries GROUP BY sku, warehouse_id"""
    assert sorted(await rows(db, level)) == sorted(await rows(db, fold))
