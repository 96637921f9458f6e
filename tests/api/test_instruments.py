"""Saved ways to pay: tokens only, one's own only, and what an order makes of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from db.ids import new_ulid
from tests.api import shop
from tests.api.conftest import Edge

VISA = {
    "method": "CARD",
    "psp": "alphapay",
    "token": "tok_visa_4242",
    "label": "Visa ending 4242",
    "bin": "424242",
    "bank": "HDFC",
    "expires_on": "2030-12-31",
}
PATH = "/v1/users/me/instruments"


async def save(edge: Edge, user: str = shop.ASHA, **changes: Any) -> httpx.Response:
    return await edge.http.post(PATH, json={**VISA, **changes}, headers=edge.bearer(user))


async def listed(edge: Edge, user: str = shop.ASHA) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await edge.http.get(PATH, headers=edge.bearer(user))).json()[
        "items"
    ]
    return items


async def test_saved_once_shown_without_its_token_and_forgotten(edge: Edge) -> None:
    first, second = await save(edge), await save(edge, label="My Visa")
    assert (first.status_code, second.status_code) == (201, 201)
    (one,) = await listed(edge)
    assert one == second.json()
    assert one["instrument_id"] == first.json()["instrument_id"]
    assert one["label"] == "My Visa"
    assert "tok_visa" not in str(one)
    assert await listed(edge, shop.ROHAN) == []
    mine = f"{PATH}/{one['instrument_id']}"
    not_his = await edge.http.delete(mine, headers=edge.bearer(shop.ROHAN))
    assert (not_his.status_code, not_his.json()["code"]) == (404, "INSTRUMENT_NOT_FOUND")
    assert (await edge.http.delete(mine, headers=edge.bearer())).status_code == 204
    assert (await edge.http.delete(mine, headers=edge.bearer())).status_code == 404
    assert await listed(edge) == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"token": "4111111111111111"}, 422, "CARD_NUMBER_REFUSED"),
        ({"label": "4111 1111 1111 1111"}, 422, "CARD_NUMBER_REFUSED"),
        ({"psp": "nopay"}, 404, "PROVIDER_NOT_FOUND"),
        ({"method": "COD"}, 422, "INSTRUMENT_NOT_USABLE"),
        ({"bin": "42"}, 422, "VALIDATION_FAILED"),
        ({"token": ""}, 422, "VALIDATION_FAILED"),
        ({"expires_on": "soon"}, 422, "VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_be_saved(
    edge: Edge, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = await save(edge, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "4111" not in answer.text
    assert await listed(edge) == []


def paying_with(instrument_id: str, method: str = "CARD") -> dict[str, Any]:
    return shop.order_body(payment={"method": method, "instrument_id": instrument_id})


async def test_an_order_is_paid_with_one_at_its_own_psp(edge: Edge) -> None:
    saved = (await save(edge, psp="betapay")).json()["instrument_id"]
    assert (await edge.place(paying_with(saved))).status_code == 201
    (order,) = edge.engine.orders
    assert (order.instrument, order.bound_to) == ("tok_visa_4242", "betapay")
    assert (order.bin, order.bank) == ("424242", "HDFC")


async def test_an_order_names_one_that_cannot_be_used(edge: Edge) -> None:
    saved = (await save(edge)).json()["instrument_id"]
    for number, body in enumerate((paying_with(new_ulid()), paying_with(saved, "WALLET"))):
        answer = await edge.place(body, key=f"key-of-order-number-{number}")
        assert (answer.status_code, answer.json()["code"]) == (422, "INSTRUMENT_NOT_USABLE")
    not_his = await edge.place(paying_with(saved), user=shop.ROHAN)
    assert not_his.json()["code"] == "INSTRUMENT_NOT_USABLE"
    edge.move_clock(timedelta(days=366 * 10))
    expired = await edge.place(paying_with(saved), key="key-of-the-late-order")
    assert expired.status_code in (401, 422)
    assert edge.engine.orders == []
