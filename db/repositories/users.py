"""Users, their addresses and their rotating refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import AlreadyRecorded, NotFound
from db.sql import execute, fetch, fetch_one, sql
from db.vocabulary import Role, UserStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A person who signs up; `email` may be in any case."""

    id: str
    email: str
    phone: str | None
    name: str
    password_hash: str = field(repr=False)
    role: Role = Role.CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord(NewUser):
    """A user as stored."""

    status: UserStatus
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    """Where a user wants parcels; `state_code` is the GST code of the state."""

    id: str
    user_id: str
    name: str
    line1: str
    line2: str
    city: str
    state_code: str
    pincode: str
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRecord(NewAddress):
    """An address as stored."""

    created_at: datetime


class RotationOutcome(StrEnum):
    """What became of a presented refresh token; only ROTATED lets its bearer in.

    REUSED: it was rotated before, so somebody has a copy, and its family is now revoked.
    """

    ROTATED = "ROTATED"
    REUSED = "REUSED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outcome, and whose token it was (None when UNKNOWN)."""

    outcome: RotationOutcome
    user_id: str | None = None


_USER = "id, email, phone, name, password_hash, role, status, created_at"
_ADDRESS = "id, user_id, name, line1, line2, city, state_code, pincode, phone, created_at"
_ADD_USER = sql(
    f"""
    INSERT INTO users (id, email, phone, name, password_hash, role)
    VALUES (:id, lower(:email), :phone, :name, :password_hash, :role)
    ON CONFLICT (email) DO NOTHING RETURNING {_USER}
    """  # noqa: S608 - only column lists are put into these statements
)
_BY_EMAIL = sql(f"SELECT {_USER} FROM users WHERE email = lower(:email)")  # noqa: S608
_BY_ID = sql(f"SELECT {_USER} FROM users WHERE id = :id")  # noqa: S608
_ADD_ADDRESS = sql(
    f"""
    INSERT INTO addresses (id, user_id, name, line1, line2, city, state_code, pincode, phone)
    VALUES (:id, :user_id, :name, :line1, :line2, :city, :state_code, :pincode, :phone)
    RETURNING {_ADDRESS}
    """  # noqa: S608
)
_ADDRESS_OF = sql(f"SELECT {_ADDRESS} FROM addresses WHERE id = :id AND user_id = :user_id")  # noqa: S608
_ADDRESSES = sql(f"SELECT {_ADDRESS} FROM addresses WHERE user_id = :user_id ORDER BY id")  # noqa: S608
_GRANT = sql("UPDATE users SET role = :role WHERE email = lower(:email)")
_ADD_TOKEN = sql(
    """
    INSERT INTO refresh_tokens (id, user_id, family_id, token_hash, expires_at)
    VALUES (:id, :user_id, :family_id, :token_hash, :expires_at)
    """
)
_TOKEN = sql(
    """
    SELECT id, user_id, family_id, expires_at, used_at, revoked_at FROM refresh_tokens
    WHERE token_hash = :token_hash FOR NO KEY UPDATE
    """
)
_USE_TOKEN = sql("UPDATE refresh_tokens SET used_at = :now WHERE id = :id")
_REVOKE_FAMILY = sql(
    """
    UPDATE refresh_tokens SET revoked_at = :now
    WHERE family_id = :family_id AND revoked_at IS NULL
    """
)
_FAMILY = sql("SELECT family_id FROM refresh_tokens WHERE token_hash = :token_hash")


async def add(session: AsyncSession, user: NewUser) -> UserRecord:
    """Store a user; raises AlreadyRecorded when the e-mail address has one."""
    row = await fetch_one(
        session,
        _ADD_USER,
        id=user.id,
        email=user.email,
        phone=user.phone,
        name=user.name,
        password_hash=user.password_hash,
        role=user.role,
    )
    if row is None:
        raise AlreadyRecorded("e-mail address", user.email.lower(), "another user")
    return _user(row)


async def by_email(session: AsyncSession, email: str) -> UserRecord | None:
    """The user with an e-mail address, in any case."""
    row = await fetch_one(session, _BY_EMAIL, email=email)
    return None if row is None else _user(row)


async def grant(session: AsyncSession, email: str, role: Role) -> None:
    """Give the user with an e-mail address a role; raises NotFound."""
    if await execute(session, _GRANT, email=email, role=role) == 0:
        raise NotFound("user", email)


async def get(session: AsyncSession, user_id: str) -> UserRecord:
    """The user; raises NotFound."""
    row = await fetch_one(session, _BY_ID, id=user_id)
    if row is None:
        raise NotFound("user", user_id)
    return _user(row)


async def add_address(session: AsyncSession, address: NewAddress) -> AddressRecord:
    """Store an address."""
    values = {name: getattr(address, name) for name in NewAddress.__dataclass_fields__}
    return AddressRecord(**(await fetch(session, _ADD_ADDRESS, **values))[0])


async def address(session: AsyncSession, user_id: str, address_id: str) -> AddressRecord:
    """A user's own address; raises NotFound for one that is not theirs."""
    row = await fetch_one(session, _ADDRESS_OF, id=address_id, user_id=user_id)
    if row is None:
        raise NotFound("address", address_id)
    return AddressRecord(**row)


async def addresses(session: AsyncSession, user_id: str) -> tuple[AddressRecord, ...]:
    """A user's addresses, oldest first."""
    return tuple(AddressRecord(**row) for row in await fetch(session, _ADDRESSES, user_id=user_id))


async def issue_token(
    session: AsyncSession,
    *,
    token_id: str,
    user_id: str,
    family_id: str,
    token_hash: str,
    expires_at: datetime,
) -> None:
    """Store the first refresh token of a sign-in, by its hash."""
    values = {"id": token_id, "user_id": user_id, "family_id": family_id}
    await execute(session, _ADD_TOKEN, **values, token_hash=token_hash, expires_at=expires_at)


async def rotate_token(
    session: AsyncSession,
    presented_hash: str,
    *,
    token_id: str,
    token_hash: str,
    expires_at: datetime,
    now: datetime,
) -> Rotation:
    """Exchange a refresh token for the next of its family.

    A refusal is a value, not an error: the revocation that REUSED makes must be committed.
    """
    row = await fetch_one(session, _TOKEN, token_hash=presented_hash)
    if row is None:
        return Rotation(RotationOutcome.UNKNOWN)
    outcome = _judge(row, now)
    if outcome is RotationOutcome.REUSED:
        await execute(session, _REVOKE_FAMILY, family_id=row["family_id"], now=now)
    elif outcome is RotationOutcome.ROTATED:
        await execute(session, _USE_TOKEN, id=row["id"], now=now)
        await issue_token(
            session,
            token_id=token_id,
            user_id=row["user_id"],
            family_id=row["family_id"],
            token_hash=token_hash,
            expires_at=expires_at,
        )
    return Rotation(outcome, row["user_id"])


async def revoke_family(session: AsyncSession, presented_hash: str, *, now: datetime) -> bool:
    """Sign out: no token of the presented one's family works any more; False if unknown."""
    row = await fetch_one(session, _FAMILY, token_hash=presented_hash)
    if row is None:
        return False
    await execute(session, _REVOKE_FAMILY, family_id=row["family_id"], now=now)
    return True


def _judge(row: RowMapping, now: datetime) -> RotationOutcome:
    if row["revoked_at"] is not None:
        return RotationOutcome.REVOKED
    if row["used_at"] is not None:
        return RotationOutcome.REUSED
    return RotationOutcome.EXPIRED if row["expires_at"] <= now else RotationOutcome.ROTATED


def _user(row: RowMapping) -> UserRecord:
    return UserRecord(
        **{**row, "role": Role(row["role"]), "status": UserStatus(row["status"])},
    )
