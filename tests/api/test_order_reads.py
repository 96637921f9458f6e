"""Reading orders and payments, and cancelling."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from api.engine import EngineUnreachable, SagaEnded, SagaUnknown
from db.ids import new_ulid
from db.repositories import payments, sagas
from db.repositories.payments import AttemptChange, NewAttempt, NewPayment
from db.repositories.sagas import SagaEventRecord, SagaProgress
from db.session import Database
from db.vocabulary import Role, SagaState
from domain.orders import OrderState
from domain.payments import PaymentMethod, PaymentState
from saga import CancelRequest, CancelVerdict
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.fakes import failing
from tests.api.shop import refused
from workflows.contracts.checkout import PlaceOrder


async def _get(edge: Edge, path: str, user: str = shop.ASHA, role: Role = Role.CUSTOMER) -> Any:
    return await edge.http.get(path, headers=edge.bearer(user, role))


async def _paid_by_upi(db: Database, order_id: str) -> None:
    async with db.unit_of_work() as session:
        await payments.open_payment(session, NewPayment(
            id="pay", order_id=order_id, method=PaymentMethod.UPI_QR, amount_paise=599_00,
        ))  # fmt: skip
        for seq, psp in ((1, "alphapay"), (2, "betapay")):
            await payments.add_attempt(session, NewAttempt(
                id=f"{order_id}-{seq}", payment_id="pay", order_id=order_id, seq=seq, psp=psp,
                amount_paise=599_00, merchant_ref=f"{order_id}-{seq}",
            ))  # fmt: skip
            await payments.change_attempt(session, f"{order_id}-{seq}", AttemptChange(
                state=PaymentState.ACTION_REQUIRED, psp_ref=f"ref-{seq}",
                next_action={
                    "kind": "QR", "url": None, "qr": f"upi://pay?tr={seq}",
                    "expires_at": "2026-05-04T07:00:00+00:00",
                },
            ))  # fmt: skip
        await payments.transition(session, "pay", PaymentState.ACTION_REQUIRED)


async def test_an_order_in_full(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    order = (await _get(edge, f"/v1/orders/{order_id}")).json()
    assert (order["order_id"], order["state"], order["total_paise"]) == (order_id, "CREATED", 59900)
    (line,) = order["lines"]
    assert (line["sku"], line["qty"], line["line_total_paise"]) == (shop.SHIRT, 1, 599_00)
    # 18 % inside 599.00, between two states
    assert (line["taxable_paise"], line["igst_paise"]) == (507_63, 91_37)
    assert (line["cgst_paise"], line["sgst_paise"]) == (0, 0)
    assert order["price"]["total_paise"] == 599_00
    assert order["address"] == {"pincode": "560001"}
    assert (order["payment"], order["refusal"], order["confirmed_at"]) == (None, None, None)


async def test_an_orders_payment_says_what_to_do(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    refused(await _get(edge, f"/v1/orders/{order_id}/payment"), 404, "PAYMENT_NOT_FOUND")
    await _paid_by_upi(db, order_id)
    payment = (await _get(edge, f"/v1/orders/{order_id}/payment")).json()
    assert payment == {
        "method": "UPI_QR",
        "state": "ACTION_REQUIRED",
        "amount_paise": 599_00,
        "captured_paise": 0,
        "refunded_paise": 0,
        "next_action": {
            "kind": "QR",
            "url": None,
            "deep_link": None,
            "qr": "upi://pay?tr=2",
            "expires_at": "2026-05-04T07:00:00Z",
        },
    }
    assert (await _get(edge, f"/v1/orders/{order_id}")).json()["payment"] == payment


async def test_a_refused_order_says_why(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db, refusal_code="OUT_OF_STOCK", state="REFUSED")
    order = (await _get(edge, f"/v1/orders/{order_id}")).json()
    assert order["refusal"]["code"] == "OUT_OF_STOCK"
    assert order["refusal"]["reason"] == "Less is in stock than was ordered; order fewer."


@pytest.mark.parametrize("path", ["", "/payment"])
async def test_a_foreign_order_does_not_exist(edge: Edge, db: Database, path: str) -> None:
    order_id = await shop.written_order(db)
    foreign = await _get(edge, f"/v1/orders/{order_id}{path}", shop.ROHAN)
    missing = await _get(edge, f"/v1/orders/{new_ulid()}{path}", shop.ROHAN)
    odd = await _get(edge, f"/v1/orders/x%00y{path}", shop.ROHAN)
    bodies = [refused(each, 404, "ORDER_NOT_FOUND") for each in (foreign, missing, odd)]
    assert len({str({**body, "instance": ""}) for body in bodies}) == 1


async def test_support_may_read_every_order(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    seen = await _get(edge, f"/v1/orders/{order_id}", shop.AGENT, Role.SUPPORT)
    assert seen.json()["order_id"] == order_id
    refused(
        await _get(edge, f"/v1/orders/{order_id}", shop.LEAD, Role.SELLER), 404, "ORDER_NOT_FOUND"
    )


async def test_orders_are_listed_newest_first_a_page_at_a_time(edge: Edge, db: Database) -> None:
    made = [await shop.written_order(db) for _ in range(5)]
    await shop.written_order(db, shop.ROHAN)
    seen: list[str] = []
    path = "/v1/orders?limit=2"
    for _ in range(3):
        page = (await _get(edge, path)).json()
        seen += [order["order_id"] for order in page["items"]]
        path = f"/v1/orders?limit=2&cursor={page['next']}"
    assert page["next"] is None
    assert seen == made[::-1]
    refused(await _get(edge, "/v1/orders?cursor=nonsense"), 422, "BAD_CURSOR")
    refused(await _get(edge, "/v1/orders?limit=101"), 422, "VALIDATION_FAILED")


async def _asked_for(edge: Edge) -> str:
    """An order that was asked for, and whose saga has written nothing yet."""

    async def undecided(order: PlaceOrder) -> None:
        return None

    edge.engine.placing = undecided
    order_id: str = (await edge.place()).json()["order_id"]
    return order_id


async def test_an_order_can_be_followed_before_it_is_opened(edge: Edge, db: Database) -> None:
    order_id = await _asked_for(edge)
    order = (await _get(edge, f"/v1/orders/{order_id}")).json()
    assert (order["state"], order["lines"], order["refusal"]) == ("CREATED", [], None)
    refused(await _get(edge, f"/v1/orders/{order_id}", shop.ROHAN), 404, "ORDER_NOT_FOUND")
    at = datetime.now(UTC)
    async with db.unit_of_work() as session:
        await sagas.record(session, SagaProgress(
            saga_id=f"checkout:{order_id}", kind="checkout", state=SagaState.COMPENSATED,
            order_id=order_id,
            events=[SagaEventRecord(
                seq=1, at=at, step="open order", kind="COMPENSATING", code="UNKNOWN_SKU",
                detail="nothing is sold under the SKU",
            )],
        ))  # fmt: skip
    order = (await _get(edge, f"/v1/orders/{order_id}")).json()
    assert order["state"] == "REFUSED"
    assert order["refusal"] == {"code": "UNKNOWN_SKU", "reason": "nothing is sold under the SKU"}


async def _cancel(edge: Edge, order_id: str, user: str = shop.ASHA, **body: Any) -> httpx.Response:
    headers = edge.bearer(user)
    path = f"/v1/orders/{order_id}/cancel"
    return await edge.http.post(path, headers=headers, json=body or None)


async def test_a_cancelled_order(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db, state="CANCELLED")
    answer = await _cancel(edge, order_id, reason="changed my mind")
    assert answer.status_code == 200
    assert answer.json() == {"order_id": order_id, "outcome": "CANCELLED", "state": "CANCELLED"}
    assert edge.engine.cancels == [
        (order_id, CancelRequest(actor=shop.ASHA, reason="changed my mind"))
    ]


@pytest.mark.parametrize("verdict", [CancelVerdict.CANCELLING, None])
async def test_a_cancellation_that_takes_longer(
    edge: Edge, db: Database, verdict: CancelVerdict | None
) -> None:
    order_id = await shop.written_order(db, state="AWAITING_PAYMENT")
    edge.engine.verdict = verdict
    answer = await _cancel(edge, order_id)
    assert answer.status_code == 202
    assert answer.json()["outcome"] == "CANCELLING"
    assert answer.json()["state"] == "AWAITING_PAYMENT"


async def test_too_late_to_cancel(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    edge.engine.verdict = CancelVerdict.TOO_LATE
    body = refused(await _cancel(edge, order_id), 409, "ORDER_TOO_LATE_TO_CANCEL")
    assert body["order_id"] == order_id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"confirmed_at": datetime.now(UTC), "state": "CONFIRMED"}, "ORDER_TOO_LATE_TO_CANCEL"),
        ({"confirmed_at": datetime.now(UTC), "state": "SHIPPED"}, "ORDER_TOO_LATE_TO_CANCEL"),
        ({"refusal_code": "OUT_OF_STOCK", "state": "REFUSED"}, "ORDER_ENDED"),
        ({"state": "EXPIRED"}, "ORDER_ENDED"),
    ],
)
@pytest.mark.parametrize("gone", [SagaEnded(), SagaUnknown()])
async def test_cancelling_after_the_end_tells_the_state(
    edge: Edge, db: Database, fields: dict[str, Any], code: str, gone: Exception
) -> None:
    order_id = await shop.written_order(db, **fields)
    edge.engine.verdict = gone
    body = refused(await _cancel(edge, order_id), 409, code)
    assert body["state"] == fields["state"]
    assert fields["state"] in body["detail"]


async def test_cancelling_twice_is_cancelling_once(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db, state="CANCELLED")
    edge.engine.verdict = SagaEnded()
    answer = await _cancel(edge, order_id)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "CANCELLED")


async def test_a_foreign_order_cannot_be_cancelled(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    refused(await _cancel(edge, order_id, shop.ROHAN), 404, "ORDER_NOT_FOUND")
    refused(await _cancel(edge, new_ulid()), 404, "ORDER_NOT_FOUND")
    assert edge.engine.cancels == []


async def test_cancelling_without_the_engine(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    edge.engine.verdict = EngineUnreachable()
    refused(await _cancel(edge, order_id), 503, "TEMPORARILY_UNAVAILABLE")


async def test_an_order_that_never_started_cannot_be_cancelled(edge: Edge) -> None:
    edge.engine.placing = failing(EngineUnreachable())
    order_id = (await edge.place()).json()["order_id"]
    edge.engine.verdict = SagaUnknown()
    refused(await _cancel(edge, order_id), 404, "ORDER_NOT_FOUND")


async def test_an_order_cancelled_before_it_was_opened(edge: Edge) -> None:
    order_id = await _asked_for(edge)
    answer = await _cancel(edge, order_id)
    assert (answer.status_code, answer.json()["state"]) == (200, "CANCELLED")


async def test_reads_go_on_without_the_engine_and_redis(
    edge: Edge, db: Database, redis: Redis
) -> None:
    order_id = await shop.written_order(db)
    edge.engine.healthy = EngineUnreachable()
    answers = await asyncio.gather(*(_get(edge, f"/v1/orders/{order_id}") for _ in range(10)))
    assert {answer.json()["state"] for answer in answers} == {OrderState.CREATED}
