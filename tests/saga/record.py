"""Save the engine's own histories anew: `python -m tests.saga.record`.

Only when a change of the engine is meant to break open sagas: a replay that fails says that it
would, and every saga then under way with it.
"""

import asyncio
from pathlib import Path

from temporalio.client import Client

from saga import EventKind
from tests.saga.activities import Activities
from tests.saga.contracts import QUEUE, Mode, Plan, SceneScript
from tests.saga.driver import answer, drive, ended, start, until
from tests.saga.ledger import Ledger
from tests.saga.rows import Row, matrix
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.saga.scenes import SceneSaga
from tests.support import histories, temporal

FOLDER = Path(__file__).parent / "histories"

# The paths that differ in what the workflow commands: one row for each.
ROWS = {
    "completes after a lost answer": "capture: unknown, happened",
    "pivot fails": "capture: fails before - undo succeeds",
    "pivot unknown, parked, skipped by two": "capture: still unknown, SKIP - undo succeeds",
    "pivot cancelled too late": "capture: cancelled, natively, too late",
    "local step cancelled": "reserve: cancelled, natively - undo succeeds",
    "regular step cancelled by update": "book: cancelled, by update - undo succeeds",
    "child cancelled": "delegate: cancelled, natively - undo succeeds",
    "child fails": "delegate: fails before - undo succeeds",
    "undo parked, retried": "delegate: unknown, did not happen - undo parked, RETRY",
    "undo parked, skipped": "book: fails after - undo parked, SKIP",
    "must parked, marked done": "commit: fails before, MARK_DONE",
    "must parked, retried": "confirm: fails before, RETRY",
}


async def main() -> None:
    """Play the chosen paths on a server of their own and save each."""
    ledger = Ledger()
    rows = {row.name: row for row in matrix()}
    workflows = [MatrixSaga, DelegatedSaga, SceneSaga]
    async with temporal.dev_server() as client:
        worker = temporal.worker(
            client, QUEUE, workflows, Activities(ledger).all(), "tests.saga.contracts"
        )
        async with worker:
            for name, row in ROWS.items():
                await _save_row(client, ledger, name, rows[row])
            await _save_scenes(client)
    ledger.close()


async def _save_row(client: Client, ledger: Ledger, name: str, row: Row) -> None:
    run = name.replace(",", "").replace(" ", "-")
    await drive(client, ledger, row, run)
    await histories.save(client.get_workflow_handle(run), FOLDER, run)
    if row.step == "delegate":
        child = client.get_workflow_handle(f"delegated:{run}")
        await histories.save(child, FOLDER, run)


async def _save_scenes(client: Client) -> None:
    await _save_scene(client, "failover", plans={"authorise via alpha": Plan(do=Mode.FAILS)})
    await _save_scene(client, "together", plans={"left": Plan(do=Mode.FAILS)})
    await _save_scene(client, "resend", plans={"authorise": Plan(do=Mode.LOST_ONCE)})
    await _save_scene(client, "wait", word="soon")
    await _save_scene(client, "ask", decision="ACCEPT")


async def _save_scene(
    client: Client,
    scene: str,
    word: str = "",
    plans: dict[str, Plan] | None = None,
    decision: str = "",
) -> None:
    script = SceneScript(run=scene, scene=scene, word=word, plans=plans or {})
    handle = await start(client, SceneSaga.run, scene, script)
    if decision:
        await until(handle, EventKind.PARKED)
        await answer(handle, "review", decision)
    await ended(handle)
    await histories.save(handle, FOLDER, scene)


if __name__ == "__main__":
    asyncio.run(main())
