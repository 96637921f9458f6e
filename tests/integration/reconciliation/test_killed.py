"""The worker is killed in the midst of a report; a new one goes on, and nothing is there twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from db import migrate
from db.repositories import settlements
from db.session import Database
from domain.settlements import business_day
from saga import search_attributes
from tests.integration.db import postgres, settled, shop
from tests.sandbox.harness import ROOT, Sandbox
from tests.support.temporal import dev_server
from workflows.contracts.ids import (
    RECONCILIATION,
    RECONCILIATION_DUE,
    SAGAS,
    reconciliation_id,
)
from workflows.contracts.reconciliation import WORKFLOW, Reconciled, ReconcileDay

NAME = "alphapay"
EXTRAS = 450
PATIENCE_S = 90


@pytest.fixture
def psp(tmp_path: Path) -> Iterator[Sandbox]:
    server = Sandbox(NAME, tmp_path / "psp").start()
    yield server
    server.kill()


@asynccontextmanager
async def working(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Both workers in a process of their own, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.reconciliation.process", *arguments,
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for _ in range(2):
            assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def captured(psp: Sandbox, db: Database) -> settled.Paid:
    """A payment that our books and the PSP's own have."""
    made = await settled.paid(db)
    async with psp.client() as client:
        body = {
            "amount": settled.PRICE, "currency": "INR", "method": "card", "instrument": "tok_ok",
            "merchant_ref": made.attempt_id,
        }  # fmt: skip
        ref = (await client.post("/v1/payments", json=body)).json()["id"]
        await client.post(f"/v1/payments/{ref}/capture", json={"amount": settled.PRICE})
    told = "UPDATE payment_attempts SET psp_ref = :ref WHERE id = :id"
    await shop.run(db, told, ref=ref, id=made.attempt_id)
    return made


async def earlier_days_are_read(db: Database, day: date) -> None:
    """Only the day itself is left to read, slowly."""
    async with db.unit_of_work() as session:
        for days in range(1, 14):
            earlier, now = day - timedelta(days=days), datetime.now(UTC)
            late = now + settlements.STILL_CHANGING
            await settlements.day_read(session, NAME, earlier, lines=0, at=late)


async def assert_scheduled(client: Client) -> None:
    """Each morning, one at a time; and only for PSPs that are configured and have a report."""
    for absent in ("betapay", "stripe"):
        with pytest.raises(RPCError, match="not found"):
            await client.get_schedule_handle(f"{RECONCILIATION_DUE}:{absent}").describe()
    described = await client.get_schedule_handle(f"{RECONCILIATION_DUE}:{NAME}").describe()
    policy, (morning,) = described.schedule.policy, described.schedule.spec.calendars
    assert policy.overlap is ScheduleOverlapPolicy.SKIP
    assert policy.catchup_window == timedelta(hours=23)
    assert (morning.hour[0].start, morning.minute[0].start) == (0, 30)


async def lines_in(db: Database) -> int:
    ((count,),) = await shop.rows(db, "SELECT count(*) FROM settlement_lines")
    return int(count)


async def test_killed_while_it_reads(psp: Sandbox) -> None:
    with postgres.running() as server:
        await migrate.upgrade(server.url())
        db = Database(server.url(), pool_size=5)
        await shop.open_shop(db)
        made = await captured(psp, db)
        extras = [
            {"kind": "extra", "merchant_ref": f"x{number}", "amount": 100_00}
            for number in range(EXTRAS)
        ]
        async with httpx.AsyncClient(trust_env=False) as http:
            wanted = {"discrepancies": extras}
            answer = await http.post(f"{psp.url}/_sandbox/settlements", json=wanted)
            assert answer.status_code == 200
        async with dev_server() as client:
            address = client.service_client.config.target_host
            day = business_day(datetime.now(UTC))
            await earlier_days_are_read(db, day)
            async with working(address, server.url(), psp.url) as first:
                await assert_scheduled(client)
                # five pages with a pause before each: killed between two of them
                await psp.faults(delay_ms=700)
                handle = await client.start_workflow(
                    WORKFLOW,
                    ReconcileDay(psp=NAME, day=day),
                    id=reconciliation_id(NAME, day),
                    task_queue=SAGAS,
                    result_type=Reconciled,
                    search_attributes=search_attributes(RECONCILIATION, ""),
                )
                async with asyncio.timeout(PATIENCE_S):
                    while True:
                        if stored := await lines_in(db):
                            break
                        await asyncio.sleep(0.02)
                first.kill()
                await first.wait()
            assert 0 < stored < EXTRAS + 1
            await psp.faults()
            async with working(address, server.url(), psp.url):
                done = await asyncio.wait_for(handle.result(), PATIENCE_S)
        assert done.found == {"MATCHED": 1, "MISSING_HERE": EXTRAS}
        assert done.opened == EXTRAS
        assert await lines_in(db) == EXTRAS + 1
        # each line is booked once: 2 % and GST on it are kept by the PSP
        gross = settled.PRICE + EXTRAS * 100_00
        fee, tax = settled.FEE + EXTRAS * 2_00, settled.TAX + EXTRAS * 36
        assert await settled.balances(db) == {
            f"psp:{NAME}": -EXTRAS * 100_00,
            f"bank:{NAME}": gross - fee - tax,
            f"fee:{NAME}": fee,
            f"tax:{NAME}": tax,
        }
        assert made.key not in await settled.cases(db)
        await db.close()
