"""Saved ways to pay: a PSP's token for a card, an account or a UPI address, never its number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.sql import columns, execute, fetch, fetch_one, sql, values_of
from domain.payments import PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstrument:
    """A PSP's token, and what a customer and a router may know of what is behind it.

    `label` is for people ("Visa ending 4242"), `bin` a card's first six to eight digits.
    """

    id: str
    user_id: str
    method: PaymentMethod
    psp: str
    token: str
    label: str
    bin: str | None = None
    bank: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRecord(NewInstrument):
    """An instrument as stored."""

    created_at: datetime


_INSTRUMENT = columns(InstrumentRecord)
# saving a token twice is saving it once
_ADD = sql(
    f"""
    INSERT INTO payment_instruments (id, user_id, method, psp, token, label, bin, bank, expires_on)
    VALUES (:id, :user_id, :method, :psp, :token, :label, :bin, :bank, :expires_on)
    ON CONFLICT (user_id, psp, token) WHERE removed_at IS NULL
    DO UPDATE SET label = excluded.label, expires_on = excluded.expires_on
    RETURNING {_INSTRUMENT}
    """  # noqa: S608 - only the column list is put into these statements
)
_OF_USER = sql(
    f"""
    SELECT {_INSTRUMENT} FROM payment_instruments
    WHERE user_id = :user_id AND removed_at IS NULL ORDER BY id
    """  # noqa: S608
)
_GET = sql(
    f"""
    SELECT {_INSTRUMENT} FROM payment_instruments
    WHERE id = :id AND user_id = :user_id AND removed_at IS NULL
    """  # noqa: S608
)
_REMOVE = sql(
    """
    UPDATE payment_instruments SET removed_at = now()
    WHERE id = :id AND user_id = :user_id AND removed_at IS NULL
    """
)


async def add(session: AsyncSession, instrument: NewInstrument) -> InstrumentRecord:
    """Save one; the same token of the same user is saved once."""
    (row,) = await fetch(session, _ADD, **values_of(instrument, NewInstrument))
    return _instrument(row)


async def of_user(session: AsyncSession, user_id: str) -> tuple[InstrumentRecord, ...]:
    """A user's instruments, oldest first."""
    return tuple(_instrument(row) for row in await fetch(session, _OF_USER, user_id=user_id))


async def get(session: AsyncSession, instrument_id: str, user_id: str) -> InstrumentRecord:
    """A user's own instrument; raises NotFound for any other."""
    row = await fetch_one(session, _GET, id=instrument_id, user_id=user_id)
    if row is None:
        raise NotFound("payment instrument", instrument_id)
    return _instrument(row)


async def remove(session: AsyncSession, instrument_id: str, user_id: str) -> bool:
    """Forget one; False when there is no such one of this user."""
    return await execute(session, _REMOVE, id=instrument_id, user_id=user_id) == 1


def _instrument(row: RowMapping) -> InstrumentRecord:
    return InstrumentRecord(**{**row, "method": PaymentMethod(row["method"])})
