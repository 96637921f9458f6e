"""A worker that forgets every saga after every task: each await is reached by replay alone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.saga.activities import Activities
from tests.saga.conftest import COLD
from tests.saga.contracts import QUEUE
from tests.saga.driver import Ended, drive
from tests.saga.ledger import Ledger
from tests.saga.record import ROWS as CHOSEN
from tests.saga.rows import matrix
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.support import temporal

ROWS = {row.name: row for row in matrix() if row.name in CHOSEN.values()}


@dataclass(slots=True)
class Cold:
    """What became of the chosen rows."""

    ledger: Ledger
    ends: dict[str, Ended]
    complaints: list[str]


class _Complaints(logging.Handler):
    """Keeps what the worker says about workflows it could not run or forget."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cold(server: Client) -> AsyncIterator[Cold]:
    """The chosen rows, played by a worker without a cache."""
    ledger = Ledger()
    client = await temporal.connect(server.service_client.config.target_host, COLD)
    worker = temporal.worker(
        client,
        QUEUE,
        [MatrixSaga, DelegatedSaga],
        Activities(ledger).all(),
        "tests.saga.contracts",
        max_cached_workflows=0,
    )
    complaints = _Complaints()
    logger = logging.getLogger("temporalio.worker._workflow")
    logger.addHandler(complaints)
    async with worker:
        ends = await asyncio.gather(
            *(drive(client, ledger, row, name) for name, row in ROWS.items())
        )
    logger.removeHandler(complaints)
    yield Cold(ledger, dict(zip(ROWS, ends, strict=True)), complaints.heard)
    ledger.close()


@pytest.mark.parametrize("name", ROWS)
def test_ends_the_same(name: str, cold: Cold) -> None:
    row = ROWS[name]
    assert cold.ends[name].view.state is row.failure.ends
    assert cold.ledger.effects(name) == row.effects()
    assert [e.kind for e in cold.ledger.recorded(name)] == [
        e.kind for e in cold.ends[name].view.events
    ]


def test_every_chosen_row_is_one_of_the_matrix() -> None:
    assert set(ROWS) == set(CHOSEN.values())


def test_forgetting_a_saga_disturbs_nothing(cold: Cold) -> None:
    assert cold.complaints == []
