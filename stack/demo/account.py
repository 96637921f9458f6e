"""The account of a day: what was sold, what was not and why, and what it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from db.session import Database
from db.sql import fetch, sql
from saga import Event

LONGEST_TIMELINE: Final = 45

_MINE = "SELECT id FROM orders WHERE user_id = ANY(CAST(:users AS text[]))"
_SUMS = sql(
    f"""
    WITH mine AS ({_MINE})
    SELECT
        (SELECT coalesce(sum(total_paise), 0) FROM orders
         WHERE id IN (SELECT id FROM mine) AND state = 'CONFIRMED') AS sold_paise,
        (SELECT coalesce(-sum(amount_paise), 0) FROM ledger_entries
         WHERE order_id IN (SELECT id FROM mine) AND kind = 'REFUND'
           AND account LIKE 'psp:%') AS refunded_paise,
        (SELECT count(DISTINCT order_id) FROM sagas JOIN saga_events ON saga_id = sagas.id
         WHERE sagas.kind = 'checkout' AND order_id IN (SELECT id FROM mine)
           AND step = 'put order on hold' AND saga_events.kind = 'STEP_DONE') AS held,
        (SELECT count(*) FROM sagas
         WHERE kind = 'checkout' AND state = 'COMPENSATED'
           AND customer_id = ANY(CAST(:users AS text[]))) AS compensated,
        (SELECT count(*) FROM sagas JOIN saga_events ON saga_id = sagas.id
         WHERE sagas.kind = 'late-payment' AND saga_events.kind = 'PIVOT_PASSED'
           AND order_id IN (SELECT id FROM mine)) AS late_returned
    """  # noqa: S608 - texts of this module
)
_FAILED_OVER = sql(
    f"""
    SELECT o.id FROM orders AS o
    JOIN payment_attempts AS paid
        ON paid.order_id = o.id AND paid.captured_paise > paid.refunded_paise
    JOIN payment_attempts AS first ON first.order_id = o.id AND first.seq = 1
    WHERE o.state = 'CONFIRMED' AND paid.psp <> first.psp AND o.id IN ({_MINE})
    ORDER BY o.id
    """  # noqa: S608
)
_PARKED = sql(
    """
    SELECT id, parked_step AS step, parked_code AS code FROM sagas
    WHERE state = 'PARKED' ORDER BY id
    """
)
_STATES = sql(f"SELECT id, state FROM orders WHERE id IN ({_MINE})")  # noqa: S608
# The one with the most to tell that still fits on a page: failed over if any did, else undone.
_INTERESTING = sql(
    f"""
    SELECT order_id FROM sagas
    WHERE order_id IN ({_MINE}) AND kind IN ('checkout', 'payment')
      AND (order_id = ANY(CAST(:preferred AS text[]))
           OR cardinality(CAST(:preferred AS text[])) = 0)
    GROUP BY order_id HAVING sum(events) <= :most
    ORDER BY sum(events) DESC, order_id LIMIT 1
    """  # noqa: S608
)
_TIMELINE = sql(
    """
    SELECT sagas.kind AS saga, event.seq, event.at, event.step, event.kind, event.code,
           event.detail, event.actor
    FROM sagas JOIN saga_events AS event ON event.saga_id = sagas.id
    WHERE order_id = :order_id ORDER BY event.at, sagas.kind, event.seq
    """
)


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a timeline: when, by which saga, and what, in words."""

    at: datetime
    saga: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What our own database says of the day's orders. Amounts in paise."""

    sold_paise: int
    refunded_paise: int
    held: int
    compensated: int
    late_returned: int
    failed_over: tuple[str, ...]
    parked: tuple[dict[str, str], ...]
    states: dict[str, str]
    story_of: str
    story: tuple[Told, ...]


async def read_books(database: Database, users: Sequence[str]) -> Books:
    """Read the account of these users' orders."""
    async with database.reading() as session:
        sums = dict((await fetch(session, _SUMS, users=list(users)))[0])
        failed_over = tuple(
            row["id"] for row in await fetch(session, _FAILED_OVER, users=list(users))
        )
        order_id, story = await _story(session, users, failed_over)
        return Books(
            **{name: int(value) for name, value in sums.items()},
            failed_over=failed_over,
            parked=tuple(dict(row) for row in await fetch(session, _PARKED)),
            states={
                row["id"]: row["state"] for row in await fetch(session, _STATES, users=list(users))
            },
            story_of=order_id,
            story=story,
        )


async def _story(
    session: AsyncSession, users: Sequence[str], preferred: Sequence[str]
) -> tuple[str, tuple[Told, ...]]:
    found: list[Any] = []
    for choice in (list(preferred), []):
        values = {"users": list(users), "preferred": choice, "most": LONGEST_TIMELINE}
        found = found or await fetch(session, _INTERESTING, **values)
    if not found:
        return "", ()
    order_id = str(found[0]["order_id"])
    rows = await fetch(session, _TIMELINE, order_id=order_id)
    return order_id, tuple(_told(dict(row)) for row in rows)


def _told(row: dict[str, Any]) -> Told:
    event = Event.model_validate({name: row[name] for name in Event.model_fields})
    return Told(row["at"], row["saga"], event.words())


def percentile(values: Sequence[float], of_hundred: int) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * of_hundred // 100) - 1)]
