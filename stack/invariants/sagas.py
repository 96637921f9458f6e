"""Invariant 6: every saga has ended, waits on something named, or is parked with an open task."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from db.sql import fetch, sql
from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rest import DELEGATES
from stack.invariants.rules import Rule, broken
from stack.settings import ROOT

Judge = Callable[[str], Awaitable[Finding | None]]

RUNBOOKS: Final = ROOT / "runbooks"
# The longest budget of one step is three minutes; who says nothing for longer is stuck.
LONGEST_STEP: Final = timedelta(seconds=200)
JUST_STARTED: Final = timedelta(seconds=30)
TASK_ATTEMPTS: Final = 3
SIDE_BY_SIDE: Final = 20
# They begin by the clock, at rest too, and move no order's money.
BY_THE_CLOCK: Final = "reconciliation:"
OPEN: Final = "ExecutionStatus = 'Running' AND SagaKind IS NOT NULL"
BROKEN_OFF: Final = (
    "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut') "
    "AND SagaKind IN ('checkout', 'late-payment')"
)

_SOLD = "('CONFIRMED', 'SHIPPED', 'DELIVERED', 'RETURN_REQUESTED', 'RETURNED')"
_UNSOLD = "('REFUSED', 'CANCELLED', 'EXPIRED')"
RULES: Final = (
    Rule(
        "the timeline has gaps (events, by the saga's row and its last number)",
        """
        SELECT saga.id AS subject, saga.events || ', ' || saga.events AS expected,
               count(event.seq) || ', ' || coalesce(max(event.seq), 0) AS found
        FROM sagas AS saga LEFT JOIN saga_events AS event ON event.saga_id = saga.id
        GROUP BY saga.id, saga.events
        HAVING count(event.seq) <> saga.events OR coalesce(max(event.seq), 0) <> saga.events
        """,
    ),
    Rule(
        "the saga's state is not the one its timeline ends in",
        """
        SELECT saga.id AS subject,
               CASE event.kind WHEN 'SAGA_COMPLETED' THEN 'COMPLETED'
                    WHEN 'SAGA_COMPENSATED' THEN 'COMPENSATED' ELSE 'not ended' END AS expected,
               saga.state AS found
        FROM sagas AS saga
        JOIN saga_events AS event ON event.saga_id = saga.id AND event.seq = saga.events
        WHERE (event.kind = 'SAGA_COMPLETED') <> (saga.state = 'COMPLETED')
           OR (event.kind = 'SAGA_COMPENSATED') <> (saga.state = 'COMPENSATED')
        """,
    ),
    Rule(
        "the saga waits, and does not say on what",
        """
        SELECT id AS subject, 'a name' AS expected, 'nothing' AS found
        FROM sagas WHERE state = 'WAITING' AND waiting_on = ''
        """,
    ),
    Rule(
        "the saga is parked, and does not say why",
        """
        SELECT id AS subject, 'a code' AS expected, coalesce(parked_code, 'nothing') AS found
        FROM sagas WHERE state = 'PARKED' AND coalesce(parked_code, 'UNKNOWN') = 'UNKNOWN'
        """,
    ),
    Rule(
        "the order's saga has ended otherwise than the order",
        f"""
        SELECT o.id AS subject, saga.state AS expected, o.state AS found
        FROM orders AS o JOIN sagas AS saga ON saga.id = 'checkout:' || o.id
        WHERE (saga.state = 'COMPLETED' AND o.state NOT IN {_SOLD})
           OR (saga.state = 'COMPENSATED' AND o.state NOT IN {_UNSOLD})
        """,  # noqa: S608 - texts of this module
    ),
    Rule(
        "the order has ended, and its saga has not",
        f"""
        SELECT o.id AS subject, 'an ended saga' AS expected, saga.state AS found
        FROM orders AS o JOIN sagas AS saga ON saga.id = 'checkout:' || o.id
        WHERE saga.ended_at IS NULL AND saga.state NOT IN ('PARKED', 'COMPENSATING')
          AND o.state IN {_SOLD} AND o.updated_at < now() - interval '{JUST_STARTED.seconds} s'
        """,  # noqa: S608
    ),
    Rule(
        "the order has no saga",
        f"""
        SELECT o.id AS subject, o.saga_id AS expected, 'none' AS found
        FROM orders AS o LEFT JOIN sagas AS saga ON saga.id = o.saga_id
        WHERE saga.id IS NULL AND o.created_at < now() - interval '{JUST_STARTED.seconds} s'
        """,  # noqa: S608
    ),
)
_UNENDED = sql(
    f"""
    SELECT id, CASE WHEN {DELEGATES} THEN 'WAITING' ELSE state END AS state,
           waiting_on, parked_code, updated_at, now() AS now
    FROM sagas AS saga WHERE ended_at IS NULL
    """  # noqa: S608 - a condition of ours
)
_KNOWN = sql("SELECT id, state FROM sagas WHERE id = ANY(CAST(:ids AS text[]))")


async def findings(evidence: Evidence, runbooks: Path = RUNBOOKS) -> list[Finding]:
    """Judge the projection, then hold it against what Temporal runs."""
    found = await broken(evidence.session, 6, RULES)
    unended = await fetch(evidence.session, _UNENDED)
    for saga in unended:
        found += _at_work(saga["id"], saga["state"], saga["now"] - saga["updated_at"], evidence)
    codes = {saga["parked_code"] for saga in unended if saga["state"] == "PARKED"}
    found += [
        _finding(code, "sagas are parked for a reason without a runbook", f"runbooks/{code}.md")
        for code in sorted(filter(None, codes))
        if not (runbooks / f"{code}.md").is_file()
    ]
    running = await _running(evidence)
    gone = [saga["id"] for saga in unended if saga["id"] not in running]
    taken_at: datetime | None = unended[0]["now"] if unended else None
    found += await _each(gone, lambda saga_id: _not_running(evidence, saga_id, taken_at))
    found += await _unrecorded(evidence, running)
    found += await _each(list(running), lambda saga_id: _failing(evidence, saga_id))
    return found + await _broken_off(evidence)


def _at_work(saga_id: str, state: str, silent: timedelta, evidence: Evidence) -> list[Finding]:
    if state not in ("RUNNING", "COMPENSATING"):
        return []
    if not _at_rest(evidence, saga_id) and silent < LONGEST_STEP:
        return []
    found = f"{state}, silent for {silent.total_seconds():.0f} s"
    return [_finding(saga_id, "the saga is at work and gets nowhere", "an end or a wait", found)]


async def _running(evidence: Evidence) -> dict[str, datetime]:
    """The sagas that Temporal runs, with when they started."""
    return {run.id: run.start_time async for run in evidence.temporal.list_workflows(OPEN)}


async def _each(saga_ids: list[str], judge: Judge) -> list[Finding]:
    slots = asyncio.Semaphore(SIDE_BY_SIDE)

    async def in_turn(saga_id: str) -> Finding | None:
        async with slots:
            return await judge(saga_id)

    return [one for one in await asyncio.gather(*map(in_turn, saga_ids)) if one is not None]


async def _not_running(
    evidence: Evidence, saga_id: str, taken_at: datetime | None
) -> Finding | None:
    """A saga that is open by our projection; the list may lag, so it is asked by itself."""
    try:
        described = await evidence.temporal.get_workflow_handle(saga_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return _finding(saga_id, "Temporal does not know this open saga", "RUNNING", "none")
    status = described.status
    if status is None or status is WorkflowExecutionStatus.RUNNING:
        return None
    if taken_at and described.close_time and described.close_time > taken_at:
        return None  # it ended while we looked
    message = "the saga has ended in Temporal, and not in its own record"
    return _finding(saga_id, message, "RUNNING", status.name)


async def _unrecorded(evidence: Evidence, running: dict[str, datetime]) -> list[Finding]:
    rows = await fetch(evidence.session, _KNOWN, ids=list(running))
    states = {row["id"]: row["state"] for row in rows}
    now = datetime.now(UTC)
    return [
        _finding(saga_id, "the saga runs and is on no list of ours", "a record", "none")
        for saga_id, started in sorted(running.items())
        if saga_id not in states and (_at_rest(evidence, saga_id) or now - started > JUST_STARTED)
    ]


def _at_rest(evidence: Evidence, saga_id: str) -> bool:
    """Whether nothing excuses a saga for being at work."""
    return evidence.at_rest and not saga_id.startswith(BY_THE_CLOCK)


async def _failing(evidence: Evidence, saga_id: str) -> Finding | None:
    try:
        described = await evidence.temporal.get_workflow_handle(saga_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    raw = described.raw_description
    if not raw.HasField("pending_workflow_task"):
        return None
    attempt = raw.pending_workflow_task.attempt
    if attempt <= TASK_ATTEMPTS:
        return None
    message = "the saga's workflow task fails again and again: a bug, or no worker for it"
    return _finding(saga_id, message, f"at most {TASK_ATTEMPTS} attempts", str(attempt))


async def _broken_off(evidence: Evidence) -> list[Finding]:
    """Sagas that ended without saying so: only a payment saga may fail, to tell its parent."""
    return [
        _finding(run.id, "the saga was broken off", "COMPLETED", run.status.name)
        async for run in evidence.temporal.list_workflows(BROKEN_OFF)
        if run.status is not None
    ]


def _finding(subject: str, message: str, expected: str, found: str = "none") -> Finding:
    return Finding(6, subject, message, expected, found)
