"""Connections and transactions: one unit of work per request or activity, one snapshot per read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

_SERVER_SETTINGS = {
    # our statements are short: compiling them costs more than it saves
    "jit": "off",
    # a bug must not hold stock rows for ever
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "15s",
    "statement_timeout": "60s",
}


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class Database:
    """A pool of connections to PostgreSQL.

    `url` is `postgresql+asyncpg://…`; `pool_size` bounds the connections of this process, and
    who finds all of them busy waits up to `pool_timeout` seconds, then gets a TimeoutError.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = 15.0,
        application: str = "sagakart",
    ) -> None:
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout,
            # an error must not carry an address or a token into a log
            hide_parameters=True,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args={
                "timeout": 5,
                "prepared_statement_cache_size": 500,
                "server_settings": {**_SERVER_SETTINGS, "application_name": application},
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        reader = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writers = async_sessionmaker(self.engine, expire_on_commit=False)
        self._readers = async_sessionmaker(reader, expire_on_commit=False)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[AsyncSession]:
        """One transaction: commits at the end of the block, rolls back when it raises."""
        async with self._writers() as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only snapshot: several selects agree with each other, a write is refused."""
        async with self._readers() as session, session.begin():
            yield session

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self.engine.dispose()


def _refuse_closed(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: object
) -> None:
    # asyncpg knows when the server went away: no ping per check-out, and no error after a restart
    driver: Any = connection.driver_connection
    if driver is not None and driver.is_closed():
        raise DisconnectionError("the server closed this connection; taking a new one")
