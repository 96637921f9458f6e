"""One server per run, one migrated database, emptied before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db import migrate
from db.session import Database
from tests.integration.db import postgres, shop

_numbers = count(1)

# as a replica no trigger fires, so that append-only tables can be emptied; much quicker than a
# database for each test
_EMPTY = """DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$"""


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


async def execute(url: str, statement: str) -> None:
    """One statement outside any transaction."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(server: postgres.Server) -> str:
    """The URL of the migrated database that the tests share."""
    await execute(server.url(), "CREATE DATABASE migrated")
    await migrate.upgrade(server.url("migrated"))
    return server.url("migrated")


@pytest_asyncio.fixture(loop_scope="session")
async def empty_url(server: postgres.Server) -> str:
    """The URL of a database of the test's own, without tables."""
    name = f"empty_{next(_numbers)}"
    await execute(server.url(), f"CREATE DATABASE {name}")
    return server.url(name)


@pytest_asyncio.fixture(loop_scope="session")
async def db(migrated: str) -> AsyncIterator[Database]:
    """The migrated database, its tables empty."""
    await execute(migrated, _EMPTY)
    database = Database(migrated, pool_size=20)
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shop_db(db: Database) -> Database:
    """A database with the shop of `shop.py`, its shelves empty."""
    await shop.open_shop(db)
    return db
