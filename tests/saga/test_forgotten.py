"""Sagas that wait are dropped by one worker and carried on by another, from history alone."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from temporalio.client import Client

from saga import Action, EventKind
from tests.saga.activities import Activities
from tests.saga.conftest import COLD
from tests.saga.contracts import FOREVER, QUEUE, Mode, Plan
from tests.saga.driver import Handle, answer, resolve, until, until_parked
from tests.saga.ledger import KEPT, UNDONE, Ledger
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.saga.scenes import SceneSaga
from tests.saga.stage import Stage, completed, rolled_back
from tests.support import temporal

UNSURE = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)


class _Complaints(logging.Handler):
    """Keeps what the SDK says of workflows that it could not forget."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    complaints = _Complaints()
    loggers = [logging.getLogger(f"temporalio.worker.{name}") for name in ("_workflow", "_worker")]
    for logger in loggers:
        logger.addHandler(complaints)
    yield complaints.heard
    for logger in loggers:
        logger.removeHandler(complaints)


@asynccontextmanager
async def _worker(client: Client, ledger: Ledger) -> AsyncIterator[None]:
    workflows = [MatrixSaga, DelegatedSaga, SceneSaga]
    async with temporal.worker(
        client, QUEUE, workflows, Activities(ledger).all(), "tests.saga.contracts"
    ):
        yield


async def test_every_kind_of_wait_outlives_its_worker(server: Client) -> None:
    client = await temporal.connect(server.service_client.config.target_host, COLD)
    ledger = Ledger()
    at = {
        name: Stage(client, ledger, name)
        for name in ("wait", "decide", "unknown", "undo", "must", "child", "together")
    }
    with _listening() as complaints:
        async with _worker(client, ledger):
            handles = await _all_waiting(at)
        async with _worker(client, ledger):
            await _all_end(handles, at)
    assert complaints == []
    assert at["wait"].effects() == {"reserve": KEPT}
    assert at["decide"].effects() == {"reserve": KEPT}
    assert at["unknown"].effects() == {"authorise": UNDONE}
    assert at["undo"].effects() == dict.fromkeys(("reserve", "book", "delegate"), UNDONE)
    assert set(at["must"].effects().values()) == {KEPT}
    assert at["child"].effects() == dict.fromkeys(("reserve", "book", "delegate"), UNDONE)
    assert at["together"].effects() == dict.fromkeys(("first", "left", "right"), KEPT)
    for stage in at.values():
        assert max(stage.ledger.calls(stage.run).values()) <= 4
    ledger.close()


async def _all_waiting(at: dict[str, Stage]) -> dict[str, Handle]:
    handles = {
        "wait": await at["wait"].scene("wait"),
        "decide": await at["decide"].scene("ask"),
        "unknown": await at["unknown"].scene("money", plans={"authorise": UNSURE}),
        "undo": await at["undo"].matrix(book=Plan(undo_fails=FOREVER), capture=Plan(do=Mode.FAILS)),
        "must": await at["must"].matrix(commit=Plan(do=Mode.FAILS)),
        "child": await at["child"].matrix(delegate=Plan(do=Mode.WAITS)),
        "together": await at["together"].scene("together", plans={"left": UNSURE, "right": UNSURE}),
    }
    await until(handles["wait"], EventKind.WAITING)
    await until(handles["decide"], EventKind.PARKED)
    await until_parked(handles["unknown"], "authorise")
    await until_parked(handles["undo"], "book")
    await until_parked(handles["must"], "commit")
    await at["child"].ledger.until_called("child", "inner")
    await until_parked(handles["together"], "left")
    await until_parked(handles["together"], "right")
    return handles


async def _all_end(handles: dict[str, Handle], at: dict[str, Stage]) -> None:
    for name, flag in (("undo", "undo works"), ("must", "do works")):
        at[name].ledger.allow(name, flag)
    await handles["wait"].signal("hear", "arrived")
    await answer(handles["decide"], "review", "ACCEPT")
    await handles["unknown"].cancel()
    await until(handles["unknown"], EventKind.CANCEL_REQUESTED)
    await resolve(handles["unknown"], "authorise", Action.MARK_DONE)
    await resolve(handles["undo"], "book", Action.RETRY)
    await resolve(handles["must"], "commit", Action.RETRY)
    await handles["child"].cancel()
    delegated = at["child"].client.get_workflow_handle("delegated:child")
    await until(delegated, EventKind.CANCEL_REQUESTED)
    at["child"].ledger.allow("child", "go")
    for step in ("right", "left"):
        await resolve(handles["together"], step, Action.MARK_DONE)
    for name in ("wait", "decide", "must", "together"):
        await completed(handles[name])
    for name in ("unknown", "undo", "child"):
        await rolled_back(handles[name])
