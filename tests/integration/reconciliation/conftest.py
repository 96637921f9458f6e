"""One stage for all stories of reconciliation; each begins with empty books."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.reconciliation.stage import Stage, open_stage

_HERE = Path(__file__).parent
# The SDK warns when it cancels a local activity that has just ended; it is no error of ours.
_HARMLESS = "ignore:Cannot find activity to cancel:UserWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers in this process live through what the SDK warns of."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.filterwarnings(_HARMLESS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers() -> AsyncIterator[Stage]:
    async with open_stage() as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(servers: Stage) -> Stage:
    """The stage, swept."""
    await servers.empty()
    return servers
