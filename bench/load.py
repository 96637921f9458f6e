"""Closed loops: so many customers, each of whom begins anew as soon as the last one is through."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

# does one thing from its beginning to its end
Once = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """How long each one took, and all of them together; in seconds."""

    took: tuple[float, ...]
    elapsed: float

    @classmethod
    def of(cls, parts: Iterable[Self]) -> Self:
        """Several loads, one after the other."""
        loads = tuple(parts)
        took = tuple(sorted(one for load in loads for one in load.took))
        return cls(took, sum(load.elapsed for load in loads))

    @property
    def per_second(self) -> float:
        """How many ended in a second."""
        return len(self.took) / self.elapsed

    def milliseconds(self, percent: float) -> float:
        """The time within which `percent` of them ended (nearest rank)."""
        ordered = sorted(self.took)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] * 1000


async def closed_loop(customers: Sequence[Once], seconds: float) -> Load:
    """Keep every customer busy for so long; what has begun by then is counted to its end."""
    took: list[float] = []
    began = time.perf_counter()

    async def keep_busy(once: Once) -> None:
        now = time.perf_counter()
        while now - began < seconds:
            await once()
            ended = time.perf_counter()
            took.append(ended - now)
            now = ended

    async with asyncio.TaskGroup() as group:
        for once in customers:
            group.create_task(keep_busy(once))
    return Load(tuple(took), time.perf_counter() - began)
