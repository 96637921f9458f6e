"""Settlements as people read them: totals per provider and day, payouts, and what is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import BadCursor
from db.paging import Page, bounded, decode, page_of
from db.repositories.settlements import CURRENT, holding_account
from db.sql import dumps, fetch, sql
from domain.cases import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The differences of one kind: how many there are, of them open, and their sum in paise."""

    outcome: Outcome
    cases: int
    open: int
    paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotals:
    """One day of one provider; amounts in paise, towards us positive.

    The amounts are of lines that were paid out: `held` lines are counted, and not summed.
    `read_at` is None where nobody has read the day's report.
    """

    provider: str
    day: date
    currency: str
    read_at: datetime | None
    lines: int
    held: int
    matched: int
    gross_paise: int
    fee_paise: int
    tax_paise: int
    net_paise: int
    differences: tuple[Difference, ...] = ()

    @property
    def matched_share(self) -> float | None:
        """The share of lines that agree with our ledger, None of none."""
        return self.matched / self.lines if self.lines else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One transfer to our bank, as its provider's lines add up; `utr` names it at the bank."""

    provider: str
    settlement_id: str
    utr: str
    currency: str
    lines: int
    net_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """Open cases of one provider by age in whole days, and the sum of their sizes in paise."""

    provider: str
    currency: str
    up_to_1: int
    up_to_7: int
    up_to_30: int
    older: int
    paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a provider has for us and still has time to settle, in paise."""

    provider: str
    currency: str
    movements: int
    paise: int


_DAYS = """
    SELECT provider, day FROM settlement_days
    UNION SELECT provider, day FROM reconciliation_cases WHERE present
"""
_CHOOSE = """
    (CAST(:provider AS text) IS NULL OR provider = :provider)
    AND (CAST(:first AS date) IS NULL OR day >= :first)
    AND (CAST(:last AS date) IS NULL OR day <= :last)
"""
_PAGE = sql(
    f"""
    SELECT provider, day FROM ({_DAYS}) AS known
    WHERE {_CHOOSE}
      AND (CAST(:last_day AS date) IS NULL OR (day, provider) < (:last_day, :last_provider))
    ORDER BY day DESC, provider DESC LIMIT :limit
    """  # noqa: S608 - texts of this module
)
_WANTED = """
    jsonb_to_recordset(CAST(:days AS jsonb)) AS wanted (provider text, day date)
"""
_TOTALS = sql(
    f"""
    SELECT wanted.provider, wanted.day, coalesce(min(line.currency), 'INR') AS currency,
           min(known.read_at) AS read_at, count(line.id) AS lines,
           count(line.id) FILTER (WHERE line.on_hold) AS held,
           count(line.id) FILTER (WHERE match.outcome = 'MATCHED') AS matched,
           coalesce(sum(gross_paise) FILTER (WHERE NOT on_hold), 0)::bigint AS gross_paise,
           coalesce(sum(fee_paise) FILTER (WHERE NOT on_hold), 0)::bigint AS fee_paise,
           coalesce(sum(tax_paise) FILTER (WHERE NOT on_hold), 0)::bigint AS tax_paise,
           coalesce(sum(net_paise) FILTER (WHERE NOT on_hold), 0)::bigint AS net_paise
    FROM {_WANTED}
    LEFT JOIN settlement_days AS known USING (provider, day)
    LEFT JOIN settlement_lines AS line
        ON line.provider = wanted.provider AND line.settled_on = wanted.day AND {CURRENT}
    LEFT JOIN settlement_matches AS match
        ON match.provider = line.provider AND match.item = 'line:' || line.line_id
    GROUP BY wanted.provider, wanted.day, line.currency
    ORDER BY wanted.day DESC, wanted.provider DESC, line.currency
    """  # noqa: S608
)
_DIFFERENCES = sql(
    f"""
    SELECT provider, day, currency, outcome, count(*) AS cases,
           count(*) FILTER (WHERE state = 'OPEN') AS open,
           sum(difference_paise)::bigint AS paise
    FROM {_WANTED} JOIN reconciliation_cases AS known USING (provider, day)
    WHERE present GROUP BY provider, day, currency, outcome ORDER BY outcome
    """  # noqa: S608
)
_PAYOUTS = sql(
    f"""
    SELECT provider, settlement_id, utr, currency, count(*) AS lines,
           sum(net_paise)::bigint AS net_paise
    FROM settlement_lines AS line
    WHERE settled_on = :day AND (CAST(:provider AS text) IS NULL OR provider = :provider)
      AND NOT on_hold AND {CURRENT}
    GROUP BY provider, settlement_id, utr, currency
    ORDER BY provider, settlement_id, utr, currency
    """  # noqa: S608
)
_AGES = sql(
    """
    SELECT provider, currency,
           count(*) FILTER (WHERE age < 2) AS up_to_1,
           count(*) FILTER (WHERE age BETWEEN 2 AND 7) AS up_to_7,
           count(*) FILTER (WHERE age BETWEEN 8 AND 30) AS up_to_30,
           count(*) FILTER (WHERE age > 30) AS older,
           sum(abs(difference_paise))::bigint AS paise
    FROM (SELECT *, extract(day FROM CAST(:now AS timestamptz) - opened_at)::int AS age
          FROM reconciliation_cases
          WHERE state = 'OPEN' AND (CAST(:provider AS text) IS NULL OR provider = :provider))
        AS aged
    GROUP BY provider, currency ORDER BY provider, currency
    """
)
_PROVIDERS = sql(
    """
    SELECT provider FROM reconciliation_marks
    WHERE CAST(:provider AS text) IS NULL OR provider = :provider ORDER BY provider
    """
)
_OWED = sql(
    """
    SELECT entry.currency, count(*) AS movements, sum(entry.amount_paise)::bigint AS paise
    FROM settlement_matches AS match
    JOIN ledger_entries AS entry ON entry.txn_key = match.item AND entry.account = :account
    WHERE match.provider = :provider AND match.outcome = 'PENDING'
    GROUP BY entry.currency ORDER BY entry.currency
    """
)


async def list_days(
    session: AsyncSession,
    *,
    provider: str | None = None,
    first: date | None = None,
    last: date | None = None,
    after: str | None = None,
    limit: int = 30,
) -> Page[DayTotals]:
    """Days newest first, each provider by itself; `after` is the `next` of the page before."""
    limit = bounded(limit)
    last_day, last_provider = _decoded(after) if after is not None else (None, None)
    chosen = await fetch(
        session,
        _PAGE,
        provider=provider,
        first=first,
        last=last,
        limit=limit + 1,
        last_day=last_day,
        last_provider=last_provider,
    )
    page = page_of(chosen, limit, lambda row: (row["day"].isoformat(), row["provider"]))
    return Page(await _totals(session, page.items), page.next)


async def payouts(
    session: AsyncSession, day: date, *, provider: str | None = None
) -> tuple[Payout, ...]:
    """The transfers of a day, to be held against the bank's statement."""
    rows = await fetch(session, _PAYOUTS, day=day, provider=provider)
    return tuple(Payout(**row) for row in rows)


async def ageing(
    session: AsyncSession, now: datetime, *, provider: str | None = None
) -> tuple[Ageing, ...]:
    """How old the open cases are."""
    rows = await fetch(session, _AGES, now=now, provider=provider)
    return tuple(Ageing(**row) for row in rows)


async def owed(session: AsyncSession, *, provider: str | None = None) -> tuple[Owed, ...]:
    """What providers will settle by themselves, as of the last comparison."""
    found: list[Owed] = []
    for row in await fetch(session, _PROVIDERS, provider=provider):
        name = row["provider"]
        sums = await fetch(session, _OWED, provider=name, account=holding_account(name))
        found += [Owed(provider=name, **each) for each in sums]
    return tuple(found)


async def _totals(session: AsyncSession, days: Sequence[RowMapping]) -> tuple[DayTotals, ...]:
    wanted = dumps([{"provider": row["provider"], "day": row["day"]} for row in days])
    differences = _by_day(await fetch(session, _DIFFERENCES, days=wanted))
    return tuple(
        DayTotals(
            **row,
            differences=tuple(differences[row["provider"], row["day"], row["currency"]]),
        )
        for row in await fetch(session, _TOTALS, days=wanted)
    )


def _by_day(rows: Iterable[RowMapping]) -> dict[tuple[Any, ...], list[Difference]]:
    found: dict[tuple[Any, ...], list[Difference]] = defaultdict(list)
    for row in rows:
        found[row["provider"], row["day"], row["currency"]].append(
            Difference(
                outcome=Outcome(row["outcome"]),
                cases=row["cases"],
                open=row["open"],
                paise=row["paise"],
            )
        )
    return found


def _decoded(cursor: str) -> tuple[date, str]:
    day, provider = decode(cursor, 2)
    try:
        return date.fromisoformat(day), provider
    except ValueError as error:
        raise BadCursor(cursor) from error
