"""A fast path to answers that were given before, beside the keys in the database."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db import redis_keys

log = structlog.get_logger("api")

_KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered under a key, and the hash of what was asked."""

    body_hash: str
    status: int
    body: dict[str, Any]


class Replays:
    """Answers by user and key in Redis. Never the truth: without it the database answers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, user_id: str, key: str) -> StoredAnswer | None:
        """The answer given under a key, if it is still here."""
        try:
            kept = await self._redis.get(_name(user_id, key))
        except (RedisError, OSError) as error:
            log.warning("replay not looked up", error=type(error).__name__)
            return None
        return None if kept is None else StoredAnswer(**orjson.loads(kept))

    async def keep(self, user_id: str, key: str, answer: StoredAnswer) -> None:
        """Keep an answer that is in the database already."""
        kept = orjson.dumps(asdict(answer))
        try:
            await self._redis.set(_name(user_id, key), kept, ex=_KEPT_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("replay not kept", error=type(error).__name__)


def _name(user_id: str, key: str) -> str:
    return redis_keys.idempotency(user_id, hashlib.sha256(key.encode()).hexdigest())
