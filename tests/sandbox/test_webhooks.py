"""Webhooks: signed, retried, and with each thing that goes wrong with them."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox.harness import SECRET, Received, Sandbox, Shop


@pytest.fixture(autouse=True)
async def no_faults_left(alphapay: Sandbox, betapay: Sandbox) -> AsyncIterator[None]:
    yield
    await alphapay.faults()
    await betapay.faults()


async def pay(server: Sandbox, ref: str, instrument: str = "tok_ok") -> dict[str, Any]:
    body = {"amount": 9_900, "currency": "INR", "method": "card", "instrument": instrument}
    async with server.client() as client:
        answer = await client.post(
            "/v1/payments", json={**body, "merchant_ref": ref, "receipt": ref}
        )
    made: dict[str, Any] = answer.json()
    return made


async def with_fault(server: Sandbox, ref: str, fault: str, **settings: Any) -> None:
    rule = {"operation": "webhook", "merchant_ref": ref, "fault": fault}
    await server.faults(rules=[rule], **settings)


def signed_by_alphapay(one: Received) -> bool:
    parts = dict(part.split("=") for part in one.headers["alphapay-signature"].split(","))
    signed = f"{parts['t']}.".encode() + one.body
    return parts["v1"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


async def test_alphapay_signs_time_and_body(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    made = await pay(alphapay, ref)
    [one] = await shop.until(ref, lambda got: len(got) == 1)
    event = json.loads(one.body)
    assert signed_by_alphapay(one)
    assert (event["type"], event["data"]["payment"]["id"]) == ("payment.authorised", made["id"])
    assert "next_action" not in event["data"]["payment"]


async def test_betapay_signs_the_body_alone(betapay: Sandbox, shop: Shop, ref: str) -> None:
    await pay(betapay, ref)
    [one] = await shop.until(ref, lambda got: len(got) == 1)
    wanted = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
    assert one.headers["x-betapay-signature"] == wanted
    assert one.headers["x-betapay-event-id"].startswith("evt_")
    assert json.loads(one.body)["event"] == "payment.authorized"


async def test_delivered_until_accepted(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    shop.status = 503
    try:
        await pay(alphapay, ref)
        await shop.until(ref, lambda got: len(got) >= 3)
    finally:
        shop.status = 200
    refused = len(shop.about(ref))
    tries = await shop.until(ref, lambda got: len(got) == refused + 1)
    assert len({json.loads(one.body)["id"] for one in tries}) == 1
    async with alphapay.client() as client:
        assert (await client.post("/_sandbox/quiesce")).json()["webhooks"] == 0


async def test_many_at_once_are_delivered_once_each(
    alphapay: Sandbox, shop: Shop, ref: str
) -> None:
    await asyncio.gather(*(pay(alphapay, f"{ref}-{n:02}-") for n in range(60)))
    await shop.until(ref, lambda got: len(got) >= 60)
    async with alphapay.client() as client:
        while (await client.post("/_sandbox/quiesce")).json()["pending"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [len(shop.about(f"{ref}-{n:02}-")) for n in range(60)] == [1] * 60


async def test_lost(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    await with_fault(alphapay, ref, "lost")
    made = await pay(alphapay, ref)
    async with alphapay.client() as client:
        await client.post(f"/v1/payments/{made['id']}/capture", json={"amount": 9_900})
    [one] = await shop.until(ref, lambda got: len(got) >= 1)
    assert json.loads(one.body)["type"] == "payment.captured"


async def test_doubled(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    await with_fault(alphapay, ref, "doubled")
    await pay(alphapay, ref)
    first, second = await shop.until(ref, lambda got: len(got) >= 2)
    assert first.body == second.body


async def test_late(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    await with_fault(alphapay, ref, "late", webhook_late_ms=[700, 800])
    asked = time.monotonic()
    await pay(alphapay, ref)
    [one] = await shop.until(ref, lambda got: len(got) >= 1)
    assert 0.7 <= one.at - asked <= 1.5


@pytest.mark.parametrize("psp", ["alphapay", "betapay"])
async def test_early_comes_before_the_answer(
    psp: str, shop: Shop, ref: str, request: pytest.FixtureRequest
) -> None:
    server: Sandbox = request.getfixturevalue(psp)
    await with_fault(server, ref, "early")
    await pay(server, ref)
    answered = time.monotonic()
    assert [one.at < answered for one in shop.about(ref)] == [True]


async def test_reordered(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    await with_fault(alphapay, ref, "reordered")
    made = await pay(alphapay, ref)
    async with alphapay.client() as client:
        await client.post(f"/v1/payments/{made['id']}/capture", json={"amount": 9_900})
    got = await shop.until(ref, lambda got: len(got) >= 2)
    kinds = [json.loads(one.body)["type"] for one in got]
    assert kinds == ["payment.captured", "payment.authorised"]


async def test_forged(alphapay: Sandbox, shop: Shop, ref: str) -> None:
    await with_fault(alphapay, ref, "forged")
    await pay(alphapay, ref)
    got = await shop.until(ref, lambda got: len(got) >= 2)
    by_signature = {signed_by_alphapay(one): json.loads(one.body) for one in got}
    assert by_signature[True]["type"] == "payment.authorised"
    assert by_signature[False]["type"] == "payment.captured"
    [row] = await alphapay.books(ref)
    assert row["captured"] == 0
