"""Histories of every workflow, saved from real runs, still lead today's code the same way."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, WorkflowRunner

from tests.replay import paths
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.saga.scenes import SceneSaga
from tests.support import histories
from workers.main import workflow_runner

BUSINESS = Path(__file__).parent / "histories"
ENGINE = Path(__file__).parents[1] / "saga" / "histories"
PATHS = [*histories.saved(BUSINESS), *histories.saved(ENGINE)]
WORKFLOWS = [*histories.workflows_in("workflows"), MatrixSaga, DelegatedSaga, SceneSaga]


def test_there_are_histories() -> None:
    assert PATHS


def test_every_path_has_one_and_there_are_no_others() -> None:
    """The table names them; `python -m tests.replay.record` makes those that are missing."""
    assert {path.name for path in histories.saved(BUSINESS)} == paths.files()


@pytest.mark.parametrize("defined", WORKFLOWS, ids=histories.type_name)
def test_every_workflow_has_one(defined: type) -> None:
    name = histories.type_name(defined)
    assert name in {histories.workflow_type(path) for path in PATHS}, (
        f"no saved history of {name}: see tests/support/histories.py"
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
async def test_replays(path: Path) -> None:
    replayer = histories.replayer(WORKFLOWS, "tests.saga.contracts")
    await replayer.replay_workflow(histories.load(path))


@pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "as in production"])
async def test_replays_in_a_worker_of_ours(sandboxed: bool) -> None:
    replayer = _replayer(workflow_runner(sandboxed))
    saved = [histories.load(path) for path in histories.saved(BUSINESS)]
    for history in saved:
        await replayer.replay_workflow(history)
    assert len(saved) == len(paths.files())


async def test_a_saga_that_goes_another_way_is_caught() -> None:
    """The replays can fail: a history without its capture does not fit the saga."""
    saved = BUSINESS / f"{paths.CHECKOUT}.card-alphapay.json"
    told = saved.read_text().replace('"payments.capture"', '"payments.refund"')
    assert told != saved.read_text()
    with pytest.raises(workflow.NondeterminismError):
        await _replayer(workflow_runner(sandboxed=False)).replay_workflow(
            WorkflowHistory.from_json("changed", told)
        )


def _replayer(runner: WorkflowRunner) -> Replayer:
    return Replayer(
        workflows=histories.workflows_in("workflows"),
        workflow_runner=runner,
        data_converter=pydantic_data_converter,
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_names_no_machine(path: Path) -> None:
    told = path.read_text()
    assert str(Path(__file__).parents[2]) not in told
    assert f'"{platform.node()}"' not in told
    assert '"identity"' not in told
