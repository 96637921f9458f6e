"""Both workers in one process, to be killed: `python -m … TEMPORAL POSTGRES PSP_URL`."""

from __future__ import annotations

import asyncio
import sys

from tests.sandbox.harness import API_KEY, SECRET
from workers.config import ProviderConfig, WorkerConfig
from workers.main import run_activities, run_workflows


class Life:
    """A life that ends by a kill alone; it says when it has begun."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()

    def ready(self) -> None:
        print("ready", flush=True)


async def main(temporal: str, database: str, psp: str) -> None:
    config = WorkerConfig(
        temporal_address=temporal,
        namespace="default",
        postgres_url=database,
        # nothing that these sagas do needs one
        redis_url="redis://127.0.0.1:1",
        providers={
            "alphapay": ProviderConfig(url=psp, key=API_KEY, webhook_secrets=(SECRET,)),
        },
        sweep_every=3600,
    )
    await asyncio.gather(run_workflows(config, Life()), run_activities(config, Life()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
