"""One market for all tests of checkouts; each test has orders and goods of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.checkout import side_by_side
from tests.integration.checkout.market import Market, open_market


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def market(request: pytest.FixtureRequest) -> AsyncIterator[Market]:
    """The servers, with every test that runs side by side under way."""
    async with open_market() as market:
        side_by_side.start_all(request.session.items, market)
        yield market
        await side_by_side.stop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def quiet(market: Market) -> Market:
    """The market once no other test is under way in it."""
    await side_by_side.all_over()
    return market
