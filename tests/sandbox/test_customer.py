"""What the customer sees and does."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.harness import Sandbox


async def waiting(server: Sandbox, ref: str, **changed: Any) -> dict[str, Any]:
    asked = {"amount": 12_345_670, "currency": "INR", "method": "card", "instrument": "tok_3ds"}
    async with server.client() as client:
        body = {**asked, "merchant_ref": ref, "receipt": ref, **changed}
        answer: dict[str, Any] = (await client.post("/v1/payments", json=body)).json()
    return answer


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [
        ("approve", "authorised", None),
        ("decline", "failed", "customer_declined"),
        ("cancel", "failed", "customer_cancelled"),
    ],
)
async def test_the_customer_decides(
    alphapay: Sandbox, ref: str, choice: str, status: str, code: str | None
) -> None:
    made = await waiting(alphapay, ref)
    assert made["status"] == "requires_action"
    assert made["next_action"]["url"] == f"{alphapay.url}/pay/{made['id']}"
    answer = await alphapay.customer(made["id"], choice)
    assert (answer.status_code, answer.json()["status"]) == (200, status)
    async with alphapay.client() as client:
        shown = (await client.get(f"/v1/payments/{made['id']}")).json()
    assert shown.get("error", {}).get("code") == code
    assert "next_action" not in shown


async def test_a_decision_is_made_once(alphapay: Sandbox, ref: str) -> None:
    made = await waiting(alphapay, ref)
    answers = [await alphapay.customer(made["id"], c) for c in ("approve", "approve", "decline")]
    assert [one.status_code for one in answers] == [200, 200, 409]
    [row] = await alphapay.books(ref)
    assert (row["status"], row["movements"]) == ("authorised", 2)


async def test_who_comes_too_late_pays_nothing(alphapay: Sandbox, ref: str) -> None:
    made = await waiting(alphapay, ref, instrument="ignored@upi", method="upi_qr", expires_in=1)
    await asyncio.sleep(1.1)
    answer = await alphapay.customer(made["id"], "approve")
    assert (answer.status_code, answer.json()["status"]) == (409, "expired")
    [row] = await alphapay.books(ref)
    assert (row["status"], row["authorised"]) == ("expired", 0)


async def test_upi_has_a_deep_link(betapay: Sandbox, ref: str) -> None:
    made = await waiting(betapay, ref, instrument="success@upi", method="upi_intent")
    upi = next(step for step in made["next"] if step["action"] == "upi")
    parameters = httpx.URL(upi["intent_url"]).params
    assert upi["intent_url"].startswith("upi://pay?")
    assert (parameters["am"], parameters["cu"]) == ("123456.70", "INR")
    assert (parameters["tr"], parameters["tn"]) == (made["id"], ref)


async def test_declined_upi_declines_by_itself(alphapay: Sandbox, ref: str) -> None:
    await waiting(alphapay, ref, instrument="declined@upi", method="upi_intent")
    await asyncio.sleep(0.6)
    [row] = await alphapay.books(ref)
    assert row["status"] == "failed"


async def test_the_page_shows_what_is_asked_and_escapes_it(alphapay: Sandbox, ref: str) -> None:
    nasty = f"<b>{ref[:20]}"
    made = await waiting(alphapay, nasty, return_url='http://shop.test/?a="<x>')
    async with httpx.AsyncClient(base_url=alphapay.url, trust_env=False) as browser:
        page = await browser.get(f"/pay/{made['id']}")
        html = {"accept": "text/html"}
        choice = await browser.post(f"/pay/{made['id']}/approve", headers=html)
        after = await browser.get(choice.headers["location"])
        missing = await browser.get("/pay/pay_none")
    assert "₹ 1,23,456.70" in page.text
    assert page.text.count("<button>") == 3
    assert 'name="viewport"' in page.text
    assert nasty not in page.text
    assert (choice.status_code, choice.headers["location"]) == (303, f"/pay/{made['id']}")
    assert "Approved." in after.text
    assert "<button>" not in after.text
    assert 'href="http://shop.test/?a=&quot;&lt;x&gt;"' in after.text
    assert missing.status_code == 404
