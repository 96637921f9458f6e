"""Orders and their items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.paging import Page, bounded, decode_newest, page_of
from db.sql import dumps, execute, fetch, fetch_one, sql
from domain.orders import TRANSITIONS, OrderState, check_transition
from domain.payments import PaymentMethod
from domain.pricing import PriceBreakdown


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to open: `listing_ids` go with the lines of `breakdown`, one each."""

    id: str
    user_id: str
    breakdown: PriceBreakdown
    listing_ids: Sequence[str]
    pincode: str
    payment_method: PaymentMethod
    address: dict[str, Any]
    saga_id: str
    item_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSummary:
    """An order as lists show it. Amounts in paise."""

    id: str
    user_id: str
    state: OrderState
    currency: str
    total_paise: int
    payment_method: PaymentMethod
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItemRecord:
    """One line as it was sold. Amounts in paise, the rate in basis points."""

    id: str
    line_no: int
    sku: str
    listing_id: str
    seller_id: str
    title: str
    qty: int
    unit_price_paise: int
    line_total_paise: int
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    gst_rate_bp: int
    hsn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord(OrderSummary):
    """An order with all that is known of it."""

    pincode: str
    price_breakdown: dict[str, Any]
    address_snapshot: dict[str, Any]
    coupon_code: str | None
    refusal_code: str | None
    refusal_reason: str | None
    saga_id: str
    version: int
    confirmed_at: datetime | None
    items: tuple[OrderItemRecord, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """The state before, and whether it changed: False when it was there already."""

    before: OrderState
    changed: bool


_SUMMARY = "id, user_id, state, currency, total_paise, payment_method, created_at, updated_at"
_ITEM = """id, line_no, sku, listing_id, seller_id, title, qty, unit_price_paise,
    line_total_paise, taxable_paise, cgst_paise, sgst_paise, igst_paise, gst_rate_bp, hsn"""
# order and items in one statement: a checkout waits for each round trip
_CREATE = sql(
    f"""
    WITH placed AS (
        INSERT INTO orders (id, user_id, state, currency, total_paise, pincode, payment_method,
                            price_breakdown, address_snapshot, coupon_code, saga_id)
        VALUES (:id, :user_id, 'CREATED', :currency, :total_paise, :pincode, :payment_method,
                CAST(:breakdown AS jsonb), CAST(:address AS jsonb), :coupon_code, :saga_id)
        RETURNING id AS order_id
    )
    INSERT INTO order_items (order_id, {_ITEM})
    SELECT order_id, {_ITEM}
    FROM placed, jsonb_to_recordset(CAST(:items AS jsonb)) AS item (
        id text, line_no int, sku text, listing_id text, seller_id text, title text, qty int,
        unit_price_paise bigint, line_total_paise bigint, taxable_paise bigint,
        cgst_paise bigint, sgst_paise bigint, igst_paise bigint, gst_rate_bp int, hsn text)
    """  # noqa: S608 - only column lists are put into these statements
)
_MOVE = sql(
    """
    UPDATE orders
    SET state = :state, version = version + 1, updated_at = now(),
        refusal_code = coalesce(:refusal_code, refusal_code),
        refusal_reason = coalesce(:refusal_reason, refusal_reason),
        confirmed_at = CASE WHEN CAST(:confirms AS boolean) THEN coalesce(confirmed_at, now())
                            ELSE confirmed_at END
    WHERE id = :id AND state = ANY(CAST(:sources AS text[]))
    RETURNING old.state AS before
    """
)
_STATE = sql("SELECT state FROM orders WHERE id = :id FOR NO KEY UPDATE")
_GET = sql(
    f"""
    SELECT {_SUMMARY}, pincode, price_breakdown, address_snapshot, coupon_code, refusal_code,
           refusal_reason, saga_id, version, confirmed_at
    FROM orders WHERE id = :id
    """,  # noqa: S608
    json=("price_breakdown", "address_snapshot"),
)
_ITEMS = sql(f"SELECT {_ITEM} FROM order_items WHERE order_id = :id ORDER BY line_no")  # noqa: S608
_LIST = f"""
    SELECT {_SUMMARY} FROM orders WHERE user_id = :user_id {{after}}
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608
_FIRST = sql(_LIST.format(after=""))
_AFTER = sql(_LIST.format(after="AND (created_at, id) < (CAST(:at AS timestamptz), :last)"))


async def create(session: AsyncSession, order: NewOrder) -> None:
    """Write an order in state CREATED, with its items, as priced by `domain.pricing`."""
    if not len(order.listing_ids) == len(order.item_ids) == len(order.breakdown.lines):
        raise ValueError(f"order {order.id}: every line needs one listing id and one item id")
    breakdown = order.breakdown.to_json()
    await execute(
        session,
        _CREATE,
        id=order.id,
        user_id=order.user_id,
        currency=breakdown["currency"],
        total_paise=breakdown["total_paise"],
        pincode=order.pincode,
        payment_method=order.payment_method,
        breakdown=dumps(breakdown),
        address=dumps(order.address),
        coupon_code=breakdown["coupon_code"],
        saga_id=order.saga_id,
        items=dumps(_items(order, breakdown["lines"])),
    )


def _items(order: NewOrder, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **line,
            "id": item_id,
            "line_no": number,
            "listing_id": listing_id,
            "line_total_paise": line["total_paise"],
        }
        for number, (line, listing_id, item_id) in enumerate(
            zip(lines, order.listing_ids, order.item_ids, strict=True), start=1
        )
    ]


async def transition(
    session: AsyncSession,
    order_id: str,
    new: OrderState,
    *,
    refusal_code: str | None = None,
    refusal_reason: str | None = None,
) -> Moved:
    """Bring an order to a state; one that is there already is left alone.

    Raises IllegalTransition when the order's table has no such step, NotFound.
    """
    sources = [state for state, after in TRANSITIONS.items() if new in after]
    row = await fetch_one(
        session,
        _MOVE,
        id=order_id,
        state=new,
        sources=sources,
        refusal_code=refusal_code,
        refusal_reason=refusal_reason,
        confirms=new is OrderState.CONFIRMED,
    )
    if row is not None:
        return Moved(OrderState(row["before"]), changed=True)
    found = await fetch_one(session, _STATE, id=order_id)
    if found is None:
        raise NotFound("order", order_id)
    state = OrderState(found["state"])
    if state is not new:
        check_transition(state, new)
    return Moved(state, changed=False)


async def get(session: AsyncSession, order_id: str, *, user_id: str | None = None) -> OrderRecord:
    """An order with its items; raises NotFound, also for one that is not `user_id`'s."""
    row = await fetch_one(session, _GET, id=order_id)
    if row is None or user_id not in (None, row["user_id"]):
        raise NotFound("order", order_id)
    items = tuple(OrderItemRecord(**item) for item in await fetch(session, _ITEMS, id=order_id))
    return OrderRecord(**_typed(row), items=items)


async def list_of(
    session: AsyncSession, user_id: str, *, after: str | None = None, limit: int = 20
) -> Page[OrderSummary]:
    """A user's orders, newest first; `after` is the `next` of the page before."""
    limit = bounded(limit)
    if after is None:
        rows = await fetch(session, _FIRST, user_id=user_id, limit=limit + 1)
    else:
        at, last = decode_newest(after)
        values = {"user_id": user_id, "limit": limit + 1}
        rows = await fetch(session, _AFTER, **values, at=at, last=last)
    summaries = [OrderSummary(**_typed(row)) for row in rows]
    return page_of(summaries, limit, lambda order: (order.created_at.isoformat(), order.id))


def _typed(row: RowMapping) -> dict[str, Any]:
    method = PaymentMethod(row["payment_method"])
    return {**row, "state": OrderState(row["state"]), "payment_method": method}
