"""What the books know about who orders: block lists and cash-on-delivery history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.sql import execute, fetch_one, sql
from db.vocabulary import BlockKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHistory:
    """`blocked` names the lists that match: 'user', 'device', 'pincode'."""

    registered_at: datetime
    cod_refusals: int
    blocked: tuple[str, ...]


# a cash order that came back before any cash was collected was refused at the door
_HISTORY = sql(
    """
    SELECT u.created_at AS registered_at,
           (SELECT count(*) FROM orders AS o JOIN payments AS p ON p.order_id = o.id
            WHERE o.user_id = u.id AND o.payment_method = 'COD'
              AND o.state = 'RETURNED' AND p.state = 'VOIDED') AS cod_refusals,
           ARRAY(SELECT lower(b.kind) FROM risk_blocks AS b
                 WHERE (b.kind, b.value) IN (('USER', CAST(:user_id AS text)),
                                             ('DEVICE', CAST(:device_id AS text)),
                                             ('PINCODE', CAST(:pincode AS text)))
                 ORDER BY b.kind) AS blocked
    FROM users AS u WHERE u.id = CAST(:user_id AS text)
    """
)
_BLOCK = sql(
    """
    INSERT INTO risk_blocks (kind, value, reason) VALUES (:kind, :value, :reason)
    ON CONFLICT (kind, value) DO NOTHING
    """
)
_UNBLOCK = sql("DELETE FROM risk_blocks WHERE kind = :kind AND value = :value")


async def history(
    session: AsyncSession, *, user_id: str, device_id: str, pincode: str
) -> CustomerHistory:
    """A customer's history, and the block lists that they, the device or PIN code are on."""
    row = await fetch_one(session, _HISTORY, user_id=user_id, device_id=device_id, pincode=pincode)
    if row is None:
        raise NotFound("user", user_id)
    return CustomerHistory(**{**row, "blocked": tuple(row["blocked"])})


async def block(session: AsyncSession, kind: BlockKind, value: str, reason: str) -> bool:
    """Put a value on a block list; False when it is there."""
    return await execute(session, _BLOCK, kind=kind, value=value, reason=reason) == 1


async def unblock(session: AsyncSession, kind: BlockKind, value: str) -> bool:
    """Take a value off a block list; False when it is not there."""
    return await execute(session, _UNBLOCK, kind=kind, value=value) == 1
