"""Every step x failure mode x undo outcome ends as the rules say, and nothing else happens."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHistory

from saga import Action, CancelVerdict, Event, key_for
from tests.saga.contracts import Receipt
from tests.saga.driver import Ended, drive
from tests.saga.ledger import Ledger
from tests.saga.rows import BACK, DONE, STEPS, UNDO_OUTCOMES, Row, matrix
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.support import histories

ROWS = {row.name: row for row in matrix()}
_AT_ONCE = 10


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(
    client: Client, ledger: Ledger, request: pytest.FixtureRequest
) -> AsyncIterator[dict[str, asyncio.Task[Ended]]]:
    """The rows that this run has selected, all under way side by side."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(row: Row) -> Ended:
        async with gate:
            return await asyncio.wait_for(drive(client, ledger, row, _run(row)), 100)

    selected = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == "test_row"
    ]
    tasks = {name: asyncio.create_task(one(ROWS[name])) for name in selected}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def _run(row: Row) -> str:
    return f"matrix/{row.name}"


def test_every_row_has_a_name_of_its_own() -> None:
    assert len(ROWS) == len(list(matrix()))


@pytest.mark.parametrize("name", ROWS)
async def test_row(name: str, outcomes: dict[str, asyncio.Task[Ended]], ledger: Ledger) -> None:
    row = ROWS[name]
    run = _run(row)
    ended = await outcomes[name]
    assert ended.view.state is row.failure.ends
    assert ledger.effects(run) == row.effects()
    assert ledger.calls(run) == row.calls()
    assert _end(ended) == _expected_end(row, run)
    assert ended.verdict is _expected_verdict(row)
    assert (ended.view.parked, ended.view.waiting_on) == ([], "")
    _assert_keys(run, ledger)
    _assert_newest_first(row, ledger)
    _assert_recorded(run, ended, ledger)


async def test_every_way_through_replays(
    client: Client, outcomes: dict[str, asyncio.Task[Ended]]
) -> None:
    """Today's code, fed any of these histories, gives the commands that it gave then."""
    await asyncio.gather(*outcomes.values())
    replayer = histories.replayer([MatrixSaga, DelegatedSaga], "tests.saga.contracts")

    async def past() -> AsyncIterator[WorkflowHistory]:
        for name in outcomes:
            if ROWS[name].undo is not UNDO_OUTCOMES[0]:
                continue
            yield await client.get_workflow_handle(_run(ROWS[name])).fetch_history()

    results = await replayer.replay_workflows(past(), raise_on_replay_failure=False)
    assert results.replay_failures == {}


def _end(ended: Ended) -> object:
    if ended.failure is None:
        return ended.answer
    return ended.failure.type, *ended.failure.details


def _expected_end(row: Row, run: str) -> object:
    failure = row.failure
    if failure.ends is DONE:
        answers: dict[str, Receipt | None] = {
            step: Receipt(step=step, number=len(run)) for step in STEPS
        }
        if Action.MARK_DONE in failure.answers:
            answers[row.step] = Receipt(step=row.step, number=0)
        if Action.SKIP in failure.answers:
            answers[row.step] = None
        return list(answers.values())
    by_request = failure.code == "CANCELLED" and row.step != "delegate"
    return "saga.RolledBack", failure.code, "" if by_request else row.step


def _expected_verdict(row: Row) -> CancelVerdict | None:
    if row.failure.cancel != "by update":
        return None
    if row.failure.ends is DONE:
        return CancelVerdict.TOO_LATE
    return CancelVerdict.CANCELLING if row.undo.answer else CancelVerdict.CANCELLED


def _assert_keys(run: str, ledger: Ledger) -> None:
    """Each call of a step went out under one key, however often it was sent."""
    for (step, doing), keys in ledger.keys(run).items():
        saga = f"delegated:{run}" if step == "inner" else run
        assert keys == {(key_for(saga, step, doing), key_for(saga, step, "do"))}


def _assert_newest_first(row: Row, ledger: Ledger) -> None:
    undone = [step for step in ledger.order_of(_run(row), "undo") if step != "inner"]
    newest_first = tuple(reversed(row.registered)) if row.failure.ends is BACK else ()
    assert tuple(dict.fromkeys(undone)) == newest_first


def _assert_recorded(run: str, ended: Ended, ledger: Ledger) -> None:
    """The projection has every event once, in order, and the state they led to."""
    events = ended.view.events
    # Not the times: a replay sees those of the last heartbeat of a local activity's task.
    assert [_but_time(event) for event in ledger.recorded(run)] == list(map(_but_time, events))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last = ledger.batches(run)[-1]
    assert (last.state, last.kind, last.subject, last.owner) == (
        ended.view.state,
        "matrix",
        run,
        "customer",
    )


def _but_time(event: Event) -> dict[str, object]:
    return event.model_dump(exclude={"at"})
