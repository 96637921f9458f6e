"""The migrations make what the models say, to the last constraint."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from db import migrate
from db.base import Base
from db.errors import NewerSchema
from db.session import Database
from tests.integration.db.conftest import execute

_SHAPE = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity
        FROM information_schema.columns WHERE table_schema = 'public'
        AND table_name <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 't'
        AND conrelid::regclass::text <> 'alembic_version'""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'""",
}


async def _shape(db: Database, part: str) -> set[tuple[Any, ...]]:
    async with db.reading() as session:
        return {tuple(row) for row in await session.execute(text(_SHAPE[part]))}


async def test_alembic_sees_no_difference(db: Database) -> None:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, Base.metadata))

    async with db.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


@pytest.mark.parametrize("part", sorted(_SHAPE))
async def test_the_catalogues_agree(db: Database, empty_url: str, part: str) -> None:
    declared = Database(empty_url, pool_size=1)
    try:
        async with declared.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        migrated = await _shape(db, part)
        assert len(migrated) > 50
        assert migrated == await _shape(declared, part)
    finally:
        await declared.close()


async def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    url = empty_url
    assert await migrate.current(url) is None
    assert await migrate.upgrade(url) == migrate.head()
    assert await migrate.upgrade(url) == migrate.head()
    assert await migrate.current(url) == migrate.head()


async def test_a_newer_schema_is_refused_by_name(empty_url: str) -> None:
    url = empty_url
    await migrate.upgrade(url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match=r"'?9999'?.*use another data folder") as refusal:
        await migrate.upgrade(url)
    assert refusal.value.found == "9999"
    assert refusal.value.head == migrate.head()
    assert await migrate.current(url) == "9999"


async def test_two_upgrades_at_once_are_one(empty_url: str) -> None:
    head = migrate.head()
    assert await asyncio.gather(*(migrate.upgrade(empty_url) for _ in range(3))) == [head] * 3
    assert await migrate.current(empty_url) == head
