"""Stock levels, reservations and the entries that move units.

Every function that moves stock locks levels in the order (SKU, warehouse), so that no two
orders can wait on each other, and is idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound, OutOfStock, ReservationGone, Shortage
from db.sql import execute, fetch, fetch_one, sql
from domain.sourcing import StockAt
from domain.stock import ReservationState


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """Take `qty` units of a SKU from a warehouse."""

    sku: str
    warehouse_id: str
    qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRecord:
    """A reservation and where its units lie."""

    id: str
    order_id: str
    state: ReservationState
    expires_at: datetime
    lines: tuple[PlannedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Units of a SKU in a warehouse, by what became of them."""

    sku: str
    warehouse_id: str
    on_hand: int
    reserved: int
    shipped: int
    written_off: int


_STOCK_FOR = """
    SELECT level.sku, level.warehouse_id, level.on_hand, warehouse.pincode
    FROM stock_levels AS level JOIN warehouses AS warehouse ON warehouse.id = level.warehouse_id
    WHERE level.sku = ANY(CAST(:skus AS text[])) {only}
    ORDER BY level.sku, level.warehouse_id {lock}
"""
_READ = sql(_STOCK_FOR.format(only="AND level.on_hand > 0", lock=""))
_LOCK = sql(_STOCK_FOR.format(only="", lock="FOR NO KEY UPDATE OF level"))
_LEVELS = sql(
    """
    SELECT sku, warehouse_id, on_hand, reserved, shipped, written_off FROM stock_levels
    WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku, warehouse_id
    """
)
# one statement: lock, check, and only if nothing is short write reservation, lines and entries
_RESERVE = sql(
    """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[]),
                             CAST(:quantities AS bigint[])) AS w (sku, warehouse_id, qty)
    ), locked AS MATERIALIZED (
        SELECT level.sku, level.warehouse_id, level.on_hand
        FROM stock_levels AS level JOIN wanted USING (sku, warehouse_id)
        ORDER BY level.sku, level.warehouse_id FOR NO KEY UPDATE OF level
    ), short AS MATERIALIZED (
        SELECT wanted.*, coalesce(locked.on_hand, 0) AS available
        FROM wanted LEFT JOIN locked USING (sku, warehouse_id)
        WHERE coalesce(locked.on_hand, 0) < wanted.qty
    ), reservation AS (
        INSERT INTO reservations (id, order_id, state, expires_at)
        SELECT :id, :order_id, 'HELD', :expires_at WHERE NOT EXISTS (SELECT FROM short)
        ON CONFLICT (order_id) DO NOTHING RETURNING id
    ), lines AS (
        INSERT INTO reservation_lines (reservation_id, sku, warehouse_id, qty)
        SELECT reservation.id, sku, warehouse_id, qty FROM reservation, wanted
    ), entries AS (
        INSERT INTO stock_entries (entry_key, sku, warehouse_id, kind,
                                   on_hand_delta, reserved_delta, reservation_id)
        SELECT concat_ws('/', CAST(:key AS text), sku, warehouse_id), sku, warehouse_id,
               'RESERVE', -qty, qty, reservation.id
        FROM reservation, wanted
    )
    SELECT (SELECT id FROM reservation) AS reserved, short.*
    FROM (SELECT) AS one LEFT JOIN short ON true
    """
)
_FIND = sql(
    """
    SELECT r.id, r.order_id, r.state, r.expires_at, l.sku, l.warehouse_id, l.qty
    FROM reservations AS r JOIN reservation_lines AS l ON l.reservation_id = r.id
    WHERE r.order_id = :order_id ORDER BY l.sku, l.warehouse_id
    """
)
_END = """
    WITH ended AS (
        UPDATE reservations SET state = :state, ended_at = now()
        WHERE order_id = :order_id AND state = 'HELD' RETURNING id
    ), entries AS (
        INSERT INTO stock_entries (entry_key, sku, warehouse_id, kind,
                                   {to}, reserved_delta, reservation_id)
        SELECT concat_ws('/', CAST(:key AS text), l.sku, l.warehouse_id), l.sku, l.warehouse_id,
               '{kind}', l.qty, -l.qty, l.reservation_id
        FROM ended JOIN reservation_lines AS l ON l.reservation_id = ended.id
    )
    SELECT id FROM ended
"""
_RELEASE = sql(_END.format(to="on_hand_delta", kind="RELEASE"))
_COMMIT = sql(_END.format(to="shipped_delta", kind="COMMIT"))
_STATE = sql("SELECT state FROM reservations WHERE order_id = :order_id")
_EXPIRED = sql(
    """
    SELECT order_id FROM reservations WHERE state = 'HELD' AND expires_at <= :now
    ORDER BY expires_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    """
)
_RECEIVE = sql(
    """
    INSERT INTO stock_entries (entry_key, sku, warehouse_id, kind, on_hand_delta)
    VALUES (:key, :sku, :warehouse_id, 'RECEIVE', :qty) ON CONFLICT (entry_key) DO NOTHING
    """
)


async def stock_for(
    session: AsyncSession, skus: Sequence[str], *, lock: bool = False
) -> tuple[StockAt, ...]:
    """Free units by SKU and warehouse, for `domain.sourcing.plan`.

    With `lock` the levels are held until the transaction ends: a plan made from them stays true.
    """
    rows = await fetch(session, _LOCK if lock else _READ, skus=sorted(set(skus)))
    return tuple(
        StockAt(
            sku=row["sku"],
            warehouse_id=row["warehouse_id"],
            pincode=row["pincode"],
            available=row["on_hand"],
        )
        for row in rows
    )


async def levels(session: AsyncSession, skus: Sequence[str]) -> tuple[Level, ...]:
    """The levels of these SKUs everywhere."""
    return tuple(Level(**row) for row in await fetch(session, _LEVELS, skus=list(skus)))


async def reserve(
    session: AsyncSession,
    *,
    reservation_id: str,
    order_id: str,
    plan: Sequence[PlannedLine],
    expires_at: datetime,
    key: str,
) -> ReservationRecord:
    """Hold every line of the plan, or none; lines of one SKU and warehouse are summed.

    A second call for the order returns the reservation there is.
    Raises OutOfStock when units are gone, ReservationGone when the reservation has ended.
    """
    lines = _summed(plan)
    rows = await fetch(
        session,
        _RESERVE,
        id=reservation_id,
        order_id=order_id,
        expires_at=expires_at,
        key=key,
        skus=[line.sku for line in lines],
        warehouses=[line.warehouse_id for line in lines],
        quantities=[line.qty for line in lines],
    )
    if rows[0]["reserved"] is not None:
        return ReservationRecord(
            id=reservation_id,
            order_id=order_id,
            state=ReservationState.HELD,
            expires_at=expires_at,
            lines=lines,
        )
    earlier = await find(session, order_id)
    if earlier is None:
        raise OutOfStock(_shortages(rows))
    if earlier.state is not ReservationState.HELD:
        raise ReservationGone(order_id, earlier.state)
    return earlier


async def find(session: AsyncSession, order_id: str) -> ReservationRecord | None:
    """The reservation of an order, whatever its state."""
    rows = await fetch(session, _FIND, order_id=order_id)
    if not rows:
        return None
    first = rows[0]
    return ReservationRecord(
        id=first["id"],
        order_id=first["order_id"],
        state=ReservationState(first["state"]),
        expires_at=first["expires_at"],
        lines=tuple(PlannedLine(row["sku"], row["warehouse_id"], row["qty"]) for row in rows),
    )


async def release(
    session: AsyncSession,
    order_id: str,
    *,
    key: str,
    state: ReservationState = ReservationState.RELEASED,
) -> bool:
    """End the order's reservation as RELEASED or EXPIRED; its units are free again.

    False when there was nothing to give back: never reserved, or released before.
    Raises ReservationGone when it was committed: sold goods come back as a return.
    """
    if await fetch_one(session, _RELEASE, order_id=order_id, key=key, state=state) is not None:
        return True
    if await _state(session, order_id) is ReservationState.COMMITTED:
        raise ReservationGone(order_id, ReservationState.COMMITTED)
    return False


async def commit(session: AsyncSession, order_id: str, *, key: str) -> bool:
    """Sell what the order holds; False when that was done before.

    Raises ReservationGone when it was released or expired, NotFound when there was none.
    """
    committed = ReservationState.COMMITTED
    if await fetch_one(session, _COMMIT, order_id=order_id, key=key, state=committed) is not None:
        return True
    state = await _state(session, order_id)
    if state is None:
        raise NotFound("reservation of order", order_id)
    if state is not committed:
        raise ReservationGone(order_id, state)
    return False


async def expired(session: AsyncSession, now: datetime, limit: int = 100) -> tuple[str, ...]:
    """Orders whose reservations have outlived their time, locked for this transaction.

    Those that another transaction is ending are left out.
    """
    return tuple(row["order_id"] for row in await fetch(session, _EXPIRED, now=now, limit=limit))


async def receive(session: AsyncSession, sku: str, warehouse_id: str, qty: int, key: str) -> bool:
    """Put `qty` new units on a shelf; False when `key` was received before."""
    values = {"key": key, "sku": sku, "warehouse_id": warehouse_id, "qty": qty}
    return await execute(session, _RECEIVE, **values) == 1


def _summed(plan: Sequence[PlannedLine]) -> tuple[PlannedLine, ...]:
    if not plan:
        raise ValueError("a reservation needs at least one line")
    sums: dict[tuple[str, str], int] = {}
    for line in plan:
        if line.qty < 1:
            raise ValueError(f"{line.qty} of {line.sku}: a quantity is at least 1")
        place = (line.sku, line.warehouse_id)
        sums[place] = sums.get(place, 0) + line.qty
    return tuple(PlannedLine(*place, qty) for place, qty in sorted(sums.items()))


def _shortages(rows: Sequence[RowMapping]) -> tuple[Shortage, ...]:
    return tuple(
        Shortage(row["sku"], row["warehouse_id"], row["qty"], row["available"])
        for row in rows
        if row["sku"] is not None
    )


async def _state(session: AsyncSession, order_id: str) -> ReservationState | None:
    row = await fetch_one(session, _STATE, order_id=order_id)
    return None if row is None else ReservationState(row["state"])
