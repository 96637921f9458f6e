"""Webhooks: verified on the raw bytes, seen once, delivered once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.engine import EngineUnreachable, SagaUnknown
from db.ids import new_ulid
from db.session import Database
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.shop import refused
from workflows.contracts.payments import PSPEvent

ORDER = new_ulid()
_ALPHA, _BETA = "alpha-1", "beta-1"
ATTEMPT = f"{ORDER}-2"
_INBOX = "SELECT provider, event_id, kind, payment_ref, order_id, trust FROM webhook_inbox"
_DELIVERED = "SELECT delivered_at IS NOT NULL, delivery_attempts FROM webhook_inbox"


def alpha(event_id: str = "evt_1", *, ref: str = ATTEMPT, **changes: Any) -> bytes:
    payment = {
        "id": "pay_1", "merchant_ref": ref, "amount": 599_00, "currency": "INR",
        "captured": 0, "refunded": 0, "card": {"number": shop.luhn_number()},
    }  # fmt: skip
    event = {
        "id": event_id, "type": "payment.authorised", "created": int(time.time() * 1000),
        "data": {"payment": payment}, **changes,
    }  # fmt: skip
    return json.dumps(event).encode()


def signed(raw: bytes, *, secret: str = _ALPHA, at: float | None = None) -> dict[str, str]:
    stamp = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"AlphaPay-Signature": f"t={stamp},v1={mac}"}


def beta(event_id: str, secret: str = _BETA) -> tuple[bytes, dict[str, str]]:
    payment = {
        "id": "bp_1", "receipt": ATTEMPT, "amount": 599_00, "currency": "INR",
        "amount_captured": 599_00, "amount_refunded": 0, "status": "captured",
    }  # fmt: skip
    event = {
        "event": "payment.captured", "created_at": int(time.time()),
        "payload": {"payment": {"entity": payment}},
    }  # fmt: skip
    raw = json.dumps(event).encode()
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return raw, {"X-BetaPay-Signature": mac, "X-BetaPay-Event-Id": event_id}


async def _send(
    edge: Edge, raw: bytes, headers: dict[str, str], provider: str = "alphapay"
) -> httpx.Response:
    answer = await edge.http.post(f"/v1/payments/webhook/{provider}", content=raw, headers=headers)
    await edge.services.settle()
    return answer


@pytest_asyncio.fixture(loop_scope="session")
async def untouched(edge: Edge, db: Database) -> AsyncIterator[None]:
    """Asserts that the test changes nothing and tells no saga."""
    before = await shop.counts(db)
    yield
    assert await shop.counts(db) == before
    assert edge.engine.told == []


async def test_an_event_is_kept_and_told(edge: Edge, db: Database) -> None:
    raw = alpha()
    answer = await _send(edge, raw, signed(raw))
    assert (answer.status_code, answer.json()) == (200, {"status": "received"})
    assert await shop.rows(db, _INBOX) == [
        ("alphapay", "evt_1", "PAYMENT_AUTHORISED", ATTEMPT, ORDER, "SIGNED")
    ]
    assert edge.engine.told == [(ORDER, PSPEvent(attempt_id=ATTEMPT, kind="PAYMENT_AUTHORISED"))]
    assert await shop.rows(db, _DELIVERED) == [(True, 1)]
    kept = str(await shop.rows(db, "SELECT payload FROM webhook_inbox"))
    assert shop.luhn_number() not in kept


async def test_the_other_provider_too(edge: Edge, db: Database) -> None:
    raw, headers = beta("bevt_1")
    assert (await _send(edge, raw, headers, "betapay")).status_code == 200
    assert await shop.rows(db, _INBOX) == [
        ("betapay", "bevt_1", "PAYMENT_CAPTURED", ATTEMPT, ORDER, "SIGNED")
    ]
    assert edge.engine.told == [(ORDER, PSPEvent(attempt_id=ATTEMPT, kind="PAYMENT_CAPTURED"))]


async def test_a_double_is_answered_alike_and_told_once(edge: Edge, db: Database) -> None:
    raw = alpha()
    answers = await asyncio.gather(*(_send(edge, raw, signed(raw)) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 7 + ["received"]
    assert len(await shop.rows(db, _INBOX)) == 1
    assert len(edge.engine.told) == 1


async def test_either_secret_is_good_while_one_is_replaced(edge: Edge) -> None:
    for event_id, secret in (("evt_1", "alpha-1"), ("evt_2", "alpha-2")):
        raw = alpha(event_id)
        assert (await _send(edge, raw, signed(raw, secret=secret))).status_code == 200


@pytest.mark.usefixtures("untouched")
async def test_a_signature_that_is_not_theirs(edge: Edge) -> None:
    raw = alpha()
    other_bytes = raw.replace(b'"amount": 59900', b'"amount": 1')
    for sent, headers in (
        (raw, signed(raw, secret="alpha-3")),
        (raw, {}),
        (raw, {"AlphaPay-Signature": "t=1,v1="}),
        (raw, {"AlphaPay-Signature": "nonsense"}),
        (other_bytes, signed(raw)),
        (raw + b" ", signed(raw)),
        (raw, signed(raw, secret="beta-1")),
    ):
        refused(await _send(edge, sent, headers), 401, "SIGNATURE_INVALID")
    beta_raw, beta_headers = beta("b1", secret="alpha-1")
    refused(await _send(edge, beta_raw, beta_headers, "betapay"), 401, "SIGNATURE_INVALID")


@pytest.mark.usefixtures("untouched")
async def test_a_signature_that_is_old_or_from_the_future(edge: Edge) -> None:
    raw = alpha()
    for seconds in (-301, 302):
        headers = signed(raw, at=time.time() + seconds)
        refused(await _send(edge, raw, headers), 401, "SIGNATURE_STALE")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"\xff", b"[" * 50_000, alpha(ref="x\0y"), alpha(created="now")],
    ids=["empty", "object", "list", "not utf-8", "too deep", "nul", "time"],
)
async def test_signed_but_no_event(edge: Edge, raw: bytes) -> None:
    refused(await _send(edge, raw, signed(raw)), 422, "EVENT_UNREADABLE")


@pytest.mark.usefixtures("untouched")
async def test_a_provider_we_do_not_have(edge: Edge) -> None:
    raw = alpha()
    for provider in ("gammapay", "%00"):
        refused(await _send(edge, raw, signed(raw), provider), 404, "PROVIDER_NOT_FOUND")
    refused(await _send(edge, raw, signed(raw), "alphapay%2f"), 404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("failure", [SagaUnknown(), EngineUnreachable(), ZeroDivisionError()])
async def test_what_cannot_be_told_now_stays_in_the_inbox(
    edge: Edge, db: Database, failure: Exception
) -> None:
    edge.engine.telling = failure
    raw = alpha()
    assert (await _send(edge, raw, signed(raw))).status_code == 200
    assert await shop.rows(db, _DELIVERED) == [(False, 0)]


async def test_an_event_of_no_order_of_ours_is_kept_for_a_person(edge: Edge, db: Database) -> None:
    raw = alpha(ref="somebody-elses-7", type="payment.disputed")
    assert (await _send(edge, raw, signed(raw))).status_code == 200
    assert await shop.rows(db, _INBOX) == [
        ("alphapay", "evt_1", "OTHER", "somebody-elses-7", None, "SIGNED")
    ]
    assert edge.engine.told == []
