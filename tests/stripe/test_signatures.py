"""Signatures of webhooks, with Stripe's own SDK as the judge: what one refuses, both do."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from activities.payments.psp.stripe import Stripe
from domain.money import Money
from domain.webhooks import BadSignature, StaleSignature, UnreadableEvent
from tests.stripe.conftest import request_for
from tests.stripe.events import NOW, OLD_SECRET, PAYMENT, SECRET, Hooks, body_of, signed

judge = stripe.Webhook.construct_event


def test_what_the_sdk_signs_we_accept_and_what_we_accept_the_sdk_does() -> None:
    now = datetime.now(UTC)
    body = body_of("payment_intent.succeeded", PAYMENT, now)
    header = signed(body, at=now)
    [event] = Stripe.webhook(body, header, now, [SECRET])
    judged = judge(body, header["stripe-signature"], SECRET)
    assert (event.event_id, event.ref) == (judged.id, judged.data.object.id)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body, header: (body.replace(b"10000", b"10001"), header),
        lambda body, header: (body + b" ", header),
        lambda body, header: (body, header.replace("t=", "t=1")),
        lambda body, header: (body, header[:-1] + ("0" if header[-1] != "0" else "1")),
        lambda body, header: (body, header.replace("v1=", "v0=")),
        lambda body, header: (body, header.partition(",")[0]),
        lambda body, header: (body, ""),
        lambda body, header: (body, "t=x,v1=y"),
    ],
)
def test_a_forgery_is_refused_by_both(spoil: Any) -> None:
    now = datetime.now(UTC)
    true = body_of("payment_intent.succeeded", PAYMENT, now)
    body, header = spoil(true, signed(true, at=now)["stripe-signature"])
    with pytest.raises(BadSignature):
        Stripe.webhook(body, {"Stripe-Signature": header}, now, [SECRET])
    with pytest.raises(stripe.SignatureVerificationError):
        judge(body, header, SECRET)


def test_another_secret_is_refused_by_both() -> None:
    now = datetime.now(UTC)
    body = body_of("payment_intent.succeeded", PAYMENT, now)
    header = signed(body, "whsec_strange", at=now)
    with pytest.raises(BadSignature, match="fits none"):
        Stripe.webhook(body, header, now, [SECRET, OLD_SECRET])
    with pytest.raises(stripe.SignatureVerificationError):
        judge(body, header["stripe-signature"], SECRET)


def test_a_stale_signature_is_refused_by_both() -> None:
    now = datetime.now(UTC)
    then = now - timedelta(seconds=302)
    body = body_of("payment_intent.succeeded", PAYMENT, then)
    header = signed(body, at=then)
    with pytest.raises(StaleSignature, match="check both clocks"):
        Stripe.webhook(body, header, now, [SECRET])
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        judge(body, header["stripe-signature"], SECRET)


@pytest.mark.parametrize(
    ("seconds", "fine"), [(300, True), (-300, True), (301, False), (-301, False)]
)
def test_tolerance_both_ways(seconds: int, fine: bool) -> None:
    body = body_of("payment_intent.succeeded", PAYMENT)
    header = signed(body, at=NOW - timedelta(seconds=seconds))
    if fine:
        assert Stripe.webhook(body, header, NOW, [SECRET])
    else:
        with pytest.raises(StaleSignature, match="301 s away from now"):
            Stripe.webhook(body, header, NOW, [SECRET])


def test_rotation() -> None:
    body = body_of("payment_intent.succeeded", PAYMENT)
    # We have both secrets, or Stripe signs with both: either is enough.
    assert Stripe.webhook(body, signed(body, OLD_SECRET), NOW, [SECRET, OLD_SECRET])
    assert Stripe.webhook(body, signed(body, SECRET, OLD_SECRET), NOW, [OLD_SECRET])
    assert Stripe.webhook(body, signed(body, "whsec_next", SECRET), NOW, [SECRET])
    with pytest.raises(BadSignature, match="fits none"):
        Stripe.webhook(body, signed(body, OLD_SECRET), NOW, [SECRET])


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_is_trusted(secrets: list[str]) -> None:
    body = body_of("payment_intent.succeeded", PAYMENT)
    with pytest.raises(BadSignature, match="no webhook secret"):
        Stripe.webhook(body, signed(body), NOW, secrets)


@pytest.mark.parametrize(
    "header", ["t=1", "v1=ab", "t=1,t=2,v1=ab", "t=" + "9" * 400 + ",v1=a", "t=²,v1=ab", "é"]
)
def test_headers_of_no_known_form(header: str) -> None:
    with pytest.raises(BadSignature, match="Stripe-Signature is not of the form"):
        Stripe.webhook(b"{}", {"Stripe-Signature": header}, NOW, [SECRET])


async def test_localstripes_own_signature_is_accepted_by_both(
    stripe_psp: Stripe, hooks: Hooks, ref: str, card: str, key: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    await stripe_psp.capture(held.ref, Money(2_499_00), key=key)
    await hooks.until(held.ref, 2)
    [(raw, header)] = [one for one in hooks.originals if held.ref.encode() in one[0]]
    assert judge(raw, header, hooks.upstream_secret).type == "payment_intent.succeeded"
    # Signed rightly, and then without a field that Stripe always sends.
    with pytest.raises(UnreadableEvent, match="amount_received"):
        Stripe.webhook(
            raw, {"Stripe-Signature": header}, datetime.now(UTC), [hooks.upstream_secret]
        )
    assert time.time() - int(header.split(",")[0].removeprefix("t=")) < 300
