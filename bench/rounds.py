"""The measurements, taken in turns: on a machine that is never quiet, only neighbours compare."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.errors import CannotMeasure
from bench.load import Load
from bench.usage import between, cpu_seconds

ROUNDS: Final = 3
CROWD: Final = 50
# The single customer last, so that the orders looked at afterwards are theirs.
CHECKOUTS: Final = (CROWD, 10, 1)
EMPTIES: Final = (1, CROWD)
MEASUREMENTS: Final = len(CHECKOUTS) + len(EMPTIES)
_WARM_UP_S: Final = 3.0
# What an answer leaves to be done (webhooks, events, timelines) is part of its cost.
_SETTLE_S: Final = 1.0

# starts a load of so many at once for so many seconds
Start = Callable[[int, float], Awaitable[Load]]
Pids = Callable[[], Mapping[str, int]]


@dataclass(slots=True)
class Series:
    """One measurement, repeated in each round: its loads, and CPU seconds by process."""

    loads: list[Load] = field(default_factory=list)
    cpu: list[Mapping[str, float]] = field(default_factory=list)

    @property
    def load(self) -> Load:
        """All rounds as one."""
        return Load.of(self.loads)

    @property
    def rates(self) -> list[float]:
        """How many succeeded in a second, by round."""
        return [load.per_second for load in self.loads]

    @property
    def rate(self) -> float:
        """The median round's rate."""
        return median(self.rates)

    def cpu_each(self) -> dict[str, float]:
        """CPU seconds for each one that succeeded, by process; raises CannotMeasure."""
        succeeded = self.load.succeeded
        if not succeeded:
            raise CannotMeasure("nothing succeeded in a whole measurement")
        return {name: sum(one[name] for one in self.cpu) / succeeded for name in self.cpu[0]}


@dataclass(slots=True)
class Rounds:
    """Measures empty workflows and checkouts in turns; `pids` names the processes at work."""

    empty: Start
    checkout: Start
    pids: Pids
    empties: dict[int, Series] = field(default_factory=dict)
    checkouts: dict[int, Series] = field(default_factory=dict)

    async def warm_up(self) -> None:
        """Let caches, pools and pollers fill, as they are in a process that has run for a while."""
        await self.empty(CROWD, _WARM_UP_S)
        await self.checkout(CROWD, _WARM_UP_S)
        await self.checkout(1, _WARM_UP_S)

    async def run(self, seconds: float, say: Callable[[str], None]) -> None:
        """Measure each for so many seconds in each round; raises CannotMeasure."""
        for number in range(1, ROUNDS + 1):
            say(f"round {number} of {ROUNDS}, {MEASUREMENTS * (seconds + _SETTLE_S):.0f} s")
            for at_once in EMPTIES:
                await self._measure(self.empties, self.empty, at_once, seconds)
            for at_once in CHECKOUTS:
                await self._measure(self.checkouts, self.checkout, at_once, seconds)

    async def _measure(
        self, into: dict[int, Series], start: Start, at_once: int, seconds: float
    ) -> None:
        before = cpu_seconds(self.pids())
        load = await start(at_once, seconds)
        await asyncio.sleep(_SETTLE_S)
        series = into.setdefault(at_once, Series())
        series.loads.append(load)
        series.cpu.append(between(before, cpu_seconds(self.pids())))
