"""What only the edge asks: to let go of a key, and for orders that no saga has opened yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.sql import execute, fetch_one, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class UnopenedOrder:
    """An order that was asked for and has no row: `refused` once its saga ended without one."""

    order_id: str
    asked_at: datetime
    refused: bool
    code: str
    reason: str


_UNLOCK = sql(
    """
    UPDATE idempotency_keys SET locked_until = :now
    WHERE user_id = :user_id AND key = :key AND state = 'IN_FLIGHT'
    """
)
# by user first: a user's keys are few, and their index begins with the user
_UNOPENED = sql(
    """
    SELECT asked.resource_id AS order_id, asked.created_at AS asked_at,
           coalesce(saga.state = 'COMPENSATED', false) AS refused,
           coalesce(ending.code, '') AS code, coalesce(ending.detail, '') AS reason
    FROM idempotency_keys AS asked
    LEFT JOIN sagas AS saga ON saga.id = :saga_id
    LEFT JOIN LATERAL (
        SELECT code, detail FROM saga_events
        WHERE saga_id = saga.id AND kind = 'COMPENSATING' ORDER BY seq DESC LIMIT 1
    ) AS ending ON true
    WHERE asked.user_id = :user_id AND asked.resource_id = :order_id
    """
)


async def unlock(session: AsyncSession, *, user_id: str, key: str, now: datetime) -> None:
    """Let the next request under a key resume it; the key keeps its resource id."""
    await execute(session, _UNLOCK, user_id=user_id, key=key, now=now)


async def unopened(
    session: AsyncSession, *, user_id: str, order_id: str, saga_id: str
) -> UnopenedOrder | None:
    """A user's order that has no row: under way, or refused before it was opened."""
    values = {"user_id": user_id, "order_id": order_id, "saga_id": saga_id}
    row = await fetch_one(session, _UNOPENED, **values)
    return None if row is None else UnopenedOrder(**row)
