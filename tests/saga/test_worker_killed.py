"""A worker killed with -9 at any step, in doing or undoing, changes nothing about the end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import pytest
import pytest_asyncio
from temporalio.client import Client

from saga import Action, EventKind, key_for
from tests.saga.conftest import KILLS
from tests.saga.contracts import Mode, Plan, Script
from tests.saga.driver import Ended, ended, resolve, start, until_parked
from tests.saga.ledger import EVERY_RUN, KEPT, UNDONE, Ledger, eventually
from tests.saga.rows import (
    BACK,
    COMPENSATABLE,
    DONE,
    LADDER,
    MUSTS,
    PIVOT,
    STEPS,
    UNDO_OUTCOMES,
    UndoOutcome,
)
from tests.saga.sagas import MatrixSaga
from tests.support import temporal

_ROOT = Path(__file__).parents[2]
# One attempt must outlive the time that all sagas together need to get where they are killed.
_PATIENCE = 8.0
_TASK = timedelta(seconds=3)
_REFUSED = Plan(do=Mode.FAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One saga whose worker dies while `doing` (do, undo or parked) is under way at `step`."""

    name: str
    step: str
    plans: dict[str, Plan]
    effects: dict[str, str]
    code: str = ""
    doing: str = "do"
    answers: tuple[tuple[str, Action, str], ...] = ()

    @property
    def arrives(self) -> tuple[str, str]:
        """The call that shows that the saga is where its worker is to die."""
        sender = "inner" if self.step == "delegate" and self.doing == "do" else self.step
        return sender, self.doing


def _kills() -> Iterator[Kill]:
    everything = dict.fromkeys(STEPS, KEPT)
    nothing = dict.fromkeys(COMPENSATABLE, UNDONE)
    for when in (Mode.HANGS_BEFORE, Mode.HANGS_AFTER):
        for step in (*COMPENSATABLE, *MUSTS):
            yield Kill(name=f"{step} {when}", step=step, plans=_at(step, when), effects=everything)
        for step in COMPENSATABLE:
            plans = {PIVOT: _REFUSED, step: Plan(undo=when)}
            yield Kill(
                name=f"undo of {step} {when}",
                step=step,
                doing="undo",
                plans=plans,
                effects=nothing,
                code="NO_STOCK",
            )
    after = Mode.HANGS_AFTER
    yield Kill(name=f"{PIVOT} {after}", step=PIVOT, plans=_at(PIVOT, after), effects=everything)
    for undo in UNDO_OUTCOMES:
        yield _undone(f"{PIVOT} HANGS_BEFORE", PIVOT, "delegate", Mode.HANGS_BEFORE, undo)
        for step in COMPENSATABLE:
            yield _undone(f"{step} {after}, refused", step, step, after, undo)
    yield Kill(
        name="parked at the pivot",
        step=PIVOT,
        doing="inquire",
        plans={PIVOT: Plan(do=Mode.UNKNOWN_AFTER, unsure=True)},
        effects=everything,
        answers=((PIVOT, Action.RETRY, "inquiry works"),),
    )


def _at(step: str, mode: Mode) -> dict[str, Plan]:
    return {step: Plan(do=mode)}


def _undone(name: str, step: str, victim: str, mode: Mode, undo: UndoOutcome) -> Kill:
    """Killed at `step`; later the pivot does not happen, and the victim's undo goes like this."""
    plans = {PIVOT: _REFUSED, **_at(step, mode)}
    plans[victim] = plans.get(victim, Plan()).model_copy(update={"undo_fails": undo.fails})
    left = undo.answer in (Action.MARK_DONE, Action.SKIP)
    return Kill(
        name=f"{name} - {undo.name}",
        step=step,
        plans=plans,
        effects={**dict.fromkeys(COMPENSATABLE, UNDONE), **({victim: KEPT} if left else {})},
        code="DID_NOT_HAPPEN" if step == PIVOT else "NO_STOCK",
        answers=((victim, undo.answer, "undo works"),) if undo.answer else (),
    )


ROWS = {kill.name: kill for kill in _kills()}


@dataclass(slots=True)
class Survivors:
    """The sagas after their worker's death: how each ended, and what was seen at the kill."""

    ledger: Ledger
    ends: dict[str, Ended] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)


@contextmanager
def _worker(client: Client, path: Path) -> Iterator[Popen[bytes]]:
    """A worker process that dies by SIGKILL at the end of the block, if not sooner."""
    argv = [sys.executable, "-m", "tests.saga.kill_worker"]
    argv += [client.service_client.config.target_host, client.namespace, str(path)]
    with Popen(argv, cwd=_ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore"}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def survivors(
    server: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Survivors]:
    """All sagas brought to where their worker dies, and on to their ends under another one."""
    path = tmp_path_factory.mktemp("kills") / "ledger.sqlite"
    client = await temporal.connect(server.service_client.config.target_host, KILLS)
    seen = Survivors(Ledger(path))
    with _worker(client, path):
        for kill in ROWS.values():
            script = Script(run=kill.name, plans=kill.plans, patience=_PATIENCE, ladder=LADDER)
            await start(client, MatrixSaga.run, kill.name, script, task_timeout=_TASK)
        await eventually(
            lambda: all(_arrivals(seen.ledger, kill) for kill in ROWS.values()), "every kill"
        )
        seen.arrivals = {name: _arrivals(seen.ledger, kill) for name, kill in ROWS.items()}
    seen.ledger.allow(EVERY_RUN, "revived")
    with _worker(client, path):
        ends = await asyncio.gather(*(_finish(client, seen.ledger, kill) for kill in ROWS.values()))
        seen.ends = dict(zip(ROWS, ends, strict=True))
    yield seen
    seen.ledger.close()


def _arrivals(ledger: Ledger, kill: Kill) -> int:
    return ledger.calls(kill.name)[kill.arrives]


async def _finish(client: Client, ledger: Ledger, kill: Kill) -> Ended:
    handle = client.get_workflow_handle_for(MatrixSaga.run, kill.name)
    for step, action, heals in kill.answers:
        await until_parked(handle, step)
        if action is Action.RETRY:
            ledger.allow(kill.name, heals)
        await resolve(handle, step, action)
    return await ended(handle)


@pytest.mark.parametrize("name", ROWS)
def test_killed(name: str, survivors: Survivors) -> None:
    kill, ledger = ROWS[name], survivors.ledger
    end = survivors.ends[name]
    assert ledger.effects(name) == kill.effects
    assert end.view.state is (BACK if kill.code else DONE)
    assert (end.failure.details[0] if end.failure else "") == kill.code
    for (step, doing), keys in ledger.keys(name).items():
        saga = f"delegated:{name}" if step == "inner" else name
        assert keys == {(key_for(saga, step, doing), key_for(saga, step, "do"))}
    undone = dict.fromkeys(step for step in ledger.order_of(name, "undo") if step != "inner")
    assert tuple(undone) == (COMPENSATABLE[::-1] if kill.code else ())
    kinds = [event.kind for event in ledger.recorded(name)]
    assert kinds == [event.kind for event in end.view.events]
    assert kinds[-1] is (EventKind.SAGA_COMPENSATED if kill.code else EventKind.SAGA_COMPLETED)


@pytest.mark.parametrize("name", [name for name, kill in ROWS.items() if kill.doing != "inquire"])
def test_the_worker_died_during_the_call(name: str, survivors: Survivors) -> None:
    """The call was under way at the kill and repeated after it, but not the pivot's."""
    kill = ROWS[name]
    calls = _arrivals(survivors.ledger, kill)
    if kill.step == PIVOT:
        assert (survivors.arrivals[name], calls) == (1, 1)
    else:
        assert calls > survivors.arrivals[name] >= 1
