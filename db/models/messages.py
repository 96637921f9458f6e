"""What leaves and what arrives: the outbox, and the inbox of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, one_of
from db.vocabulary import Trust


class OutboxEvent(Base):
    """An event written in the transaction of the change it tells of; the relay publishes it."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("version >= 1", name="version"),
        Index("ix_outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    event_id: Mapped[str] = mapped_column(unique=True)
    topic: Mapped[str]
    key: Mapped[str]
    schema: Mapped[str]
    version: Mapped[int]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[Now]
    published_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]


class WebhookEvent(Base):
    """A provider's event as it was verified. Seen (this row) and delivered are two facts."""

    __tablename__ = "webhook_inbox"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        one_of("trust", Trust),
        Index(
            "ix_webhook_inbox_undelivered",
            "received_at",
            postgresql_where=text("delivered_at IS NULL"),
        ),
        Index(None, "order_id"),
    )

    id: Mapped[Id]
    provider: Mapped[str]
    event_id: Mapped[str]
    occurred_at: Mapped[datetime]
    received_at: Mapped[Now]
    trust: Mapped[str]
    kind: Mapped[str]
    payment_ref: Mapped[str | None]
    order_id: Mapped[str | None]
    payload: Mapped[dict[str, Any]]
    delivered_at: Mapped[datetime | None]
    delivery_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
