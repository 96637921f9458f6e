"""The smallest workflow there is, and a process that runs it as ours run sagas.

What a checkout costs is compared with it: it is what Temporal itself asks for a durable anything.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import uvloop
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.load import Once
from stack.errors import PartFailed
from stack.folder import DataFolder, last_line
from stack.process import Child, Command
from stack.services.base import own_environment, python
from stack.settings import Settings

NAME: Final = "empty worker"
_FILE: Final = "bench-empty"
_QUEUE: Final = "bench-empty"
_START_S: Final = 30.0
# A process that ends right after it used a client can abort instead of exiting.
_CLEAN_END_S: Final = 0.5


@workflow.defn(name="Empty")
class Empty:
    """Starts and returns."""

    @workflow.run
    async def run(self) -> None:
        """Do nothing."""


async def connect(address: str, namespace: str) -> Client:
    """A client with the options of ours."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=pydantic_data_converter,
        grpc_compression=GrpcCompression.NONE,
    )


def starter(client: Client, run: str) -> Once:
    """Start an empty workflow and wait for its result; `run` keeps its ids apart from others'."""
    numbers = count()

    async def once() -> bool:
        await client.execute_workflow(
            Empty.run, id=f"empty:{run}:{next(numbers)}", task_queue=_QUEUE
        )
        return True

    return once


@asynccontextmanager
async def worker_process(settings: Settings, folder: DataFolder) -> AsyncIterator[Child]:
    """The worker in a process of its own; raises PartFailed when it does not start."""
    sign, log = folder.run / f"{_FILE}.alive", folder.log_of(_FILE)
    sign.unlink(missing_ok=True)
    arguments = (str(settings.temporal_address), settings.temporal_namespace, str(sign))
    command = Command(
        argv=python("-m", "bench.empty", *arguments),
        env=own_environment(settings),
        cwd=folder.path,
    )
    child = await Child.start(command, log=log, record=folder.run / f"{_FILE}.json")
    try:
        async with asyncio.timeout(_START_S):
            while not sign.exists():
                if child.process.returncode is not None:
                    raise PartFailed(f"the {NAME} ended: {last_line(log)} (all of it in {log})")
                await asyncio.sleep(0.05)
        yield child
    finally:
        await child.stop(10.0, asyncio.Event())


async def _serve(address: str, namespace: str, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await connect(address, namespace)
    worker = Worker(
        client,
        task_queue=_QUEUE,
        workflows=[Empty],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=100,
        max_cached_workflows=1000,
    )
    async with worker:
        ready()
        await stop.wait()
    await asyncio.sleep(_CLEAN_END_S)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]).touch))
