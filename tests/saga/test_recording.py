"""The projection of the timeline: late if it must be, never wrong, and never in the way."""

from datetime import timedelta

from saga import Action, EventKind, SagaState
from tests.saga.contracts import Mode, Plan, Script
from tests.saga.driver import resolve, start, until, until_parked
from tests.saga.ledger import KEPT, UNDONE
from tests.saga.sagas import MatrixSaga
from tests.saga.stage import Stage, completed, rolled_back
from tests.support import histories


async def test_recorded_while_the_saga_waits(stage: Stage) -> None:
    handle = await stage.scene("wait")
    view = await until(handle, EventKind.WAITING)
    batch = stage.ledger.batches(stage.run)[-1]
    assert (batch.state, batch.waiting_on) == (SagaState.WAITING, "the parcel")
    assert (batch.kind, batch.subject, batch.owner) == ("scene", stage.run, "customer")
    assert [event.seq for event in stage.events()] == [event.seq for event in view.events]
    await handle.signal("hear", "arrived")
    await completed(handle)


async def test_a_recorder_that_is_down_holds_nothing_up(stage: Stage) -> None:
    stage.ledger.allow(stage.run, "recorder down")
    handle = await stage.matrix(capture=Plan(do=Mode.FAILS))
    view = await until(handle, EventKind.SAGA_COMPENSATED)
    assert stage.effects() == dict.fromkeys(("reserve", "book", "delegate"), UNDONE)
    assert stage.events() == []
    stage.ledger.allow(stage.run, "recorder works")
    end = await rolled_back(handle)
    assert [e.kind for e in stage.events()] == [e.kind for e in view.events]
    sent = [event.seq for batch in stage.ledger.batches(stage.run) for event in batch.events]
    assert sent == list(range(1, len(end.view.events) + 1))
    assert stage.ledger.batches(stage.run)[-1].state is SagaState.COMPENSATED


async def test_news_that_comes_while_a_batch_is_under_way_replays(stage: Stage) -> None:
    """The recorder spans several workflow tasks, and the saga goes on beside it."""
    stage.ledger.allow(stage.run, "recorder slow")
    script = Script(run=stage.run, plans={"confirm": Plan(do=Mode.FAILS)})
    task = timedelta(seconds=2)
    handle = await start(stage.client, MatrixSaga.run, stage.run, script, task_timeout=task)
    await until_parked(handle, "confirm")
    assert not any(event.kind is EventKind.PARKED for event in stage.events())
    stage.ledger.allow(stage.run, "do works")
    await resolve(handle, "confirm", Action.RETRY)
    end = await completed(handle)
    assert [e.kind for e in stage.events()] == [e.kind for e in end.view.events]
    replayer = histories.replayer([MatrixSaga], "tests.saga.contracts")
    await replayer.replay_workflow(await handle.fetch_history())


async def test_a_batch_whose_answer_was_lost_is_sent_again(stage: Stage) -> None:
    stage.ledger.allow(stage.run, "answers lost")
    handle = await stage.matrix()
    await until(handle, EventKind.SAGA_COMPLETED)
    stage.ledger.allow(stage.run, "recorder works")
    end = await completed(handle)
    assert [(e.seq, e.kind) for e in stage.events()] == [(e.seq, e.kind) for e in end.view.events]
    sent = [event.seq for batch in stage.ledger.batches(stage.run) for event in batch.events]
    assert sent.count(1) > 1
    assert set(stage.effects().values()) == {KEPT}
