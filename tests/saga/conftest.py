"""One Temporal server, one worker and one ledger for all tests of the engine."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.saga.activities import Activities
from tests.saga.contracts import QUEUE
from tests.saga.ledger import Ledger
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.saga.scenes import SceneSaga
from tests.saga.stage import Stage
from tests.support import temporal

# Namespaces whose workers are not the ordinary one.
KILLS = "kills"
COLD = "cold"
README = "readme"
_numbers = count(1)


_HERE = Path(__file__).parent
# The SDK warns when it cancels a local activity that has just ended; it is no error of ours,
# and as an exception it would end the worker of all tests.
_HARMLESS = "ignore:Cannot find activity to cancel:UserWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers in this process live through what the SDK warns of."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.filterwarnings(_HARMLESS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Client]:
    """A client of a server that lives as long as the run."""
    async with temporal.dev_server(KILLS, COLD, README) as client:
        yield client


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """The outside world, in memory."""
    ledger = Ledger()
    yield ledger
    ledger.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(server: Client, ledger: Ledger) -> AsyncIterator[Client]:
    """A client whose sagas have a worker, in this process."""
    worker = temporal.worker(
        server,
        QUEUE,
        [MatrixSaga, DelegatedSaga, SceneSaga],
        Activities(ledger).all(),
        "tests.saga.contracts",
    )
    async with worker:
        yield server


@pytest.fixture
def run() -> str:
    """An ID that no other test has."""
    return f"run-{next(_numbers)}"


@pytest.fixture
def stage(client: Client, ledger: Ledger, run: str) -> Stage:
    """Where one saga is played."""
    return Stage(client, ledger, run)
