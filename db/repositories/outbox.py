"""The outbox: events written in the transaction of the change that they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.ids import new_ulid
from db.sql import dumps, execute, fetch, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to publish: `key` is what it is about, such as an order id."""

    topic: str
    key: str
    schema: str
    version: int
    payload: dict[str, Any]
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent(NewEvent):
    """An event that waits for the relay; `attempts` counts its failures so far."""

    id: int
    attempts: int


_ADD = sql(
    """
    INSERT INTO outbox (event_id, topic, key, schema, version, payload)
    VALUES (:event_id, :topic, :key, :schema, :version, CAST(:payload AS jsonb))
    ON CONFLICT (event_id) DO NOTHING
    """
)
_PENDING = sql(
    """
    SELECT id, event_id, topic, key, schema, version, payload, attempts FROM outbox
    WHERE published_at IS NULL ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    """,
    json=("payload",),
)
_PUBLISHED = sql(
    """
    UPDATE outbox SET published_at = now(), last_error = NULL
    WHERE id = ANY(CAST(:ids AS bigint[]))
    """
)
_FAILED = sql(
    """
    UPDATE outbox SET attempts = attempts + 1, last_error = :error
    WHERE id = ANY(CAST(:ids AS bigint[])) AND published_at IS NULL
    """
)
_PURGE = sql(
    """
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM outbox WHERE published_at < now() - make_interval(secs => :seconds)
        ORDER BY id LIMIT :limit)
    """
)
_REPUBLISH = sql("UPDATE outbox SET published_at = NULL WHERE published_at >= :since")
_BACKLOG = sql("SELECT count(*) AS waiting FROM outbox WHERE published_at IS NULL")


async def add(
    session: AsyncSession,
    *,
    topic: str,
    key: str,
    schema: str,
    version: int,
    payload: dict[str, Any],
    event_id: str | None = None,
) -> bool:
    """Write an event; False when `event_id` was written before.

    Give a saga step's key as `event_id`, so that its replay tells nothing twice.
    """
    values = {"topic": topic, "key": key, "schema": schema, "version": version}
    written = await execute(
        session, _ADD, event_id=event_id or new_ulid(), payload=dumps(payload), **values
    )
    return written == 1


async def pending(session: AsyncSession, limit: int) -> tuple[PendingEvent, ...]:
    """The oldest unpublished events, locked; those of another relay's batch are left out."""
    return tuple(PendingEvent(**row) for row in await fetch(session, _PENDING, limit=limit))


async def mark_published(session: AsyncSession, ids: Sequence[int]) -> None:
    """These events are on the bus."""
    await execute(session, _PUBLISHED, ids=list(ids))


async def mark_failed(session: AsyncSession, ids: Sequence[int], error: str) -> None:
    """These events could not be published; they stay pending."""
    await execute(session, _FAILED, ids=list(ids), error=error[:500])


async def republish(session: AsyncSession, since: datetime) -> int:
    """Let the relay publish again what left since a moment, after the bus lost it."""
    return await execute(session, _REPUBLISH, since=since)


async def purge(session: AsyncSession, older_than_seconds: float, limit: int = 1000) -> int:
    """Delete up to `limit` events published longer ago than this; answers with how many."""
    return await execute(session, _PURGE, seconds=float(older_than_seconds), limit=limit)


async def backlog(session: AsyncSession) -> int:
    """How many events wait for the relay."""
    return int((await fetch(session, _BACKLOG))[0]["waiting"])
