"""What Stripe's events tell, doubled and in any order too."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from activities.payments.psp.stripe import Stripe
from domain.money import Money
from domain.news import is_news
from domain.payments import PaymentState
from domain.webhooks import (
    EventKind,
    PaymentEvent,
    Trust,
    UnreadableEvent,
)
from tests.sandbox.harness import Shop
from tests.stripe.conftest import request_for
from tests.stripe.events import NOW, PAYMENT, SECRET, Hooks, Signed, body_of, deliver, signed
from tests.stripe.proxy import THREE_D_SECURE_CARD, Proxy

CHARGE: dict[str, Any] = {
    "id": "ch_1",
    "object": "charge",
    "amount": 100_00,
    "amount_captured": 80_00,
    "amount_refunded": 50_00,
    "currency": "inr",
    "payment_intent": "pi_1",
    "metadata": {"merchant_ref": "att_1"},
}
REFUND: dict[str, Any] = {
    "id": "re_1",
    "object": "refund",
    "amount": 30_00,
    "currency": "inr",
    "payment_intent": "pi_1",
    "status": "succeeded",
    "metadata": {"key": "key-1"},
}
DISPUTE: dict[str, Any] = {
    "id": "dp_1",
    "object": "dispute",
    "amount": 80_00,
    "currency": "inr",
    "payment_intent": "pi_1",
    "reason": "product_not_received",
    "status": "needs_response",
    "metadata": {},
}


def read(kind: str, shown: dict[str, Any]) -> PaymentEvent:
    body = body_of(kind, shown)
    [event] = Stripe.webhook(body, signed(body), NOW, [SECRET])
    return event


def test_a_captured_payment() -> None:
    assert read("payment_intent.succeeded", PAYMENT) == PaymentEvent(
        event_id="evt_1",
        provider="stripe",
        kind=EventKind.PAYMENT_CAPTURED,
        occurred_at=NOW,
        merchant_ref="att_1",
        ref="pi_1",
        trust=Trust.SIGNED,
        amount=100_00,
        currency="INR",
        captured=100_00,
        refunded=0,
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("payment_intent.amount_capturable_updated", EventKind.PAYMENT_AUTHORISED),
        ("payment_intent.payment_failed", EventKind.PAYMENT_FAILED),
        ("payment_intent.canceled", EventKind.PAYMENT_VOIDED),
        ("payment_intent.requires_action", EventKind.OTHER),
        ("payment_intent.dreamt", EventKind.OTHER),
    ],
)
def test_kinds_of_payment_events(kind: str, expected: EventKind) -> None:
    error = {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}
    event = read(kind, {**PAYMENT, "amount_received": 0, "last_payment_error": error})
    assert (event.kind, event.failure_code, event.captured) == (expected, "lost_card", 0)


def test_a_refunded_charge_tells_what_of_the_taken_money_went_back() -> None:
    # 100 were held, 80 taken: of the 50 that Stripe calls refunded, 20 were never taken.
    event = read("charge.refunded", CHARGE)
    assert (event.kind, event.ref) == (EventKind.REFUND_SUCCEEDED, "pi_1")
    assert (event.merchant_ref, event.captured, event.refunded) == ("att_1", 80_00, 30_00)
    let_go = read("charge.refunded", {**CHARGE, "amount_refunded": 20_00})
    assert (let_go.kind, let_go.refunded) == (EventKind.OTHER, 0)


@pytest.mark.parametrize(
    ("status", "expected", "refunded"),
    [
        ("succeeded", EventKind.REFUND_SUCCEEDED, 30_00),
        ("failed", EventKind.REFUND_FAILED, 0),
        ("canceled", EventKind.REFUND_FAILED, 0),
        ("pending", EventKind.OTHER, 0),
    ],
)
def test_refund_events(status: str, expected: EventKind, refunded: int) -> None:
    event = read("refund.updated", {**REFUND, "status": status, "failure_reason": "declined"})
    assert (event.kind, event.refunded) == (expected, refunded)
    assert (event.ref, event.merchant_ref) == ("pi_1", "")
    assert (event.refund_ref, event.refund_merchant_ref) == ("re_1", "key-1")
    assert event.failure_code == "declined"


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("charge.dispute.created", "needs_response", EventKind.DISPUTE_OPENED),
        ("charge.dispute.created", "warning_needs_response", EventKind.OTHER),
        ("charge.dispute.funds_withdrawn", "needs_response", EventKind.DISPUTE_OPENED),
        ("charge.dispute.updated", "under_review", EventKind.OTHER),
        ("charge.dispute.closed", "won", EventKind.DISPUTE_WON),
        ("charge.dispute.closed", "lost", EventKind.DISPUTE_LOST),
        ("charge.dispute.closed", "warning_closed", EventKind.OTHER),
    ],
)
def test_dispute_events(kind: str, status: str, expected: EventKind) -> None:
    event = read(kind, {**DISPUTE, "status": status})
    assert (event.kind, event.dispute_ref, event.dispute_amount) == (expected, "dp_1", 80_00)
    assert (event.ref, event.merchant_ref, event.refunded) == ("pi_1", "", 0)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("customer.created", {"id": "cus_1", "object": "customer"}),
        ("payment_intent.succeeded", {**PAYMENT, "metadata": {}}),
        ("charge.refunded", {**CHARGE, "metadata": {}}),
        ("refund.updated", {**REFUND, "payment_intent": None}),
        ("charge.dispute.created", {**DISPUTE, "payment_intent": None}),
    ],
)
def test_what_is_not_about_a_payment_of_ours_is_no_event(kind: str, shown: Any) -> None:
    body = body_of(kind, shown)
    assert Stripe.webhook(body, signed(body), NOW, [SECRET]) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data": 5}',
        body_of("payment_intent.succeeded", {**PAYMENT, "amount": "1"}),
        body_of("payment_intent.succeeded", {**PAYMENT, "amount_received": -1}),
        body_of("payment_intent.succeeded", {**PAYMENT, "metadata": {"merchant_ref": ""}}),
        body_of("payment_intent.succeeded", {**PAYMENT, "id": 7}),
        body_of("", PAYMENT),
    ],
)
def test_signed_but_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        Stripe.webhook(body, signed(body), NOW, [SECRET])


# -- over the wire -----------------------------------------------------------------------------


def learnt(events: Iterable[PaymentEvent]) -> tuple[list[EventKind], int, int]:
    """What the events were news of, in the order that they came, and the money at the end."""
    states = {
        EventKind.PAYMENT_AUTHORISED: PaymentState.AUTHORISED,
        EventKind.PAYMENT_CAPTURED: PaymentState.CAPTURED,
    }
    state, captured, refunded, news = PaymentState.CREATED, 0, 0, []
    for event in events:
        told = (event.captured, event.refunded)
        if is_news(event.kind, told=told, state=state, known=(captured, refunded)):
            news.append(event.kind)
            state = states.get(event.kind, state)
        captured, refunded = max(captured, event.captured), max(refunded, event.refunded)
    return news, captured, refunded


async def test_events_doubled_and_in_any_order_come_to_the_same(
    stripe_psp: Stripe, proxy: Proxy, hooks: Hooks, ref: str, key: str
) -> None:
    card = await proxy.token(THREE_D_SECURE_CARD)
    asked = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert asked.ref is not None
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(f"{proxy.url}/authenticate/{asked.ref}/pass")
    await stripe_psp.capture(asked.ref, Money(2_499_00), key=key)
    await hooks.until(asked.ref, 2)
    await stripe_psp.refund(asked.ref, Money(499_00), key=key)
    events = await hooks.until(asked.ref, 3)
    for order in itertools.permutations(events):
        news, captured, refunded = learnt(await received(stripe_psp, [*order, *order]))
        assert (captured, refunded) == (2_499_00, 499_00)
        # Each thing is news at most once, and what moved money is never missed.
        assert len(news) == len(set(news))
        assert {EventKind.REFUND_SUCCEEDED} <= set(news)
    in_order, *_ = learnt(await received(stripe_psp, events))
    assert in_order == [
        EventKind.PAYMENT_AUTHORISED,
        EventKind.PAYMENT_CAPTURED,
        EventKind.REFUND_SUCCEEDED,
    ]


async def received(psp: Stripe, events: list[Signed]) -> list[PaymentEvent]:
    """What a shop's endpoint makes of the deliveries."""
    shop = await Shop().open()
    try:
        assert await deliver(shop.url, events) == [200] * len(events)
    finally:
        await shop.close()
    now = datetime.now(UTC)
    return [event for one in shop.received for event in psp.verify(one.body, one.headers, now)]


async def test_void_and_decline_are_told(
    stripe_psp: Stripe, proxy: Proxy, hooks: Hooks, ref: str, card: str, key: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    bad = await proxy.token("4000000000000341")
    failed = await stripe_psp.authorise(request_for(f"{ref}-2", bad), key=key)
    assert held.ref is not None
    assert failed.ref is not None
    await stripe_psp.void(held.ref, key=key)
    [_, voided] = await received(stripe_psp, await hooks.until(held.ref, 2))
    [declined] = await received(stripe_psp, await hooks.until(failed.ref, 1))
    assert (voided.kind, voided.merchant_ref) == (EventKind.PAYMENT_VOIDED, ref)
    assert (declined.kind, declined.failure_code) == (EventKind.PAYMENT_FAILED, "generic_decline")
