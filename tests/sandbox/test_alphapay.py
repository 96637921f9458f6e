"""alphapay's manners: keys, separate capture, voids, refunds."""

import asyncio
from typing import Any

import pytest

from tests.sandbox.harness import Sandbox


def order(ref: str, instrument: str = "tok_ok", **changed: Any) -> dict[str, Any]:
    asked = {"amount": 129_950, "currency": "INR", "method": "card", "merchant_ref": ref}
    return {**asked, "instrument": instrument, "expires_in": 60, **changed}


async def test_authorise_then_capture_in_parts_then_refund(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        made = (await client.post("/v1/payments", json=order(ref))).json()
        path = f"/v1/payments/{made['id']}"
        first = (await client.post(f"{path}/capture", json={"amount": 100_000})).json()
        second = (await client.post(f"{path}/capture", json={"amount": 29_950})).json()
        asked = {"payment": made["id"], "amount": 50, "merchant_ref": f"{ref}-r"}
        refund = (await client.post("/v1/refunds", json=asked)).json()
        listed = (await client.get("/v1/refunds", params={"merchant_ref": f"{ref}-r"})).json()
    assert (made["status"], made["captured"]) == ("authorised", 0)
    assert (first["status"], first["captured"]) == ("partially_captured", 100_000)
    assert (second["status"], second["captured"]) == ("captured", 129_950)
    assert (refund["status"], refund["amount"]) == ("succeeded", 50)
    assert listed == {"data": [refund]}
    [row] = await alphapay.books(ref)
    assert (row["authorised"], row["captured"], row["refunded"]) == (129_950, 129_950, 50)
    assert row["movements"] == 5  # open, authorise, two captures, refund


async def test_the_same_key_gives_the_same_answer_and_one_payment(
    alphapay: Sandbox, ref: str
) -> None:
    key = {"Idempotency-Key": f"key-{ref}"}
    async with alphapay.client() as client:
        first = await client.post("/v1/payments", json=order(ref), headers=key)
        # A later change of the payment does not change the answer under the key.
        await client.post(f"/v1/payments/{first.json()['id']}/capture", json={"amount": 129_950})
        again = await client.post("/v1/payments", json=order(ref), headers=key)
    assert again.json() == first.json()
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert "idempotent-replayed" not in first.headers
    assert len(await alphapay.books(ref)) == 1


async def test_a_decline_is_replayed_too(alphapay: Sandbox, ref: str) -> None:
    key = {"Idempotency-Key": f"key-{ref}"}
    body = order(ref, "tok_declined_funds")
    async with alphapay.client() as client:
        answers = [await client.post("/v1/payments", json=body, headers=key) for _ in range(2)]
    assert [one.status_code for one in answers] == [402, 402]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"]["code"] == "insufficient_funds"
    assert len(await alphapay.books(ref)) == 1


async def test_other_parameters_under_one_key_are_refused(alphapay: Sandbox, ref: str) -> None:
    key = {"Idempotency-Key": f"key-{ref}"}
    async with alphapay.client() as client:
        await client.post("/v1/payments", json=order(ref), headers=key)
        other = await client.post("/v1/payments", json=order(ref, amount=1), headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_mismatch")
    assert [row["amount"] for row in await alphapay.books(ref)] == [129_950]


async def test_one_key_at_once_is_in_progress(alphapay: Sandbox, ref: str) -> None:
    rule = {"operation": "authorise", "merchant_ref": ref, "fault": "slow"}
    await alphapay.faults(slow_ms=300, rules=[rule])
    key = {"Idempotency-Key": f"key-{ref}"}
    async with alphapay.client() as client:
        slow = asyncio.create_task(client.post("/v1/payments", json=order(ref), headers=key))
        await asyncio.sleep(0.1)
        second = await client.post("/v1/payments", json=order(ref), headers=key)
        first = await slow
        after = await client.post("/v1/payments", json=order(ref), headers=key)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "in_progress")
    assert first.json() == after.json()
    assert len(await alphapay.books(ref)) == 1


async def test_without_keys_two_calls_are_two_payments(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        for _ in range(2):
            await client.post("/v1/payments", json=order(ref))
    assert len(await alphapay.books(ref)) == 2


async def test_void_lets_go_and_cannot_be_captured(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        made = (await client.post("/v1/payments", json=order(ref))).json()
        path = f"/v1/payments/{made['id']}"
        voided = await client.post(f"{path}/void", json={})
        again = await client.post(f"{path}/void", json={})
        capture = await client.post(f"{path}/capture", json={"amount": 129_950})
    assert [one.json()["status"] for one in (voided, again)] == ["voided", "voided"]
    assert (capture.status_code, capture.json()["error"]["code"]) == (409, "not_authorised")
    [row] = await alphapay.books(ref)
    assert (row["status"], row["captured"], row["movements"]) == ("voided", 0, 3)


async def test_a_captured_payment_is_not_voided(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        made = (await client.post("/v1/payments", json=order(ref))).json()
        path = f"/v1/payments/{made['id']}"
        await client.post(f"{path}/capture", json={"amount": 129_950})
        answer = await client.post(f"{path}/void", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_captured")
    assert answer.json()["status"] == "captured"


async def test_void_by_ref_refuses_the_payment_that_comes_late(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        voided = await client.post("/v1/payments/void-by-ref", json={"merchant_ref": ref})
        late = await client.post("/v1/payments", json=order(ref))
    assert voided.json() == {"id": None, "status": "voided", "merchant_ref": ref}
    assert (late.status_code, late.json()["error"]["code"]) == (409, "merchant_ref_voided")
    assert await alphapay.books(ref) == []


async def test_void_by_ref_voids_all_there_is(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        await client.post("/v1/payments", json=order(ref))
        await client.post("/v1/payments", json=order(ref, "tok_3ds"))
        voided = await client.post("/v1/payments/void-by-ref", json={"merchant_ref": ref})
    assert voided.json()["status"] == "voided"
    assert [row["status"] for row in await alphapay.books(ref)] == ["voided", "voided"]


@pytest.mark.parametrize(
    ("verb", "amount", "code"),
    [("capture", 129_951, "amount_too_large"), ("refund", 1, "not_captured")],
)
async def test_no_more_than_there_is(
    alphapay: Sandbox, ref: str, verb: str, amount: int, code: str
) -> None:
    async with alphapay.client() as client:
        made = (await client.post("/v1/payments", json=order(ref))).json()
        if verb == "capture":
            path, body = f"/v1/payments/{made['id']}/capture", {"amount": amount}
        else:
            path = "/v1/refunds"
            body = {"amount": amount, "payment": made["id"], "merchant_ref": ref}
        answer = await client.post(path, json=body)
    assert answer.json()["error"]["code"] == code
    [row] = await alphapay.books(ref)
    assert (row["captured"], row["refunded"], row["movements"]) == (0, 0, 2)


async def test_over_refund_is_refused(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        made = (await client.post("/v1/payments", json=order(ref))).json()
        await client.post(f"/v1/payments/{made['id']}/capture", json={"amount": 129_950})
        asked = {"payment": made["id"], "amount": 70_000}
        answers = [
            await client.post("/v1/refunds", json={**asked, "merchant_ref": f"{ref}-{n}"})
            for n in range(2)
        ]
    assert [one.status_code for one in answers] == [200, 400]
    assert answers[1].json()["error"]["code"] == "amount_too_large"
    [row] = await alphapay.books(ref)
    assert row["refunded"] == 70_000


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 12.5}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**12}, "amount"),
        ({"method": "cash"}, "method"),
        ({"instrument": "tok_nonsense"}, "instrument"),
        ({"expires_in": -1}, "expires_in"),
        ({"merchant_ref": ""}, "merchant_ref"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"challenge": "yes"}, "challenge"),
    ],
)
async def test_bad_fields_are_named(
    alphapay: Sandbox, ref: str, changed: dict[str, Any], field: str
) -> None:
    async with alphapay.client() as client:
        answer = await client.post("/v1/payments", json=order(ref, **changed))
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert await alphapay.books(ref) == []


async def test_bodies_that_are_no_object(alphapay: Sandbox) -> None:
    async with alphapay.client() as client:
        answers = [await client.post("/v1/payments", content=body) for body in (b"{", b"[]", b"")]
        huge = await client.post("/v1/payments", content=b" " * 100_000)
    assert [one.json()["error"]["field"] for one in answers] == ["body"] * 3
    assert huge.status_code == 413


async def test_strangers_are_refused(alphapay: Sandbox, ref: str) -> None:
    async with alphapay.client() as client:
        wrong = {"authorization": "Bearer guess"}
        answers = [
            await client.post("/v1/payments", json=order(ref), headers=wrong),
            await client.get("/v1/payments", params={"merchant_ref": ref}, headers=wrong),
            await client.post("/v1/payments/void-by-ref", json={}, headers={"authorization": ""}),
        ]
    assert [one.status_code for one in answers] == [401, 401, 401]
    assert await alphapay.books(ref) == []
