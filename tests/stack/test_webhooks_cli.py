"""`./sagakart webhooks` as people use it, on a real database."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from db import migrate
from db.ids import new_ulid
from db.repositories import inbox
from db.repositories.inbox import NewWebhook
from db.session import Database
from db.vocabulary import Trust
from stack.webhooks import age
from tests.integration.db import postgres

ROOT = Path(__file__).parents[2]
ORDER = new_ulid()
NOBODYS = "no attempt of ours"


class Shell:
    """`./sagakart webhooks` with the test's database."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data

    async def run(self, *arguments: str, code: int = 0) -> str:
        """Run it; returns what it printed, or what it complained of where it must fail."""
        done = await asyncio.to_thread(self._run, *arguments)
        assert done.returncode == code, done.stderr
        if code == 0:
            assert done.stderr == ""
        return done.stderr if code == 2 else done.stdout + done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if "SAGAKART" not in name}
        return subprocess.run(
            (sys.executable, "-P", "-m", "stack", "webhooks", *arguments, "--data", self.data),
            env={**kept, "SAGAKART_POSTGRES_URL": self.url, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture
async def db(server: postgres.Server) -> AsyncIterator[Database]:
    await migrate.upgrade(server.url())
    database = Database(server.url(), pool_size=2)
    async with database.unit_of_work() as session:
        await session.execute(text("DELETE FROM webhook_inbox"))
    yield database
    await database.close()


@pytest.fixture
def shell(server: postgres.Server, tmp_path: Path) -> Shell:
    return Shell(server.url(), tmp_path / "data")


async def came(
    db: Database, event_id: str, provider: str, *, ago: timedelta, tries: int = 0
) -> str:
    """A webhook that came a while ago; one without tries has been delivered."""
    async with db.unit_of_work() as session:
        seen = await inbox.receive(
            session,
            NewWebhook(
                provider=provider,
                event_id=event_id,
                occurred_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
                trust=Trust.TOKEN_ONLY if provider == "gammapay" else Trust.SIGNED,
                kind="PAYMENT_CAPTURED",
                payment_ref=f"{ORDER}-1",
                order_id=ORDER,
                payload={"captured": 599_00},
            ),
        )
        for _ in range(tries):
            await inbox.mark_failed(session, seen.id, NOBODYS)
        if not tries:
            await inbox.mark_delivered(session, seen.id)
        at = {"at": datetime.now(UTC) - ago, "id": seen.id}
        await session.execute(text("UPDATE webhook_inbox SET received_at = :at WHERE id = :id"), at)
    return seen.id


async def waiting(db: Database) -> list[str]:
    """The ids of what the relay would take now."""
    async with db.reading() as session:
        rows = await session.execute(
            text(
                "SELECT id FROM webhook_inbox WHERE delivered_at IS NULL AND delivery_attempts = 0"
            )
        )
    return [row[0] for row in rows]


async def test_list(db: Database, shell: Shell) -> None:
    told = await came(db, "evt_1", "alphapay", ago=timedelta(hours=3))
    stuck = await came(db, "evt_2", "gammapay", ago=timedelta(minutes=10), tries=4)
    head, newest, oldest = (await shell.run("list")).splitlines()
    assert head.split() == ["ID", "PROVIDER", "KIND", "ABOUT", "AGE", "TRIES", "STATE"]
    assert newest.split("  ")[0] == stuck
    assert newest.endswith(
        f"PAYMENT_CAPTURED (unsigned)  {ORDER}-1  10 min  4      waits: {NOBODYS}"
    )
    assert oldest.startswith(f"{told}  alphapay  PAYMENT_CAPTURED  ")
    assert oldest.endswith("3 h     1      delivered")
    assert (await shell.run("list", "--stuck")).splitlines()[1:] == [newest]
    assert len((await shell.run("list", "--limit", "1")).splitlines()) == 2
    of_alpha = json.loads(await shell.run("list", "--provider", "alphapay", "--json"))
    assert [one["id"] for one in of_alpha["webhooks"]] == [told]
    of_order = json.loads(await shell.run("list", "--order", ORDER, "--json"))
    assert [one["id"] for one in of_order["webhooks"]] == [stuck, told]
    assert await shell.run("list", "--order", new_ulid()) == "no webhooks\n"


async def test_show(db: Database, shell: Shell) -> None:
    stuck = await came(db, "evt_2", "gammapay", ago=timedelta(minutes=10), tries=4)
    told = json.loads(await shell.run("show", stuck, "--json"))
    assert told["id"] == stuck
    assert (told["provider"], told["event_id"], told["trust"]) == (
        "gammapay",
        "evt_2",
        "TOKEN_ONLY",
    )
    assert (told["delivery_attempts"], told["last_error"]) == (4, NOBODYS)
    assert told["occurred_at"] == "2026-11-22T12:00:00+00:00"
    assert (told["delivered_at"], told["payload"]) == (None, {"captured": 599_00})
    words = (await shell.run("show", stuck)).splitlines()
    assert f"last_error: {NOBODYS}" in words
    assert '  "captured": 59900' in words


async def test_replay_by_id(db: Database, shell: Shell) -> None:
    told = await came(db, "evt_1", "alphapay", ago=timedelta(hours=3))
    stuck = await came(db, "evt_2", "gammapay", ago=timedelta(minutes=10), tries=4)
    dry = await shell.run("replay", stuck, "--dry-run")
    assert dry == (
        f"{stuck}  gammapay  PAYMENT_CAPTURED: would be due now; tried 4 times, {NOBODYS}\n"
    )
    assert await waiting(db) == []
    lines = (await shell.run("replay", stuck, told, stuck, "w1", code=1)).splitlines()
    again = rf"{told}  alphapay  PAYMENT_CAPTURED: is delivered again; it was \d+ s ago"
    assert len(lines) == 3
    assert lines[0] == f"{stuck}  gammapay  PAYMENT_CAPTURED: is due now; tried 4 times, {NOBODYS}"
    assert re.fullmatch(again, lines[1])
    assert lines[2] == "w1: there is no webhook with this id"
    assert sorted(await waiting(db)) == sorted([told, stuck])


async def test_replay_of_all_that_is_stuck(db: Database, shell: Shell) -> None:
    await came(db, "evt_1", "alphapay", ago=timedelta(hours=3))
    await came(db, "evt_2", "alphapay", ago=timedelta(seconds=5), tries=1)
    stuck = await came(db, "evt_3", "gammapay", ago=timedelta(minutes=10), tries=4)
    assert await shell.run("replay", "--stuck", "--provider", "betapay") == "nothing is stuck\n"
    lines = (await shell.run("replay", "--stuck")).splitlines()
    assert [line.split()[0] for line in lines] == [stuck]
    assert await waiting(db) == [stuck]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "name webhooks by their ids, or give --stuck for all that wait, not both"),
        (["replay", "w1", "--stuck"], "name webhooks by their ids, or give --stuck"),
        (["replay", "w1", "--provider", "betapay"], "--provider goes with --stuck"),
        (["list", "--provider", "zeta"], "there is no provider 'zeta'; there are: alphapay, "),
        (["show", "w1"], "there is no webhook 'w1'; ./sagakart webhooks list shows their ids"),
    ],
)
@pytest.mark.usefixtures("db")
async def test_a_mistake_is_one_line(shell: Shell, arguments: list[str], said: str) -> None:
    (line,) = (await shell.run(*arguments, code=2)).splitlines()
    assert line.startswith(f"sagakart: {said}")


async def test_no_database_is_one_line(tmp_path: Path) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{postgres.free_port()}/none"
    (line,) = (await Shell(nowhere, tmp_path).run("list", code=2)).splitlines()
    assert line.startswith("sagakart: the database does not answer: ")


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(seconds=120), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_age(passed: timedelta, said: str) -> None:
    assert age(passed) == said
