"""The README's example runs as it stands."""

import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle

from saga import CancelVerdict, SagaState
from tests.saga.conftest import README
from tests.saga.stage import completed, rolled_back
from tests.support import temporal

TEXT = (Path(__file__).parents[2] / "saga" / "README.md").read_text()
_IMPORTS = """
from datetime import timedelta
from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RetryPolicy
from saga import *

ONCE = RetryPolicy(maximum_attempts=1)

class Declined(Exception): ...
class NoAnswer(Exception): ...
"""


class Outside:
    """The README's `stock`, `psp` and `parcels`: they keep what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.captures: dict[str, str] = {}
        self.failure: Exception | None = None

    async def reserve(self, order: str, *, key: str) -> None:
        self.asked.append(("reserve", key))

    async def release(self, order: str, *, key: str, reserved_under: str) -> None:
        self.asked.append(("release", reserved_under))

    async def capture(self, order: str, *, key: str) -> str:
        self.asked.append(("capture", key))
        self.captures[key] = order
        if self.failure:
            raise self.failure
        return order

    async def find(self, *, key: str) -> str | None:
        self.asked.append(("find", key))
        return self.captures.get(key)

    async def send(self, order: str, *, key: str) -> None:
        self.asked.append(("send", key))

    @property
    def verbs(self) -> list[str]:
        """What was asked, in order."""
        return [verb for verb, *_ in self.asked]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The README's code as a module: contracts first, then activities, then the workflow."""
    workflow, contracts, activities, _ = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    module = ModuleType("readme_example")
    path = tmp_path_factory.mktemp("readme") / "readme_example.py"
    path.write_text("\n".join([_IMPORTS, contracts, activities, workflow]))
    sys.modules[module.__name__] = module
    exec(compile(path.read_text(), str(path), "exec"), vars(module))  # noqa: S102 - our own README
    yield module
    del sys.modules[module.__name__]


@pytest_asyncio.fixture(loop_scope="session")
async def outside(server: Client, example: Any) -> AsyncIterator[Outside]:
    """The outside world of a worker that serves the example."""
    outside = Outside()
    vars(example).update(stock=outside, psp=outside, parcels=outside)
    activities = [example.reserve, example.release, example.capture, example.find, example.send]
    client = await _client(server)
    async with temporal.worker(client, "shop", [example.Sell], activities, example.__name__):
        yield outside


async def _client(server: Client) -> Client:
    return await temporal.connect(server.service_client.config.target_host, README)


async def _sell(server: Client, example: Any, run: str) -> WorkflowHandle[Any, Any]:
    client = await _client(server)
    return await client.start_workflow(
        example.Sell.run, example.Order(id=run), id=run, task_queue="shop"
    )


async def test_it_sells(server: Client, example: Any, outside: Outside, run: str) -> None:
    end = await completed(await _sell(server, example, run))
    assert end.answer == example.Receipt(reference=run)
    assert outside.verbs == ["reserve", "capture", "send"]


async def test_it_takes_back(server: Client, example: Any, outside: Outside, run: str) -> None:
    outside.failure = example.Declined("no funds")
    end = await rolled_back(await _sell(server, example, run))
    assert end.failure is not None
    assert (end.failure.message, end.failure.details) == (
        "no funds",
        ("DECLINED", "capture payment"),
    )
    assert outside.verbs == ["reserve", "capture", "release"]
    assert outside.asked[0][1] == outside.asked[2][1]


async def test_it_asks(server: Client, example: Any, outside: Outside, run: str) -> None:
    outside.failure = example.NoAnswer("silence")
    end = await completed(await _sell(server, example, run))
    assert end.answer == example.Receipt(reference=run)
    assert outside.verbs == ["reserve", "capture", "find", "send"]


def test_it_is_ten_lines_and_names_every_state() -> None:
    body = TEXT.split("```python\n")[1].split("```")[0]
    assert len([line for line in body.splitlines() if line.strip()]) == 10
    for state in SagaState:
        assert f"`{state}`" in TEXT
    for verdict in CancelVerdict:
        assert f"`{verdict}`" in TEXT
