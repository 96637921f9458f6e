"""What others hold against us: a stray payment at a PSP, sagas that Temporal runs or broke off."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy

from saga import search_attributes
from stack.invariants import Connections, Finding, judge
from stack.settings import ROOT
from stack.supervisor import Supervisor
from workflows.contracts.ids import CHECKOUT, SAGAS

STRAY = "01ZZZZZZZZZZZZZZZZZZZZZZZZ-1"
TASK_FAILS_S = 60.0


async def start(at: Connections, name: str, task_queue: str) -> WorkflowHandle[object, object]:
    return await at.temporal.start_workflow(
        "NobodyWroteThis",
        id=f"checkout:{name}",
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=search_attributes(CHECKOUT, name),
    )


async def found(at: Connections, subject: str) -> list[Finding]:
    report = await judge(at, at_rest=True)
    return [one for one in report.findings if subject in one.subject]


async def test_a_saga_that_nobody_recorded_and_that_fails_again_and_again(at: Connections) -> None:
    handle = await start(at, "forged-1", SAGAS)
    unrecorded = Finding(
        6, "checkout:forged-1", "the saga runs and is on no list of ours", "a record", "none"
    )
    failing = "the saga's workflow task fails again and again: a bug, or no worker for it"
    try:
        async with asyncio.timeout(TASK_FAILS_S):
            while len(now := await found(at, "checkout:forged-1")) < 2:
                assert now == [unrecorded]
                await asyncio.sleep(0.5)
    finally:
        await handle.terminate("the test is over")
    assert now[0] == unrecorded
    assert (now[1].message, now[1].expected) == (failing, "at most 3 attempts")


async def test_a_saga_that_was_broken_off(at: Connections) -> None:
    handle = await start(at, "forged-2", "nobody-listens")
    await handle.terminate("an operator's mistake")
    now: list[Finding] = []
    async with asyncio.timeout(TASK_FAILS_S):
        while not now:
            now = await found(at, "checkout:forged-2")
    broken_off = Finding(
        6, "checkout:forged-2", "the saga was broken off", "COMPLETED", "TERMINATED"
    )
    assert now == [broken_off]


async def test_a_stray_payment_fails_the_command(stack: Supervisor, at: Connections) -> None:
    async with httpx.AsyncClient(base_url=at.psps["alphapay"], trust_env=False) as alphapay:
        key = stack.settings.needed("alphapay_api_key")
        headers = {"Authorization": f"Bearer {key}"}
        order = {
            "amount": 12_345,
            "currency": "INR",
            "method": "card",
            "instrument": "tok_ok",
            "merchant_ref": STRAY,
        }
        made = await alphapay.post(
            "/v1/payments", json=order, headers={**headers, "Idempotency-Key": "forged"}
        )
        assert made.json()["status"] == "authorised"
        status, report = await check(stack)
        await alphapay.post(f"/v1/payments/{made.json()['id']}/void", json={}, headers=headers)
    assert status == 1
    assert [
        (one["message"], one["expected"], one["found"])
        for one in report["findings"]
        if one["invariant"] == 1
    ] == [
        (
            "the PSP has a payment that none of our attempts there asked for",
            f"an attempt {STRAY}",
            "authorised, 0 paise captured",
        ),
        ("the PSP still holds money of an order that needs none (paise held)", "0", "12345"),
    ]


async def check(stack: Supervisor) -> tuple[int | None, dict[str, Any]]:
    """Run the command as a person would."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "stack", "check", "--json", "--settle", "1"),
        *("--data", str(stack.folder.path)),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return process.returncode, json.loads(said)
