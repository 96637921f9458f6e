"""One day of the shop: open it, let the crowd in, wait for rest, and check everything."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from db.importing.importer import import_file
from db.importing.rows import UnknownFormat
from db.session import Database
from stack.check import LOST
from stack.demo import agent, chaos
from stack.demo.account import Books, read_books
from stack.demo.chaos import Victim
from stack.demo.customers import UNSOLD, Customer, Outcome
from stack.demo.edge import Edge, client
from stack.demo.house import House, open_house
from stack.demo.plan import Plan, customers_for, plans
from stack.demo.returns import Returns
from stack.demo.shelf import look_around
from stack.demo.show import Show
from stack.errors import StackError
from stack.invariants import Connections, Finding, Report, Rest, connections, judge, look

ARRIVING_AT_ONCE: Final = 4
ALL_WELL_S: Final = 60.0
# Waits of the demo's pace are over within half a minute; at the real pace they are left alone.
WAITS_S: Final = 45.0
REST_S: Final = 240.0
LOOK_EVERY_S: Final = 0.5
QUIET_LOOKS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line.

    `rules` are further faults for single calls, by PSP, in the sandbox's own words.
    """

    orders: int
    seed: int
    faults: str
    customers: int | None
    catalogue: Path | None
    data: Path | None
    victim: Victim | None
    rules: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Day:
    """All that came of it. `findings` are the invariants' and the customers' own."""

    wishes: Wishes
    customers: int
    seconds: float
    outcomes: Sequence[Outcome]
    books: Books
    report: Report
    findings: list[Finding]
    notes: list[str]
    killed: Counter[str]
    restarts: dict[str, int]
    retries: Counter[str] = field(default_factory=Counter)
    returns: Counter[str] = field(default_factory=Counter)


async def run(wishes: Wishes, show: Show) -> Day:
    """Run the demo; raises StackError where the stack cannot be started or fails for good."""
    async with open_house(wishes.data, show.of_parts) as house:
        work = asyncio.create_task(live(house, wishes, show))
        broken = asyncio.create_task(house.broken())
        try:
            await asyncio.wait((work, broken), return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                broken.result()
            return await work
        finally:
            for task in (work, broken):
                task.cancel()
            await asyncio.gather(work, broken, return_exceptions=True)


async def live(house: House, wishes: Wishes, show: Show) -> Day:
    """Let one day pass in an open house."""
    began = time.monotonic()
    async with connections(house.settings) as at, client() as http:
        await _stock_up(at.database, wishes, show)
        edge = Edge(
            house.settings.url,
            http,
            Random(f"{wishes.seed}/pauses"),  # noqa: S311 - no secret
            calm=wishes.victim is None,
        )
        shelf = await look_around(edge, wishes.seed)
        number = wishes.customers or customers_for(wishes.orders)
        crowd, clerk = await _arrivals(edge, at.database, number)
        show.say(f"{number} customers have signed up")
        planned = plans(wishes.seed, wishes.orders, number, shelf)
        await _set_faults(at, wishes)
        killed: Counter[str] = Counter()
        returns = Returns(clerk, at, wishes.seed)
        outcomes = await _sell(house, wishes, show, crowd, returns, planned, killed)
        notes = await _rest(house, at, show)
        await _end_faults(at)
        for outcome in outcomes:
            await crowd[outcome.plan.customer].look_again(outcome)
        report = await judge(at, at_rest=not notes)
        books = await read_books(at.database, [customer.user_id for customer in crowd])
    return Day(
        wishes=wishes,
        customers=number,
        seconds=time.monotonic() - began,
        outcomes=outcomes,
        books=books,
        report=report,
        findings=[*report.findings, *_complaints(outcomes, books)],
        notes=[*notes, *report.notes],
        killed=killed,
        restarts={one["name"]: one["restarts"] for one in house.parts() if one["restarts"]},
        retries=edge.retries,
        returns=returns.counts,
    )


async def _stock_up(database: Database, wishes: Wishes, show: Show) -> None:
    if wishes.catalogue is None:
        return
    try:
        done = await import_file(database, wishes.catalogue)
    except UnknownFormat as error:
        raise StackError(str(error)) from None
    read = done.rows - len(done.bad)
    show.say(f"imported {read} of {done.rows} rows of {wishes.catalogue.name}")


async def _arrivals(edge: Edge, database: Database, number: int) -> tuple[list[Customer], Customer]:
    """The customers, and the shop's own agent; new people at each run."""
    run = secrets.token_hex(4)
    people = [
        Customer(edge, place, f"customer-{place + 1}.{run}@example.com", secrets.token_urlsafe(18))
        for place in range(number)
    ]
    clerk = Customer(edge, number, f"agent.{run}@example.com", secrets.token_urlsafe(18))
    await agent.employ(clerk, database)
    doors = asyncio.Semaphore(ARRIVING_AT_ONCE)

    async def arrive(person: Customer) -> None:
        async with doors:
            await person.arrive()

    await asyncio.gather(*map(arrive, people))
    return people, clerk


async def _set_faults(at: Connections, wishes: Wishes) -> None:
    for psp in at.psps:
        rules = list(wishes.rules.get(psp, ()))
        await _order_faults(
            at, psp, {"profile": wishes.faults, "seed": wishes.seed, "rules": rules}
        )


async def _end_faults(at: Connections) -> None:
    for psp in at.psps:
        await _order_faults(at, psp, {"profile": "none"})


async def _order_faults(at: Connections, psp: str, wanted: dict[str, Any]) -> None:
    url = at.psps[psp]
    answer = await at.http.post(f"{url}/_sandbox/faults", json=wanted)
    if answer.status_code != 200:
        raise StackError(f"{psp} at {url} takes no faults: {answer.text[:200]}")


async def _sell(
    house: House,
    wishes: Wishes,
    show: Show,
    crowd: Sequence[Customer],
    returns: Returns,
    planned: Sequence[Plan],
    killed: Counter[str],
) -> list[Outcome]:
    """Let all customers buy side by side, each one order after the other."""

    async def shop(customer: Customer) -> list[Outcome]:
        mine = [plan for plan in planned if plan.customer == customer.number]
        outcomes = []
        for plan in mine:
            outcomes.append(await customer.buy(plan, wishes.seed))
            returns.consider(outcomes[-1])
            show.advance(outcomes[-1].state)
        return outcomes

    beside = [asyncio.create_task(agent.review(returns.clerk))]
    if wishes.victim is not None:
        killing = chaos.kill_parts(house, wishes.victim, wishes.seed, killed)
        beside.append(asyncio.create_task(killing))
    show.begin("selling", len(planned))
    try:
        bought = await asyncio.gather(*map(shop, crowd))
        await returns.finish()
    finally:
        show.end()
        for task in beside:
            task.cancel()
        ended = await asyncio.gather(*beside, return_exceptions=True)
    defects = [error for error in ended if isinstance(error, Exception)]
    if defects:
        raise defects[0]
    return sorted((one for some in bought for one in some), key=lambda one: one.plan.number)


async def _rest(house: House, at: Connections, show: Show) -> list[str]:
    """Wait until nothing moves; what is left when the time is over, in words."""
    show.say("waiting until all is at rest")
    if not await chaos.all_well(house, ALL_WELL_S):
        return [f"a part is not well again after {ALL_WELL_S:.0f} s; see ./sagakart status"]
    began, quiet, rest = time.monotonic(), 0, None
    while time.monotonic() - began < REST_S:
        rest = await _look(at)
        settled = rest is not None and rest.reached
        waits_over = rest is not None and not rest.waiting
        if settled and (waits_over or time.monotonic() - began > WAITS_S):
            quiet += 1
            if quiet >= QUIET_LOOKS:
                return []
        else:
            quiet = 0
        await asyncio.sleep(LOOK_EVERY_S)
    left = rest.words() if rest is not None else "a part does not answer"
    return [f"not at rest after {REST_S:.0f} s: {left}"]


async def _look(at: Connections) -> Rest | None:
    # Connections that a killed part had are found dead one after the other.
    with suppress(*LOST, httpx.HTTPError):
        return await look(at)
    return None


def _complaints(outcomes: Sequence[Outcome], books: Books) -> list[Finding]:
    """Where the edge did not keep its word, or told a customer what is not so."""
    found = []
    for outcome in outcomes:
        subject = outcome.order_id or f"order number {outcome.plan.number}"
        found += [Finding(0, subject, *complaint) for complaint in outcome.complaints]
        # An order that its saga never opened has no row: it can only have come to nothing.
        true = books.states.get(outcome.order_id, "no sale")
        agreed = outcome.state in UNSOLD if true == "no sale" else outcome.state == true
        if outcome.order_id and not agreed:
            message = "the customer was told of another end than the order had"
            found.append(Finding(0, subject, message, true, outcome.state or "nothing"))
    return found
