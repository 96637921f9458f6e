"""Cancellation is never lost, never half done, and refused once it is too late."""

import asyncio

import pytest
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from saga import Action, CancelRequest, CancelVerdict, EventKind, search_attributes
from tests.saga.contracts import QUEUE, Mode, Plan, Script
from tests.saga.driver import request_cancel, resolve, until, until_parked
from tests.saga.ledger import KEPT, UNDONE
from tests.saga.sagas import MatrixSaga
from tests.saga.stage import Stage, completed, rolled_back

WAITS = Plan(do=Mode.WAITS)


async def test_cancelled_before_the_first_step(stage: Stage) -> None:
    start = WithStartWorkflowOperation(
        MatrixSaga.run,
        Script(run=stage.run),
        id=stage.run,
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        search_attributes=search_attributes("matrix", stage.run),
    )
    verdict = await stage.client.execute_update_with_start_workflow(
        "cancel",
        CancelRequest(actor="customer", reason="second thoughts"),
        start_workflow_operation=start,
        result_type=CancelVerdict,
    )
    assert verdict is CancelVerdict.CANCELLED
    end = await rolled_back(await start.workflow_handle())
    assert end.failure is not None
    assert end.failure.message == "second thoughts"
    assert stage.effects() == {}
    assert sum(stage.ledger.calls(stage.run).values()) == 0


@pytest.mark.parametrize("word", ["goes on", "ends here"])
async def test_a_native_cancel_that_the_body_swallows(stage: Stage, word: str) -> None:
    """The body catches CancelledError at an await of its own; the saga rolls back all the same."""
    handle = await stage.scene("swallow sleep", word)
    await until(handle, EventKind.STEP_DONE, "reserve")
    await handle.cancel()
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert stage.effects() == {"reserve": UNDONE}
    assert stage.ledger.calls(stage.run)["book", "do"] == 0


@pytest.mark.parametrize("natively", [True, False])
async def test_a_cancel_that_except_exception_swallows(stage: Stage, natively: bool) -> None:
    handle = await stage.scene("swallow step", plans={"reserve": WAITS})
    await stage.ledger.until_called(stage.run, "reserve")
    verdict = None
    if natively:
        await handle.cancel()
    else:
        verdict = await request_cancel(handle)
    await until(handle, EventKind.CANCEL_REQUESTED)
    stage.ledger.allow(stage.run, "go")
    await rolled_back(handle)
    assert verdict is None or await verdict is CancelVerdict.CANCELLED
    assert stage.effects() == {"reserve": UNDONE}
    assert stage.ledger.calls(stage.run)["book", "do"] == 0


async def test_a_second_request_changes_nothing(stage: Stage) -> None:
    handle = await stage.scene("swallow step", plans={"reserve": WAITS})
    await stage.ledger.until_called(stage.run, "reserve")
    first = await request_cancel(handle, "customer")
    second = await request_cancel(handle, "agent-1")
    await handle.cancel()
    stage.ledger.allow(stage.run, "go")
    end = await rolled_back(handle)
    assert set(await asyncio.gather(first, second)) == {CancelVerdict.CANCELLED}
    asked = [e.actor for e in end.view.events if e.kind is EventKind.CANCEL_REQUESTED]
    assert asked == ["customer"]
    assert stage.effects() == {"reserve": UNDONE}


async def test_cancelled_between_two_inquiries(stage: Stage) -> None:
    """Asking goes on to its end: stopping there would leave an outcome nobody knows."""
    plan = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)
    handle = await stage.scene("money", plans={"authorise": plan}, ladder=(0.01, 1.0))
    await until(handle, EventKind.STEP_INQUIRED)
    await handle.cancel()
    await until(handle, EventKind.CANCEL_REQUESTED)
    stage.ledger.allow(stage.run, "inquiry works")
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert stage.ledger.calls(stage.run) == {
        ("authorise", "do"): 1,
        ("authorise", "inquire"): 2,
        ("authorise", "undo"): 1,
    }
    assert stage.effects() == {"authorise": UNDONE}


@pytest.mark.parametrize("natively", [True, False])
async def test_cancelled_while_an_outcome_is_parked(stage: Stage, natively: bool) -> None:
    plan = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)
    handle = await stage.scene("money", plans={"authorise": plan})
    await until_parked(handle, "authorise")
    if natively:
        await handle.cancel()
    else:
        assert await (await request_cancel(handle)) is CancelVerdict.CANCELLING
    await until(handle, EventKind.CANCEL_REQUESTED)
    assert stage.undone() == []
    await resolve(handle, "authorise", Action.MARK_DONE)
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert stage.effects() == {"authorise": UNDONE}


async def test_cancelled_while_undoing(stage: Stage) -> None:
    """The undo in flight is not cut off, and the reason stays the first one."""
    plans = {"book": Plan(do=Mode.FAILS, undo=Mode.WAITS)}
    handle = await stage.matrix(**plans)
    await stage.ledger.until_called(stage.run, "book", "undo")
    await handle.cancel()
    verdict = await request_cancel(handle)
    stage.ledger.allow(stage.run, "go")
    end = await rolled_back(handle)
    assert await verdict is CancelVerdict.CANCELLED
    assert end.failure is not None
    assert end.failure.details == ("NO_STOCK", "book")
    assert stage.effects() == {"reserve": UNDONE, "book": "never"}


async def test_cancelled_while_a_must_is_parked(stage: Stage) -> None:
    handle = await stage.matrix(commit=Plan(do=Mode.FAILS))
    await until_parked(handle, "commit")
    assert await (await request_cancel(handle)) is CancelVerdict.TOO_LATE
    await handle.cancel()
    stage.ledger.allow(stage.run, "do works")
    await resolve(handle, "commit", Action.RETRY)
    await completed(handle)
    assert set(stage.effects().values()) == {KEPT}
    assert len(stage.effects()) == 6
    assert stage.undone() == []


async def test_a_parent_waits_for_its_childs_rollback(stage: Stage) -> None:
    handle = await stage.matrix(delegate=WAITS)
    await stage.ledger.until_called(stage.run, "inner")
    await handle.cancel()
    child = stage.client.get_workflow_handle(f"delegated:{stage.run}")
    await until(child, EventKind.CANCEL_REQUESTED)
    assert stage.undone() == []
    stage.ledger.allow(stage.run, "go")
    await rolled_back(child)
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "delegate")
    assert stage.undone() == ["inner", "delegate", "book", "reserve"]
    assert stage.effects() == dict.fromkeys(("reserve", "book", "delegate"), UNDONE)
