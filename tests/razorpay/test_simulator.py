"""The simulator by itself: what Razorpay documents, quirks included."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.razorpay.conftest import Desk
from tests.sandbox.harness import Sandbox

MONEY = {"amount": 49_900, "currency": "INR"}
WHO = {"customer_id": "cust_1", "email": "a@example.com", "contact": "+919000090000"}
CAPTURE_BY_US = {"capture": "manual", "capture_options": {"refund_speed": "normal"}}


def link_body(ref: str, **changed: Any) -> dict[str, Any]:
    # parameters are made long before their test runs
    soon = int(time.time()) + 24 * 3600
    return {**MONEY, "reference_id": ref, "expire_by": soon, **changed}


async def order(client: httpx.AsyncClient, ref: str, **given: Any) -> dict[str, Any]:
    made: dict[str, Any] = (
        await client.post("/v1/orders", json={**MONEY, "receipt": ref, **given})
    ).json()
    return made


async def charge(client: httpx.AsyncClient, order_id: str, **given: Any) -> httpx.Response:
    asked = {**MONEY, **WHO, "order_id": order_id, "token": "token_ok", "recurring": True, **given}
    return await client.post("/v1/payments/create/recurring", json=asked)


async def test_a_receipt_is_no_key_unless_it_is_asked_to_be(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        plain = [(await order(client, ref))["id"] for _ in range(2)]
        unique = [(await order(client, f"{ref}u", unique_receipt=True))["id"] for _ in range(2)]
        listed = (await client.get("/v1/orders", params={"receipt": ref})).json()
        one = (await client.get("/v1/orders", params={"receipt": ref, "count": 1})).json()
    assert plain[0] != plain[1]
    assert unique[0] == unique[1]
    # "contains", newest first
    assert [row["id"] for row in listed["items"]] == [unique[0], plain[1], plain[0]]
    assert [row["id"] for row in one["items"]] == [unique[0]]


async def test_an_order_admits_one_payment_that_holds(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        made = await order(client, ref, payment=CAPTURE_BY_US)
        declined = await charge(client, made["id"], token="token_declined_funds")
        first = await charge(client, made["id"])
        second = await charge(client, made["id"])
        amount = await charge(client, made["id"], amount=1)
        tries = (await client.get(f"/v1/orders/{made['id']}/payments")).json()
        listed = (await client.get("/v1/orders", params={"receipt": ref})).json()["items"]
    error = declined.json()["error"]
    assert (declined.status_code, error["reason"]) == (400, "insufficient_funds")
    assert set(first.json()) == {"razorpay_payment_id", "razorpay_order_id", "razorpay_signature"}
    assert second.json()["error"]["reason"] == "order_already_paid"
    assert amount.json()["error"]["reason"] == "order_amount_mismatch"
    assert [(one["id"], one["status"]) for one in tries["items"]] == [
        (error["metadata"]["payment_id"], "failed"),
        (first.json()["razorpay_payment_id"], "authorized"),
    ]
    assert (listed[0]["status"], listed[0]["attempts"]) == ("attempted", 2)


async def test_capture_takes_exactly_what_is_held(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        made = await order(client, ref)
        payment = (await charge(client, made["id"])).json()["razorpay_payment_id"]
        path = f"/v1/payments/{payment}/capture"
        less = await client.post(path, json={**MONEY, "amount": 49_899})
        exact = await client.post(path, json=MONEY)
        again = await client.post(path, json=MONEY)
    assert less.json()["error"]["reason"] == "input_validation_failed"
    assert (exact.json()["status"], exact.json()["captured"]) == ("captured", True)
    assert again.json()["error"]["description"] == "This payment has already been captured"
    [row] = await desk.server.books(ref)
    assert (row["captured"], row["movements"]) == (49_900, 3)


async def test_what_nobody_captures_goes_back(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        made = await order(client, ref)
        payment = (await charge(client, made["id"])).json()["razorpay_payment_id"]
        await desk.lapse(payment)
        shown = (await client.get(f"/v1/payments/{payment}")).json()
        refunds = (await client.get(f"/v1/payments/{payment}/refunds")).json()["items"]
        too_late = await client.post(f"/v1/payments/{payment}/capture", json=MONEY)
    assert (shown["status"], shown["captured"], shown["refund_status"]) == (
        "refunded",
        False,
        "full",
    )
    assert [(one["amount"], one["receipt"]) for one in refunds] == [(49_900, None)]
    assert too_late.status_code == 400
    [row] = await desk.server.books(ref)
    assert (row["status"], row["captured"], row["refunded"]) == ("voided", 0, 0)


async def test_the_time_to_capture_ends_by_itself(tmp_path: Path, ref: str) -> None:
    """The timer is in the books' file: it outlives kill -9."""
    server = Sandbox("razorpay", tmp_path).start()
    try:
        async with server.client() as client:
            made = await order(client, ref)
            payment = (await charge(client, made["id"])).json()["razorpay_payment_id"]
        server.kill()
        _bring_forward(tmp_path / "razorpay.sqlite3", payment)
        server.start()
        for _ in range(60):
            [row] = await server.books(ref)
            if row["status"] == "voided":
                break
            await asyncio.sleep(0.05)
    finally:
        server.kill()
    assert (row["status"], row["captured"]) == ("voided", 0)


def _bring_forward(books: Path, payment: str) -> None:
    with sqlite3.connect(books) as db:
        [(kind, due)] = db.execute(
            "SELECT kind, due FROM timers WHERE payment = ?", (payment,)
        ).fetchall()
        assert kind == "lapse"
        assert due / 1000 - time.time() > 4 * 24 * 3600
        db.execute("UPDATE timers SET due = 0 WHERE payment = ?", (payment,))
    db.close()


async def test_a_reference_makes_one_link(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        first = await client.post("/v1/payment_links", json=link_body(ref))
        second = await client.post("/v1/payment_links", json=link_body(ref, amount=1))
        soon = await client.post(
            "/v1/payment_links", json=link_body(f"{ref}s", expire_by=int(time.time()) + 60)
        )
        listed = (await client.get("/v1/payment_links", params={"reference_id": ref})).json()
    assert first.status_code == 200
    assert "reference ID already attempted" in second.json()["error"]["description"]
    assert soon.json()["error"]["field"] == "expire_by"
    assert [one["id"] for one in listed["payment_links"]] == [first.json()["id"]]


async def test_a_link_shows_captured_payments_alone(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        made = (await client.post("/v1/payment_links", json=link_body(ref))).json()
        await desk.customer(made["id"], "decline")
        tried = (await client.get(f"/v1/payment_links/{made['id']}")).json()
        await desk.customer(made["id"], "approve")
        paid = (await client.get(f"/v1/payment_links/{made['id']}")).json()
        late = await client.post(f"/v1/payment_links/{made['id']}/cancel", json={})
    assert ("order_id" in made, made["payments"], made["status"]) == (False, None, "created")
    assert (tried["payments"], tried["status"]) == (None, "created")
    assert (paid["status"], paid["amount_paid"]) == ("paid", 49_900)
    assert [one["status"] for one in paid["payments"]] == ["captured"]
    assert paid["order_id"] == tried["order_id"]
    assert late.status_code == 400


async def test_the_page_of_a_link(desk: Desk, ref: str) -> None:
    async with desk.server.client() as client:
        made = (await client.post("/v1/payment_links", json=link_body(ref))).json()
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        page = await browser.get(made["short_url"])
        after = await browser.post(f"{made['short_url']}/approve", headers={"accept": "text/html"})
        none = await browser.get(f"{desk.server.url}/l/plink_none")
    assert "INR 499.00" in page.text
    assert page.text.count("<form") == 5
    assert "<strong>paid</strong>" in after.text
    assert "<form" not in after.text
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/orders", {**MONEY, "receipt": "r", "dreamt": 1}, "dreamt"),
        ("/v1/orders", {**MONEY, "receipt": "r" * 41}, "receipt"),
        ("/v1/orders", {**MONEY, "receipt": "r", "amount": 1.5}, "amount"),
        ("/v1/orders", {**MONEY, "receipt": "r", "notes": {"a": 1}}, "notes"),
        ("/v1/payment_links", {**link_body("r"), "instrument": "tok_ok"}, "instrument"),
        ("/v1/payment_links", link_body("r" * 41), "reference_id"),
    ],
)
async def test_what_is_not_documented_is_refused(
    desk: Desk, path: str, body: dict[str, Any], field: str
) -> None:
    async with desk.server.client() as client:
        answer = await client.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (400, field)
    assert (error["code"], error["reason"]) == ("BAD_REQUEST_ERROR", "input_validation_failed")


async def test_strangers_are_refused(desk: Desk, ref: str) -> None:
    async with httpx.AsyncClient(base_url=desk.server.url, trust_env=False) as client:
        answers = [
            await client.post("/v1/orders", json={**MONEY, "receipt": ref}),
            await client.get("/v1/payments/pay_1", auth=("test-id", "guess")),
        ]
    assert [one.status_code for one in answers] == [401, 401]
    assert answers[0].json()["error"]["description"] == "The api key provided is invalid"


async def test_a_day_that_does_not_exist_has_no_report(desk: Desk) -> None:
    path = "/v1/settlements/recon/combined"
    async with desk.server.client() as client:
        answers = [
            await client.get(path, params={"year": "2026", "month": "02", "day": "30"}),
            await client.get(path, params={"year": "2026", "month": "13"}),
        ]
    assert [one.json()["error"]["field"] for one in answers] == ["day", "month"]
