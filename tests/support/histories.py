"""Workflow histories as files: saved from a server once, replayed by every later version.

Save those of a running server, each under a name that says which path it took:

    python -m tests.support.histories ADDRESS FOLDER NAME=WORKFLOW_ID ...
"""

import asyncio
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.support import temporal

# They name a process, a machine or a path on it; a replay does not read them.
_MACHINE = ("identity", "stackTrace", "serverVersion")


async def save(handle: WorkflowHandle[Any, Any], folder: Path, name: str) -> Path:
    """Write the workflow's history to `<folder>/<workflow type>.<name>.json`."""
    history = _without_machine(json.loads((await handle.fetch_history()).to_json()))
    path = folder / f"{_type_of(history)}.{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(history, separators=(",", ":")) + "\n")
    return path


def saved(folder: Path) -> list[Path]:
    """The histories in a folder, in the order of their names."""
    return sorted(folder.glob("*.json"))


def workflow_type(path: Path) -> str:
    """The workflow type that a saved history is of."""
    return _type_of(json.loads(path.read_text()))


def type_name(defined: type) -> str:
    """The name under which a workflow class is registered."""
    name = workflow._Definition.must_from_class(defined).name
    assert name is not None
    return name


def workflows_in(package: str) -> list[type]:
    """Every workflow class that a package's modules define."""
    root = importlib.import_module(package)
    names = [package, *(m.name for m in pkgutil.walk_packages(root.__path__, f"{package}."))]
    return [
        defined
        for name in names
        for _, defined in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if defined.__module__ == name and workflow._Definition.from_class(defined)
    ]


def replayer(workflows: Sequence[type], *passed_through: str) -> Replayer:
    """A replayer as strict as the workers under test."""
    return Replayer(
        workflows=workflows,
        workflow_runner=temporal.sandboxed(*passed_through),
        data_converter=pydantic_data_converter,
    )


def load(path: Path) -> WorkflowHistory:
    """Read a saved history."""
    return WorkflowHistory.from_json(path.stem, path.read_text())


def _type_of(history: dict[str, Any]) -> str:
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    return str(started["workflowType"]["name"])


def _without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_machine(v) for key, v in value.items() if key not in _MACHINE}
    if isinstance(value, list):
        return [_without_machine(each) for each in value]
    return value


async def _main(address: str, folder: str, *names: str) -> None:
    client = await temporal.connect(address, "default")
    for name, _, workflow_id in (each.partition("=") for each in names):
        path = await save(client.get_workflow_handle(workflow_id), Path(folder), name)
        print(f"saved {path}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    asyncio.run(_main(*sys.argv[1:]))
