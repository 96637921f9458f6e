"""A bug in the workflow's code stops the saga; it refunds nobody."""

import pytest

from tests.saga.contracts import defects
from tests.saga.ledger import KEPT
from tests.saga.stage import Stage, completed, failed_task

MISUSES = {
    "second pivot": "'capture again' would be a second pivot after 'capture'",
    "step after pivot": "'reserve' comes after the pivot 'capture': use must()",
    "must before pivot": "'commit' must not come before the pivot: use step()",
    "same name": "two steps are called 'reserve': their keys would be the same",
    "refused after pivot": "after the pivot 'capture' only must() and wait() may be awaited",
    "undo of nothing": "'look' has no undo to run; those that have: []",
}


async def test_a_bug_undoes_nothing_and_the_mended_workflow_goes_on(stage: Stage) -> None:
    defects.add(stage.run)
    handle = await stage.scene("bug")
    assert await failed_task(handle) == "a bug in the body"
    assert stage.effects() == {"reserve": KEPT}
    assert stage.undone() == []
    defects.remove(stage.run)
    assert (await completed(handle)).answer == "mended"
    assert stage.effects() == {"reserve": KEPT, "book": KEPT}
    assert stage.ledger.calls(stage.run) == {("reserve", "do"): 1, ("book", "do"): 1}


@pytest.mark.parametrize("scene", MISUSES)
async def test_misuse_fails_the_task_and_undoes_nothing(stage: Stage, scene: str) -> None:
    handle = await stage.scene(scene)
    assert await failed_task(handle) == MISUSES[scene]
    assert stage.undone() == []
    assert set(stage.effects().values()) <= {KEPT}
    assert sum(stage.ledger.calls(stage.run).values()) == len(stage.effects())
    await handle.terminate()
