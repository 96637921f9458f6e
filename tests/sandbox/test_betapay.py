"""betapay's manners: no keys, UPI taken at once, late authorisation, cancel, refund keys."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.harness import Sandbox


def order(ref: str, instrument: str = "tok_ok", **changed: Any) -> dict[str, Any]:
    asked = {"amount": 49_900, "currency": "INR", "method": "card", "receipt": ref}
    return {**asked, "instrument": instrument, **changed}


async def pay(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/v1/payments", json=body)).json()
    return answer


async def status_becomes(server: Sandbox, ref: str, status: str, within_s: float = 3) -> None:
    for _ in range(int(within_s / 0.05)):
        if [row["status"] for row in await server.books(ref)] == [status]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await server.books(ref))


async def test_a_blind_retry_charges_twice(betapay: Sandbox, ref: str) -> None:
    """Why a dropped answer must be inquired about: the same call again is a second payment."""
    body = order(ref, "tok_timeout_after")
    key = {"Idempotency-Key": ref}
    async with betapay.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/v1/payments", json=body, headers=key)
        again = await client.post("/v1/payments", json=body, headers=key)
        listed = (await client.get("/v1/payments", params={"receipt": ref})).json()
    assert again.status_code == 200
    assert (listed["count"], [one["status"] for one in listed["items"]]) == (2, ["authorized"] * 2)
    assert [row["authorised"] for row in await betapay.books(ref)] == [49_900, 49_900]


async def test_capture_takes_exactly_what_is_authorised(betapay: Sandbox, ref: str) -> None:
    async with betapay.client() as client:
        path = f"/v1/payments/{(await pay(client, order(ref)))['id']}/capture"
        less = await client.post(path, json={"amount": 49_899})
        exact = await client.post(path, json={"amount": 49_900})
        again = await client.post(path, json={"amount": 49_900})
    assert less.json()["error"]["reason"] == "amount_mismatch"
    assert (exact.json()["status"], exact.json()["amount_captured"]) == ("captured", 49_900)
    assert again.json()["error"]["reason"] == "already_captured"
    [row] = await betapay.books(ref)
    assert (row["captured"], row["movements"]) == (49_900, 3)


async def test_upi_is_captured_on_approval(betapay: Sandbox, ref: str) -> None:
    async with betapay.client() as client:
        made = await pay(client, order(ref, "auto@upi", method="upi_intent"))
        assert (made["status"], made["amount_captured"]) == ("created", 0)
        await status_becomes(betapay, ref, "captured")
        cancel = await client.post(f"/v1/payments/{made['id']}/cancel", json={})
    assert cancel.json()["error"]["reason"] == "already_captured"
    [row] = await betapay.books(ref)
    assert (row["authorised"], row["captured"]) == (49_900, 49_900)


async def test_a_failed_payment_may_be_authorised_late(betapay: Sandbox, ref: str) -> None:
    await betapay.faults(late_ms=[600, 700])
    async with betapay.client() as client:
        answer = await client.post("/v1/payments", json=order(ref, "tok_technical"))
        error = answer.json()["error"]
        assert (answer.status_code, error["reason"]) == (502, "gateway_timeout")
        path = f"/v1/payments/{error['metadata']['payment_id']}"
        assert (await client.get(path)).json()["status"] == "failed"
        pending = (await client.post("/_sandbox/quiesce")).json()
        await status_becomes(betapay, ref, "authorised")
        shown = (await client.get(path)).json()
    assert pending["late_authorisations"] == 1
    assert (shown["status"], "error" in shown) == ("authorized", False)


async def test_cancelling_a_failed_payment_keeps_it_from_coming_late(
    betapay: Sandbox, ref: str
) -> None:
    await betapay.faults(late_ms=[300, 300])
    async with betapay.client() as client:
        error = (await pay(client, order(ref, "tok_technical")))["error"]
        path = f"/v1/payments/{error['metadata']['payment_id']}/cancel"
        cancels = [(await client.post(path, json={})).json()["status"] for _ in range(2)]
    await asyncio.sleep(0.5)
    assert cancels == ["cancelled", "cancelled"]
    [row] = await betapay.books(ref)
    assert (row["status"], row["authorised"]) == ("voided", 0)


async def test_a_stale_listing_misses_what_is_young(betapay: Sandbox, ref: str) -> None:
    rule = {"operation": "find", "merchant_ref": ref, "fault": "stale_listing", "times": 2}
    await betapay.faults(stale_ms=250, rules=[rule])
    async with betapay.client() as client:
        made = await pay(client, order(ref))
        young = (await client.get("/v1/payments", params={"receipt": ref})).json()
        by_id = (await client.get(f"/v1/payments/{made['id']}")).json()
        await asyncio.sleep(0.3)
        later = (await client.get("/v1/payments", params={"receipt": ref})).json()
    assert (young["count"], later["count"]) == (0, 1)
    assert by_id["id"] == made["id"]


async def test_a_refund_key_refunds_once(betapay: Sandbox, ref: str) -> None:
    key = {"X-Refund-Idempotency": f"refund-{ref}"}
    async with betapay.client() as client:
        path = f"/v1/payments/{(await pay(client, order(ref)))['id']}"
        await client.post(f"{path}/capture", json={"amount": 49_900})
        body = {"amount": 10_000, "receipt": f"{ref}-r"}
        answers = [
            await client.post(f"{path}/refund", json=body, headers=key),
            await client.post(f"{path}/refund", json=body, headers=key),
            await client.post(f"{path}/refund", json={**body, "amount": 1}, headers=key),
            await client.post(f"{path}/refund", json=body, headers={"X-Refund-Idempotency": "x"}),
        ]
        listed = (await client.get("/v1/refunds", params={"receipt": f"{ref}-r"})).json()
    assert [one.status_code for one in answers] == [200, 200, 400, 400]
    assert answers[0].json() == answers[1].json()
    assert answers[2].json()["error"]["reason"] == "key_mismatch"
    assert answers[3].json()["error"]["field"] == "X-Refund-Idempotency"
    assert listed["items"] == [answers[0].json()]
    [row] = await betapay.books(ref)
    assert row["refunded"] == 10_000


async def test_fully_refunded_reads_as_refunded(betapay: Sandbox, ref: str) -> None:
    async with betapay.client() as client:
        path = f"/v1/payments/{(await pay(client, order(ref)))['id']}"
        await client.post(f"{path}/capture", json={"amount": 49_900})
        await client.post(f"{path}/refund", json={"amount": 49_900, "receipt": ref})
        shown = (await client.get(path)).json()
    assert (shown["status"], shown["amount_refunded"]) == ("refunded", 49_900)


async def test_strangers_are_refused(betapay: Sandbox, ref: str) -> None:
    async with httpx.AsyncClient(base_url=betapay.url, trust_env=False) as client:
        answers = [
            await client.post("/v1/payments", json=order(ref)),
            await client.post("/v1/payments", json=order(ref), auth=("betapay", "guess")),
        ]
    assert [one.json()["error"]["reason"] for one in answers] == ["unauthenticated"] * 2
    assert await betapay.books(ref) == []
