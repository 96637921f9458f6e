"""Refunds at the edge: who may ask, what the saga is asked, and what is answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.engine import EngineUnreachable, SagaEnded
from db.ids import new_ulid
from db.repositories import refunds
from db.repositories.refunds import NewRefund
from db.vocabulary import Role
from domain.refunds import RefundKind, RefundState
from tests.api import shop
from tests.api.conftest import Edge
from workflows.contracts.refunds import RefundAnswer

KEY = "key-of-the-first-refund"
BODY = {"amount_paise": 100_00, "reason": "one arrived broken"}


async def ask(
    edge: Edge, order_id: str, body: Any = None, *, key: str = KEY, role: Role = Role.SUPPORT
) -> httpx.Response:
    headers = {**edge.bearer(shop.AGENT, role), "Idempotency-Key": key}
    return await edge.http.post(
        f"/v1/orders/{order_id}/refunds", json=body or BODY, headers=headers
    )


async def sold(edge: Edge) -> str:
    return await shop.sold_order(edge.services.database)


def promised(order_id: str, **changes: Any) -> RefundAnswer:
    told = {
        "refund_id": new_ulid(),
        "order_id": order_id,
        "amount_paise": 100_00,
        "state": RefundState.PENDING,
    }
    return RefundAnswer(**{**told, **changes})


async def test_promised(edge: Edge) -> None:
    order_id = await sold(edge)
    edge.engine.refunding = promised(order_id)
    answer = await ask(edge, order_id)
    assert answer.status_code == 202, answer.text
    (wanted,) = edge.engine.refunds
    assert (wanted.order_id, wanted.amount_paise) == (order_id, 100_00)
    assert (wanted.reason, wanted.requested_by) == ("one arrived broken", shop.AGENT)
    assert answer.json() == {
        "refund_id": edge.engine.refunding.refund_id,
        "order_id": order_id,
        "amount_paise": 100_00,
        "state": "PENDING",
    }
    assert answer.headers["location"] == f"/v1/orders/{order_id}/refunds"
    again = await ask(edge, order_id)
    assert (again.status_code, again.content) == (202, answer.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(edge.engine.refunds) == 1


async def test_a_key_is_for_one_order_and_one_body(edge: Edge) -> None:
    order_id, other_id = await sold(edge), await sold(edge)
    edge.engine.refunding = promised(order_id, state=RefundState.DONE)
    assert (await ask(edge, order_id)).status_code == 201
    for elsewhere in (
        await ask(edge, other_id),
        await ask(edge, order_id, {"amount_paise": 1, "reason": "one arrived broken"}),
    ):
        assert elsewhere.status_code == 422
        assert elsewhere.json()["code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("REFUND_TOO_LARGE", 422),
        ("NOTHING_TO_REFUND", 409),
        ("PAYMENT_DISPUTED", 409),
        ("ORDER_NOT_PAID", 409),
        ("SOMETHING_NEW", 422),
    ],
)
async def test_refused(edge: Edge, code: str, status: int) -> None:
    order_id = await sold(edge)
    edge.engine.refunding = promised(
        order_id, state=RefundState.FAILED, code=code, message="because"
    )
    answer = await ask(edge, order_id)
    assert answer.status_code == status
    told = answer.json()
    assert told["detail"] == "because"
    assert told["code"] == (code if code != "SOMETHING_NEW" else "REFUND_NOT_POSSIBLE")


async def test_a_saga_that_ended_meanwhile_is_read(edge: Edge) -> None:
    order_id = await sold(edge)
    edge.engine.refunding = SagaEnded()
    edge.engine.refund_ended_with = promised(order_id, state=RefundState.DONE)
    assert (await ask(edge, order_id)).status_code == 201


async def test_an_engine_that_is_away_promises_nothing(edge: Edge) -> None:
    order_id = await sold(edge)
    edge.engine.refunding = EngineUnreachable()
    answer = await ask(edge, order_id)
    assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    edge.engine.refunding = promised(order_id)
    assert (await ask(edge, order_id)).status_code == 202


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount_paise": 0, "reason": "x"}, "VALIDATION_FAILED"),
        ({"amount_paise": 1.5, "reason": "x"}, "VALIDATION_FAILED"),
        ({"amount_paise": 1}, "VALIDATION_FAILED"),
        ({"reason": "  "}, "VALIDATION_FAILED"),
        ({"reason": "to card 4111 1111 1111 1111"}, "CARD_NUMBER_REFUSED"),
    ],
)
async def test_bad_bodies(edge: Edge, body: dict[str, Any], code: str) -> None:
    order_id = await sold(edge)
    answer = await ask(edge, order_id, body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert edge.engine.refunds == []


async def test_only_staff_may_ask_and_only_for_orders_that_are(edge: Edge) -> None:
    order_id = await sold(edge)
    answer = await ask(edge, order_id, role=Role.CUSTOMER)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    for other in (new_ulid(), "no-ulid"):
        answer = await ask(edge, other)
        assert (answer.status_code, answer.json()["code"]) == (404, "ORDER_NOT_FOUND")
    assert edge.engine.refunds == []


async def test_the_customer_sees_their_own(edge: Edge) -> None:
    order_id = await sold(edge)
    async with edge.services.database.unit_of_work() as session:
        stored = await refunds.add(
            session,
            NewRefund(
                id=new_ulid(),
                refund_key="k",
                attempt_id=f"{order_id}-1",
                order_id=order_id,
                amount_paise=100,
                reason="broken",
                kind=RefundKind.REQUESTED,
            ),
        )
    path = f"/v1/orders/{order_id}/refunds"
    seen = await edge.http.get(path, headers=edge.bearer(shop.ASHA))
    (row,) = seen.json()["items"]
    assert (row["refund_id"], row["amount_paise"]) == (stored.id, 100)
    assert (row["state"], row["kind"], row["reason"]) == ("PENDING", "REQUESTED", "broken")
    hidden = await edge.http.get(path, headers=edge.bearer(shop.ROHAN))
    assert (hidden.status_code, hidden.json()["code"]) == (404, "ORDER_NOT_FOUND")
