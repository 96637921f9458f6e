"""Steps side by side: both end before anything else happens."""

import pytest

from saga import Action, EventKind, SagaState
from tests.saga.contracts import FOREVER, Mode, Plan, defects
from tests.saga.driver import look, resolve, until, until_parked
from tests.saga.ledger import KEPT, NEVER, UNDONE
from tests.saga.stage import Stage, completed, failed_task, rolled_back

WAITS = Plan(do=Mode.WAITS)
UNSURE = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)


async def test_both_run_at_once(stage: Stage) -> None:
    handle = await stage.scene("together", plans={"left": WAITS, "right": WAITS})
    await stage.ledger.until_called(stage.run, "left")
    await stage.ledger.until_called(stage.run, "right")
    stage.ledger.allow(stage.run, "go")
    assert (await completed(handle)).answer == ["left", "right"]
    assert stage.effects() == {"first": KEPT, "left": KEPT, "right": KEPT}


@pytest.mark.parametrize("fails", ["left", "right"])
async def test_one_fails_and_both_are_undone_newest_first(stage: Stage, fails: str) -> None:
    waits = "right" if fails == "left" else "left"
    handle = await stage.scene("together", "rest", plans={fails: Plan(do=Mode.FAILS), waits: WAITS})
    await stage.ledger.until_called(stage.run, waits)
    await until(handle, EventKind.STEP_FAILED, fails)
    # The other one is in flight: undoing now would leave behind what it is about to do.
    assert stage.undone() == []
    stage.ledger.allow(stage.run, "go")
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("NO_STOCK", fails)
    assert stage.undone() == ["right", "left", "first"]
    assert stage.effects() == {"first": UNDONE, waits: UNDONE, fails: NEVER}


async def test_both_fail_and_both_are_undone(stage: Stage) -> None:
    failing = Plan(do=Mode.FAILS)
    end = await rolled_back(
        await stage.scene("together", plans={"left": failing, "right": failing})
    )
    assert end.failure is not None
    assert end.failure.details == ("NO_STOCK", "left")
    assert stage.effects() == {"first": UNDONE, "left": NEVER, "right": NEVER}


async def test_a_cancellation_waits_for_both(stage: Stage) -> None:
    handle = await stage.scene("together", plans={"left": WAITS, "right": WAITS})
    await stage.ledger.until_called(stage.run, "left")
    await stage.ledger.until_called(stage.run, "right")
    await handle.cancel()
    await until(handle, EventKind.CANCEL_REQUESTED)
    assert stage.undone() == []
    stage.ledger.allow(stage.run, "go")
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert stage.undone() == ["right", "left", "first"]
    assert stage.effects() == dict.fromkeys(("first", "left", "right"), UNDONE)


@pytest.mark.parametrize("left", [Mode.OK, Mode.FAILS])
async def test_a_bug_outranks_a_failure_and_undoes_nothing(stage: Stage, left: Mode) -> None:
    defects.add(stage.run)
    handle = await stage.scene("together with a bug", plans={"left": Plan(do=left)})
    assert await failed_task(handle) == "a bug beside a step"
    assert stage.undone() == []
    defects.remove(stage.run)
    if left is Mode.OK:
        assert (await completed(handle)).answer == ["left", "mended"]
        assert stage.effects() == {"left": KEPT}
    else:
        await rolled_back(handle)
        assert stage.effects() == {"left": NEVER}
    assert stage.ledger.calls(stage.run)["left", "do"] == 1


async def test_two_parked_at_once_are_parked_until_both_are_answered(stage: Stage) -> None:
    handle = await stage.scene(
        "together", "rest", plans={"left": UNSURE, "right": UNSURE, "last": WAITS}
    )
    await until_parked(handle, "left")
    await until_parked(handle, "right")
    await resolve(handle, "left", Action.MARK_DONE)
    between = await look(handle)
    assert (between.state, [at.step for at in between.parked]) == (SagaState.PARKED, ["right"])
    await resolve(handle, "right", Action.MARK_DONE)
    await stage.ledger.until_called(stage.run, "last")
    after = await look(handle)
    assert (after.state, after.parked) == (SagaState.RUNNING, [])
    stage.ledger.allow(stage.run, "go")
    await completed(handle)


async def test_one_parked_undo_does_not_hide_the_other(stage: Stage) -> None:
    broken = Plan(undo_fails=FOREVER)
    handle = await stage.scene(
        "together",
        "rest",
        plans={"left": broken, "right": broken, "last": Plan(do=Mode.FAILS)},
    )
    view = await until_parked(handle, "left")
    assert [at.step for at in view.parked] == ["right", "left"]
    assert view.to_undo == ["right", "left"]
    assert stage.effects() == {"first": UNDONE, "left": KEPT, "right": KEPT, "last": NEVER}
    await resolve(handle, "left", Action.SKIP)
    stage.ledger.allow(stage.run, "undo works")
    await until_parked(handle, "right")
    await resolve(handle, "right", Action.RETRY)
    end = await rolled_back(handle)
    assert end.view.to_undo == []
    assert stage.effects() == {"first": UNDONE, "left": KEPT, "right": UNDONE, "last": NEVER}
