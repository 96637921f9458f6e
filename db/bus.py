"""Where events go: an `EventBus`, and the one on Redis Streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from db import redis_keys
from db.repositories.outbox import PendingEvent


class BusDown(Exception):
    """The bus cannot be reached: nothing is known to be published, try again later."""


class EventBus(Protocol):
    """Takes events in order, at least once each; another bus (Kafka) fits behind it."""

    async def publish(self, events: Sequence[PendingEvent]) -> Sequence[str | None]:
        """Publish a batch; answers with an error for each event refused by itself, else None.

        Raises BusDown when the whole batch has to be tried again.
        """
        ...


class RedisStreamsBus:
    """One stream per topic, `events:<topic>`, trimmed to about `keep` entries.

    `redis` must decode its answers (`decode_responses=True`).
    """

    def __init__(self, redis: Redis, *, keep: int = 100_000) -> None:
        self._redis = redis
        self._keep = keep

    async def publish(self, events: Sequence[PendingEvent]) -> list[str | None]:
        """Send a batch in one round trip; raises BusDown."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for event in events:
                    stream = redis_keys.stream(event.topic)
                    pipe.xadd(stream, _fields(event), maxlen=self._keep, approximate=True)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise BusDown(f"{type(error).__name__}: {error}") from error
        return [_refusal(answer) for answer in answers]


def _fields(event: PendingEvent) -> dict[Any, Any]:
    return {
        "event_id": event.event_id,
        "key": event.key,
        "schema": event.schema,
        "version": event.version,
        "payload": orjson.dumps(event.payload),
    }


def _refusal(answer: object) -> str | None:
    if isinstance(answer, ResponseError):
        return str(answer)
    if isinstance(answer, Exception):
        raise BusDown(f"{type(answer).__name__}: {answer}") from answer
    return None
