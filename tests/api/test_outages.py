"""A database that dies under the edge: 503 while it is away, and well again afterwards."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.outages import is_outage
from db import migrate
from db.session import Database
from tests.api import shop
from tests.api.conftest import Edge, config, execute, serving
from tests.api.fakes import FakeEngine
from tests.api.shop import refused
from tests.integration.db import postgres


async def test_postgres_killed_and_back(redis: Redis, engine: FakeEngine) -> None:
    with postgres.running() as server:
        await execute(server.url(), "CREATE DATABASE edge")
        await migrate.upgrade(server.url("edge"))
        database = Database(server.url("edge"), pool_size=5)
        async with serving(config(), database, redis, engine) as edge:
            await shop.open_shop(database)
            assert {answer.status_code for answer in await _at_once(edge)} == {200}
            server.kill()
            for answer in await _at_once(edge):
                refused(answer, 503, "TEMPORARILY_UNAVAILABLE")
            refused(await edge.place(), 503, "TEMPORARILY_UNAVAILABLE")
            assert engine.orders == []
            server.start()
            assert {answer.status_code for answer in await _at_once(edge)} == {200}
            assert (await edge.place()).status_code == 201
        await database.close()


async def _at_once(edge: Edge) -> list[httpx.Response]:
    return await asyncio.gather(*(edge.http.get("/v1/products") for _ in range(5)))


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("connection"), ZeroDivisionError()])
def test_a_bug_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)


async def test_a_wrong_statement_is_no_outage(db: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with db.reading() as session:
            await session.execute(text("SELECT nothing FROM nowhere"))
    assert not is_outage(caught.value)
