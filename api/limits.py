"""Rate limits, counted in Redis so that all processes of the edge share them."""

from __future__ import annotations

import hashlib
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.config import RateLimit
from api.problems import Problem
from db import redis_keys

log = structlog.get_logger("api")

# A sliding window out of two fixed ones: the last window counts as far as it still overlaps.
# Answers 0, or for how many milliseconds there is no room.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local slot = math.floor(now / window)
local kept = redis.call('HMGET', KEYS[1], 'slot', 'count', 'before')
local count, before = tonumber(kept[2] or 0), tonumber(kept[3] or 0)
local gone = slot - tonumber(kept[1] or slot)
if gone == 1 then
  before, count = count, 0
elseif gone ~= 0 then
  before, count = 0, 0
end
local into = now - slot * window
if before * (window - into) / window + count >= limit then
  if count >= limit or before == 0 then return window - into end
  return math.max(1, math.ceil(window - into - (limit - count) * window / before))
end
redis.call('HSET', KEYS[1], 'slot', slot, 'count', count + 1, 'before', before)
redis.call('PEXPIRE', KEYS[1], window * 2)
return 0
"""


class Limiter:
    """Counts requests by limit and caller."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(_SCRIPT)

    async def take(self, name: str, limit: RateLimit, who: str, *, must_count: bool) -> None:
        """Count one request of `who`; raises Problem RATE_LIMITED, with when to come back.

        While Redis is away `must_count` decides. Where a limit guards something that can be
        guessed (passwords) or is costly on purpose (hashing them), nothing passes uncounted.
        Elsewhere everything passes: the database still guards money and stock, and a shop that
        stops selling because a counter is away has lost more than the limit protects.
        """
        # hashed: an e-mail address has no business in a cache
        key = redis_keys.rate_limit(name, hashlib.sha256(who.encode()).hexdigest()[:32])
        try:
            wait = await self._script(keys=[key], args=[limit.count, limit.seconds * 1000])
        except (RedisError, OSError) as error:
            log.warning("rate limit not counted", limit=name, error=type(error).__name__)
            if must_count:
                raise Problem("TEMPORARILY_UNAVAILABLE") from error
            return
        if wait:
            seconds = max(1, -(-int(wait) // 1000))
            raise Problem(
                "RATE_LIMITED",
                f"At most {limit.count} such requests in {limit.seconds} s; "
                f"try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )
