"""The contract under heavy faults: every payment comes to one known end, and both books agree."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

from activities.payments.psp import PaymentResult, RefundResult
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from tests.psp_contract.conftest import AMOUNT, Subject

PAYMENTS = 60
STALE_MS = 300
NOT_FOUND_IS_PROOF_S = 0.8
PART = Money(99_00)
UNDECIDED = (FailureClass.UNKNOWN, FailureClass.IN_PROGRESS)
NOT_ACTED = (FailureClass.NOT_SENT, FailureClass.REJECTED_TRANSIENT)
PAID = (PaymentState.AUTHORISED, PaymentState.CAPTURED)


async def looked_up(subject: Subject, ref: str) -> PaymentResult:
    """Look until there is an answer; "not found" counts once the PSP's lag is over."""
    until = time.monotonic() + NOT_FOUND_IS_PROOF_S
    while True:
        told = await subject.psp.find(merchant_ref=ref)
        answered = told.state is PaymentState.FAILED or told.failure_class is None
        if answered and (told.found or time.monotonic() > until):
            return told
        await asyncio.sleep(0.03)


async def until_done(call: Callable[[], Awaitable[PaymentResult | RefundResult]]) -> None:
    """The same call under the same key until it did what was asked."""
    for _ in range(30):
        if (await call()).failure_class is None:
            return
        await asyncio.sleep(0.03)
    raise AssertionError("thirty calls did not do it")


async def settle(subject: Subject, ref: str) -> list[tuple[int, int]]:
    """Pay, capture, refund a part; returns what its books must say: captured and refunded."""
    psp, key = subject.psp, str(uuid.uuid5(uuid.NAMESPACE_OID, ref))
    told = await subject.pay(ref, key)
    if told.failure_class in UNDECIDED:
        told = await looked_up(subject, ref)
    if told.ref is None:
        return []
    there = told.ref
    if told.state in PAID:
        await until_done(lambda: psp.capture(there, AMOUNT, key=key))
        await until_done(lambda: psp.refund(there, PART, key=key))
        return [(AMOUNT.paise, PART.paise)]
    if not told.final:
        await until_done(lambda: psp.void(there, key=key))
    return [(0, 0)]


async def test_heavy_faults(subject: Subject) -> None:
    refs = [f"heavy-{subject.name}-{number}" for number in range(PAYMENTS)]
    await subject.server.faults(profile="heavy", seed=7, slow_ms=150, stale_ms=STALE_MS)
    try:
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(settle(subject, ref) for ref in refs))
    finally:
        await subject.server.faults()
    async with subject.server.client() as asking:
        there = (await asking.get("/_sandbox/books")).json()["payments"]
    rows = {ref: [row for row in there if row["merchant_ref"] == ref] for ref in refs}
    books = [[(row["captured"], row["refunded"]) for row in rows[ref]] for ref in refs]
    assert books == ends
    # nothing is left held, or about to be
    left = {row["status"] for found in rows.values() for row in found}
    assert left <= {"captured", "failed", "voided"}
    paid = ends.count([(AMOUNT.paise, PART.paise)])
    assert PAYMENTS // 2 < paid < PAYMENTS
