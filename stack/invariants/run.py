"""All invariants, one after the other, over one snapshot."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from stack.invariants import captures, messages, money, reservations, sagas, stock, unsold
from stack.invariants.evidence import Connections, Evidence, connections, gathered
from stack.invariants.finding import Finding, Report
from stack.invariants.rest import Rest, look
from stack.settings import Settings

INVARIANTS: Final[Mapping[int, Callable[[Evidence], Awaitable[list[Finding]]]]] = {
    1: money.findings,
    2: stock.findings,
    3: captures.findings,
    4: unsold.findings,
    5: reservations.findings,
    6: sagas.findings,
    7: messages.findings,
}
LOOK_EVERY_S: Final = 0.5


async def check(settings: Settings, *, settle_s: float = 10.0) -> Report:
    """Check a running stack, once it is at rest or `settle_s` seconds have passed.

    Raises StackError where a part cannot be asked, and what a lost part raises.
    """
    async with connections(settings) as at:
        rest = await settled(at, settle_s)
        report = await judge(at, at_rest=rest.reached)
    if rest.reached:
        return report
    note = f"not at rest ({rest.words()}): what is on its way was not judged"
    return Report(
        findings=report.findings, counts=report.counts, notes=[note], seconds=report.seconds
    )


async def settled(at: Connections, within_s: float) -> Rest:
    """Wait for rest, and say how things stand when it is reached or the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        rest = await look(at)
        if rest.reached or time.monotonic() >= deadline:
            return rest
        await asyncio.sleep(LOOK_EVERY_S)


async def judge(at: Connections, *, at_rest: bool) -> Report:
    """Every invariant's findings; `at_rest`: nothing is excused as being on its way."""
    began = time.monotonic()
    async with gathered(at, at_rest=at_rest) as evidence:
        found = await findings(evidence)
        return Report(findings=found, counts=evidence.counts, seconds=time.monotonic() - began)


async def findings(evidence: Evidence) -> list[Finding]:
    """The findings of every invariant, in their order."""
    return [one for judged in INVARIANTS.values() for one in await judged(evidence)]
