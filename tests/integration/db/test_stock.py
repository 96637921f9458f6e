"""Reservations: all or nothing, once, and never more than there is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import NotFound, OutOfStock, ReservationGone, Shortage, constraint_of
from db.ids import new_ulid
from db.repositories import stock
from db.repositories.stock import PlannedLine
from db.session import Database
from domain.sourcing import SourcingPlan, StockAt, Wanted, plan
from domain.stock import ReservationState
from tests.integration.db import shop
from tests.integration.db.shop import BENGALURU, BHIWANDI, GURUGRAM, KETTLE, SHIRT


async def reserve(
    db: Database, order_id: str, *lines: PlannedLine, until: datetime = shop.LATER
) -> stock.ReservationRecord:
    async with db.unit_of_work() as session:
        return await stock.reserve(
            session,
            reservation_id=new_ulid(),
            order_id=order_id,
            plan=lines,
            expires_at=until,
            key=f"do/{order_id}",
        )


async def test_a_reservation_takes_every_line(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3, bom=1)
    await shop.stock_up(shop_db, KETTLE, blr=2)

    held = await reserve(
        shop_db,
        "o1",
        PlannedLine(SHIRT, BHIWANDI, 1),
        PlannedLine(SHIRT, BENGALURU, 2),
        PlannedLine(KETTLE, BENGALURU, 1),
    )

    assert held.state is ReservationState.HELD
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (1, 2, 0, 0), BHIWANDI: (0, 1, 0, 0)}
    assert await shop.levels(shop_db, KETTLE) == {BENGALURU: (1, 1, 0, 0)}
    async with shop_db.reading() as session:
        assert await stock.find(session, "o1") == held
    await shop.assert_levels_fold(shop_db)


async def test_two_lines_of_one_sku_are_summed(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    line = PlannedLine(SHIRT, BENGALURU, 2)

    with pytest.raises(OutOfStock) as refusal:
        await reserve(shop_db, "o1", line, line)
    assert refusal.value.shortages == (Shortage(SHIRT, BENGALURU, wanted=4, available=3),)

    held = await reserve(shop_db, "o2", line, PlannedLine(SHIRT, BENGALURU, 1))
    assert held.lines == (PlannedLine(SHIRT, BENGALURU, 3),)
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (0, 3, 0, 0)}


async def test_one_short_line_takes_nothing(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=5)
    with pytest.raises(OutOfStock, match=f"{KETTLE} at {BENGALURU}: wanted 1, has 0"):
        await reserve(
            shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 1), PlannedLine(KETTLE, BENGALURU, 1)
        )
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (5, 0, 0, 0)}
    assert await shop.rows(shop_db, "SELECT count(*) FROM reservations") == [(0,)]
    assert await shop.rows(shop_db, "SELECT count(*) FROM stock_entries") == [(1,)]


async def test_twenty_buyers_of_the_last_unit(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=1)

    async def buy(number: int) -> str:
        try:
            await reserve(shop_db, f"o{number}", PlannedLine(SHIRT, BENGALURU, 1))
        except OutOfStock as refusal:
            return f"refused for {refusal.shortages[0].wanted - refusal.shortages[0].available}"
        return "sold"

    answers = await asyncio.gather(*(buy(number) for number in range(20)))
    assert sorted(answers) == ["refused for 1"] * 19 + ["sold"]
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (0, 1, 0, 0)}
    assert await shop.rows(shop_db, "SELECT count(*) FROM reservations") == [(1,)]
    await shop.assert_levels_fold(shop_db)


async def test_buyers_of_several_skus_never_deadlock(shop_db: Database) -> None:
    for sku in (SHIRT, KETTLE):
        await shop.stock_up(shop_db, sku, blr=30, bom=30)
    lines = [
        PlannedLine(sku, place, 1) for sku in (SHIRT, KETTLE) for place in (BENGALURU, BHIWANDI)
    ]

    async def buy(number: int) -> None:
        turned = lines[number % 4 :] + lines[: number % 4]
        await reserve(shop_db, f"o{number}", *(turned if number % 2 else turned[::-1]))

    await asyncio.gather(*(buy(number) for number in range(30)))
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (0, 30, 0, 0), BHIWANDI: (0, 30, 0, 0)}
    await shop.assert_levels_fold(shop_db)


async def test_reserving_again_finds_the_first(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=1)
    line = PlannedLine(SHIRT, BENGALURU, 1)
    first = await reserve(shop_db, "o1", line)
    again = await reserve(shop_db, "o1", line)
    assert (again.id, again.lines) == (first.id, first.lines)
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (0, 1, 0, 0)}


async def test_release_gives_back_once(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=2)
    await reserve(shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 2))
    async with shop_db.unit_of_work() as session:
        assert await stock.release(session, "o1", key="undo/o1") is True
        assert await stock.release(session, "o1", key="undo/o1") is False
        assert await stock.release(session, "never reserved", key="undo/x") is False
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (2, 0, 0, 0)}
    with pytest.raises(ReservationGone, match="it is RELEASED"):
        await reserve(shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 1))
    await shop.assert_levels_fold(shop_db)


async def test_commit_sells_once(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=2)
    await reserve(shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 1))
    async with shop_db.unit_of_work() as session:
        assert await stock.commit(session, "o1", key="commit/o1") is True
        assert await stock.commit(session, "o1", key="commit/o1") is False
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (1, 0, 1, 0)}
    async with shop_db.unit_of_work() as session:
        with pytest.raises(ReservationGone, match="it is COMMITTED"):
            await stock.release(session, "o1", key="undo/o1")
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (1, 0, 1, 0)}


async def test_committing_what_is_gone_is_refused(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=1)
    await reserve(shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 1))
    async with shop_db.unit_of_work() as session:
        await stock.release(session, "o1", key="sweep/o1", state=ReservationState.EXPIRED)
    async with shop_db.unit_of_work() as session:
        with pytest.raises(ReservationGone, match="it is EXPIRED") as gone:
            await stock.commit(session, "o1", key="commit/o1")
        with pytest.raises(NotFound, match="'o2'"):
            await stock.commit(session, "o2", key="commit/o2")
    assert gone.value.state == ReservationState.EXPIRED
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (1, 0, 0, 0)}


async def test_commit_and_expiry_race_to_one_end(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=20)
    for number in range(20):
        await reserve(shop_db, f"o{number}", PlannedLine(SHIRT, BENGALURU, 1))

    async def end(number: int, *, sell: bool) -> str:
        async with shop_db.unit_of_work() as session:
            try:
                if sell:
                    return (
                        "sold"
                        if await stock.commit(session, f"o{number}", key=f"c{number}")
                        else "?"
                    )
                done = await stock.release(
                    session, f"o{number}", key=f"s{number}", state=ReservationState.EXPIRED
                )
                return "freed" if done else "?"
            except ReservationGone:
                return "late"

    ends = await asyncio.gather(
        *(
            end(number, sell=sell)
            for number in range(20)
            for sell in (number % 2 == 0, number % 2 == 1)
        )
    )
    sold = ends.count("sold")
    assert (ends.count("late"), sold + ends.count("freed")) == (20, 20)
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (20 - sold, 0, sold, 0)}
    await shop.assert_levels_fold(shop_db)


async def test_the_sweeper_sees_only_what_outlived_its_time(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=9)
    now = datetime.now(UTC)
    for order_id, minutes in (("old", -10), ("older", -20), ("young", 10), ("sold", -5)):
        until = now + timedelta(minutes=minutes)
        await reserve(shop_db, order_id, PlannedLine(SHIRT, BENGALURU, 1), until=until)
    async with shop_db.unit_of_work() as session:
        await stock.commit(session, "sold", key="commit/sold")

    async with shop_db.unit_of_work() as first, shop_db.unit_of_work() as second:
        assert await stock.expired(first, now, limit=1) == ("older",)
        assert await stock.expired(second, now) == ("old",)


async def test_a_locked_plan_stays_true(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=1, bom=1)
    await shop.stock_up(shop_db, KETTLE, bom=1)

    async def buy(order_id: str) -> tuple[PlannedLine, ...]:
        async with shop_db.unit_of_work() as session:
            shelves = await stock.stock_for(session, [SHIRT], lock=True)
            sourced = plan([Wanted(SHIRT, 1)], shelves, "560001")
            assert isinstance(sourced, SourcingPlan)
            held = await stock.reserve(
                session,
                reservation_id=new_ulid(),
                order_id=order_id,
                plan=[
                    PlannedLine(item.sku, shipment.warehouse_id, item.qty)
                    for shipment in sourced.shipments
                    for item in shipment.items
                ],
                expires_at=shop.LATER,
                key=order_id,
            )
            return held.lines

    taken = await asyncio.gather(buy("o1"), buy("o2"))
    assert set(taken) == {
        (PlannedLine(SHIRT, BENGALURU, 1),),
        (PlannedLine(SHIRT, BHIWANDI, 1),),
    }
    async with shop_db.reading() as session:
        assert await stock.stock_for(session, [SHIRT, KETTLE]) == (
            StockAt(sku=KETTLE, warehouse_id=BHIWANDI, pincode="421302", available=1),
        )


async def test_stock_is_received_once_per_key(shop_db: Database) -> None:
    async with shop_db.unit_of_work() as session:
        assert await stock.receive(session, SHIRT, GURUGRAM, 7, "delivery/1") is True
        assert await stock.receive(session, SHIRT, GURUGRAM, 7, "delivery/1") is False
    assert await shop.levels(shop_db, SHIRT) == {GURUGRAM: (7, 0, 0, 0)}


_ENTRY = (
    "INSERT INTO stock_entries (entry_key, sku, warehouse_id, kind, {}) "
    "VALUES ('k', '{}', 'w-blr', '{}', {})"
)

_RESERVATION = (
    "INSERT INTO reservations (id, order_id, state, expires_at) VALUES ('r', 'o1', 'HELD', now())"
)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (_ENTRY.format("on_hand_delta, reserved_delta", SHIRT, "RESERVE", "-4, 4"),
         "ck_stock_levels_on_hand"),
        (_ENTRY.format("on_hand_delta, reserved_delta", SHIRT, "RELEASE", "1, -1"),
         "ck_stock_levels_reserved"),
        (_ENTRY.format("on_hand_delta, shipped_delta", SHIRT, "RETURN", "2, -2"),
         "ck_stock_levels_shipped"),
        (_ENTRY.format("on_hand_delta, reserved_delta", SHIRT, "RESERVE", "-1, 2"),
         "ck_stock_entries_shape"),
        (_ENTRY.format("on_hand_delta", SHIRT, "RECEIVE", "-1"), "ck_stock_entries_shape"),
        (_ENTRY.format("on_hand_delta", SHIRT, "STEAL", "1"), "ck_stock_entries_kind"),
        (_ENTRY.format("on_hand_delta, reserved_delta", KETTLE, "RESERVE", "-1, 1"),
         "stock_entries_have_levels"),
        (_ENTRY.format("on_hand_delta", "no such SKU", "RECEIVE", "1"), "fk_stock_levels_sku"),
        ("UPDATE stock_entries SET on_hand_delta = 99", "stock_entries_append_only"),
        ("DELETE FROM stock_entries", "stock_entries_append_only"),
        ("TRUNCATE stock_entries", "stock_entries_append_only"),
        ("UPDATE stock_levels SET on_hand = 99", "stock_levels_follow_entries"),
        ("DELETE FROM stock_levels", "stock_levels_follow_entries"),
        ("INSERT INTO stock_levels (sku, warehouse_id, on_hand) VALUES ('KETTLE', 'w-blr', 5)",
         "stock_levels_follow_entries"),
        ("UPDATE reservations SET state = 'HELD', ended_at = NULL", "reservations_end_once"),
        ("UPDATE reservations SET state = 'RELEASED'", "reservations_end_once"),
        (_RESERVATION, "uq_reservations_order_id"),
    ],
)  # fmt: skip
async def test_the_database_refuses(shop_db: Database, statement: str, constraint: str) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=4)
    await reserve(shop_db, "o1", PlannedLine(SHIRT, BENGALURU, 1))
    async with shop_db.unit_of_work() as session:
        await stock.commit(session, "o1", key="commit/o1")
    before = await shop.levels(shop_db, SHIRT)

    with pytest.raises(DBAPIError) as refusal:
        await shop.run(shop_db, statement)

    assert constraint_of(refusal.value) == constraint
    assert await shop.levels(shop_db, SHIRT) == before == {BENGALURU: (3, 0, 1, 0)}
    assert await shop.levels(shop_db, KETTLE) == {}
    await shop.assert_levels_fold(shop_db)
