"""A real Temporal development server for tests, and workers as strict as they can be made."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SEARCH_ATTRIBUTES = ("SagaKind", "SagaState", "OrderId")
# The development server has one shard and reads it 20 times a second: up to 50 ms a step.
_QUEUES = ("transfer", "timer", "visibility", "outbound")
_POLLS_PER_S = 2000
_BINARY = Path(sys.executable).with_name("temporal")
# Imported once for all workflow runs. What a workflow's own module holds is not on the list.
_PASSED_THROUGH = ("saga", "domain", "workflows.contracts", "pydantic", "pydantic_core")


@asynccontextmanager
async def dev_server(*namespaces: str) -> AsyncIterator[Client]:
    """Start a server in memory on a free port, with further namespaces; stop it at the end."""
    extra = [f"--namespace={name}" for name in namespaces]
    extra += [
        f"--dynamic-config-value=history.{queue}ProcessorMaxPollRPS={_POLLS_PER_S}"
        for queue in _QUEUES
    ]
    extra.append('--dynamic-config-value=history.timerProcessorMaxTimeShift="10ms"')
    server = await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
        dev_server_existing_path=str(_BINARY),
        dev_server_log_level="error",
        dev_server_extra_args=extra,
    )
    try:
        yield server.client
    finally:
        await server.shutdown()


async def connect(address: str, namespace: str) -> Client:
    """Connect to a server with the converter that every saga uses."""
    return await Client.connect(
        address, namespace=namespace, data_converter=pydantic_data_converter
    )


def sandboxed(*passed_through: str) -> SandboxedWorkflowRunner:
    """The runner under test: nothing random, no clock, no I/O in a workflow."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            *_PASSED_THROUGH, *passed_through
        )
    )


def worker(
    client: Client,
    task_queue: str,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]],
    *passed_through: str,
    **options: Any,
) -> Worker:
    """Make a worker that ends promptly and forgets a dead one's cache soon."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=sandboxed(*passed_through),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        **options,
    )
