"""The projection of sagas: what lists and timelines are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.paging import Page, bounded, decode_newest, page_of
from db.sql import dumps, execute, fetch, fetch_one, sql
from db.vocabulary import SagaState


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaEventRecord:
    """One line of a timeline; `seq` counts from 1."""

    seq: int
    at: datetime
    step: str
    kind: str
    code: str = ""
    detail: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaProgress:
    """New events of a saga, at least one, and the state that they lead to."""

    saga_id: str
    kind: str
    state: SagaState
    events: Sequence[SagaEventRecord]
    order_id: str | None = None
    customer_id: str | None = None
    waiting_on: str = ""
    parked_step: str | None = None
    parked_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRecord:
    """A saga as lists show it; `events` is the number of its last event."""

    id: str
    kind: str
    state: SagaState
    order_id: str | None
    customer_id: str | None
    waiting_on: str
    parked_step: str | None
    parked_code: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaFilter:
    """Which sagas a list shows; None means any. The times bound when a saga started."""

    state: SagaState | None = None
    kind: str | None = None
    customer_id: str | None = None
    order_id: str | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None


_COLUMNS = """id, kind, state, order_id, customer_id, waiting_on, parked_step, parked_code,
    started_at, updated_at, ended_at, events"""
# batches may come late or twice: the state follows the event with the highest number
_RECORD = sql(
    """
    WITH projected AS (
        INSERT INTO sagas AS saga (id, kind, state, order_id, customer_id, waiting_on,
                                   parked_step, parked_code, started_at, updated_at, ended_at,
                                   events)
        VALUES (:saga_id, :kind, :state, :order_id, :customer_id, :waiting_on, :parked_step,
                :parked_code, :first, :last, CAST(:ended AS timestamptz), :seq)
        ON CONFLICT (id) DO UPDATE
        SET state = excluded.state, order_id = coalesce(excluded.order_id, saga.order_id),
            customer_id = coalesce(excluded.customer_id, saga.customer_id),
            waiting_on = excluded.waiting_on, parked_step = excluded.parked_step,
            parked_code = excluded.parked_code, updated_at = excluded.updated_at,
            ended_at = excluded.ended_at, events = excluded.events
        WHERE excluded.events > saga.events
        RETURNING saga.id
    ), told AS (
        INSERT INTO saga_events (saga_id, seq, at, step, kind, code, detail, actor)
        SELECT CAST(:id AS text), seq, at, step, kind, code, detail, actor
        FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS event (
            seq int, at timestamptz, step text, kind text, code text, detail text, actor text)
        ON CONFLICT (saga_id, seq) DO NOTHING
    )
    SELECT id FROM projected
    """
)
_BEGIN = sql(
    """
    INSERT INTO sagas (id, kind, state, order_id, customer_id, started_at)
    VALUES (:id, :kind, 'RUNNING', :order_id, :customer_id, now()) ON CONFLICT (id) DO NOTHING
    """
)
_EARLIER = sql(
    """
    UPDATE sagas SET started_at = :first
    WHERE id = :saga_id AND started_at > CAST(:first AS timestamptz)
    """
)
_GET = sql(f"SELECT {_COLUMNS} FROM sagas WHERE id = :id")  # noqa: S608 - a column list
_TIMELINE = sql(
    """
    SELECT seq, at, step, kind, code, detail, actor FROM saga_events
    WHERE saga_id = :id AND seq > :after ORDER BY seq LIMIT :limit
    """
)
_COUNTS = sql("SELECT kind, state, count(*) AS sagas FROM sagas GROUP BY kind, state")
_CONDITIONS = {
    "state": "state = :state",
    "kind": "kind = :kind",
    "customer_id": "customer_id = :customer_id",
    "order_id": "order_id = :order_id",
    "started_after": "started_at >= CAST(:started_after AS timestamptz)",
    "started_before": "started_at < CAST(:started_before AS timestamptz)",
    "last_id": "(started_at, id) < (CAST(:last_at AS timestamptz), :last_id)",
}


async def begin(
    session: AsyncSession,
    saga_id: str,
    *,
    kind: str,
    order_id: str | None = None,
    customer_id: str | None = None,
) -> None:
    """List a saga from its first step on; its timeline follows once there is something to tell."""
    values = {"kind": kind, "order_id": order_id, "customer_id": customer_id}
    await execute(session, _BEGIN, id=saga_id, **values)


async def record(session: AsyncSession, progress: SagaProgress) -> None:
    """Add events and bring the saga's row up to date; what was recorded before stays."""
    first = min(progress.events, key=lambda event: event.seq)
    last = max(progress.events, key=lambda event: event.seq)
    ended = progress.state in (SagaState.COMPLETED, SagaState.COMPENSATED)
    parked = progress.state is SagaState.PARKED
    newer = await fetch_one(
        session,
        _RECORD,
        id=progress.saga_id,
        saga_id=progress.saga_id,
        kind=progress.kind,
        state=progress.state,
        order_id=progress.order_id or None,
        customer_id=progress.customer_id or None,
        waiting_on=progress.waiting_on,
        parked_step=progress.parked_step or None,
        # recording must not fail: a parked saga without a code is still shown
        parked_code=progress.parked_code or ("UNKNOWN" if parked else None),
        first=first.at,
        last=last.at,
        ended=last.at if ended else None,
        seq=last.seq,
        told=dumps([_event_json(event) for event in progress.events]),
    )
    if newer is None and first.seq == 1:
        await execute(session, _EARLIER, saga_id=progress.saga_id, first=first.at)


async def get(session: AsyncSession, saga_id: str) -> SagaRecord:
    """The saga; raises NotFound."""
    row = await fetch_one(session, _GET, id=saga_id)
    if row is None:
        raise NotFound("saga", saga_id)
    return _saga(row)


async def timeline(
    session: AsyncSession, saga_id: str, *, after: int = 0, limit: int = 200
) -> tuple[SagaEventRecord, ...]:
    """Up to `limit` events after the one numbered `after`, in order."""
    rows = await fetch(session, _TIMELINE, id=saga_id, after=after, limit=limit)
    return tuple(SagaEventRecord(**row) for row in rows)


async def list_sagas(
    session: AsyncSession,
    wanted: SagaFilter,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page[SagaRecord]:
    """Sagas newest first; `after` is the `next` of the page before."""
    limit = bounded(limit)
    values: dict[str, Any] = {
        name: value
        for name in SagaFilter.__dataclass_fields__
        if (value := getattr(wanted, name)) is not None
    }
    if after is not None:
        values["last_at"], values["last_id"] = decode_newest(after)
    where = " AND ".join(text for name, text in _CONDITIONS.items() if name in values) or "true"
    statement = sql(
        f"SELECT {_COLUMNS} FROM sagas WHERE {where} "  # noqa: S608 - texts of this module
        "ORDER BY started_at DESC, id DESC LIMIT :limit"
    )
    rows = [_saga(row) for row in await fetch(session, statement, **values, limit=limit + 1)]
    return page_of(rows, limit, lambda saga: (saga.started_at.isoformat(), saga.id))


async def counts(session: AsyncSession) -> dict[tuple[str, SagaState], int]:
    """How many sagas of each kind are in each state."""
    rows = await fetch(session, _COUNTS)
    return {(row["kind"], SagaState(row["state"])): row["sagas"] for row in rows}


def _event_json(event: SagaEventRecord) -> dict[str, Any]:
    return {name: getattr(event, name) for name in SagaEventRecord.__dataclass_fields__}


def _saga(row: RowMapping) -> SagaRecord:
    return SagaRecord(**{**row, "state": SagaState(row["state"])})
