"""Under heavy faults every payment still comes to one known end, and both books agree."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from activities.payments.psp import PSP, PaymentResult, RefundResult
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from tests.sandbox.harness import Sandbox
from tests.unit.psp.conftest import request_for

PAYMENTS = 60
AMOUNT = Money(2_499_00)
UNDECIDED = (FailureClass.UNKNOWN, FailureClass.IN_PROGRESS)
NOT_ACTED = (FailureClass.NOT_SENT, FailureClass.REJECTED_TRANSIENT)


async def found(psp: PSP, ref: str, until: float) -> PaymentResult:
    """Look until there is an answer; "not found" counts once the lag is over."""
    while True:
        told = await psp.find(merchant_ref=ref)
        if told.found and told.failure_class not in (*UNDECIDED, *NOT_ACTED):
            return told
        if not told.found and time.monotonic() > until:
            return told
        if told.state is PaymentState.FAILED:
            return told
        await asyncio.sleep(0.03)


async def until_done(call: Callable[[], Awaitable[PaymentResult | RefundResult]]) -> None:
    """The same call under the same key until it did what was asked."""
    for _ in range(30):
        if (await call()).failure_class is None:
            return
        await asyncio.sleep(0.03)
    raise AssertionError("thirty calls did not do it")


async def settle(psp: PSP, ref: str) -> tuple[int, int]:
    """Authorise, capture, refund a part; returns what is captured and refunded in the end."""
    key = str(uuid.uuid5(uuid.NAMESPACE_OID, ref))
    told = await psp.authorise(request_for(ref), key=key)
    if told.failure_class in UNDECIDED:
        told = await found(psp, ref, time.monotonic() + 0.8)
    if told.state is not PaymentState.AUTHORISED or told.ref is None:
        while not told.final and told.state is not PaymentState.VOIDED and told.ref is not None:
            voided = await psp.void(told.ref, key=key)
            told = voided if voided.state is PaymentState.VOIDED else told
        return 0, 0
    ref_there = told.ref
    await until_done(lambda: psp.capture(ref_there, AMOUNT, key=key))
    await until_done(lambda: psp.refund(ref_there, Money(99_00), key=key))
    return AMOUNT.paise, 99_00


@pytest.mark.parametrize("name", ["alphapay", "betapay"])
async def test_heavy_faults(psps: dict[str, PSP], servers: dict[str, Sandbox], name: str) -> None:
    await servers[name].faults(profile="heavy", seed=7, slow_ms=150, stale_ms=300)
    refs = [f"heavy-{name}-{n}" for n in range(PAYMENTS)]
    try:
        ends = await asyncio.wait_for(
            asyncio.gather(*(settle(psps[name], ref) for ref in refs)), timeout=30
        )
        async with servers[name].client() as asking:
            rows = (await asking.get("/_sandbox/books")).json()["payments"]
    finally:
        await servers[name].faults()
    books = {
        ref: [
            (row["captured"], row["refunded"], row["status"])
            for row in rows
            if row["merchant_ref"] == ref
        ]
        for ref in refs
    }
    for ref, end in zip(refs, ends, strict=True):
        assert len(books[ref]) <= 1
        assert [(captured, refunded) for captured, refunded, _ in books[ref]] in ([end], [])
        if not books[ref]:
            assert end == (0, 0)
        # Nothing is left held, or about to be.
        assert {status for *_, status in books[ref]} <= {"captured", "failed", "voided"}
    sold = ends.count((AMOUNT.paise, 99_00))
    assert PAYMENTS // 2 < sold < PAYMENTS
