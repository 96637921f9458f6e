"""Bringing a database to this release's schema."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.errors import NewerSchema, SchemaError

# any number will do, as long as nobody else's advisory lock has it
_LOCK = 7_205_759_403


def head() -> str:
    """The revision that this release works with."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise SchemaError("this release has no migrations; the checkout is incomplete")
    return revision


async def current(url: str) -> str | None:
    """The revision the database is at, or None when it is empty."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()


async def upgrade(url: str) -> str:
    """Bring the database to `head()` in one transaction; returns the revision it was brought to.

    Two at once are safe: the second waits, then finds nothing to do.
    Raises NewerSchema when a later release wrote the database.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    return head()


def refuse_newer(found: str | None) -> None:
    """Raise NewerSchema when `found` is a revision this release does not know."""
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise NewerSchema(found, head())


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    refuse_newer(_current(connection))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
