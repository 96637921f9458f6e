"""Verification of webhooks: signature, rotation, tolerance, forgery, and reading of events."""

import hashlib
import hmac
import json
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.payments.psp import AlphaPay, BetaPay
from domain.webhooks import (
    BadSignature,
    EventKind,
    PaymentEvent,
    StaleSignature,
    Trust,
    UnreadableEvent,
    verify_alphapay,
    verify_betapay,
)

VERIFIERS = {"alphapay": AlphaPay.webhook, "betapay": BetaPay.webhook}
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW = "old-secret", "new-secret"

ALPHA_PAYMENT = {
    "id": "pay_1",
    "status": "captured",
    "amount": 100_00,
    "currency": "INR",
    "captured": 100_00,
    "refunded": 0,
    "merchant_ref": "att_1",
}
BETA_PAYMENT = {
    "id": "pay_2",
    "status": "captured",
    "amount": 70_00,
    "currency": "INR",
    "amount_captured": 70_00,
    "amount_refunded": 20_00,
    "receipt": "att_2",
}


def alpha_body(kind: str = "payment.captured", **payment: Any) -> bytes:
    data = {"payment": {**ALPHA_PAYMENT, **payment}}
    created = int(NOW.timestamp() * 1000)
    return json.dumps({"id": "evt_1", "type": kind, "created": created, "data": data}).encode()


def beta_body(kind: str = "payment.captured", **payment: Any) -> bytes:
    payload = {"payment": {"entity": {**BETA_PAYMENT, **payment}}}
    if kind.startswith("refund"):
        payload["refund"] = {"entity": {"id": "rfd_1", "receipt": "key-1"}}
    created = int(NOW.timestamp())
    return json.dumps({"event": kind, "created_at": created, "payload": payload}).encode()


def hexed(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def alpha_headers(body: bytes, secret: str = NEW, at: datetime = NOW) -> dict[str, str]:
    seconds = int(at.timestamp())
    signature = hexed(secret, f"{seconds}.".encode() + body)
    return {"alphapay-signature": f"t={seconds},v1={signature}"}


def beta_headers(body: bytes, secret: str = NEW) -> dict[str, str]:
    return {"X-BetaPay-Signature": hexed(secret, body), "X-BetaPay-Event-Id": "evt_2"}


def test_alphapay_event() -> None:
    body = alpha_body()
    assert verify_alphapay(body, alpha_headers(body), NOW, [NEW]) == [
        PaymentEvent(
            event_id="evt_1",
            provider="alphapay",
            kind=EventKind.PAYMENT_CAPTURED,
            occurred_at=NOW,
            merchant_ref="att_1",
            ref="pay_1",
            trust=Trust.SIGNED,
            amount=100_00,
            currency="INR",
            captured=100_00,
            refunded=0,
        )
    ]


def test_betapay_refund_event() -> None:
    body = beta_body("refund.processed")
    assert verify_betapay(body, beta_headers(body), NOW, [NEW]) == [
        PaymentEvent(
            event_id="evt_2",
            provider="betapay",
            kind=EventKind.REFUND_SUCCEEDED,
            occurred_at=NOW,
            merchant_ref="att_2",
            ref="pay_2",
            trust=Trust.SIGNED,
            amount=70_00,
            currency="INR",
            captured=70_00,
            refunded=20_00,
            refund_ref="rfd_1",
            refund_merchant_ref="key-1",
        )
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("payment.authorised", EventKind.PAYMENT_AUTHORISED),
        ("payment.failed", EventKind.PAYMENT_FAILED),
        ("payment.voided", EventKind.PAYMENT_VOIDED),
        ("payment.expired", EventKind.PAYMENT_EXPIRED),
        ("refund.succeeded", EventKind.REFUND_SUCCEEDED),
        ("payment.dreamt", EventKind.OTHER),
    ],
)
def test_alphapay_kinds(kind: str, expected: EventKind) -> None:
    body = alpha_body(kind, error={"code": "lost_card", "message": "x"})
    [event] = verify_alphapay(body, alpha_headers(body), NOW, [NEW])
    assert (event.kind, event.failure_code) == (expected, "lost_card")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("payment.authorized", "authorized", EventKind.PAYMENT_AUTHORISED),
        ("payment.failed", "failed", EventKind.PAYMENT_FAILED),
        ("payment.failed", "expired", EventKind.PAYMENT_EXPIRED),
        ("payment.dreamt", "failed", EventKind.OTHER),
    ],
)
def test_betapay_kinds(kind: str, status: str, expected: EventKind) -> None:
    body = beta_body(kind, status=status, error={"reason": "gateway_timeout"})
    [event] = verify_betapay(body, beta_headers(body), NOW, [NEW])
    assert (event.kind, event.failure_code) == (expected, "gateway_timeout")


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_both_secrets_are_valid_while_one_is_rotated(secret: str) -> None:
    alpha, beta = alpha_body(), beta_body()
    assert verify_alphapay(alpha, alpha_headers(alpha, secret), NOW, [NEW, OLD])
    assert verify_betapay(beta, beta_headers(beta, secret), NOW, [NEW, OLD])


def test_after_the_rotation_the_old_secret_is_not() -> None:
    alpha, beta = alpha_body(), beta_body()
    with pytest.raises(BadSignature, match="fits none"):
        verify_alphapay(alpha, alpha_headers(alpha, OLD), NOW, [NEW])
    with pytest.raises(BadSignature, match="fits none"):
        verify_betapay(beta, beta_headers(beta, OLD), NOW, [NEW])


def test_one_of_several_signatures_is_enough() -> None:
    body = alpha_body()
    time, new = alpha_headers(body)["alphapay-signature"].split(",")
    old = alpha_headers(body, OLD)["alphapay-signature"].split(",")[1]
    assert verify_alphapay(body, {"AlphaPay-Signature": f"{time},{old},{new}"}, NOW, [NEW])


@pytest.mark.parametrize(
    ("seconds", "fine"), [(300, True), (-300, True), (301, False), (-301, False)]
)
def test_tolerance(seconds: int, fine: bool) -> None:
    body = alpha_body()
    headers = alpha_headers(body, at=NOW - timedelta(seconds=seconds))
    if fine:
        assert verify_alphapay(body, headers, NOW, [NEW])
    else:
        with pytest.raises(StaleSignature, match="301 s away from now"):
            verify_alphapay(body, headers, NOW, [NEW])


@pytest.mark.parametrize("provider", sorted(VERIFIERS))
def test_one_changed_byte_is_a_forgery(provider: str) -> None:
    body = alpha_body() if provider == "alphapay" else beta_body()
    headers = alpha_headers(body) if provider == "alphapay" else beta_headers(body)
    forged = body.replace(b"10000", b"10001").replace(b"7000", b"7001")
    assert forged != body
    with pytest.raises(BadSignature):
        VERIFIERS[provider](forged, headers, NOW, [NEW])


def test_the_time_is_signed_too() -> None:
    body = alpha_body()
    signature = alpha_headers(body, at=NOW - timedelta(hours=1))["alphapay-signature"]
    fresh = f"t={int(NOW.timestamp())},{signature.split(',')[1]}"
    with pytest.raises(BadSignature, match="fits none"):
        verify_alphapay(body, {"AlphaPay-Signature": fresh}, NOW, [NEW])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        "v1=ab",
        "t=x,v1=ab",
        "t=1,t=2,v1=ab",
        "t=" + "9" * 400 + ",v1=a",
        "t=²,v1=ab",
        "é",
    ],
)
def test_headers_of_no_known_form(header: str) -> None:
    with pytest.raises(BadSignature, match="not of the form"):
        verify_alphapay(b"{}", {"AlphaPay-Signature": header}, NOW, [NEW])


@pytest.mark.parametrize("provider", sorted(VERIFIERS))
def test_no_header_no_secret(provider: str) -> None:
    body = alpha_body() if provider == "alphapay" else beta_body()
    empty = alpha_headers(body, "") if provider == "alphapay" else beta_headers(body, "")
    with pytest.raises(BadSignature, match="is missing"):
        VERIFIERS[provider](body, {}, NOW, [NEW])
    for secrets in ([], [""]):
        with pytest.raises(BadSignature, match="no webhook secret"):
            VERIFIERS[provider](body, empty, NOW, secrets)
    with pytest.raises(BadSignature, match="fits none"):
        VERIFIERS[provider](body, empty, NOW, [NEW, ""])


def test_betapay_needs_the_event_id() -> None:
    body = beta_body()
    headers = {"X-BetaPay-Signature": hexed(NEW, body)}
    with pytest.raises(BadSignature, match="X-BetaPay-Event-Id is missing"):
        verify_betapay(body, headers, NOW, [NEW])


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"{}", b'{"data": 5}', alpha_body(amount="1"), alpha_body(amount=-1),
     alpha_body(merchant_ref=""), alpha_body(id=7), alpha_body(captured=True)],
)  # fmt: skip
def test_signed_but_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        verify_alphapay(body, alpha_headers(body), NOW, [NEW])
    with pytest.raises(UnreadableEvent):
        verify_betapay(body, beta_headers(body), NOW, [NEW])


def test_times_out_of_range_are_unreadable() -> None:
    body = alpha_body().replace(str(int(NOW.timestamp() * 1000)).encode(), b"9" * 30)
    with pytest.raises(UnreadableEvent):
        verify_alphapay(body, alpha_headers(body), NOW, [NEW])


def test_errors_survive_serialisation() -> None:
    for error in (BadSignature("why"), StaleSignature("why"), UnreadableEvent("why")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert (type(again), again.code, str(again)) == (type(error), error.code, "why")


async def test_adapters_verify_with_their_secrets() -> None:
    alpha, beta = alpha_body(), beta_body()
    async with httpx.AsyncClient() as client:
        given: Mapping[str, Any] = {"base_url": "http://x", "api_key": "k", "secrets": [NEW, OLD]}
        [one] = AlphaPay(client, **given).verify(alpha, alpha_headers(alpha, OLD), NOW)
        [two] = BetaPay(client, **given).verify(beta, beta_headers(beta, OLD), NOW)
    assert (one.ref, two.ref) == ("pay_1", "pay_2")
