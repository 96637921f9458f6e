"""gammapay's own words: its codes, its ids that are keys, and webhooks that prove little."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.payments.psp import psp_client
from activities.payments.psp.gammapay import CODES, GammaPay
from domain.money import Money
from domain.payments import FailureClass
from domain.webhooks import BadSignature, EventKind, PaymentEvent, Trust, UnreadableEvent
from sandbox import gammapay as sandbox
from tests.gammapay.test_token import REQUEST
from tests.sandbox.harness import API_KEY, Sandbox

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORDER = {
    "payment_id": "pay_1", "order_id": "att_1", "state": "COMPLETED", "amount": 599_00,
    "currency": "INR", "paid": 599_00, "refunded": 0,
    "updated_ms": int(NOW.timestamp() * 1000),
}  # fmt: skip
PASSWORD = {"authorization": hashlib.sha256(b"user:password").hexdigest()}


def body(event: str = "order.completed", *, refund: Any = None, **order: Any) -> bytes:
    about = {} if refund is None else {"refund": refund}
    return json.dumps({"event": event, "order": {**ORDER, **order}, **about}).encode()


def read(raw: bytes, headers: dict[str, str] = PASSWORD) -> PaymentEvent:
    (event,) = GammaPay.webhook(raw, headers, NOW, ["user:password"])
    return event


def test_every_code_that_the_sandbox_speaks_has_a_class() -> None:
    said = {"BAD_REQUEST", *sandbox.ERRORS.values(), *sandbox.REFUSALS}
    # an error of theirs is unknown, and a refusal at the door is read by its status
    assert said - {"INTERNAL_ERROR", "TOKEN_REFUSED", "INVALID_CLIENT"} == set(CODES)


async def test_an_order_id_that_was_used_for_something_else_is_unknown(tmp_path: Path) -> None:
    """The first request under the id may have been ours, and may have been paid."""
    box = Sandbox("gammapay", tmp_path).start()
    try:
        async with psp_client() as client:
            psp = GammaPay(client, base_url=box.url, api_key=API_KEY, secrets=[])
            paid = await psp.authorise(REQUEST, key="k")
            told = await psp.authorise(replace(REQUEST, amount=Money(1_00)), key="k")
            assert paid.ref is not None
            await psp.refund(paid.ref, Money(1_00), key="refund-1")
            refund = await psp.refund(paid.ref, Money(2_00), key="refund-1")
        assert (told.failure_class, told.failure_code) == (FailureClass.UNKNOWN, "amount_mismatch")
        assert refund.failure_class is FailureClass.UNKNOWN
        assert refund.failure_code == "REFUND_DIFFERS"
        (row,) = await box.books(REQUEST.merchant_ref)
        assert (row["captured"], row["refunded"]) == (599_00, 1_00)
    finally:
        box.stop()


def test_a_webhook_says_that_it_proves_nothing() -> None:
    raw = body()
    assert read(raw) == PaymentEvent(
        event_id=hashlib.sha256(raw).hexdigest(),
        provider="gammapay",
        kind=EventKind.PAYMENT_CAPTURED,
        occurred_at=NOW,
        merchant_ref="att_1",
        ref="pay_1",
        trust=Trust.TOKEN_ONLY,
        amount=599_00,
        currency="INR",
        captured=599_00,
        refunded=0,
    )


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("FAILED", EventKind.PAYMENT_FAILED),
        ("CANCELLED", EventKind.PAYMENT_VOIDED),
        ("EXPIRED", EventKind.PAYMENT_EXPIRED),
        ("PENDING", EventKind.OTHER),
        ("DREAMT", EventKind.OTHER),
    ],
)
def test_kinds(state: str, kind: EventKind) -> None:
    assert read(body(state=state)).kind is kind


def test_a_refund_names_our_key() -> None:
    event = read(body("refund.completed", refund={"refund_id": "key-1"}, refunded=99_00))
    assert (event.kind, event.refund_merchant_ref) == (EventKind.REFUND_SUCCEEDED, "key-1")
    assert (event.captured, event.refunded) == (599_00, 99_00)


def test_a_forgery_cannot_take_the_place_of_the_original() -> None:
    """Events are told apart by their bytes: there is no id that a forger could use first."""
    assert read(body(paid=1)).event_id != read(body()).event_id
    assert read(body()).event_id == read(body()).event_id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "user:password"},
        {"authorization": f"Bearer {PASSWORD['authorization']}"},
        {"authorization": hashlib.sha256(b"user:another").hexdigest()},
        {"authorization": "é"},
    ],
)
def test_without_the_password(headers: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        read(body(), headers)


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nobody_is_believed(secrets: list[str]) -> None:
    empty = {"authorization": hashlib.sha256(b"").hexdigest()}
    with pytest.raises(BadSignature):
        GammaPay.webhook(body(), empty, NOW, secrets)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"\xff", b'{"event": "x", "order": 5}', body(amount="1"), body(paid=-1),
     body(order_id=""), body(updated_ms=10**30), body(refund=7), body(state=["x"])],
)  # fmt: skip
def test_what_is_no_event(raw: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read(raw)
