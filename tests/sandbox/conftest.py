"""The two PSPs, started once for the tests of this folder."""

import signal
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.sandbox.harness import Sandbox, Shop


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[Shop]:
    shop = await Shop().open()
    yield shop
    await shop.close()


@pytest.fixture(scope="session")
def alphapay(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Sandbox]:
    server = Sandbox("alphapay", tmp_path_factory.mktemp("alphapay"), shop.url).start()
    yield server
    assert server.stop() == -signal.SIGTERM  # it ended by the signal, in order


@pytest.fixture(scope="session")
def betapay(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Sandbox]:
    server = Sandbox("betapay", tmp_path_factory.mktemp("betapay"), shop.url).start()
    yield server
    assert server.stop() == -signal.SIGTERM  # it ended by the signal, in order


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses."""
    return f"att_{uuid.uuid4().hex}"
