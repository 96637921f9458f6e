"""What providers settled: each line stored once, and booked in the ledger as it is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.repositories.ledger import carrier_account, psp_account
from db.sql import dumps, execute, fetch, sql
from db.vocabulary import LedgerKind
from domain.money import Money
from domain.settlements import CARRIER, LineKind, SettlementLine, business_day

# A provider may add to a day's report after it was first read; older days are final once read.
STILL_CHANGING = timedelta(days=2)
# Days without a reading that a round makes up for.
LOOK_BACK = timedelta(days=14)

_MONEY = ("gross", "fee", "tax", "net")
_WORDS = tuple(
    one.name for one in fields(SettlementLine) if one.name not in (*_MONEY, "kind", "provider")
)
LINE_COLUMNS = ", ".join(
    f"line.{name}"
    for name in ("provider", "kind", "currency", *(f"{one}_paise" for one in _MONEY), *_WORDS)
)
# What the provider last said of a line.
CURRENT = """NOT EXISTS (SELECT FROM settlement_lines AS newer
    WHERE newer.provider = line.provider AND newer.line_id = line.line_id
      AND newer.revision > line.revision)"""
# Two runs must not both find a line new, nor a case unopened.
_LOCK = sql(
    "SELECT pg_advisory_xact_lock(hashtextextended('settlements of ' || :provider, 0)) IS NULL"
)
_KNOWN = sql(
    f"""
    SELECT {LINE_COLUMNS}, line.revision FROM settlement_lines AS line
    WHERE line.provider = :provider AND line.line_id = ANY(CAST(:ids AS text[])) AND {CURRENT}
    """  # noqa: S608 - texts of this module
)
_STORE = sql(
    """
    INSERT INTO settlement_lines (provider, line_id, revision, kind, gross_paise, fee_paise,
        tax_paise, net_paise, currency, occurred_at, settled_on, payment_ref, merchant_ref,
        return_ref, return_key, settlement_id, utr, on_hold)
    SELECT :provider, line_id, revision, kind, gross_paise, fee_paise, tax_paise, net_paise,
           currency, occurred_at, settled_on, payment_ref, merchant_ref, return_ref, return_key,
           settlement_id, utr, on_hold
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS line (
        line_id text, revision int, kind text, gross_paise bigint, fee_paise bigint,
        tax_paise bigint, net_paise bigint, currency text, occurred_at timestamptz,
        settled_on date, payment_ref text, merchant_ref text, return_ref text, return_key text,
        settlement_id text, utr text, on_hold boolean)
    """
)
_BOOK = sql(
    """
    INSERT INTO ledger_entries (entry_key, txn_key, account, amount_paise, currency, kind)
    SELECT concat_ws('/', txn_key, account, currency), txn_key, account, paise, currency, kind
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS entry (
        txn_key text, account text, paise bigint, currency text, kind text)
    """
)
_READ = sql(
    """
    INSERT INTO settlement_days (provider, day, lines, read_at)
    VALUES (:provider, :day, :lines, :at)
    ON CONFLICT (provider, day) DO UPDATE SET lines = excluded.lines, read_at = excluded.read_at
    """
)
_DAYS = sql(
    """
    SELECT day, read_at FROM settlement_days
    WHERE provider = :provider AND day BETWEEN :first AND :last
    """
)


@dataclass(frozen=True, slots=True)
class Stored:
    """How many lines were new, and of how many the provider now says something else."""

    new: int
    changed: int


async def lock(session: AsyncSession, provider: str) -> None:
    """Be the only one at a provider's settlements until the transaction ends."""
    await fetch(session, _LOCK, provider=provider)


def holding_account(provider: str) -> str:
    """The account of what a provider holds for us; a carrier is named `carrier:<name>`."""
    carrier = provider.startswith(CARRIER)
    return carrier_account(_bare(provider)) if carrier else psp_account(provider)


async def store(session: AsyncSession, provider: str, lines: Iterable[SettlementLine]) -> Stored:
    """Store and book lines of one provider; what is known already changes nothing.

    A line that says something else than before becomes its next revision, and the difference is
    booked. Raises ValueError for a line of another provider.
    """
    await lock(session, provider)
    lines = list(lines)
    strangers = {line.provider for line in lines} - {provider}
    if strangers:
        raise ValueError(f"lines of {', '.join(sorted(strangers))} among those of {provider}")
    known = {
        row["line_id"]: (int(row["revision"]), line_of(row))
        for row in await fetch(
            session, _KNOWN, provider=provider, ids=[line.line_id for line in lines]
        )
    }
    rows: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    new = 0
    for line in lines:
        revision, before = known.get(line.line_id, (0, None))
        if line == before:
            continue
        new += before is None
        known[line.line_id] = (revision + 1, line)
        rows.append(_row(line, revision + 1))
        entries += _entries(line, before, f"settlement:{provider}:{line.line_id}:{revision + 1}")
    if rows:
        await execute(session, _STORE, provider=provider, rows=dumps(rows))
    if entries:
        await execute(session, _BOOK, rows=dumps(entries))
    return Stored(new=new, changed=len(rows) - new)


async def day_read(
    session: AsyncSession, provider: str, day: date, *, lines: int, at: datetime
) -> None:
    """Note that a day's report was read to its end."""
    await execute(session, _READ, provider=provider, day=day, lines=lines, at=at)


async def days_due(session: AsyncSession, provider: str, through: date) -> tuple[date, ...]:
    """The days to read, oldest first: `through`, those that may still change, those missed."""
    first = through - LOOK_BACK
    rows = await fetch(session, _DAYS, provider=provider, first=first, last=through)
    final = {
        row["day"] for row in rows if business_day(row["read_at"]) > row["day"] + STILL_CHANGING
    }
    days = (first + timedelta(days=number) for number in range(1, LOOK_BACK.days + 1))
    return tuple(day for day in days if day == through or day not in final)


async def write_off(
    session: AsyncSession, provider: str, key: str, paise: int, currency: str
) -> None:
    """Take what a provider will never pay off its account, or put a negative amount back."""
    amounts = {holding_account(provider): -paise, f"written-off:{_bare(provider)}": paise}
    rows = [
        {"txn_key": key, "account": account, "paise": amount, "currency": currency,
         "kind": LedgerKind.WRITE_OFF}
        for account, amount in amounts.items() if amount
    ]  # fmt: skip
    if rows:
        await execute(session, _BOOK, rows=dumps(rows))


def line_of(row: RowMapping | Mapping[str, Any]) -> SettlementLine:
    """The line in a row of LINE_COLUMNS."""
    values: dict[str, Any] = {name: row[name] for name in _WORDS}
    values |= {name: Money(row[f"{name}_paise"], row["currency"]) for name in _MONEY}
    return SettlementLine(provider=row["provider"], kind=LineKind(row["kind"]), **values)


def _row(line: SettlementLine, revision: int) -> dict[str, Any]:
    amounts = {f"{name}_paise": getattr(line, name).paise for name in _MONEY}
    words = {name: getattr(line, name) for name in _WORDS}
    about = {"revision": revision, "kind": line.kind, "currency": line.gross.currency}
    return {**about, **amounts, **words}


def _entries(
    line: SettlementLine, before: SettlementLine | None, key: str
) -> Sequence[dict[str, Any]]:
    """The ledger's lines that lead from what was booked for a line to what it says now."""
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for said, sign in ((line, 1), (before, -1)):
        if said is None or said.on_hold:
            continue
        amounts = (-said.gross.paise, said.net.paise, said.fee.paise, said.tax.paise)
        for account, paise in zip(_kinds(line.provider), amounts, strict=True):
            # a line's currency may be corrected too
            moved[account, said.gross.currency] += sign * paise
    kinds = _kinds(line.provider)
    return [
        {"txn_key": key, "account": account, "paise": paise, "currency": currency,
         "kind": kinds[account]}
        for (account, currency), paise in moved.items() if paise
    ]  # fmt: skip


def _kinds(provider: str) -> Mapping[str, LedgerKind]:
    """The accounts that a line moves: gross, net, fee, tax."""
    name = _bare(provider)
    return {
        holding_account(provider): LedgerKind.SETTLEMENT,
        f"bank:{name}": LedgerKind.SETTLEMENT,
        f"fee:{name}": LedgerKind.FEE,
        f"tax:{name}": LedgerKind.FEE_TAX,
    }


def _bare(provider: str) -> str:
    return provider.removeprefix(CARRIER)
