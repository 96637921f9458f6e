"""Under heavy faults every payment comes to one known end, and Razorpay's books agree."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from activities.payments.psp import PaymentResult, RefundResult, RefundStatus
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.razorpay.conftest import AMOUNT, Desk, request_for

PAYMENTS = 60
PART = Money(99_00)
F, S = FailureClass, PaymentState
UNCLEAR = (F.UNKNOWN, F.IN_PROGRESS, F.NOT_SENT, F.REJECTED_TRANSIENT)
TRIES = 60


async def known(desk: Desk, ref: str) -> PaymentResult:
    """Look until there is word of the payment; two looks in a row that find nothing are proof."""
    missing = 0
    for _ in range(TRIES):
        told = await desk.psp.find(merchant_ref=ref)
        missing = 0 if told.found else missing + 1
        over = told.state is S.FAILED or told.failure_class not in UNCLEAR
        if (told.found and over and told.state is not S.PENDING) or missing == 3:
            return told
        await asyncio.sleep(0.15)
    raise AssertionError(told)


async def until_done(call: Callable[[], Awaitable[PaymentResult]], done: PaymentState) -> None:
    for _ in range(TRIES):
        if (await call()).state is done:
            return
        await asyncio.sleep(0.03)
    raise AssertionError(f"{TRIES} calls did not do it")


async def refunded(desk: Desk, ref: str, amount: Money, key: str) -> RefundResult:
    for _ in range(TRIES):
        told = await desk.psp.refund(ref, amount, key=key)
        if told.status is RefundStatus.DONE:
            return told
        assert told.failure_class in UNCLEAR, told
        await asyncio.sleep(0.03)
    raise AssertionError("the refund was never done")


async def settle(desk: Desk, n: int, ref: str) -> tuple[int, int]:
    """Pay; keep two of three with a part refunded, give the third back. (captured, refunded)"""
    key = str(uuid.uuid5(uuid.NAMESPACE_OID, ref))
    by_card = n % 2 == 0
    method = PaymentMethod.CARD if by_card else PaymentMethod.UPI_QR
    request = request_for(ref, "cust_1:token_ok" if by_card else "", method)
    await desk.psp.authorise(request, key=key)
    told = await known(desk, ref)
    if not by_card and told.state is S.ACTION_REQUIRED:
        await desk.customer(told, "approve")
        told = await known(desk, ref)
    if told.ref is None or told.state not in (S.AUTHORISED, S.CAPTURED):
        return 0, 0
    there = told.ref
    if n % 3 == 0:
        await until_done(lambda: desk.psp.void(there, key=key), S.CAPTURED)
        await refunded(desk, there, AMOUNT, key)
        return AMOUNT.paise, AMOUNT.paise
    await until_done(lambda: desk.psp.capture(there, AMOUNT, key=key), S.CAPTURED)
    await refunded(desk, there, PART, key)
    return AMOUNT.paise, PART.paise


async def test_heavy_faults(desk: Desk) -> None:
    await desk.server.faults(profile="heavy", seed=11, slow_ms=100, stale_ms=200)
    refs = [f"heavy-razorpay-{n}" for n in range(PAYMENTS)]
    ends = await asyncio.wait_for(
        asyncio.gather(*(settle(desk, n, ref) for n, ref in enumerate(refs))), timeout=90
    )
    await desk.server.faults()
    for ref, end in zip(refs, ends, strict=True):
        held = [one for one in await desk.totals(ref) if one[0] > 0]
        assert len(held) <= 1
        assert [(captured, back) for _, captured, back in held] in ([end], [])
        if not held:
            assert end == (0, 0)
    kept = ends.count((AMOUNT.paise, PART.paise))
    returned = ends.count((AMOUNT.paise, AMOUNT.paise))
    assert kept > PAYMENTS // 3
    assert returned > PAYMENTS // 8
