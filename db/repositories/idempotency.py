"""Idempotency keys of the edge: the same key and body get the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.sql import dumps, execute, fetch_one, sql


class KeyOutcome(StrEnum):
    """What a request under a key has to do.

    NEW: carry it out. RESUME: the first one died half-way, carry it out with its resource id.
    IN_FLIGHT: refuse, the first is at work. REPLAY: give the stored answer.
    OTHER_BODY: refuse, the key belongs to another request.
    """

    NEW = "NEW"
    RESUME = "RESUME"
    IN_FLIGHT = "IN_FLIGHT"
    REPLAY = "REPLAY"
    OTHER_BODY = "OTHER_BODY"


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The outcome, the resource id to use, and the stored answer for a REPLAY."""

    outcome: KeyOutcome
    resource_id: str
    status: int | None = None
    body: dict[str, Any] | None = None


_INSERT = sql(
    """
    INSERT INTO idempotency_keys (user_id, key, route, body_hash, resource_id, state, locked_until)
    VALUES (:user_id, :key, :route, :body_hash, :resource_id, 'IN_FLIGHT', :locked_until)
    ON CONFLICT (user_id, key) DO NOTHING RETURNING resource_id
    """
)
_FIND = sql(
    """
    SELECT route, body_hash, resource_id, state, locked_until, response_status, response_body
    FROM idempotency_keys WHERE user_id = :user_id AND key = :key FOR NO KEY UPDATE
    """,
    json=("response_body",),
)
_RETAKE = sql(
    """
    UPDATE idempotency_keys SET locked_until = :locked_until
    WHERE user_id = :user_id AND key = :key
    """
)
_FINISH = sql(
    """
    UPDATE idempotency_keys
    SET state = 'DONE', response_status = :status, response_body = CAST(:body AS jsonb)
    WHERE user_id = :user_id AND key = :key AND state = 'IN_FLIGHT'
    """
)
_FORGET = sql(
    """
    DELETE FROM idempotency_keys
    WHERE user_id = :user_id AND key = :key AND state = 'IN_FLIGHT'
    """
)
_PURGE = sql("DELETE FROM idempotency_keys WHERE created_at < :before")


async def claim(
    session: AsyncSession,
    *,
    user_id: str,
    key: str,
    route: str,
    body_hash: str,
    resource_id: str,
    now: datetime,
    locked_until: datetime,
) -> KeyClaim:
    """Claim a key for a request that would make `resource_id`; commit before carrying it out."""
    whose = {"user_id": user_id, "key": key}
    row = await fetch_one(
        session,
        _INSERT,
        **whose,
        route=route,
        body_hash=body_hash,
        resource_id=resource_id,
        locked_until=locked_until,
    )
    if row is not None:
        return KeyClaim(KeyOutcome.NEW, resource_id)
    first = await fetch_one(session, _FIND, **whose)
    if first is None:
        # forgotten between the two statements: its owner was refused, and may try again
        return KeyClaim(KeyOutcome.IN_FLIGHT, resource_id)
    if (first["route"], first["body_hash"]) != (route, body_hash):
        return KeyClaim(KeyOutcome.OTHER_BODY, first["resource_id"])
    if first["state"] == "DONE":
        status, body = first["response_status"], first["response_body"]
        return KeyClaim(KeyOutcome.REPLAY, first["resource_id"], status, body)
    if first["locked_until"] > now:
        return KeyClaim(KeyOutcome.IN_FLIGHT, first["resource_id"])
    await execute(session, _RETAKE, **whose, locked_until=locked_until)
    return KeyClaim(KeyOutcome.RESUME, first["resource_id"])


async def finish(
    session: AsyncSession, *, user_id: str, key: str, status: int, body: dict[str, Any]
) -> None:
    """Store the answer; the first one stays."""
    await execute(session, _FINISH, user_id=user_id, key=key, status=status, body=dumps(body))


async def forget(session: AsyncSession, *, user_id: str, key: str) -> None:
    """Free a key whose request was refused before it changed anything."""
    await execute(session, _FORGET, user_id=user_id, key=key)


async def purge(session: AsyncSession, before: datetime) -> int:
    """Delete the keys made before a moment; answers with how many."""
    return await execute(session, _PURGE, before=before)
