"""Users, their sessions and addresses, and what is blocked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, one_of
from db.vocabulary import BlockKind, IdempotencyState, Role, UserStatus


class User(Base):
    """A person who signs in; `email` is kept in lower case, so that case makes no second one."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        one_of("role", Role),
        one_of("status", UserStatus),
    )

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(unique=True)
    phone: Mapped[str | None]
    name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=UserStatus.ACTIVE)
    created_at: Mapped[Now]


class RefreshToken(Base):
    """One link of a family of rotating tokens; only its hash is stored."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "family_id"), Index(None, "user_id"))

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    family_id: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[Now]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Address(Base):
    """Where a user wants parcels; `state_code` is the two-digit GST code of the state."""

    __tablename__ = "addresses"
    __table_args__ = (
        CheckConstraint("pincode ~ '^[1-9][0-9]{5}$'", name="pincode"),
        CheckConstraint("state_code ~ '^[0-9]{2}$'", name="state_code"),
        Index(None, "user_id"),
    )

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    line1: Mapped[str]
    line2: Mapped[str] = mapped_column(server_default="")
    city: Mapped[str]
    state_code: Mapped[str]
    pincode: Mapped[str]
    phone: Mapped[str]
    created_at: Mapped[Now]


class RiskBlock(Base):
    """A user, device or PIN code that may not order."""

    __tablename__ = "risk_blocks"
    __table_args__ = (one_of("kind", BlockKind),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    created_at: Mapped[Now]


class IdempotencyKey(Base):
    """A request's key: what was asked under it, and what was answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        one_of("state", IdempotencyState),
        CheckConstraint("state = 'IN_FLIGHT' OR response_status IS NOT NULL", name="answered"),
        Index(None, "created_at"),
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str]
    body_hash: Mapped[str]
    resource_id: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=IdempotencyState.IN_FLIGHT)
    locked_until: Mapped[datetime]
    response_status: Mapped[int | None]
    response_body: Mapped[dict[str, Any] | None]
    created_at: Mapped[Now]
