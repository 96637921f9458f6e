"""Reading a topic from Redis Streams as one of a group, each event taking effect once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy.ext.asyncio import AsyncSession

from db import redis_keys
from db.outage import is_outage
from db.relay import IDLE_SECONDS, LONGEST_BACK_OFF_SECONDS, pause
from db.repositories import steps
from db.session import Database

BATCH: Final = 50
BLOCK_MS: Final = 1_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it arrives; `key` is what it is about."""

    event_id: str
    topic: str
    key: str
    schema: str
    version: int
    payload: dict[str, Any]


Handler = Callable[[AsyncSession, Event], Awaitable[None]]


class Consumer:
    """One consumer `name` of a `group`; the members of a group share a topic's events.

    The handler runs in a unit of work that also records the event's id, so that what it writes
    there happens once however often the event comes. An event whose handler raises is tried
    again after `retry_after` seconds by any member, `tries` times in all, then dead-lettered.
    `redis` must decode its answers.
    """

    def __init__(
        self,
        redis: Redis,
        db: Database,
        *,
        topic: str,
        group: str,
        name: str,
        handler: Handler,
        tries: int = 5,
        retry_after: float = 5.0,
    ) -> None:
        self._redis = redis
        self._db = db
        self._topic = topic
        self._stream = redis_keys.stream(topic)
        self._dead = redis_keys.dead_letters(topic)
        self._group = group
        self._name = name
        self._handler = handler
        self._tries = tries
        self._retry_ms = int(retry_after * 1000)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; a lost Redis or database is waited for, with back-off."""
        back_off = IDLE_SECONDS
        while not stop.is_set():
            try:
                await self.join()
                while not stop.is_set():
                    await self.consume_once(BLOCK_MS)
                    back_off = IDLE_SECONDS
            except Exception as error:
                # after a flush the group is gone, and is made again
                if not is_outage(error) and "NOGROUP" not in str(error):
                    raise
                _log.warning("consumer waits", topic=self._topic, error=str(error)[:200])
                await pause(stop, back_off)
                back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)

    async def join(self) -> None:
        """Make the group, from the stream's beginning, unless it is there."""
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def consume_once(self, block_ms: int | None = None) -> int:
        """Handle what is due again, then up to a batch of new events; answers with how many.

        `block_ms` waits that long for new ones. Raises what Redis and the database raise when
        they are lost.
        """
        overdue = await self._overdue()
        answer: Any = await self._redis.xreadgroup(
            self._group, self._name, {self._stream: ">"}, count=BATCH, block=block_ms
        )
        fresh = [entry for _, entries in answer for entry in entries]
        for entry_id, fields in [*overdue, *fresh]:
            await self._take(entry_id, fields)
        return len(overdue) + len(fresh)

    async def _overdue(self) -> list[tuple[str, dict[str, str]]]:
        """Claim events that failed or whose consumer died; bury those that failed too often."""
        answer = await self._redis.xautoclaim(
            self._stream, self._group, self._name, min_idle_time=self._retry_ms, count=BATCH
        )
        claimed = [(entry_id, fields) for entry_id, fields in answer[1] if fields]
        due = []
        for entry_id, fields in claimed:
            if await self._deliveries(entry_id) > self._tries:
                await self._bury(entry_id, fields, f"it failed {self._tries} times")
            else:
                due.append((entry_id, fields))
        return due

    async def _deliveries(self, entry_id: str) -> int:
        (row,) = await self._redis.xpending_range(
            self._stream, self._group, min=entry_id, max=entry_id, count=1
        )
        return int(row["times_delivered"])

    async def _take(self, entry_id: str, fields: Mapping[str, str]) -> None:
        try:
            event = _event(self._topic, fields)
        except (KeyError, ValueError) as error:
            await self._bury(entry_id, fields, f"it cannot be read: {error!r}")
            return
        try:
            await self._handle(event)
        except Exception as error:
            if is_outage(error):
                raise
            # left pending: it comes back through _overdue
            _log.warning(
                "event not handled",
                topic=self._topic,
                group=self._group,
                event_id=event.event_id,
                error=f"{type(error).__name__}: {error}",
            )
            return
        await self._redis.xack(self._stream, self._group, entry_id)

    async def _handle(self, event: Event) -> None:
        key = f"event/{self._group}/{event.event_id}"
        async with self._db.unit_of_work() as session:
            claim = await steps.begin(
                session, key, saga_id=f"consumer:{self._group}", step=event.topic
            )
            if not claim.done:
                await self._handler(session, event)

    async def _bury(self, entry_id: str, fields: Mapping[str, str], why: str) -> None:
        _log.error("event dead-lettered", topic=self._topic, group=self._group, why=why)
        letter: dict[Any, Any] = {**fields, "dead_group": self._group, "dead_reason": why}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(self._dead, letter)
            pipe.xack(self._stream, self._group, entry_id)
            await pipe.execute()


def _event(topic: str, fields: Mapping[str, str]) -> Event:
    payload = orjson.loads(fields["payload"])
    if not isinstance(payload, dict):
        raise ValueError("the payload is not an object")
    return Event(
        event_id=fields["event_id"],
        topic=topic,
        key=fields["key"],
        schema=fields["schema"],
        version=int(fields["version"]),
        payload=payload,
    )
