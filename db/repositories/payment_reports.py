"""Reports about payments: success, failover, refunds on their way, outcomes not known.

A payment belongs to the time in which it was opened. That time is in its id (a ULID), so that a
range of time is a range of the primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from db.sql import fetch, sql
from domain.outcomes import Outcome, outcome_of
from domain.payments import FailureClass, PaymentMethod, PaymentState
from domain.refunds import RefundState

# A first word takes a call's time-outs; after that silence is an unknown outcome.
_SILENT_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCount:
    """How many attempts of one kind came to one outcome; `bank` is '' where it is not known."""

    psp: str
    method: PaymentMethod
    bank: str
    outcome: Outcome
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """Payments that a PSP was asked for, how many went on to another, and what that saved.

    Saved are sold orders that were paid at another PSP than the first asked; in paise.
    """

    payments: int
    failed_over: int
    saved_orders: int
    saved_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBacklog:
    """Refunds of one state that are not paid out; the ages are counts, the sum is in paise."""

    state: RefundState
    refunds: int
    paise: int
    oldest: datetime
    under_an_hour: int
    under_a_day: int
    under_a_week: int
    older: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownAttempt:
    """An attempt of which nobody knows yet whether money moved, since it was asked."""

    id: str
    order_id: str
    psp: str
    state: PaymentState
    amount_paise: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCaptures:
    """Money that PSPs took for attempts that were over, and how much of it went back; in paise."""

    attempts: int
    paise: int
    returned_attempts: int
    returned_paise: int


_ATTEMPTS = sql(
    """
    SELECT attempt.psp, payment.method, coalesce(attempt.bank, '') AS bank, attempt.state,
           attempt.failure_class, late.was, count(*) AS attempts
    FROM payments AS payment
    JOIN payment_attempts AS attempt ON attempt.payment_id = payment.id
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM ledger_entries
            WHERE order_id = attempt.order_id AND attempt_id = attempt.id
              AND kind = 'LATE_CAPTURE'
        ) AS was
    ) AS late
    WHERE payment.id >= :first AND payment.id < :last
    GROUP BY attempt.psp, payment.method, bank, attempt.state, attempt.failure_class, late.was
    """
)
_FAILOVER = sql(
    """
    WITH asked AS (
        SELECT payment.order_id, payment.amount_paise, count(DISTINCT attempt.psp) AS psps,
               (array_agg(attempt.psp ORDER BY attempt.seq))[1] AS first_psp
        FROM payments AS payment
        JOIN payment_attempts AS attempt ON attempt.payment_id = payment.id
        WHERE payment.id >= :first AND payment.id < :last
        GROUP BY payment.id
    ),
    paid AS (
        SELECT asked.*, sold.id IS NOT NULL AS elsewhere
        FROM asked
        LEFT JOIN ledger_entries AS line
            ON line.order_id = asked.order_id AND line.kind = 'CAPTURE' AND line.amount_paise > 0
            AND line.account <> 'psp:' || asked.first_psp
        LEFT JOIN orders AS sold
            ON sold.id = line.order_id AND sold.confirmed_at IS NOT NULL
    )
    SELECT count(*) AS payments, count(*) FILTER (WHERE psps > 1) AS failed_over,
           count(*) FILTER (WHERE elsewhere) AS saved_orders,
           coalesce(sum(amount_paise) FILTER (WHERE elsewhere), 0)::bigint AS saved_paise
    FROM paid
    """
)
_BACKLOG = sql(
    """
    SELECT state, count(*) AS refunds, sum(amount_paise)::bigint AS paise,
           min(created_at) AS oldest,
           count(*) FILTER (WHERE created_at > :hour) AS under_an_hour,
           count(*) FILTER (WHERE created_at <= :hour AND created_at > :day) AS under_a_day,
           count(*) FILTER (WHERE created_at <= :day AND created_at > :week) AS under_a_week,
           count(*) FILTER (WHERE created_at <= :week) AS older
    FROM refunds WHERE state <> 'DONE' GROUP BY state ORDER BY state
    """
)
_UNKNOWN = sql(
    """
    SELECT id, order_id, psp, state, amount_paise, created_at, count(*) OVER () AS whole
    FROM payment_attempts
    WHERE state IN ('CREATED', 'UNKNOWN') AND (state = 'UNKNOWN' OR created_at < :silent_since)
    ORDER BY created_at LIMIT :limit
    """
)
_LATE = sql(
    """
    SELECT count(*) AS attempts, coalesce(sum(paise), 0)::bigint AS paise,
           count(*) FILTER (WHERE returned >= paise) AS returned_attempts,
           coalesce(sum(least(returned, paise)), 0)::bigint AS returned_paise
    FROM (
        SELECT attempt_id,
               sum(amount_paise) FILTER (WHERE kind = 'LATE_CAPTURE') AS paise,
               coalesce(-sum(amount_paise) FILTER (WHERE kind = 'REFUND'), 0) AS returned
        FROM ledger_entries
        WHERE account LIKE 'psp:%' AND kind IN ('LATE_CAPTURE', 'REFUND')
          AND order_id IN (
              SELECT order_id FROM payments WHERE id >= :first AND id < :last
          )
        GROUP BY attempt_id
    ) AS taken
    WHERE paise > 0
    """
)


async def attempts_between(
    session: AsyncSession, since: datetime, until: datetime
) -> tuple[AttemptCount, ...]:
    """What the attempts at payments opened in a range of time came to.

    A success that came late counts as what the attempt was when it was left.
    """
    counts: dict[tuple[str, PaymentMethod, str, Outcome], int] = {}
    for row in await fetch(session, _ATTEMPTS, **_range(since, until)):
        failure = row["failure_class"]
        state = PaymentState.VOIDED if row["was"] else PaymentState(row["state"])
        outcome = outcome_of(state, None if failure is None else FailureClass(failure))
        about = (row["psp"], PaymentMethod(row["method"]), row["bank"], outcome)
        counts[about] = counts.get(about, 0) + row["attempts"]
    return tuple(
        AttemptCount(psp=psp, method=method, bank=bank, outcome=outcome, attempts=attempts)
        for (psp, method, bank, outcome), attempts in sorted(counts.items())
    )


async def failover_between(session: AsyncSession, since: datetime, until: datetime) -> Failover:
    """How often payments opened in a range of time went on to another PSP."""
    rows = await fetch(session, _FAILOVER, **_range(since, until))
    return Failover(**rows[0])


async def refund_backlog(session: AsyncSession, now: datetime) -> tuple[RefundBacklog, ...]:
    """Every refund that is not paid out, by state and age."""
    rows = await fetch(
        session,
        _BACKLOG,
        hour=now - timedelta(hours=1),
        day=now - timedelta(days=1),
        week=now - timedelta(days=7),
    )
    return tuple(RefundBacklog(**{**row, "state": RefundState(row["state"])}) for row in rows)


async def unknown_attempts(
    session: AsyncSession, now: datetime, *, limit: int = 100
) -> tuple[int, tuple[UnknownAttempt, ...]]:
    """How many attempts have an unknown outcome, and the oldest of them.

    One that was asked and heard nothing for a minute counts too.
    """
    rows = await fetch(session, _UNKNOWN, silent_since=now - _SILENT_FOR, limit=limit)
    found = tuple(
        UnknownAttempt(
            id=row["id"],
            order_id=row["order_id"],
            psp=row["psp"],
            state=PaymentState(row["state"]),
            amount_paise=row["amount_paise"],
            created_at=row["created_at"],
        )
        for row in rows
    )
    return (rows[0]["whole"] if rows else 0), found


async def late_captures_between(
    session: AsyncSession, since: datetime, until: datetime
) -> LateCaptures:
    """Late captures for payments opened in a range of time."""
    rows = await fetch(session, _LATE, **_range(since, until))
    return LateCaptures(**rows[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """What waits for somebody now: counts, and the age of the oldest in seconds."""

    inbox_undelivered: int
    inbox_oldest_seconds: float
    outbox_unpublished: int
    sagas_parked: tuple[tuple[str, str, int], ...]


_MESSAGES = sql(
    """
    SELECT (SELECT count(*) FROM webhook_inbox WHERE delivered_at IS NULL) AS undelivered,
           (SELECT min(received_at) FROM webhook_inbox WHERE delivered_at IS NULL) AS oldest,
           (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS unpublished
    """
)
_PARKED = sql(
    """
    SELECT kind, parked_code, count(*) AS sagas FROM sagas WHERE state = 'PARKED'
    GROUP BY kind, parked_code ORDER BY kind, parked_code
    """
)


async def queues(session: AsyncSession, now: datetime) -> Queues:
    """Webhooks and events that are not delivered, and sagas that wait for a person."""
    messages = (await fetch(session, _MESSAGES))[0]
    oldest = messages["oldest"]
    parked = await fetch(session, _PARKED)
    return Queues(
        inbox_undelivered=messages["undelivered"],
        inbox_oldest_seconds=0.0 if oldest is None else (now - oldest).total_seconds(),
        outbox_unpublished=messages["unpublished"],
        sagas_parked=tuple((row["kind"], row["parked_code"], row["sagas"]) for row in parked),
    )


def _range(since: datetime, until: datetime) -> dict[str, str]:
    return {"first": _first_ulid(since), "last": _first_ulid(until)}


def _first_ulid(at: datetime) -> str:
    """The least ULID of a moment."""
    return str(ULID.from_bytes(int(at.timestamp() * 1000).to_bytes(6, "big") + bytes(10)))
