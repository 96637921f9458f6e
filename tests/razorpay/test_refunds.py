"""Refunds: never doubled, whatever becomes of an answer or of Razorpay's memory of a key."""

import asyncio
import contextlib
import sqlite3
from typing import Any

import httpx
import pytest

from activities.payments.psp import RefundStatus
from domain.money import Money
from domain.payments import FailureClass
from tests.razorpay.conftest import Desk

F = FailureClass


async def test_a_refund_asked_for_again_is_one(desk: Desk, ref: str, key: str) -> None:
    taken = await desk.taken(ref)
    answers = [await desk.psp.refund(taken, Money(99_00), key=key) for _ in range(3)]
    assert answers == [answers[0]] * 3
    assert answers[0].status is RefundStatus.DONE
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 99_00)]


async def test_refunds_at_once_under_one_key_are_one(desk: Desk, ref: str, key: str) -> None:
    taken = await desk.taken(ref)
    await desk.fault("refund", ref, "slow")
    told = await asyncio.gather(*(desk.psp.refund(taken, Money(99_00), key=key) for _ in range(6)))
    await asyncio.sleep(0.5)
    assert {one.status for one in told} <= {RefundStatus.DONE, RefundStatus.UNKNOWN}
    assert F.IN_PROGRESS in {one.failure_class for one in told}
    assert (await desk.psp.find_refund(key=key, payment_ref=taken)).amount == 99_00
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 99_00)]


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "connection_reset"])
async def test_an_unknown_refund_is_asked_again(desk: Desk, fault: str, ref: str, key: str) -> None:
    taken = await desk.taken(ref)
    await desk.fault("refund", ref, fault)
    told = [await desk.psp.refund(taken, Money(99_00), key=key) for _ in range(2)]
    assert [one.status for one in told] == [RefundStatus.UNKNOWN, RefundStatus.DONE]
    assert told[0].failure_class is F.UNKNOWN
    assert await desk.psp.find_refund(key=key, payment_ref=taken) == told[1]
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 99_00)]


async def test_a_refund_that_cannot_look_is_not_sent(desk: Desk, ref: str, key: str) -> None:
    """A key that Razorpay has forgotten must not refund a second time: the receipt is asked."""
    taken = await desk.taken(ref)
    await desk.fault("find_refund", ref, "http_500_before")
    told = await desk.psp.refund(taken, Money(99_00), key=key)
    assert (told.status, told.failure_class) == (RefundStatus.FAILED, F.NOT_SENT)
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 0)]


async def test_razorpay_itself_refunds_once_under_a_key(desk: Desk, ref: str, key: str) -> None:
    path = f"/v1/payments/{await desk.taken(ref)}/refund"
    headers = {"X-Refund-Idempotency": key}
    async with desk.server.client() as client:

        async def refund(amount: int, **given: Any) -> httpx.Response:
            return await client.post(path, json={"amount": amount}, headers=given or headers)

        first, again, other = await refund(100), await refund(100), await refund(101)
        short = await refund(100, **{"X-Refund-Idempotency": "short"})
        colon = await refund(100, **{"X-Refund-Idempotency": f"{key}:pay_1"})
    assert first.json() == again.json()
    assert (other.status_code, other.json()["error"]["reason"]) == (409, "NA")
    assert [one.json()["error"]["field"] for one in (short, colon)] == ["X-Refund-Idempotency"] * 2
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 100)]


async def test_a_key_that_razorpay_has_forgotten_refunds_no_second_time(
    desk: Desk, ref: str, key: str
) -> None:
    taken = await desk.taken(ref)
    first = await desk.psp.refund(taken, Money(99_00), key=key)
    with contextlib.closing(sqlite3.connect(desk.server.data / "razorpay.sqlite3")) as books:
        assert books.execute("DELETE FROM keys WHERE key = ?", (key,)).rowcount == 1
        books.commit()
    again = await desk.psp.refund(taken, Money(99_00), key=key)
    assert again == first
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 99_00)]
