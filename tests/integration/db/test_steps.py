"""Step guards: once, never after the undo, and in the right order when the two meet."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from db.errors import StepUndone
from db.ids import new_ulid
from db.repositories import sagas, steps, stock
from db.repositories.steps import Claim, Undoing
from db.session import Database
from tests.integration.db import shop
from tests.integration.db.shop import BENGALURU, SHIRT


async def act(db: Database, key: str, *, work: asyncio.Event | None = None) -> object:
    """A saga's step that reserves a shirt; `work` holds it open in its transaction."""
    async with db.unit_of_work() as session:
        claim = await steps.begin(session, key, saga_id="checkout:o1", step="reserve stock")
        if claim.done:
            return claim.result
        reserved = await stock.reserve(
            session,
            reservation_id=new_ulid(),
            order_id="o1",
            plan=[stock.PlannedLine(SHIRT, BENGALURU, 1)],
            expires_at=shop.LATER,
            key=key,
        )
        if work is not None:
            await work.wait()
        await steps.finish(session, key, {"reservation": reserved.id})
        return {"reservation": reserved.id}


async def undo(db: Database, do_key: str) -> Undoing:
    async with db.unit_of_work() as session:
        undoing = await steps.undo(session, do_key, saga_id="checkout:o1", step="reserve stock")
        if undoing.happened and not undoing.again:
            await stock.release(session, "o1", key=f"undo/{do_key}")
        return undoing


async def test_a_replay_answers_as_before(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    first = await act(shop_db, "k")
    assert await act(shop_db, "k") == first
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (2, 1, 0, 0)}
    guard = "SELECT saga_id, step, state FROM step_guards"
    assert await shop.rows(shop_db, guard) == [("checkout:o1", "reserve stock", "DONE")]


async def test_two_deliveries_at_once_take_effect_once(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=9)
    answers = await asyncio.gather(*(act(shop_db, "k") for _ in range(8)))
    assert answers == [answers[0]] * 8
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (8, 1, 0, 0)}


async def test_an_undo_returns_what_the_action_stored(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    stored = await act(shop_db, "k")
    assert await undo(shop_db, "k") == Undoing(happened=True, again=False, result=stored)
    assert await undo(shop_db, "k") == Undoing(happened=True, again=True, result=stored)
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (3, 0, 0, 0)}


async def test_an_action_after_its_undo_has_no_effect(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    assert await undo(shop_db, "k") == Undoing(happened=False, again=False, result=None)
    with pytest.raises(StepUndone, match="key k was undone before it ran"):
        await act(shop_db, "k")
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (3, 0, 0, 0)}
    assert await shop.rows(shop_db, "SELECT key, state FROM step_guards") == [("k", "UNDONE")]


async def test_an_undo_waits_for_an_action_under_way(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    work = asyncio.Event()
    acting = asyncio.create_task(act(shop_db, "k", work=work))
    await _until_waiting(shop_db, "step_guards", waiting=False)
    undoing = asyncio.create_task(undo(shop_db, "k"))
    await _until_waiting(shop_db, "step_guards", waiting=True)
    assert not undoing.done()

    work.set()

    stored = await acting
    assert await undoing == Undoing(happened=True, again=False, result=stored)
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (3, 0, 0, 0)}


async def test_a_rolled_back_action_lets_the_undo_through(shop_db: Database) -> None:
    await shop.stock_up(shop_db, SHIRT, blr=3)
    work = asyncio.Event()
    acting = asyncio.create_task(act(shop_db, "k", work=work))
    await _until_waiting(shop_db, "step_guards", waiting=False)
    undoing = asyncio.create_task(undo(shop_db, "k"))
    await _until_waiting(shop_db, "step_guards", waiting=True)

    acting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await acting
    assert await undoing == Undoing(happened=False, again=False, result=None)
    with pytest.raises(StepUndone):
        await act(shop_db, "k")
    assert await shop.levels(shop_db, SHIRT) == {BENGALURU: (3, 0, 0, 0)}


async def test_a_claim_is_for_one_transaction(shop_db: Database) -> None:
    async def crash() -> None:
        async with shop_db.unit_of_work() as session:
            assert await steps.begin(session, "k", saga_id="s", step="x") == Claim(done=False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crash()
    async with shop_db.unit_of_work() as session:
        assert await steps.begin(session, "k", saga_id="s", step="x") == Claim(done=False)
        await steps.finish(session, "k", [1, "two", None])
    async with shop_db.unit_of_work() as session:
        claim = await steps.begin(session, "k", saga_id="s", step="x")
        assert claim == Claim(done=True, result=[1, "two", None])


async def _until_waiting(db: Database, table: str, *, waiting: bool) -> None:
    """Until some transaction has written the table (or: waits behind one that has)."""
    granted = "NOT granted" if waiting else "mode = 'RowExclusiveLock' AND granted"
    behind = "locktype = 'transactionid'" if waiting else f"relation = '{table}'::regclass"
    for _ in range(500):
        held = f"SELECT count(*) FROM pg_locks WHERE {granted} AND {behind}"  # noqa: S608
        if (await shop.rows(db, held))[0][0] > 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"nobody {'waits for' if waiting else 'wrote'} {table}")


async def test_guards_are_kept_while_their_saga_is_open_and_for_a_while_after(
    shop_db: Database,
) -> None:
    a_day = 24 * 3600.0
    async with shop_db.unit_of_work() as session:
        await sagas.begin(session, "checkout:open", kind="checkout")
        for key, saga in (("a", "checkout:open"), ("b", "checkout:ended"), ("c", "checkout:new")):
            await steps.begin(session, key, saga_id=saga, step="reserve stock")
        age = "UPDATE step_guards SET at = now() - interval '91 days' WHERE key <> 'c'"
        await session.execute(text(age))
        assert await steps.purge(session, 92 * a_day) == 0
        assert await steps.purge(session, 90 * a_day) == 1
        left = await session.execute(text("SELECT key FROM step_guards ORDER BY key"))
        assert [row.key for row in left] == ["a", "c"]
