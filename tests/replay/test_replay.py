"""Histories of every workflow, saved from real runs, still lead today's code the same way."""

from pathlib import Path

import pytest

from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.saga.scenes import SceneSaga
from tests.support import histories

BUSINESS = Path(__file__).parent / "histories"
ENGINE = Path(__file__).parents[1] / "saga" / "histories"
PATHS = [*histories.saved(BUSINESS), *histories.saved(ENGINE)]
WORKFLOWS = [*histories.workflows_in("workflows"), MatrixSaga, DelegatedSaga, SceneSaga]


def test_there_are_histories() -> None:
    assert PATHS


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


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_names_no_machine(path: Path) -> None:
    assert str(Path(__file__).parents[2]) not in path.read_text()
