"""Webhooks: the official SDK judges the signatures both ways; then what each event tells."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import razorpay as official

from activities.payments.psp.razorpay import Razorpay
from activities.payments.psp.razorpay_events import KINDS, verify_razorpay
from activities.payments.registry import PROVIDERS
from domain.webhooks import BadSignature, EventKind, PaymentEvent, Trust, UnreadableEvent
from tests.razorpay.conftest import AMOUNT, Desk
from tests.sandbox.harness import SECRET, Received, Shop

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW = "old-secret", "new-secret"
SDK = official.Client(auth=("key id", "key secret")).utility

PAYMENT: Mapping[str, Any] = {
    "id": "pay_1",
    "amount": 100_00,
    "currency": "INR",
    "status": "captured",
    "captured": True,
    "amount_refunded": 20_00,
    "order_id": "order_1",
    "notes": {"merchant_ref": "att-1"},
    "error_reason": None,
}
LINK: Mapping[str, Any] = {
    "id": "plink_1",
    "amount": 100_00,
    "currency": "INR",
    "reference_id": "att-1",
}


def body(name: str, **entities: Mapping[str, Any]) -> bytes:
    payload = {kind: {"entity": entity} for kind, entity in entities.items()}
    told = {"entity": "event", "event": name, "created_at": int(NOW.timestamp())}
    return json.dumps({**told, "payload": payload}).encode()


def signed(raw: bytes, secret: str = NEW) -> dict[str, str]:
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {"x-razorpay-signature": signature, "X-Razorpay-Event-Id": "evt_1"}


def read(raw: bytes) -> PaymentEvent:
    [event] = verify_razorpay(raw, signed(raw), NOW, [NEW])
    return event


def accepted_by_the_sdk(raw: bytes, headers: Mapping[str, str], secret: str) -> bool:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        SDK.verify_webhook_signature(raw.decode(), lower["x-razorpay-signature"], secret)
    except official.errors.SignatureVerificationError:
        return False
    return True


def accepted_by_us(raw: bytes, headers: Mapping[str, str], secret: str) -> bool:
    try:
        verify_razorpay(raw, headers, NOW, [secret])
    except BadSignature:
        return False
    return True


def test_ours_and_the_official_sdk_agree_on_every_signature() -> None:
    raw = body("payment.captured", payment=PAYMENT)
    forged = raw.replace(b"10000", b"10001")
    assert forged != raw
    cases = [
        (raw, signed(raw), NEW, True),
        (raw, signed(raw, OLD), NEW, False),
        (forged, signed(raw), NEW, False),
        (raw + b" ", signed(raw), NEW, False),
        (raw, {**signed(raw), "x-razorpay-signature": "0" * 64}, NEW, False),
    ]
    for raw_bytes, headers, secret, fine in cases:
        assert accepted_by_the_sdk(raw_bytes, headers, secret) is fine
        assert accepted_by_us(raw_bytes, headers, secret) is fine


async def test_the_sdk_accepts_what_the_simulator_signs(desk: Desk, shop: Shop, ref: str) -> None:
    await desk.taken(ref)
    for one in await shop.until(ref, lambda got: len(got) == 2):
        assert accepted_by_the_sdk(one.body, one.headers, SECRET)
        assert accepted_by_us(one.body, one.headers, SECRET)
        assert not accepted_by_the_sdk(one.body, one.headers, "another")


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_both_secrets_are_valid_while_one_is_rotated(secret: str) -> None:
    raw = body("payment.captured", payment=PAYMENT)
    [event] = verify_razorpay(raw, signed(raw, secret), NOW, [NEW, OLD])
    assert event.ref == "pay_1"
    with pytest.raises(BadSignature, match="fits none"):
        verify_razorpay(raw, signed(raw, OLD), NOW, [NEW])


def test_what_must_be_there() -> None:
    raw = body("payment.captured", payment=PAYMENT)
    with pytest.raises(BadSignature, match="X-Razorpay-Signature is missing"):
        verify_razorpay(raw, {}, NOW, [NEW])
    signature = {"X-Razorpay-Signature": signed(raw)["x-razorpay-signature"]}
    with pytest.raises(BadSignature, match="x-razorpay-event-id is missing"):
        verify_razorpay(raw, signature, NOW, [NEW])
    for secrets in ([], [""]):
        with pytest.raises(BadSignature, match="no webhook secret"):
            verify_razorpay(raw, signed(raw, ""), NOW, secrets)


async def test_the_adapter_verifies_with_its_secrets(client: httpx.AsyncClient) -> None:
    raw = body("payment.captured", payment=PAYMENT)
    psp = Razorpay(client, base_url="http://x", api_key="a:b", secrets=[NEW, OLD])
    assert psp.verify(raw, signed(raw, OLD), NOW) == verify_razorpay(raw, signed(raw), NOW, [NEW])
    webhook = PROVIDERS["razorpay"].load().webhook
    assert webhook(raw, signed(raw), NOW, [NEW]) == psp.verify(raw, signed(raw), NOW)
    assert PROVIDERS["razorpay"].url == "https://api.razorpay.com"


def test_a_captured_payment() -> None:
    assert read(body("payment.captured", payment=PAYMENT)) == PaymentEvent(
        event_id="evt_1",
        provider="razorpay",
        kind=EventKind.PAYMENT_CAPTURED,
        occurred_at=NOW,
        merchant_ref="att-1",
        ref="pay_1",
        trust=Trust.SIGNED,
        amount=100_00,
        currency="INR",
        captured=100_00,
        refunded=20_00,
    )


HELD = {**PAYMENT, "status": "authorized", "captured": False, "amount_refunded": 0}
FAILED = {**HELD, "status": "failed", "error_reason": "payment_timed_out"}
LAPSED = {**HELD, "status": "refunded", "amount_refunded": 100_00}
REFUND = {"id": "rfnd_1", "receipt": "key-1", "amount": 20_00}
DISPUTE = {"id": "disp_1", "amount": 30_00}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (
            body("payment.authorized", payment=HELD),
            {"kind": EventKind.PAYMENT_AUTHORISED, "captured": 0, "refunded": 0},
        ),
        (
            body("payment.failed", payment=FAILED),
            {"kind": EventKind.PAYMENT_FAILED, "failure_code": "payment_timed_out", "captured": 0},
        ),
        (
            body("refund.processed", payment=PAYMENT, refund=REFUND),
            {
                "kind": EventKind.REFUND_SUCCEEDED,
                "refund_ref": "rfnd_1",
                "refund_merchant_ref": "key-1",
            },
        ),
        (
            body("refund.failed", payment=PAYMENT, refund=REFUND),
            {"kind": EventKind.REFUND_FAILED, "refund_merchant_ref": "key-1"},
        ),
        # what was never captured was not ours to refund: it lapsed
        (
            body("refund.processed", payment=LAPSED, refund=REFUND),
            {"kind": EventKind.PAYMENT_VOIDED, "captured": 0, "refunded": 0},
        ),
        (body("refund.failed", payment=LAPSED, refund=REFUND), {"kind": EventKind.OTHER}),
        (
            body("payment.dispute.created", payment=PAYMENT, dispute=DISPUTE),
            {"kind": EventKind.DISPUTE_OPENED, "dispute_ref": "disp_1", "dispute_amount": 30_00},
        ),
        (
            body("payment.dispute.won", payment=PAYMENT, dispute=DISPUTE),
            {"kind": EventKind.DISPUTE_WON},
        ),
        (
            body("payment.dispute.lost", payment=PAYMENT, dispute=DISPUTE),
            {"kind": EventKind.DISPUTE_LOST, "captured": 100_00},
        ),
        (
            body("payment.dispute.under_review", payment=PAYMENT, dispute=DISPUTE),
            {"kind": EventKind.OTHER},
        ),
        (
            body("payment_link.paid", payment={**PAYMENT, "notes": []}, payment_link=LINK),
            {"kind": EventKind.PAYMENT_CAPTURED, "merchant_ref": "att-1", "ref": "pay_1"},
        ),
        (
            body("payment_link.cancelled", payment_link=LINK),
            {
                "kind": EventKind.PAYMENT_VOIDED,
                "merchant_ref": "att-1",
                "ref": "plink_1",
                "captured": 0,
            },
        ),
        (body("payment_link.expired", payment_link=LINK), {"kind": EventKind.PAYMENT_EXPIRED}),
        (
            body("order.paid", payment={**PAYMENT, "notes": None}, order={"receipt": "att-1"}),
            {"kind": EventKind.OTHER, "merchant_ref": "att-1"},
        ),
    ],
)
def test_what_each_event_tells(raw: bytes, told: dict[str, Any]) -> None:
    event = read(raw)
    assert {name: getattr(event, name) for name in told} == told
    assert (event.provider, event.event_id, event.occurred_at) == ("razorpay", "evt_1", NOW)


@pytest.mark.parametrize(
    "raw",
    [
        body("payment.captured", payment={**PAYMENT, "notes": []}),
        body("settlement.processed", settlement={"id": "setl_1"}),
        body("payment.downtime.started", **{"payment.downtime": {"id": "down_1"}}),
        b'{"event": "payment.captured", "payload": {}}',
        b"{}",
    ],
)
def test_what_is_not_about_a_payment_of_ours_is_dropped(raw: bytes) -> None:
    """Refused, it would be sent for a day, and the webhook switched off."""
    assert verify_razorpay(raw, signed(raw), NOW, [NEW]) == []
    with pytest.raises(BadSignature):
        verify_razorpay(raw, signed(raw, OLD), NOW, [NEW])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        body("payment.captured", payment={**PAYMENT, "amount": "1"}),
        body("payment.captured", payment={**PAYMENT, "amount": -1}),
        body("payment.captured", payment={"id": "pay_1", "notes": {"merchant_ref": "att-1"}}),
        body("order.paid", order={"receipt": "att-1"}),
        body("payment.captured", payment=PAYMENT).replace(b"created_at", b"created"),
        body("refund.processed", payment=PAYMENT, dispute={"id": "disp_1"}),
    ],
)
def test_signed_but_unreadable(raw: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read(raw)


def told_by(received: list[Received]) -> list[tuple[EventKind, str]]:
    [*events] = (verify_razorpay(one.body, one.headers, NOW, [SECRET])[0] for one in received)
    return sorted((event.kind, event.merchant_ref) for event in events)


async def test_what_the_simulator_tells_of_a_link(
    desk: Desk, shop: Shop, ref: str, key: str
) -> None:
    asked = await desk.link(ref)
    await desk.customer(asked, "decline")
    await desk.customer(asked, "approve")
    assert asked.ref is not None
    await desk.psp.refund(asked.ref, AMOUNT, key=key)
    received = await shop.until(ref, lambda got: len(got) == 5)
    assert told_by(received) == [
        (EventKind.PAYMENT_AUTHORISED, ref),
        (EventKind.PAYMENT_CAPTURED, ref),
        (EventKind.PAYMENT_CAPTURED, ref),
        (EventKind.PAYMENT_FAILED, ref),
        (EventKind.REFUND_SUCCEEDED, ref),
    ]
    events = [verify_razorpay(one.body, one.headers, NOW, [SECRET])[0] for one in received]
    assert len({event.event_id for event in events}) == 5
    [refund] = [one for one in events if one.kind is EventKind.REFUND_SUCCEEDED]
    assert (refund.refund_merchant_ref, refund.refunded) == (key, 2_499_00)


async def test_what_the_simulator_tells_of_voids_and_disputes(
    desk: Desk, shop: Shop, ref: str, key: str
) -> None:
    asked = await desk.link(ref)
    assert asked.ref is not None
    await desk.psp.void(asked.ref, key=key)
    [cancelled] = await shop.until(ref, lambda got: len(got) == 1)
    held = await desk.held(f"{ref}L")
    await desk.lapse(held)
    lapsed = await shop.until(f"{ref}L", lambda got: len(got) == 2)
    await desk.taken(f"{ref}D")
    await desk.server.close_dispute(await desk.server.dispute(f"{ref}D", 30_00), "lost")
    disputed = await shop.until(f"{ref}D", lambda got: len(got) == 4)
    assert told_by([cancelled]) == [(EventKind.PAYMENT_VOIDED, ref)]
    assert told_by(lapsed) == [
        (EventKind.PAYMENT_AUTHORISED, f"{ref}L"),
        (EventKind.PAYMENT_VOIDED, f"{ref}L"),
    ]
    assert [kind for kind, _ in told_by(disputed)] == [
        EventKind.DISPUTE_LOST,
        EventKind.DISPUTE_OPENED,
        EventKind.PAYMENT_AUTHORISED,
        EventKind.PAYMENT_CAPTURED,
    ]


async def test_a_forged_event_is_refused(desk: Desk, shop: Shop, ref: str) -> None:
    await desk.server.faults(rules=[{"operation": "webhook", "fault": "forged"}])
    await desk.held(ref)
    received = await shop.until(ref, lambda got: len(got) == 2)
    fine = [accepted_by_us(one.body, one.headers, SECRET) for one in received]
    assert sorted(fine) == [False, True]


def test_every_event_that_we_ask_for_has_a_kind() -> None:
    assert EventKind.OTHER not in KINDS.values()
    assert set(KINDS.values()) == set(EventKind) - {EventKind.OTHER}
