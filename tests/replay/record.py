"""Save the histories of the business sagas anew: `python -m tests.replay.record [NAME ...]`.

Only when a change of a saga is meant to break those under way: a replay that fails says that it
would, and every saga then open with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from tests.integration.checkout.market import Market, open_market
from tests.replay.paths import CHECKOUT, PATHS, PAYMENT, REFUND, SWEEP, WATCH
from tests.support import histories

FOLDER = Path(__file__).parent / "histories"
AT_ONCE = 8


async def main(names: Sequence[str]) -> None:
    """Play the paths on servers of their own, and save what each is to show."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with open_market() as market:
        quiet = [name for name in names if _wants_quiet(name)]
        await asyncio.gather(*(_record(market, gate, n) for n in names if n not in quiet))
        for name in quiet:
            await _record(market, gate, name)


def _wants_quiet(name: str) -> bool:
    return not hasattr(PATHS[name].story, "story")


async def _record(market: Market, gate: asyncio.Semaphore, name: str) -> None:
    path = PATHS[name]
    async with gate:
        if not _wants_quiet(name):
            await path.story.story(market=market, **path.parameters)  # type: ignore[attr-defined]
        else:
            await _play_quiet(market, name)
    for shown in path.shows:
        handle = await _handle(market, name, shown)
        # a payment that came to nothing ends as a failure
        with suppress(WorkflowFailureError):
            await handle.result()
        print(f"saved {await histories.save(handle, FOLDER, name)}")


async def _play_quiet(market: Market, name: str) -> None:
    story = PATHS[name].story
    with pytest.MonkeyPatch.context() as monkeypatch:
        given: dict[str, Any] = {"quiet": market, "monkeypatch": monkeypatch}
        wanted = story.__code__.co_varnames[: story.__code__.co_argcount]
        await story(**{each: given[each] for each in wanted})


async def _handle(market: Market, name: str, shown: str) -> WorkflowHandle[Any, Any]:
    if shown == SWEEP:
        async for found in market.client.list_workflows(f"WorkflowType = '{SWEEP}'"):
            return market.client.get_workflow_handle(found.id)
    order = market.orders[name]
    if shown == REFUND:
        return order.refunding(PATHS[name].refund)
    return {CHECKOUT: order.checkout, PAYMENT: order.payment, WATCH: order.watch(1)}[shown]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or list(PATHS)))
