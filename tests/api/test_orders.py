"""Placing orders: every answer of the saga, and one answer per key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from api.engine import EngineUnreachable, SagaEnded
from api.services import open_redis
from db.session import Database
from domain.orders import OrderState
from domain.payments import PaymentMethod
from tests.api import shop
from tests.api.conftest import Edge, config, serving
from tests.api.fakes import FakeEngine, answering, confirmed, failing, held
from tests.api.shop import refused
from workflows.contracts.checkout import CheckoutAnswer, CheckoutTimings, PlaceOrder
from workflows.contracts.orders import OpenOrder, OrderLine
from workflows.contracts.payments import NextAction

_KEYS = "SELECT state, response_status, resource_id FROM idempotency_keys"


async def test_a_confirmed_order_is_201_with_its_place(edge: Edge) -> None:
    answer = await edge.place()
    order_id = edge.engine.orders[0].order.order_id
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/orders/{order_id}"
    assert answer.json() == {
        "order_id": order_id,
        "state": "CONFIRMED",
        "total_paise": 648_00,
        "currency": "INR",
        "next_action": None,
    }


async def test_the_saga_gets_exactly_what_was_asked(edge: Edge) -> None:
    body = shop.order_body(
        lines=[
            {"sku": shop.SHIRT, "qty": 2, "seller_id": shop.DECCAN},
            {"sku": "KETTLE", "qty": 1},
        ],
        coupon="TEN",
        expected_total_paise=1_200_00,
        device_id="phone-1",
    )
    await edge.place(body)
    (order,) = edge.engine.orders
    assert order == PlaceOrder(
        order=OpenOrder(
            order_id=order.order.order_id,
            user_id=shop.ASHA,
            address_id=shop.HOME,
            lines=[
                OrderLine(sku=shop.SHIRT, qty=2, seller_id=shop.DECCAN),
                OrderLine(sku="KETTLE", qty=1),
            ],
            coupon_code="TEN",
            payment_method=PaymentMethod.CARD,
            expected_total_paise=1_200_00,
        ),
        instrument="tok_ok",
        device_id="phone-1",
        timings=CheckoutTimings(),
    )


async def test_one_that_waits_for_its_customer_is_202_with_what_to_do(edge: Edge) -> None:
    until = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
    action = NextAction(kind="redirect", url="https://pay.example/3ds", expires_at=until)

    async def wait(order: PlaceOrder) -> CheckoutAnswer:
        return CheckoutAnswer(
            order_id=order.order.order_id,
            state=OrderState.AWAITING_PAYMENT,
            total_paise=648_00,
            next_action=action,
        )

    edge.engine.placing = wait
    answer = await edge.place()
    assert answer.status_code == 202
    assert answer.json()["state"] == "AWAITING_PAYMENT"
    assert answer.json()["next_action"] == {
        "kind": "redirect",
        "url": "https://pay.example/3ds",
        "deep_link": None,
        "qr": None,
        "expires_at": "2026-05-04T07:00:00Z",
    }


async def test_one_on_hold_and_one_not_decided_in_time_are_202(edge: Edge) -> None:
    async def undecided(order: PlaceOrder) -> None:
        return None

    edge.engine.placing = answering(OrderState.ON_HOLD)
    on_hold = await edge.place(key="key-of-an-order-on-hold")
    edge.engine.placing = undecided
    late = await edge.place(key="key-of-an-order-that-is-late")
    assert (on_hold.status_code, on_hold.json()["state"]) == (202, "ON_HOLD")
    assert (late.status_code, late.json()["state"]) == (202, "CREATED")
    assert late.headers["location"] == f"/v1/orders/{late.json()['order_id']}"


@pytest.mark.parametrize(
    "code",
    [
        "OUT_OF_STOCK",
        "PRICE_CHANGED",
        "UNKNOWN_SKU",
        "NOT_SOLD_BY_SELLER",
        "ADDRESS_UNKNOWN",
        "COUPON_UNKNOWN",
        "COUPON_NOT_ACTIVE",
        "COUPON_MINIMUM_NOT_MET",
        "PAYMENT_DECLINED",
        "PAYMENT_UNAVAILABLE",
        "RISK_REJECTED",
        "RISK_REVIEW_TIMED_OUT",
    ],
)
async def test_a_refusal_is_a_problem_with_the_sagas_code(edge: Edge, code: str) -> None:
    edge.engine.placing = answering(OrderState.REFUSED, code=code, message="why, in words")
    body = refused(await edge.place(), 422, code)
    assert body["detail"] == "why, in words"
    assert body["order_id"] == edge.engine.orders[0].order.order_id
    assert body["state"] == "REFUSED"


async def test_a_code_that_only_the_saga_knows_is_passed_on(edge: Edge) -> None:
    edge.engine.placing = answering(OrderState.REFUSED, code="NEW_RULE", message="no")
    assert refused(await edge.place(), 422, "NEW_RULE")["title"] == "The order was refused"


@pytest.mark.parametrize(
    ("state", "code"),
    [(OrderState.CANCELLED, "CANCELLED"), (OrderState.EXPIRED, "PAYMENT_EXPIRED")],
)
async def test_an_order_that_ended_meanwhile_is_no_sale(
    edge: Edge, state: OrderState, code: str
) -> None:
    edge.engine.placing = answering(state, code=code)
    assert refused(await edge.place(), 422, code)["state"] == state.value


async def test_the_same_key_and_body_get_the_same_answer(edge: Edge, redis: Redis) -> None:
    first = await edge.place()
    by_cache = await edge.place()
    await redis.flushall()
    by_database = await edge.place()
    for again in (by_cache, by_database):
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(edge.engine.orders) == 1


async def test_spacing_and_order_of_fields_do_not_make_another_body(edge: Edge) -> None:
    first = await edge.place()
    turned = dict(reversed(shop.order_body(device_id="").items()))
    assert (await edge.place(turned)).content == first.content
    assert len(edge.engine.orders) == 1


async def test_a_refusal_is_replayed_too(edge: Edge, redis: Redis) -> None:
    edge.engine.placing = answering(OrderState.REFUSED, code="OUT_OF_STOCK")
    first = await edge.place()
    edge.engine.placing = confirmed
    by_cache = await edge.place()
    await redis.flushall()
    by_database = await edge.place()
    for again in (by_cache, by_database):
        refused(again, 422, "OUT_OF_STOCK")
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
    assert len(edge.engine.orders) == 1


@pytest.mark.parametrize("cached", [True, False])
async def test_another_body_under_the_key_is_refused(
    edge: Edge, db: Database, redis: Redis, cached: bool
) -> None:
    await edge.place()
    if not cached:
        await redis.flushall()
    before = await shop.counts(db)
    other = shop.order_body(lines=[{"sku": shop.SHIRT, "qty": 2}])
    refused(await edge.place(other), 422, "IDEMPOTENCY_KEY_REUSED")
    assert await shop.counts(db) == before
    assert len(edge.engine.orders) == 1


async def test_the_same_key_of_two_customers_is_two_orders(edge: Edge) -> None:
    mine = await edge.place()
    theirs = await edge.place(user=shop.ROHAN)
    assert mine.json()["order_id"] != theirs.json()["order_id"]
    assert "idempotent-replayed" not in theirs.headers


async def test_a_key_in_flight_is_409_and_starts_nothing(edge: Edge) -> None:
    free = asyncio.Event()
    edge.engine.placing = held(free)
    first = asyncio.create_task(edge.place())
    await edge.engine.asked.wait()
    second = await edge.place()
    refused(second, 409, "ORDER_IN_FLIGHT")
    assert second.headers["retry-after"] == "2"
    free.set()
    assert (await first).status_code == 201
    assert len(edge.engine.orders) == 1


async def test_twenty_at_once_under_one_key_place_one_order(edge: Edge) -> None:
    answers = await asyncio.gather(*(edge.place() for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    placed = {answer.json()["order_id"] for answer in answers if answer.status_code == 201}
    assert placed == {edge.engine.orders[0].order.order_id}
    assert len(edge.engine.orders) == 1


async def _left_in_flight(edge: Edge) -> str:
    """A first request whose process died: its key is claimed, and nobody is at work."""
    edge.engine.placing = held(asyncio.Event())
    first = asyncio.create_task(edge.place())
    await edge.engine.asked.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    edge.engine.placing = confirmed
    return edge.engine.orders[0].order.order_id


async def test_a_lock_that_ran_out_is_taken_over_with_its_order(edge: Edge) -> None:
    order_id = await _left_in_flight(edge)
    refused(await edge.place(), 409, "ORDER_IN_FLIGHT")
    edge.move_clock(timedelta(seconds=31))
    again = await edge.place()
    assert (again.status_code, again.json()["order_id"]) == (201, order_id)
    assert "idempotent-replayed" not in again.headers
    assert [order.order.order_id for order in edge.engine.orders] == [order_id, order_id]


async def test_an_ended_saga_that_left_no_row_is_answered_from_its_result(edge: Edge) -> None:
    order_id = await _left_in_flight(edge)
    edge.move_clock(timedelta(seconds=31))
    edge.engine.placing = failing(SagaEnded())
    edge.engine.ended_with = CheckoutAnswer(
        order_id=order_id, state=OrderState.REFUSED, code="UNKNOWN_SKU", message="nothing is sold"
    )
    assert refused(await edge.place(), 422, "UNKNOWN_SKU")["order_id"] == order_id


async def test_an_ended_saga_that_nobody_remembers_was_a_refusal(edge: Edge) -> None:
    edge.engine.placing = failing(SagaEnded())
    refused(await edge.place(), 422, "ORDER_REFUSED")


@pytest.mark.parametrize(
    ("fields", "status", "state"),
    [
        ({"refusal_code": "OUT_OF_STOCK", "state": "REFUSED"}, 422, "REFUSED"),
        ({"state": "AWAITING_PAYMENT"}, 202, "AWAITING_PAYMENT"),
    ],
)
async def test_an_ended_sagas_row_is_the_answer(
    edge: Edge, db: Database, fields: dict[str, Any], status: int, state: str
) -> None:
    async def over(order: PlaceOrder) -> CheckoutAnswer:
        await shop.written_order(db, order_id=order.order.order_id, **fields)
        raise SagaEnded

    edge.engine.placing = over
    answer = await edge.place()
    assert (answer.status_code, answer.json()["state"]) == (status, state)


async def test_an_engine_out_of_reach_is_503_and_the_key_is_free_at_once(
    edge: Edge, db: Database
) -> None:
    edge.engine.placing = failing(EngineUnreachable())
    first = await edge.place()
    refused(first, 503, "TEMPORARILY_UNAVAILABLE")
    assert first.headers["retry-after"] == "2"
    ((state, status, order_id),) = await shop.rows(db, _KEYS)
    assert (state, status) == ("IN_FLIGHT", None)
    edge.engine.placing = confirmed
    again = await edge.place()
    # the same order: the first call may have started its saga after all
    assert (again.status_code, again.json()["order_id"]) == (201, order_id)


async def test_a_bug_is_500_with_an_id_and_is_not_kept_as_the_answer(
    edge: Edge, db: Database
) -> None:
    edge.engine.placing = failing(ZeroDivisionError("tok_ok"))
    body = refused(await edge.place(), 500, "INTERNAL")
    assert "tok_ok" not in str(body)
    ((state, status, _),) = await shop.rows(db, _KEYS)
    assert (state, status) == ("IN_FLIGHT", None)
    edge.engine.placing = confirmed
    assert (await edge.place()).status_code == 201


async def test_without_redis_orders_are_placed_and_replayed(
    stores: None, db: Database, engine: FakeEngine
) -> None:
    async with serving(config(), db, open_redis("redis://127.0.0.1:1/0"), engine) as edge:
        first, again = await edge.place(), await edge.place()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert len(engine.orders) == 1


async def test_without_a_database_nothing_is_started(
    stores: None, redis: Redis, engine: FakeEngine
) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1)
    async with serving(config(), away, redis, engine) as edge:
        answer = await edge.place()
    refused(answer, 503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"
    assert engine.orders == []
