"""Tests that wait much and work little run at the same time, and are still reported one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any

import pytest

from tests.integration.checkout.market import Market

AT_ONCE = 12
_RUNS: dict[str, asyncio.Task[None]] = {}

Story = Callable[..., Coroutine[Any, Any, None]]


def side_by_side(story: Story) -> Story:
    """Let a test run beside the others of its kind; its parameters must be text.

    The first of them to come up starts all that were collected.
    """

    @wraps(story)
    async def awaited(market: Market, **parameters: Any) -> None:
        await _RUNS[_key(story, parameters)]

    awaited.story = story  # type: ignore[attr-defined]
    return awaited


def start_all(items: Iterable[pytest.Item], market: Market) -> None:
    """Start the collected tests that run side by side."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(story: Story, parameters: dict[str, Any]) -> None:
        async with gate:
            await story(market=market, **parameters)

    for item in items:
        story = getattr(getattr(item, "function", None), "story", None)
        if story is not None:
            callspec = getattr(item, "callspec", None)
            parameters = dict(callspec.params) if callspec else {}
            _RUNS[_key(story, parameters)] = asyncio.create_task(run(story, parameters))


async def all_over() -> None:
    """Wait until none runs any more, for a test that disturbs everybody."""
    if _RUNS:
        await asyncio.wait(_RUNS.values())


async def stop_all() -> None:
    """Stop those whose turn to be reported never came."""
    for task in _RUNS.values():
        task.cancel()
    await asyncio.gather(*_RUNS.values(), return_exceptions=True)
    _RUNS.clear()


def _key(story: Story, parameters: dict[str, Any]) -> str:
    return f"{story.__module__}.{story.__qualname__}{sorted(parameters.items())}"
