"""What is to be compared at a provider, and what became of it: matches, marks and cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.repositories.settlements import CURRENT, LINE_COLUMNS, holding_account, line_of
from db.sql import dumps, execute, fetch, fetch_one, sql
from domain.money import Money
from domain.payments import PaymentMethod
from domain.reconciliation import Finding, item_of
from domain.settlements import LineKind, Movement, SettlementLine

# What began before a comparison may be committed after it; no transaction lives longer.
_OVERLAP = timedelta(minutes=10)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

# a ledger transaction's key tells a second payment under one name, and a dispute's reference
_MOVEMENTS = """
    SELECT entry.txn_key, entry.amount_paise, entry.currency, entry.at,
           CASE entry.kind WHEN 'REFUND' THEN 'REFUND' WHEN 'CHARGEBACK' THEN 'CHARGEBACK'
                WHEN 'CHARGEBACK_REVERSAL' THEN 'CHARGEBACK_REVERSAL' ELSE 'PAYMENT' END AS kind,
           coalesce(attempt.merchant_ref, entry.order_id) AS merchant_ref, payment.method,
           coalesce(CASE WHEN refund.kind = 'DOUBLE' THEN split_part(refund.refund_key, ':', 2)
                WHEN entry.kind = 'LATE_CAPTURE' AND entry.txn_key LIKE 'capture:%:%'
                    THEN split_part(entry.txn_key, ':', 3)
                ELSE attempt.psp_ref END, '') AS payment_ref,
           coalesce(refund.psp_refund_ref, CASE WHEN entry.kind LIKE 'CHARGEBACK%'
                THEN split_part(entry.txn_key, ':', 3) END, '') AS return_ref,
           coalesce(refund.refund_key, '') AS return_key,
           coalesce(refund.kind = 'DOUBLE', entry.txn_key LIKE 'capture:%:%') AS double
    FROM ledger_entries AS entry
    LEFT JOIN payment_attempts AS attempt ON attempt.id = entry.attempt_id
    LEFT JOIN payments AS payment ON payment.id = entry.payment_id
    LEFT JOIN refunds AS refund
        ON entry.kind = 'REFUND' AND refund.refund_key = substr(entry.txn_key, 8)
    WHERE entry.account = :account AND entry.kind IN ('CAPTURE', 'LATE_CAPTURE', 'REFUND',
        'CHARGEBACK', 'CHARGEBACK_REVERSAL', 'COD_COLLECTED')
"""
# each part of the unions has an index of its own; an OR over them would read whole tables
_NEW_MOVEMENTS = sql(
    f"""{_MOVEMENTS}
    AND entry.id IN (
        SELECT id FROM ledger_entries WHERE account = :account AND at >= :since
        UNION SELECT known.id FROM settlement_matches AS match
              JOIN ledger_entries AS known ON known.txn_key = match.item
              WHERE match.provider = :provider AND match.outcome <> 'MATCHED')
    """  # noqa: S608 - texts of this module
)
_MOVEMENTS_OF = sql(
    f"""{_MOVEMENTS}
    AND entry.order_id IN (
        SELECT order_id FROM payment_attempts
        WHERE psp = :provider AND psp_ref = ANY(CAST(:payments AS text[]))
        UNION SELECT order_id FROM payment_attempts
              WHERE merchant_ref = ANY(CAST(:merchants AS text[]))
        UNION SELECT order_id FROM refunds
              WHERE psp_refund_ref = ANY(CAST(:returns AS text[]))
        UNION SELECT order_id FROM refunds
              WHERE refund_key = ANY(CAST(:return_keys AS text[]))
        UNION SELECT unnest(CAST(:merchants AS text[])))
    """  # noqa: S608
)
_NEW_LINES = sql(
    f"""
    SELECT {LINE_COLUMNS} FROM settlement_lines AS line
    WHERE {CURRENT} AND line.id IN (
        SELECT id FROM settlement_lines WHERE provider = :provider AND seen_at >= :since
        UNION SELECT known.id FROM settlement_matches AS match
              JOIN settlement_lines AS known
                  ON known.provider = match.provider AND known.line_id = substr(match.item, 6)
              WHERE match.provider = :provider AND match.outcome <> 'MATCHED'
                AND match.item LIKE 'line:%')
    """  # noqa: S608
)
_LINES_OF = sql(
    f"""
    SELECT {LINE_COLUMNS} FROM settlement_lines AS line
    WHERE {CURRENT} AND line.id IN (
        SELECT id FROM settlement_lines
        WHERE provider = :provider AND payment_ref = ANY(CAST(:payments AS text[]))
        UNION SELECT id FROM settlement_lines
              WHERE provider = :provider AND merchant_ref = ANY(CAST(:merchants AS text[]))
        UNION SELECT id FROM settlement_lines
              WHERE provider = :provider AND return_ref = ANY(CAST(:returns AS text[]))
        UNION SELECT id FROM settlement_lines
              WHERE provider = :provider AND return_key = ANY(CAST(:return_keys AS text[])))
    """  # noqa: S608
)
_MARK = sql("SELECT as_of, compared_at FROM reconciliation_marks WHERE provider = :provider")
_SET_MARK = sql(
    """
    INSERT INTO reconciliation_marks (provider, as_of, compared_at)
    VALUES (:provider, :as_of, now())
    ON CONFLICT (provider) DO UPDATE SET as_of = excluded.as_of, compared_at = excluded.compared_at
    """
)
_MATCH = sql(
    """
    INSERT INTO settlement_matches AS known (provider, item, subject, outcome)
    SELECT :provider, item, subject, outcome
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (item text, subject text, outcome text)
    ON CONFLICT (provider, item) DO UPDATE
    SET subject = excluded.subject, outcome = excluded.outcome
    WHERE (known.subject, known.outcome) <> (excluded.subject, excluded.outcome)
    """
)


@dataclass(frozen=True, slots=True)
class Mark:
    """As on which day a provider was last compared, and when."""

    as_of: date
    compared_at: datetime


@dataclass(frozen=True, slots=True)
class ToCompare:
    """What is new or differs at a provider, with all else of the payments it belongs to."""

    lines: Sequence[SettlementLine]
    movements: Sequence[Movement]


async def mark_of(session: AsyncSession, provider: str) -> Mark | None:
    """Up to when a provider was compared, None when it never was."""
    row = await fetch_one(session, _MARK, provider=provider)
    return None if row is None else Mark(row["as_of"], row["compared_at"])


async def set_mark(session: AsyncSession, provider: str, as_of: date) -> None:
    """Note that a provider is compared up to now."""
    await execute(session, _SET_MARK, provider=provider, as_of=as_of)


async def to_compare(session: AsyncSession, provider: str, mark: Mark | None) -> ToCompare:
    """What is to be compared at a provider: whole payments, so that no line is judged alone."""
    since = mark.compared_at - _OVERLAP if mark else _EVER
    account = holding_account(provider)
    asked = {"provider": provider, "since": since}
    ours = {"provider": provider, "account": account}
    lines = _lines(await fetch(session, _NEW_LINES, **asked))
    movements = _movements(await fetch(session, _NEW_MOVEMENTS, **ours, since=since))
    named = _names(lines, movements)
    movements |= _movements(await fetch(session, _MOVEMENTS_OF, **ours, **named))
    named = _names(lines, movements)
    lines |= _lines(await fetch(session, _LINES_OF, provider=provider, **named))
    return ToCompare(tuple(lines.values()), tuple(movements.values()))


async def keep_matches(session: AsyncSession, provider: str, findings: Iterable[Finding]) -> None:
    """Write down how each line and movement compares."""
    rows = [
        {"item": item, "subject": finding.subject, "outcome": finding.outcome}
        for finding in findings
        for item in finding.items
    ]
    if rows:
        await execute(session, _MATCH, provider=provider, rows=dumps(rows))


def _names(
    lines: dict[str, SettlementLine], movements: dict[str, Movement]
) -> dict[str, list[str]]:
    every: tuple[SettlementLine | Movement, ...] = (*lines.values(), *movements.values())
    return {
        "payments": sorted({one.payment_ref for one in every} - {""}),
        "merchants": sorted({one.merchant_ref for one in every} - {""}),
        "returns": sorted({one.return_ref for one in every} - {""}),
        "return_keys": sorted({one.return_key for one in every} - {""}),
    }


def _lines(rows: Iterable[RowMapping]) -> dict[str, SettlementLine]:
    return {item_of(line): line for line in map(line_of, rows)}


def _movements(rows: Iterable[RowMapping]) -> dict[str, Movement]:
    return {one.key: one for one in map(_movement, rows)}


def _movement(row: RowMapping) -> Movement:
    # a second payment that a provider made of one request is a payment of its own
    own = f":{row['payment_ref']}" if row["double"] else ""
    return Movement(
        key=row["txn_key"],
        kind=LineKind(row["kind"]),
        payment=row["merchant_ref"] + own,
        amount=Money(row["amount_paise"], row["currency"]),
        at=row["at"],
        payment_ref=row["payment_ref"],
        merchant_ref=row["merchant_ref"],
        return_ref=row["return_ref"],
        return_key=row["return_key"],
        method=PaymentMethod(row["method"]) if row["method"] else None,
    )
