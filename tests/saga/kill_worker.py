"""A worker that a test may kill: `python -m tests.saga.kill_worker ADDRESS NAMESPACE FILE`."""

import asyncio
import sys

from tests.saga.activities import Activities
from tests.saga.contracts import QUEUE
from tests.saga.ledger import Ledger
from tests.saga.sagas import DelegatedSaga, MatrixSaga
from tests.support import temporal


async def main(address: str, namespace: str, path: str) -> None:
    """Work until killed."""
    client = await temporal.connect(address, namespace)
    activities = Activities(Ledger(path)).all()
    await temporal.worker(
        client, QUEUE, [MatrixSaga, DelegatedSaga], activities, "tests.saga.contracts"
    ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
