"""Orders add up, move by their table, and are seen by their owners only."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import BadCursor, NotFound, constraint_of
from db.ids import new_ulid
from db.repositories import orders
from db.repositories.orders import Moved
from db.session import Database
from domain.errors import IllegalTransition
from domain.orders import OrderState
from domain.payments import PaymentMethod
from tests.integration.db import shop
from tests.integration.db.shop import KETTLE, SHIRT


async def test_an_order_is_written_as_it_was_priced(shop_db: Database) -> None:
    order = shop.new_order((SHIRT, 2), (KETTLE, 1), (SHIRT, 1))
    async with shop_db.unit_of_work() as session:
        await orders.create(session, order)

    async with shop_db.reading() as session:
        stored = await orders.get(session, order.id, user_id="asha")

    assert stored.state is OrderState.CREATED
    assert stored.payment_method is PaymentMethod.CARD
    assert (stored.total_paise, stored.currency) == (3 * 599_00 + 1_299_00, "INR")
    assert stored.price_breakdown == order.breakdown.to_json()
    assert stored.address_snapshot == {"line1": "12 MG Road", "pincode": "560001"}
    assert (stored.version, stored.confirmed_at, stored.refusal_code) == (1, None, None)
    assert stored.saga_id == f"checkout:{order.id}"
    kettle = stored.items[1]
    assert [(item.line_no, item.sku, item.qty) for item in stored.items] == [
        (1, SHIRT, 2),
        (2, KETTLE, 1),
        (3, SHIRT, 1),
    ]
    # 129,900 paise include 18 %: 110,084.75 and 19,815.25, all IGST between states
    assert (kettle.taxable_paise, kettle.igst_paise) == (110_085, 19_815)
    assert (kettle.cgst_paise, kettle.sgst_paise, kettle.gst_rate_bp) == (0, 0, 1800)
    assert (kettle.listing_id, kettle.seller_id, kettle.hsn) == (f"l-{KETTLE}", "seller", "8516")


async def test_an_order_moves_by_its_table(shop_db: Database) -> None:
    order_id = await shop.placed(shop_db)
    async with shop_db.unit_of_work() as session:
        moved = await orders.transition(session, order_id, OrderState.CONFIRMED)
        again = await orders.transition(session, order_id, OrderState.CONFIRMED)
    assert moved == Moved(OrderState.CREATED, changed=True)
    assert again == Moved(OrderState.CONFIRMED, changed=False)

    async with shop_db.unit_of_work() as session:
        with pytest.raises(IllegalTransition, match=r"CONFIRMED.*REFUSED"):
            await orders.transition(session, order_id, OrderState.REFUSED, refusal_code="LATE")
        with pytest.raises(NotFound, match="'no such order'"):
            await orders.transition(session, "no such order", OrderState.CONFIRMED)
    async with shop_db.reading() as session:
        stored = await orders.get(session, order_id)
    assert (stored.state, stored.version) == (OrderState.CONFIRMED, 2)
    assert (stored.refusal_code, stored.confirmed_at) == (None, stored.updated_at)


async def test_a_refusal_says_why(shop_db: Database) -> None:
    order_id = await shop.placed(shop_db)
    async with shop_db.unit_of_work() as session:
        await orders.transition(
            session,
            order_id,
            OrderState.REFUSED,
            refusal_code="OUT_OF_STOCK",
            refusal_reason="the last one was sold a moment ago",
        )
    async with shop_db.reading() as session:
        stored = await orders.get(session, order_id)
    assert stored.refusal_code == "OUT_OF_STOCK"
    assert stored.refusal_reason == "the last one was sold a moment ago"
    assert stored.confirmed_at is None


async def test_nobody_sees_the_orders_of_others(shop_db: Database) -> None:
    order_id = await shop.placed(shop_db)
    async with shop_db.reading() as session:
        with pytest.raises(NotFound):
            await orders.get(session, order_id, user_id="ravi")
        assert (await orders.list_of(session, "ravi")).items == ()


async def test_pages_show_every_order_once_newest_first(shop_db: Database) -> None:
    placed = [await shop.placed(shop_db) for _ in range(5)]
    # two of them in the same microsecond: the id decides
    at = "UPDATE orders SET created_at = '2026-05-04T06:30:00Z' WHERE id = ANY(:ids)"
    await shop.run(shop_db, at, ids=placed[:2])

    pages: list[Sequence[str]] = []
    cursor = None
    async with shop_db.reading() as session:
        while True:
            page = await orders.list_of(session, "asha", after=cursor, limit=2)
            pages.append([order.id for order in page.items])
            cursor = page.next
            if cursor is None:
                break
    newest_first = [*placed[:1:-1], placed[1], placed[0]]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


@pytest.mark.parametrize("cursor", ["", "x", "Ññ", "WyJhIl0", "WyJ4IiwieSJd", "bnVsbA"])
async def test_a_cursor_of_nobodys_is_refused(shop_db: Database, cursor: str) -> None:
    async with shop_db.reading() as session:
        with pytest.raises(BadCursor):
            await orders.list_of(session, "asha", after=cursor)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE orders SET total_paise = total_paise + 1", "orders_total_adds_up"),
        (
            (
                "UPDATE orders SET total_paise = total_paise + 1, price_breakdown = jsonb_set("
                "price_breakdown, '{total_paise}', to_jsonb(total_paise + 1))"
            ),
            "orders_total_adds_up",
        ),
        ("UPDATE orders SET price_breakdown = '{}'", "orders_total_adds_up"),
        ("DELETE FROM order_items WHERE line_no = 2", "orders_total_adds_up"),
        (
            (
                "UPDATE order_items SET line_total_paise = 118, taxable_paise = 100,"
                " igst_paise = 18 WHERE line_no = 1"
            ),
            "orders_total_adds_up",
        ),
        ("UPDATE order_items SET igst_paise = igst_paise + 1", "ck_order_items_taxes"),
        ("UPDATE order_items SET qty = 0", "ck_order_items_qty"),
        ("UPDATE order_items SET line_no = 1", "uq_order_items_order_id_line_no"),
        ("UPDATE order_items SET sku = 'nothing'", "fk_order_items_sku"),
        ("UPDATE orders SET state = 'LOST'", "ck_orders_state"),
        ("UPDATE orders SET state = 'REFUSED'", "ck_orders_refusal"),
        ("UPDATE orders SET state = 'SHIPPED'", "ck_orders_confirmed"),
        ("UPDATE orders SET pincode = '012345'", "ck_orders_pincode"),
        ("UPDATE orders SET payment_method = 'CHEQUE'", "ck_orders_payment_method"),
        ("UPDATE orders SET user_id = 'nobody'", "fk_orders_user_id"),
    ],
)
async def test_the_database_refuses(shop_db: Database, statement: str, constraint: str) -> None:
    order_id = await shop.placed(shop_db, (SHIRT, 1), (KETTLE, 2))
    async with shop_db.reading() as session:
        before = await orders.get(session, order_id)
    with pytest.raises(DBAPIError) as refusal:
        await shop.run(shop_db, statement)
    assert constraint_of(refusal.value) == constraint
    async with shop_db.reading() as session:
        assert await orders.get(session, order_id) == before


async def test_an_order_cannot_be_opened_twice(shop_db: Database) -> None:
    order_id = await shop.placed(shop_db)
    with pytest.raises(DBAPIError) as refusal:
        async with shop_db.unit_of_work() as session:
            await orders.create(session, shop.new_order(order_id=order_id))
    assert constraint_of(refusal.value) == "pk_orders"
    assert await shop.rows(shop_db, "SELECT count(*) FROM order_items") == [(1,)]


async def test_every_line_needs_its_listing(shop_db: Database) -> None:
    order = shop.new_order()
    broken = orders.NewOrder(
        **{
            **{name: getattr(order, name) for name in orders.NewOrder.__dataclass_fields__},
            "listing_ids": [],
            "id": new_ulid(),
        }
    )
    async with shop_db.unit_of_work() as session:
        with pytest.raises(ValueError, match="every line needs one listing id"):
            await orders.create(session, broken)
    assert await shop.rows(shop_db, "SELECT count(*) FROM orders") == [(0,)]
