"""The webhook inbox: a provider's event is seen once, and delivered until the saga has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.ids import new_ulid
from db.sql import dumps, execute, fetch, fetch_one, sql
from db.vocabulary import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """A verified event, without card data. `payment_ref` is the provider's or our reference."""

    provider: str
    event_id: str
    occurred_at: datetime
    trust: Trust
    kind: str
    payment_ref: str | None
    order_id: str | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRecord(NewWebhook):
    """An event as it was stored."""

    id: str
    received_at: datetime
    delivered_at: datetime | None
    delivery_attempts: int


@dataclass(frozen=True, slots=True)
class Received:
    """The row of an event: `new` the first time, `delivered` once its saga has it."""

    id: str
    new: bool
    delivered: bool


_COLUMNS = """id, provider, event_id, occurred_at, received_at, trust, kind, payment_ref,
    order_id, payload, delivered_at, delivery_attempts"""
_RECEIVE = sql(
    """
    INSERT INTO webhook_inbox (id, provider, event_id, occurred_at, trust, kind, payment_ref,
                               order_id, payload)
    VALUES (:id, :provider, :event_id, :occurred_at, :trust, :kind, :payment_ref, :order_id,
            CAST(:payload AS jsonb))
    ON CONFLICT (provider, event_id) DO NOTHING RETURNING id
    """
)
_FIND = sql(
    """
    SELECT id, delivered_at IS NOT NULL AS delivered FROM webhook_inbox
    WHERE provider = :provider AND event_id = :event_id
    """
)
# those that keep failing wait longer each time, so that they do not hold up the others
_UNDELIVERED = sql(
    f"""
    SELECT {_COLUMNS} FROM webhook_inbox
    WHERE delivered_at IS NULL AND received_at <= CAST(:now AS timestamptz)
        - make_interval(secs => :grace * power(2, least(delivery_attempts, 10)))
    ORDER BY received_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    """,  # noqa: S608 - only the column list is put in
    json=("payload",),
)
_DELIVERED = sql(
    """
    UPDATE webhook_inbox
    SET delivered_at = now(), delivery_attempts = delivery_attempts + 1, last_error = NULL,
        order_id = coalesce(:order_id, order_id)
    WHERE id = :id AND delivered_at IS NULL
    """
)
_FAILED = sql(
    """
    UPDATE webhook_inbox SET delivery_attempts = delivery_attempts + 1, last_error = :error
    WHERE id = :id AND delivered_at IS NULL
    """
)


async def receive(session: AsyncSession, webhook: NewWebhook) -> Received:
    """Store an event once; a duplicate answers with the row of the first."""
    row = await fetch_one(
        session,
        _RECEIVE,
        id=new_ulid(),
        provider=webhook.provider,
        event_id=webhook.event_id,
        occurred_at=webhook.occurred_at,
        trust=webhook.trust,
        kind=webhook.kind,
        payment_ref=webhook.payment_ref,
        order_id=webhook.order_id,
        payload=dumps(webhook.payload),
    )
    if row is not None:
        return Received(row["id"], new=True, delivered=False)
    values = {"provider": webhook.provider, "event_id": webhook.event_id}
    earlier = (await fetch(session, _FIND, **values))[0]
    return Received(earlier["id"], new=False, delivered=earlier["delivered"])


async def undelivered(
    session: AsyncSession, now: datetime, *, grace_seconds: float = 5.0, limit: int = 50
) -> tuple[WebhookRecord, ...]:
    """Events seen but not delivered after a grace that doubles per attempt, locked, oldest first.

    The edge delivers at once; this is for what it could not, because it or the saga's server died.
    """
    rows = await fetch(session, _UNDELIVERED, now=now, grace=float(grace_seconds), limit=limit)
    return tuple(WebhookRecord(**{**row, "trust": Trust(row["trust"])}) for row in rows)


async def mark_delivered(
    session: AsyncSession, webhook_id: str, *, order_id: str | None = None
) -> bool:
    """The saga has it; False when that was known."""
    return await execute(session, _DELIVERED, id=webhook_id, order_id=order_id) == 1


async def mark_failed(session: AsyncSession, webhook_id: str, error: str) -> None:
    """It could not be delivered; it stays in the inbox."""
    await execute(session, _FAILED, id=webhook_id, error=error[:500])
