"""What sagas did: the guards of their database steps, and the projection of their timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Now, one_of
from db.vocabulary import SagaState, StepState


class StepGuard(Base):
    """Makes a saga's database step happen once, and its undo a tombstone for a late arrival."""

    __tablename__ = "step_guards"
    __table_args__ = (one_of("state", StepState), Index(None, "saga_id"))

    key: Mapped[str] = mapped_column(primary_key=True)
    saga_id: Mapped[str]
    step: Mapped[str]
    state: Mapped[str]
    # any JSON value; SQL NULL where the step has not stored one
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    at: Mapped[Now]


class Saga(Base):
    """A saga as lists show it; `id` is its workflow id."""

    __tablename__ = "sagas"
    __table_args__ = (
        one_of("state", SagaState),
        CheckConstraint("state <> 'PARKED' OR parked_code IS NOT NULL", name="parked"),
        CheckConstraint(
            "(state IN ('COMPLETED', 'COMPENSATED')) = (ended_at IS NOT NULL)", name="ended"
        ),
        Index("ix_sagas_newest", text("started_at DESC"), text("id DESC")),
        Index(None, "state", "updated_at"),
        Index(None, "kind"),
        Index(None, "order_id"),
        Index(None, "customer_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    order_id: Mapped[str | None]
    customer_id: Mapped[str | None]
    waiting_on: Mapped[str] = mapped_column(server_default="")
    parked_step: Mapped[str | None]
    parked_code: Mapped[str | None]
    started_at: Mapped[datetime]
    updated_at: Mapped[Now]
    ended_at: Mapped[datetime | None]
    events: Mapped[int] = mapped_column(server_default=text("0"))


class SagaEvent(Base):
    """One line of a saga's timeline. Append-only."""

    __tablename__ = "saga_events"

    saga_id: Mapped[str] = mapped_column(ForeignKey("sagas.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    step: Mapped[str]
    kind: Mapped[str]
    code: Mapped[str] = mapped_column(server_default="")
    detail: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default="")
