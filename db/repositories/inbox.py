"""The webhook inbox: a provider's event is seen once, and delivered until the saga has it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
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
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """The row of an event: `new` the first time, `delivered` once its saga has it."""

    id: str
    new: bool
    delivered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxFilter:
    """Which events a list shows; None means any.

    `waiting_since` leaves those that are not delivered and were received by then (UTC).
    """

    provider: str | None = None
    order_id: str | None = None
    waiting_since: datetime | None = None


_COLUMNS = """id, provider, event_id, occurred_at, received_at, trust, kind, payment_ref,
    order_id, payload, delivered_at, delivery_attempts, last_error"""
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
# What failed waits as long again as it has waited by then, and comes after what did not: however
# many are stuck, they hold up no other. (The cap keeps the interval within a timestamp's range.)
_UNDELIVERED = sql(
    f"""
    SELECT {_COLUMNS} FROM webhook_inbox
    WHERE delivered_at IS NULL AND received_at <= CAST(:now AS timestamptz)
        - make_interval(secs => :grace * power(2, least(delivery_attempts, 24)))
    ORDER BY delivery_attempts, received_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
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
_LIST = sql(
    f"""
    SELECT {_COLUMNS} FROM webhook_inbox
    WHERE (CAST(:provider AS text) IS NULL OR provider = :provider)
      AND (CAST(:order_id AS text) IS NULL OR order_id = :order_id)
      AND (CAST(:waiting_since AS timestamptz) IS NULL
           OR delivered_at IS NULL AND received_at <= :waiting_since)
    ORDER BY received_at DESC, id DESC LIMIT :limit
    """,  # noqa: S608 - only the column list is put in
    json=("payload",),
)
_GET = sql(f"SELECT {_COLUMNS} FROM webhook_inbox WHERE id = :id", json=("payload",))  # noqa: S608
_LOCKED = sql(
    f"SELECT {_COLUMNS} FROM webhook_inbox WHERE id = :id FOR NO KEY UPDATE",  # noqa: S608
    json=("payload",),
)
_REPLAY = sql("UPDATE webhook_inbox SET delivered_at = NULL, delivery_attempts = 0 WHERE id = :id")
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
    return tuple(_record(row) for row in rows)


async def list_events(
    session: AsyncSession, wanted: InboxFilter, *, limit: int = 50
) -> tuple[WebhookRecord, ...]:
    """Events as they were stored, newest first."""
    rows = await fetch(session, _LIST, **asdict(wanted), limit=limit)
    return tuple(_record(row) for row in rows)


async def get(session: AsyncSession, webhook_id: str) -> WebhookRecord:
    """One event; raises NotFound."""
    return _found(await fetch_one(session, _GET, id=webhook_id), webhook_id)


async def replay(session: AsyncSession, webhook_id: str) -> WebhookRecord:
    """Have an event delivered as if it had just come; returns it as it was before.

    It waits for a relay that has the event in hand. Raises NotFound.
    """
    before = _found(await fetch_one(session, _LOCKED, id=webhook_id), webhook_id)
    await execute(session, _REPLAY, id=webhook_id)
    return before


async def mark_delivered(
    session: AsyncSession, webhook_id: str, *, order_id: str | None = None
) -> bool:
    """The saga has it; False when that was known."""
    return await execute(session, _DELIVERED, id=webhook_id, order_id=order_id) == 1


async def mark_failed(session: AsyncSession, webhook_id: str, error: str) -> None:
    """It could not be delivered; it stays in the inbox."""
    await execute(session, _FAILED, id=webhook_id, error=error[:500])


def _found(row: RowMapping | None, webhook_id: str) -> WebhookRecord:
    if row is None:
        raise NotFound("webhook", webhook_id)
    return _record(row)


def _record(row: RowMapping) -> WebhookRecord:
    return WebhookRecord(**{**row, "trust": Trust(row["trust"])})
