"""A webhook that anybody with a password could have sent: kept, passed on as a hint, no more."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from activities.payments.psp.gammapay import GammaPay
from db.ids import new_ulid
from db.repositories import payments
from db.repositories.payments import AttemptChange, NewAttempt, NewPayment
from db.session import Database
from domain.payments import PaymentMethod, PaymentState
from tests.api import shop
from tests.api.conftest import Edge, config, serving
from tests.api.fakes import FakeEngine
from workflows.contracts.payments import PSPEvent

SECRET = "user:password"
PRICE = 599_00
_HEADERS = {"Authorization": hashlib.sha256(SECRET.encode()).hexdigest()}
_BOOKS = {
    "payments": "SELECT id, state, amount_paise FROM payments ORDER BY id",
    "attempts": """SELECT id, state, captured_paise, refunded_paise, psp_ref, failure_class
                   FROM payment_attempts ORDER BY id""",
    "ledger": "SELECT txn_key, amount_paise FROM ledger_entries ORDER BY id",
    "refunds": "SELECT refund_key, state FROM refunds ORDER BY id",
    "orders": "SELECT id, state FROM orders ORDER BY id",
    "told": "SELECT event_id, schema FROM outbox ORDER BY id",
}


@pytest_asyncio.fixture(loop_scope="session")
async def gamma(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> AsyncIterator[Edge]:
    """An edge that hears of gammapay."""
    settings = config(webhooks={"gammapay": partial(GammaPay.webhook, secrets=(SECRET,))})
    async with serving(settings, db, redis, engine) as running:
        yield running


async def books(db: Database) -> dict[str, list[Any]]:
    """All that a webhook could have moved, marked or ended."""
    return {name: await shop.rows(db, statement) for name, statement in _BOOKS.items()}


async def attempt(db: Database, state: PaymentState) -> str:
    """An attempt at gammapay in a state; returns its id."""
    order_id, payment_id = await shop.written_order(db), new_ulid()
    async with db.unit_of_work() as session:
        await payments.open_payment(
            session,
            NewPayment(
                id=payment_id,
                order_id=order_id,
                method=PaymentMethod.WALLET,
                amount_paise=PRICE,
                currency="INR",
                state=PaymentState.CREATED,
            ),
        )
        begun = await payments.add_attempt(
            session,
            NewAttempt(
                id=f"{order_id}-1",
                payment_id=payment_id,
                order_id=order_id,
                seq=1,
                psp="gammapay",
                amount_paise=PRICE,
                merchant_ref=f"{order_id}-1",
            ),
        )
        if state is not PaymentState.CREATED:
            captured = PRICE if state is PaymentState.CAPTURED else None
            change = AttemptChange(state=state, psp_ref="pay_1", captured_paise=captured)
            await payments.change_attempt(session, begun.id, change)
    return begun.id


async def send(edge: Edge, ref: str, claim: dict[str, Any], **headers: str) -> tuple[int, Any]:
    order = {
        "payment_id": "pay_1", "order_id": ref, "state": "COMPLETED", "amount": PRICE,
        "currency": "INR", "paid": PRICE, "refunded": 0, "updated_ms": int(time.time() * 1000),
    }  # fmt: skip
    refund = {"refund": {"refund_id": "key-1"}} if claim.get("refunded") else {}
    raw = json.dumps({"event": "order.claimed", "order": {**order, **claim}, **refund}).encode()
    path = "/v1/payments/webhook/gammapay"
    answer = await edge.http.post(path, content=raw, headers=headers or _HEADERS)
    await edge.services.settle()
    told = answer.json()
    return answer.status_code, told.get("code") or told["status"]


CLAIMS: dict[str, dict[str, Any]] = {
    "paid": {"state": "COMPLETED", "paid": PRICE},
    "paid twice over": {"state": "COMPLETED", "paid": 2 * PRICE, "amount": 2 * PRICE},
    "failed": {"state": "FAILED", "paid": 0, "reason": "RISK_REJECTED"},
    "cancelled": {"state": "CANCELLED", "paid": 0},
    "expired": {"state": "EXPIRED", "paid": 0},
    "refunded": {"state": "COMPLETED", "paid": PRICE, "refunded": PRICE},
}


@pytest.mark.parametrize(
    "state",
    [
        PaymentState.CREATED,
        PaymentState.ACTION_REQUIRED,
        PaymentState.CAPTURED,
        PaymentState.FAILED,
        PaymentState.VOIDED,
    ],
)
@pytest.mark.parametrize("claim", sorted(CLAIMS))
async def test_whatever_it_claims_nothing_is_moved_marked_or_ended(
    gamma: Edge, db: Database, state: PaymentState, claim: str
) -> None:
    ref = await attempt(db, state)
    before = await books(db)
    assert await send(gamma, ref, CLAIMS[claim]) == (200, "received")
    assert await books(db) == before
    assert await shop.rows(db, "SELECT provider, trust, payment_ref FROM webhook_inbox") == [
        ("gammapay", "TOKEN_ONLY", ref)
    ]
    # The saga is told where to look, and no figure that it could take for true.
    for order_id, hint in gamma.engine.told:
        assert (order_id, hint.attempt_id) == (ref.rpartition("-")[0], ref)
        assert set(hint.model_dump()) == {"attempt_id", "kind"}


async def test_the_saga_that_waits_for_the_customer_is_told_to_look(
    gamma: Edge, db: Database
) -> None:
    ref = await attempt(db, PaymentState.ACTION_REQUIRED)
    await send(gamma, ref, CLAIMS["paid"])
    hint = PSPEvent(attempt_id=ref, kind="PAYMENT_CAPTURED")
    assert gamma.engine.told == [(ref.rpartition("-")[0], hint)]


async def test_a_forgery_that_came_first_does_not_hide_the_true_one(
    gamma: Edge, db: Database
) -> None:
    ref = await attempt(db, PaymentState.ACTION_REQUIRED)
    assert await send(gamma, ref, {"updated_ms": 1}) == (200, "received")
    assert await send(gamma, ref, {"updated_ms": 2}) == (200, "received")
    assert await send(gamma, ref, {"updated_ms": 2}) == (200, "duplicate")
    assert len(gamma.engine.told) == 2


@pytest.mark.parametrize("header", ["", SECRET, "0" * 64])
async def test_without_the_password_it_is_not_even_kept(
    gamma: Edge, db: Database, header: str
) -> None:
    ref = await attempt(db, PaymentState.ACTION_REQUIRED)
    before = await books(db)
    answer = await send(gamma, ref, CLAIMS["paid"], Authorization=header)
    assert answer == (401, "SIGNATURE_INVALID")
    assert await books(db) == before
    assert await shop.rows(db, "SELECT count(*) FROM webhook_inbox") == [(0,)]
    assert gamma.engine.told == []
