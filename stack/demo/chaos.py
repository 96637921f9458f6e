"""Parts that die by SIGKILL every few seconds, while customers buy."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Final

from stack.demo.house import House


class Victim(StrEnum):
    """What may be killed."""

    WORKER = "worker"
    ACTIVITIES = "activities"
    API = "api"
    TEMPORAL = "temporal"
    POSTGRES = "postgres"
    VALKEY = "valkey"
    ANY = "any"


PARTS: Final[Mapping[Victim, tuple[str, ...]]] = {
    Victim.WORKER: ("workflows",),
    Victim.ACTIVITIES: ("activities",),
    Victim.API: ("api",),
    Victim.TEMPORAL: ("temporal",),
    Victim.POSTGRES: ("postgres",),
    Victim.VALKEY: ("valkey",),
    Victim.ANY: ("workflows", "activities", "api", "temporal", "postgres", "valkey"),
}
FIRST_AFTER_S: Final = (1.0, 2.5)
EVERY_S: Final = (3.0, 7.0)
LOOK_EVERY_S: Final = 0.2
WELL: Final = "healthy"


async def kill_parts(house: House, victim: Victim, seed: int, killed: Counter[str]) -> None:
    """Kill until cancelled: one part at a time, each once it is well again; counts in `killed`."""
    random = Random(f"{seed}/chaos")  # noqa: S311 - to repeat a day, not to hide it
    await asyncio.sleep(random.uniform(*FIRST_AFTER_S))
    while True:
        part = random.choice(_named(house, victim))
        await _well(house, part)
        if house.kill(part):
            killed[part] += 1
        await asyncio.sleep(random.uniform(*EVERY_S))


async def all_well(house: House, within_s: float) -> bool:
    """Wait until every part is well; False when one is not in time."""
    try:
        async with asyncio.timeout(within_s):
            for part in [one["name"] for one in house.parts()]:
                await _well(house, part)
    except TimeoutError:
        return False
    return True


async def _well(house: House, part: str) -> None:
    # Asked again and again: a guest's supervisor tells us nothing by itself.
    while _state(house, part) not in (WELL, "done"):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)


def _state(house: House, part: str) -> str:
    return next((str(one["state"]) for one in house.parts() if one["name"] == part), WELL)


def _named(house: House, victim: Victim) -> list[str]:
    """The parts that go by the victim's name; workers may be several."""
    there = [str(one["name"]) for one in house.parts()]
    return [
        name
        for name in there
        for part in PARTS[victim]
        if name == part or name.startswith(f"{part}-")
    ]
