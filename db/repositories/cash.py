"""Cash on delivery: how much may be paid so, where."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from db.sql import execute, fetch, fetch_one, sql

# What carriers carry for a shop without an agreement of its own.
USUAL_LIMIT_PAISE = 50_000_00

_LIMIT = sql(
    """
    SELECT max_paise FROM cash_limits WHERE starts_with(CAST(:pincode AS text), pincode_prefix)
    ORDER BY length(pincode_prefix) DESC LIMIT 1
    """
)
_ALL = sql("SELECT pincode_prefix, max_paise FROM cash_limits ORDER BY pincode_prefix")
_SET = sql(
    """
    INSERT INTO cash_limits (pincode_prefix, max_paise) VALUES (:prefix, :max_paise)
    ON CONFLICT (pincode_prefix) DO UPDATE SET max_paise = excluded.max_paise
    """
)


async def limit(session: AsyncSession, pincode: str) -> int:
    """The most that may be paid in cash at a PIN code, in paise; 0 where no cash is taken.

    The longest prefix decides: '56' for all of Karnataka's south, '560001' for one post office.
    """
    row = await fetch_one(session, _LIMIT, pincode=pincode)
    return USUAL_LIMIT_PAISE if row is None else int(row["max_paise"])


async def limits(session: AsyncSession) -> dict[str, int]:
    """Every limit, by its prefix, in paise."""
    return {row["pincode_prefix"]: row["max_paise"] for row in await fetch(session, _ALL)}


async def set_limit(session: AsyncSession, prefix: str, max_paise: int) -> None:
    """Set the limit of a prefix; '' is everywhere else."""
    await execute(session, _SET, prefix=prefix, max_paise=max_paise)
