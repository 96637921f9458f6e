"""Closed loops: so many customers, each of whom begins anew as soon as the last one is through."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

# does one thing from its beginning to its end, and says whether it came out as it should
Once = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Load:
    """How long each one took, and all of them together, in seconds; and how many `succeeded`.

    What failed is no part of a rate. It stays among the times: left out, it would flatter them.
    """

    took: tuple[float, ...]
    succeeded: int
    elapsed: float

    @classmethod
    def of(cls, parts: Iterable[Self]) -> Self:
        """Several loads, one after the other."""
        loads = tuple(parts)
        took = tuple(sorted(one for load in loads for one in load.took))
        succeeded = sum(load.succeeded for load in loads)
        return cls(took, succeeded, sum(load.elapsed for load in loads))

    @property
    def per_second(self) -> float:
        """How many succeeded in a second."""
        return self.succeeded / self.elapsed

    def milliseconds(self, percent: float) -> float:
        """The time within which `percent` of them ended (nearest rank)."""
        ordered = sorted(self.took)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] * 1000


async def closed_loop(customers: Sequence[Once], seconds: float) -> Load:
    """Keep every customer busy for so long; what has begun by then is counted to its end.

    Raises what the first customer who failed did.
    """
    took: list[float] = []
    outcomes: Counter[bool] = Counter()
    began = time.perf_counter()

    async def keep_busy(once: Once) -> None:
        now = time.perf_counter()
        while now - began < seconds:
            outcomes[await once()] += 1
            ended = time.perf_counter()
            took.append(ended - now)
            now = ended

    try:
        async with asyncio.TaskGroup() as group:
            for once in customers:
                group.create_task(keep_busy(once))
    except ExceptionGroup as failed:
        # The rest are others that met the same, or were cut off by it.
        raise failed.exceptions[0] from failed
    return Load(tuple(took), outcomes[True], time.perf_counter() - began)
