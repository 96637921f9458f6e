"""Units of work: all or nothing, and no error left over from a server that came back."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from db.outage import is_outage
from db.session import Database
from tests.integration.db import postgres, shop


async def test_a_restarted_server_is_not_noticed_afterwards(
    shop_db: Database, server: postgres.Server
) -> None:
    async def read() -> int:
        async with shop_db.reading() as session:
            return int(await session.scalar(text("SELECT count(*) FROM users")) or 0)

    assert await asyncio.gather(*(read() for _ in range(20))) == [1] * 20
    server.kill()
    with pytest.raises(Exception) as away:  # noqa: PT011 - whatever a lost server looks like
        await read()
    assert is_outage(away.value)
    server.start()
    assert await asyncio.gather(*(read() for _ in range(20))) == [1] * 20


async def test_a_mistake_is_no_outage(shop_db: Database) -> None:
    for statement in ("SELECT nonsense", "UPDATE users SET role = 'king'", "SELECT 1 / 0"):
        with pytest.raises(Exception) as mistake:  # noqa: PT011
            await shop.run(shop_db, statement)
        assert not is_outage(mistake.value)


async def test_readers_see_one_moment(shop_db: Database) -> None:
    count = text("SELECT count(*) FROM risk_blocks")
    async with shop_db.reading() as session:
        assert await session.scalar(count) == 0
        await shop.run(shop_db, "INSERT INTO risk_blocks VALUES ('USER', 'u', 'why')")
        assert await session.scalar(count) == 0
    async with shop_db.reading() as session:
        assert await session.scalar(count) == 1


async def test_a_full_pool_says_so(migrated: str) -> None:
    db = Database(migrated, pool_size=1, pool_timeout=0.1)
    try:
        async with db.reading() as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(PoolTimeout) as full:
                await shop.rows(db, "SELECT 1")
        assert is_outage(full.value)
        assert await shop.rows(db, "SELECT 1") == [(1,)]
    finally:
        await db.close()
