"""Waiting for something outside, and asking a person to decide."""

import pytest

from saga import CancelVerdict, EventKind, SagaState
from tests.saga.driver import answer, look, request_cancel, until
from tests.saga.ledger import KEPT, UNDONE
from tests.saga.stage import Stage, completed, failed_task, refusal, rolled_back


def _told(stage: Stage, kind: EventKind) -> list[tuple[str, str, str]]:
    return [(e.step, e.code, e.actor) for e in stage.events() if e.kind is kind]


async def test_wait_is_met(stage: Stage) -> None:
    handle = await stage.scene("wait")
    view = await until(handle, EventKind.WAITING)
    assert (view.state, view.waiting_on) == (SagaState.WAITING, "the parcel")
    await handle.signal("hear", "something else")
    await handle.signal("hear", "arrived")
    end = await completed(handle)
    assert end.answer is True
    assert end.kinds[-3:] == ["WAITING the parcel", "RESUMED the parcel", "SAGA_COMPLETED"]
    assert stage.effects() == {"reserve": KEPT}


async def test_wait_runs_out_of_time(stage: Stage) -> None:
    end = await completed(await stage.scene("wait", "soon"))
    assert end.answer is False
    assert stage.effects() == {"reserve": KEPT}


async def test_wait_is_over_when_cancelled_natively(stage: Stage) -> None:
    handle = await stage.scene("wait")
    await until(handle, EventKind.WAITING)
    await handle.cancel()
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert end.failure.message == "the workflow was cancelled"
    assert stage.effects() == {"reserve": UNDONE}


async def test_wait_is_over_when_cancelled_by_update(stage: Stage) -> None:
    handle = await stage.scene("wait")
    await until(handle, EventKind.WAITING)
    verdict = await (await request_cancel(handle))
    assert verdict is CancelVerdict.CANCELLED
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.message == "changed my mind"
    assert stage.effects() == {"reserve": UNDONE}


@pytest.mark.parametrize("natively", [True, False])
async def test_wait_after_the_pivot_goes_on_when_cancelled(stage: Stage, natively: bool) -> None:
    handle = await stage.scene("wait", "after the pivot")
    await until(handle, EventKind.WAITING)
    if natively:
        await handle.cancel()
    else:
        assert await (await request_cancel(handle)) is CancelVerdict.TOO_LATE
    await until(handle, EventKind.CANCEL_TOO_LATE)
    assert (await look(handle)).state is SagaState.WAITING
    await handle.signal("hear", "arrived")
    assert (await completed(handle)).answer is True
    assert stage.effects() == {"reserve": KEPT, "capture": KEPT}
    assert stage.undone() == []


async def test_rounds_of_one_wait_are_one_line_in_the_timeline(stage: Stage) -> None:
    handle = await stage.scene("rounds")
    await until(handle, EventKind.WAITING)
    await handle.signal("hear", "paid")
    end = await completed(handle)
    assert end.answer >= 1
    assert end.kinds == [
        "SAGA_STARTED",
        "WAITING the customer",
        "RESUMED the customer",
        "SAGA_COMPLETED",
    ]


async def test_a_person_decides(stage: Stage) -> None:
    handle = await stage.scene("ask")
    view = await until(handle, EventKind.PARKED)
    assert (view.state, view.waiting_on) == (SagaState.WAITING, "a decision: review")
    (parked,) = view.parked
    assert (parked.step, parked.code, parked.doing) == ("review", "RISK_HOLD", "decide")
    assert (parked.message, parked.actions) == ("score 71", ["ACCEPT", "REJECT"])
    code, sentence = await refusal(handle, "review", "RETRY")
    assert (code, sentence) == (
        "ACTION_NOT_ALLOWED",
        "'RETRY' does not fit 'review'; choose one of ACCEPT, REJECT",
    )
    assert (await refusal(handle, "review", "ACCEPT", note=" "))[0] == "NOTE_MISSING"
    assert (await answer(handle, "review", "ACCEPT")).accepted
    end = await completed(handle)
    assert end.answer == "agent-1: ACCEPT"
    assert end.view.parked == []
    assert _told(stage, EventKind.RESOLVED) == [("review", "ACCEPT", "agent-1")]


async def test_a_person_says_no(stage: Stage) -> None:
    handle = await stage.scene("ask")
    await until(handle, EventKind.PARKED)
    await answer(handle, "review", "REJECT", note="known fraud ring")
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("REJECTED", "")
    assert end.failure.message == "known fraud ring"
    assert stage.effects() == {"reserve": UNDONE}


async def test_nobody_decides_in_time(stage: Stage) -> None:
    end = await completed(await stage.scene("ask", "soon"))
    assert (end.answer, end.view.parked) == ("nobody answered", [])
    assert _told(stage, EventKind.RESUMED) == [("review", "TIME_UP", "")]


@pytest.mark.parametrize("natively", [True, False])
async def test_a_cancellation_withdraws_the_question(stage: Stage, natively: bool) -> None:
    handle = await stage.scene("ask")
    await until(handle, EventKind.PARKED)
    if natively:
        await handle.cancel()
    else:
        # Nothing is parked that a person would have to settle: the answer is final.
        assert await (await request_cancel(handle)) is CancelVerdict.CANCELLED
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("CANCELLED", "")
    assert end.view.parked == []
    assert _told(stage, EventKind.RESUMED) == [("review", "CANCELLED", "")]
    assert stage.effects() == {"reserve": UNDONE}


async def test_going_forward_without_an_action_ends_the_undoing(stage: Stage) -> None:
    end = await completed(await stage.scene("forward"))
    assert end.answer == "confirmed"
    assert "PIVOT_PASSED the parcel has left" in end.kinds
    assert (end.view.pivot_passed, end.view.to_undo) == (True, [])
    assert stage.effects() == {"reserve": KEPT, "confirm": KEPT}


async def test_a_second_point_of_no_return_is_misuse(stage: Stage) -> None:
    handle = await stage.scene("second point of no return")
    assert await failed_task(handle) == ("'shipped' would be a second pivot after 'capture'")
    await handle.terminate()
