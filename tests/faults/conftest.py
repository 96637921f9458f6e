"""One stack for all: a short and bad day is lived in it, then violations are planted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio
from sqlalchemy import text

from stack.demo import Day, Wishes
from stack.demo.house import OwnHouse
from stack.demo.run import live
from stack.demo.show import Show
from stack.invariants import Connections, Finding, connections
from stack.invariants.evidence import lay_out, read_books
from stack.invariants.run import findings
from stack.settings import Settings
from stack.supervisor import Supervisor, running
from tests.faults.forgeries import Book, picked

ORDERS = 40
SEED = 7
# Which calls a profile hits depends on order ids, and so on the moment: some failovers are sure.
DOWN = {"operation": "authorise", "instrument": "tok_ok", "fault": "gateway_down", "times": 6}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervisor]:
    data = tmp_path_factory.mktemp("faults") / "data"
    settings = Settings(_env_file=None, data_dir=data, port=0, pace="demo")
    async with running(settings) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def day(stack: Supervisor) -> Day:
    """A seeded day of heavy faults, through the public edge, seen through to rest."""
    wishes = Wishes(
        orders=ORDERS,
        seed=SEED,
        faults="heavy",
        customers=None,
        catalogue=None,
        data=None,
        victim=None,
        rules={"alphapay": [DOWN]},
    )
    return await live(OwnHouse(stack), wishes, Show(as_json=True))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def at(stack: Supervisor, day: Day) -> AsyncIterator[Connections]:
    async with connections(stack.settings) as opened:
        yield opened


Plant = Callable[..., Awaitable[list[Finding]]]


class _TakenBack(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture
def planted(at: Connections) -> Plant:
    """What the check finds once some statements have forged our books, over what it found before.

    As a replica's no trigger fires, so that append-only tables can be forged. Nothing of it stays.
    """

    async def found(statements: Sequence[str], books: Sequence[Book]) -> list[Finding]:
        theirs = {psp: list(rows) for psp, rows in (await read_books(at)).items()}
        for book in books:
            theirs[book.psp].append(book.row())
        seen: list[Finding] = []
        try:
            async with at.database.unit_of_work() as session:
                await session.execute(text("SET LOCAL session_replication_role = replica"))
                for statement in statements:
                    await session.execute(text(picked(statement)))
                seen += await findings(await lay_out(at, session, theirs, None))
                raise _TakenBack
        except _TakenBack:
            return seen

    async def plant(*statements: str, books: Sequence[Book] = ()) -> list[Finding]:
        before = await found((), ())
        return [one for one in await found(statements, books) if one not in before]

    return plant
