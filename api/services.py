"""What the routes stand on, opened once per process; and how a route asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api.config import ApiConfig
from api.engine import Engine
from api.limits import Limiter
from api.metrics import Metrics
from api.passwords import Passwords
from api.replays import Replays
from api.tokens import AccessTokens
from db.payment_health import PaymentHealth
from db.session import Database

_PATIENCE = 2.0


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def open_redis(url: str) -> Redis:
    """A client that gives up quickly: nothing here may wait for a cache."""
    return Redis.from_url(
        url,
        socket_connect_timeout=0.3,
        socket_timeout=0.5,
        retry=Retry(NoBackoff(), 1),
        decode_responses=False,
    )


@dataclass(slots=True, kw_only=True)
class Services:
    """Everything with a connection, a secret or a clock."""

    config: ApiConfig
    database: Database
    redis: Redis
    engine: Engine
    limiter: Limiter
    replays: Replays
    tokens: AccessTokens
    passwords: Passwords
    health: PaymentHealth
    metrics: Metrics
    clock: Callable[[], datetime] = utc_now
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def around(
        cls, config: ApiConfig, database: Database, redis: Redis, engine: Engine
    ) -> Services:
        """The services over these connections."""
        health = PaymentHealth(redis, config.breaker)
        return cls(
            config=config,
            database=database,
            redis=redis,
            engine=engine,
            limiter=Limiter(redis),
            replays=Replays(redis),
            tokens=AccessTokens(config.jwt_secret, config.access_token_seconds),
            passwords=Passwords(),
            health=health,
            metrics=Metrics(database, health, config.offers),
        )

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with something after the answer; it must handle its own errors."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle(self) -> None:
        """Wait a moment for what is in the background, then leave it: the inbox remembers."""
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=_PATIENCE)
            for task in late:
                task.cancel()


def services(request: Request) -> Services:
    """The process's services, as a dependency."""
    found: Services = request.app.state.services
    return found


ServicesDep = Annotated[Services, Depends(services)]
