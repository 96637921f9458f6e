"""The ledger: balanced, append-only movements of money, each posted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import AlreadyRecorded
from db.sql import dumps, fetch, sql
from db.vocabulary import LedgerKind

COD_DUE = "cod:due"


def psp_account(psp: str) -> str:
    """What a PSP holds for us."""
    return f"psp:{psp}"


def carrier_account(carrier: str) -> str:
    """What a carrier has collected for us and not paid out yet."""
    return f"carrier:{carrier}"


def order_account(order_id: str) -> str:
    """What an order's customer paid, as a credit."""
    return f"order:{order_id}"


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One side of a movement: a debit is positive, a credit negative (paise, never zero)."""

    account: str
    amount_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """A line as posted. Amounts in paise."""

    id: int
    txn_key: str
    account: str
    amount_paise: int
    currency: str
    kind: LedgerKind
    payment_id: str | None
    attempt_id: str | None
    at: datetime


_POST = sql(
    """
    INSERT INTO ledger_entries (entry_key, txn_key, account, amount_paise, currency, order_id,
                                payment_id, attempt_id, kind)
    SELECT concat_ws('/', CAST(:txn_key AS text), line.number), :txn_key,
           line.item ->> 0, (line.item ->> 1)::bigint, :currency, :order_id,
           :payment_id, :attempt_id, :kind
    FROM jsonb_array_elements(CAST(:lines AS jsonb)) WITH ORDINALITY AS line (item, number)
    ON CONFLICT (entry_key) DO NOTHING RETURNING id
    """
)
_POSTED = sql(
    """
    SELECT account, amount_paise, currency, kind, order_id FROM ledger_entries
    WHERE txn_key = :txn_key ORDER BY id
    """
)
_OF_ORDER = sql(
    """
    SELECT id, txn_key, account, amount_paise, currency, kind, payment_id, attempt_id, at
    FROM ledger_entries WHERE order_id = :order_id ORDER BY id
    """
)


async def post(
    session: AsyncSession,
    txn_key: str,
    lines: Sequence[LedgerLine],
    *,
    kind: LedgerKind,
    order_id: str,
    payment_id: str | None = None,
    attempt_id: str | None = None,
    currency: str = "INR",
) -> bool:
    """Post a movement; False when the same one was posted under `txn_key` before.

    Raises ValueError when the lines do not add up to nothing, AlreadyRecorded when another
    movement has the key.
    """
    rest = sum(line.amount_paise for line in lines)
    if rest or not lines:
        raise ValueError(f"ledger transaction {txn_key} is out of balance by {rest} paise")
    posted = await fetch(
        session,
        _POST,
        txn_key=txn_key,
        lines=dumps([(line.account, line.amount_paise) for line in lines]),
        kind=kind,
        order_id=order_id,
        payment_id=payment_id,
        attempt_id=attempt_id,
        currency=currency,
    )
    if len(posted) == len(lines):
        return True
    wanted: list[tuple[Any, ...]] = [
        (line.account, line.amount_paise, currency, kind, order_id) for line in lines
    ]
    found: list[tuple[Any, ...]] = [
        tuple(row.values()) for row in await fetch(session, _POSTED, txn_key=txn_key)
    ]
    if found != wanted:
        raise AlreadyRecorded("ledger transaction", txn_key, "other lines")
    return False


async def of_order(session: AsyncSession, order_id: str) -> tuple[LedgerRecord, ...]:
    """Every line of an order, in the order of posting."""
    rows = await fetch(session, _OF_ORDER, order_id=order_id)
    return tuple(LedgerRecord(**{**row, "kind": LedgerKind(row["kind"])}) for row in rows)
