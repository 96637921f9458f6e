"""Drive one row of the matrix from outside, as customers, operators and support do."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from saga import (
    Action,
    CancelRequest,
    CancelVerdict,
    EventKind,
    Resolution,
    Resolved,
    SagaState,
    TimelineView,
    search_attributes,
)
from tests.saga.contracts import QUEUE, Receipt, Script
from tests.saga.ledger import Ledger
from tests.saga.rows import LADDER, NOTE, PIVOT, Row
from tests.saga.sagas import MatrixSaga

Handle = WorkflowHandle[Any, Any]
# A short workflow task lets a cancellation in while a local activity still runs.
_SHORT_TASK = timedelta(seconds=3)
_LOCAL = ("reserve", "commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A finished saga: its answer or the failure that left it, and its last view."""

    view: TimelineView
    answer: Any = None
    failure: ApplicationError | None = None
    verdict: CancelVerdict | None = None

    @property
    def kinds(self) -> list[str]:
        """The timeline as `KIND step` lines."""
        return [f"{event.kind} {event.step}".strip() for event in self.view.events]


async def start(client: Client, workflow: Any, run: str, argument: Any, **options: Any) -> Handle:
    """Start a saga the way the edge does; one that hangs fails instead of hanging the tests."""
    handle: Handle = await client.start_workflow(
        workflow,
        argument,
        id=run,
        task_queue=QUEUE,
        execution_timeout=timedelta(seconds=100),
        search_attributes=search_attributes("matrix", run),
        **options,
    )
    return handle


async def drive(client: Client, ledger: Ledger, row: Row, run: str) -> Ended:
    """Run one row to its end."""
    short = row.failure.cancel and row.step in _LOCAL
    options = {"task_timeout": _SHORT_TASK} if short else {}
    handle = await start(client, MatrixSaga.run, run, script_of(row, run), **options)
    cancelling = None
    if row.failure.cancel:
        cancelling = await _cancel(handle, ledger, row, run)
        ledger.allow(run, "go")
    for action in row.failure.answers:
        await until_parked(handle, row.step)
        if row.failure.heals:
            ledger.allow(run, row.failure.heals)
        await resolve(handle, row.step, action)
    if row.undo.answer and row.failure.ends is SagaState.COMPENSATED:
        await until_parked(handle, row.victim)
        if row.undo.answer is Action.RETRY:
            ledger.allow(run, "undo works")
        await resolve(handle, row.victim, row.undo.answer)
    return await ended(handle, await cancelling if cancelling else None)


def script_of(row: Row, run: str) -> Script:
    """The input of the saga that plays a row."""
    return Script(run=run, plans=row.plans(), patience=row.failure.patience, ladder=LADDER)


async def ended(handle: Handle, verdict: CancelVerdict | None = None) -> Ended:
    """Wait for the end and look at it."""
    answer, failure = None, None
    try:
        answer = await handle.result()
    except WorkflowFailureError as error:
        if not isinstance(error.cause, ApplicationError):
            raise
        failure = error.cause
    return Ended(view=await look(handle), answer=answer, failure=failure, verdict=verdict)


async def look(handle: Handle) -> TimelineView:
    """Ask for the timeline."""
    view: TimelineView = await handle.query("timeline", result_type=TimelineView)
    return view


async def until(handle: Handle, kind: EventKind, step: str | None = None) -> TimelineView:
    """Wait until the timeline has an event of this kind, and of this step if one is named."""
    while True:
        view = await look(handle)
        if any(e.kind is kind and step in (None, e.step) for e in view.events):
            return view
        assert not view.state.ended, f"ended without {kind}"
        await asyncio.sleep(0.03)


async def until_parked(handle: Handle, step: str) -> TimelineView:
    """Wait until this step asks a person, and the saga says so."""
    while True:
        view = await look(handle)
        if view.state is SagaState.PARKED and any(at.step == step for at in view.parked):
            return view
        assert not view.state.ended, f"ended without parking {step}"
        await asyncio.sleep(0.03)


async def answer(
    handle: Handle, step: str, action: str, actor: str = "agent-1", note: str = NOTE, **more: Any
) -> Resolved:
    """Give one person's answer to a parked step."""
    resolution = Resolution(step=step, action=action, actor=actor, note=note, **more)
    resolved: Resolved = await handle.execute_update("resolve", resolution, result_type=Resolved)
    return resolved


async def resolve(handle: Handle, step: str, action: Action) -> None:
    """Answer as many people as it takes."""
    by_hand = Receipt(step=step, number=0).model_dump() if action is Action.MARK_DONE else None
    resolved = await answer(handle, step, action, result=by_hand)
    if not resolved.accepted:
        assert (step, action) == (PIVOT, Action.SKIP)
        resolved = await answer(handle, step, action, actor="agent-2")
    assert resolved.accepted


async def request_cancel(handle: Handle, actor: str = "customer") -> asyncio.Task[CancelVerdict]:
    """Send the `cancel` update; returns once it is in history, with its verdict to await."""
    update = await handle.start_update(
        "cancel",
        CancelRequest(actor=actor, reason="changed my mind"),
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        result_type=CancelVerdict,
    )
    return asyncio.create_task(update.result())


async def _cancel(
    handle: Handle, ledger: Ledger, row: Row, run: str
) -> asyncio.Task[CancelVerdict] | None:
    """Cancel while the row's step is in flight, and wait until the saga knows."""
    child = row.step == "delegate"
    await ledger.until_called(run, "inner" if child else row.step)
    cancelling = None
    if row.failure.cancel == "natively":
        await handle.cancel()
    else:
        cancelling = await request_cancel(handle)
    kind = EventKind.CANCEL_TOO_LATE if row.step in ("commit", "confirm") else None
    await until(handle, kind or EventKind.CANCEL_REQUESTED)
    if child:
        inner: Handle = handle.__class__(handle._client, f"delegated:{run}")
        await until(inner, EventKind.CANCEL_REQUESTED)
    return cancelling
