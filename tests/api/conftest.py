"""The edge over a real PostgreSQL and a real Valkey, with an engine that the test directs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from api import ApiConfig, RateLimits, create_app
from api.services import Services, open_redis
from db import migrate
from db.session import Database
from db.vocabulary import Role
from domain.webhooks import verify_alphapay, verify_betapay
from tests.api import shop
from tests.api.fakes import FakeEngine
from tests.integration.db import postgres, valkey

_EMPTY = """DO $$
DECLARE name text;
BEGIN
    -- as a replica no trigger fires, so that append-only tables can be emptied
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$"""


@pytest.fixture(scope="session")
def pg() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def cache() -> Iterator[valkey.Server]:
    with valkey.running() as server:
        yield server


async def execute(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(pg: postgres.Server) -> str:
    await execute(pg.url(), "CREATE DATABASE edge")
    await migrate.upgrade(pg.url("edge"))
    return pg.url("edge")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def db(migrated: str) -> AsyncIterator[Database]:
    database = Database(migrated, pool_size=20)
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis(cache: valkey.Server) -> AsyncIterator[Redis]:
    client = open_redis(cache.url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def stores(db: Database, redis: Redis, migrated: str) -> None:
    """Everything empty but the shop."""
    await execute(migrated, _EMPTY)
    await redis.flushall()
    await shop.open_shop(db)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


class Edge:
    """A running edge: `http` speaks to it, `clock` is its time."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient, engine: FakeEngine) -> None:
        self.app = app
        self.http = http
        self.engine = engine

    @property
    def services(self) -> Services:
        found: Services = self.app.state.services
        return found

    def move_clock(self, by: timedelta) -> None:
        self.services.clock = lambda: datetime.now(UTC) + by

    def token(self, user_id: str = shop.ASHA, role: Role = Role.CUSTOMER) -> str:
        return self.services.tokens.issue(user_id, role, datetime.now(UTC))

    def bearer(self, user_id: str = shop.ASHA, role: Role = Role.CUSTOMER) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, role)}"}

    async def place(
        self, body: Any = None, *, key: str = "key-of-the-first-order", user: str = shop.ASHA
    ) -> httpx.Response:
        headers = {**self.bearer(user), "Idempotency-Key": key}
        return await self.http.post("/v1/orders", json=body or shop.order_body(), headers=headers)


def config(**changes: Any) -> ApiConfig:
    given: dict[str, Any] = {
        "postgres_url": "",
        "redis_url": "",
        "temporal_address": "",
        "jwt_secret": "a-secret-of-the-tests-that-is-long-enough",
        "webhooks": {
            "alphapay": partial(verify_alphapay, secrets=("alpha-1", "alpha-2")),
            "betapay": partial(verify_betapay, secrets=("beta-1",)),
        },
        "answer_within": 1.0,
        "limits": RateLimits.relaxed(1000),
    }
    return ApiConfig(**{**given, **changes})


@asynccontextmanager
async def serving(
    settings: ApiConfig, db: Database, redis: Redis, engine: FakeEngine
) -> AsyncIterator[Edge]:
    app = create_app(settings, database=db, redis=redis, engine=engine)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://edge") as http,
    ):
        yield Edge(app, http, engine)


@pytest_asyncio.fixture(loop_scope="session")
async def edge(stores: None, db: Database, redis: Redis, engine: FakeEngine) -> AsyncIterator[Edge]:
    async with serving(config(), db, redis, engine) as running:
        yield running
