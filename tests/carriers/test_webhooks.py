"""The contract for webhooks: what the carrier sends is read, and what others send is refused."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.shipping.registry import CARRIERS
from domain.scans import Scan, fold
from domain.shipping import ShipmentState
from domain.webhooks import BadSignature, StaleSignature, UnreadableEvent
from tests.carriers.conftest import Subject
from tests.sandbox.harness import SECRET, Received

S = ShipmentState
JOURNEY = (
    (0.2, "picked_up"),
    (0.5, "in_transit"),
    (1.0, "out_for_delivery"),
    (1.5, "undelivered", "unavailable"),
    (2.0, "out_for_delivery"),
    (2.5, "delivered"),
)
SCANS = 8  # booked and scheduled, then the journey


def genuine(subject: Subject, received: list[Received]) -> list[Received]:
    """Those that nobody forged."""
    kept = []
    for one in received:
        try:
            subject.read(one)
        except BadSignature:
            continue
        kept.append(one)
    return kept


def scans_in(subject: Subject, received: list[Received]) -> list[Scan]:
    return [scan for one in genuine(subject, received) for scan in subject.read(one)]


async def travelled(subject: Subject, ref: str, enough: int = SCANS) -> list[Received]:
    """A parcel that came to the door, and the webhooks that told of it."""
    await subject.lives(ref, *JOURNEY)
    booked = await subject.booked(ref)
    await subject.asked(booked, ref)
    return await subject.told(
        ref, lambda received: len(genuine(subject, received)) >= enough, within_s=20
    )


async def test_webhooks_tell_what_tracking_tells(subject: Subject, ref: str) -> None:
    received = await travelled(subject, ref)
    told = scans_in(subject, received)
    shown = (await subject.carrier.track(told[0].awb)).scans
    assert {scan.identity for scan in told} == {scan.identity for scan in shown}
    assert len(shown) == SCANS
    assert fold(told) == fold(shown)
    assert (fold(told).state, fold(told).attempts) == (S.DELIVERED, 1)


async def test_doubled_reordered_late_and_forged(subject: Subject, ref: str) -> None:
    """However they come, they add up to what the carrier's own books have."""
    faults = ("doubled", "reordered", "late", "forged", "doubled", "early", "reordered", "doubled")
    rules = [{"operation": "webhook", "merchant_ref": ref, "fault": one} for one in faults]
    await subject.server.faults(rules=rules, webhook_late_ms=[200, 400])
    received = await travelled(subject, ref, enough=SCANS + 3)
    told = scans_in(subject, received)
    assert len(genuine(subject, received)) < len(await _all(subject, ref, SCANS + 4))
    shown = (await subject.carrier.track(told[0].awb)).scans
    for seed in range(5):
        random.Random(seed).shuffle(told)
        assert fold(told) == fold(shown)
    assert fold(shown).state is S.DELIVERED


async def _all(subject: Subject, ref: str, many: int) -> list[Received]:
    return await subject.told(ref, lambda received: len(received) >= many)


async def test_a_lost_webhook_is_made_up_for_by_asking(subject: Subject, ref: str) -> None:
    await subject.server.faults(
        rules=[{"operation": "webhook", "merchant_ref": ref, "fault": "lost", "times": SCANS}]
    )
    await subject.lives(ref, *JOURNEY)
    booked = await subject.booked(ref)
    await subject.asked(booked, ref)
    await subject.until(ref, "delivered")
    assert subject.shop.about(ref) == []
    assert fold(await subject.scans(booked)).state is S.DELIVERED


async def booked_event(subject: Subject, ref: str) -> Received:
    await subject.booked(ref)
    received = await subject.told(ref, lambda received: len(received) >= 1)
    return received[0]


async def test_another_secret_is_refused(subject: Subject, ref: str) -> None:
    webhook = await booked_event(subject, ref)
    for secrets in (("another",), ("", "another")):
        with pytest.raises(BadSignature):
            subject.read(webhook, *secrets)
    with pytest.raises(BadSignature):
        CARRIERS[subject.name].load().webhook(webhook.body, webhook.headers, datetime.now(UTC), ())
    with pytest.raises(BadSignature):
        subject.read(Received({}, webhook.body, webhook.at))


async def test_both_secrets_are_valid_while_one_is_rotated(subject: Subject, ref: str) -> None:
    webhook = await booked_event(subject, ref)
    assert subject.read(webhook, "new", SECRET) == subject.read(webhook, SECRET, "new")


async def test_what_was_changed_on_the_way(subject: Subject, ref: str) -> None:
    """A signature finds out; a shared token cannot, so its scans are asked about before use."""
    webhook = await booked_event(subject, ref)
    (scan,) = subject.read(webhook)
    changed = replace(webhook, body=webhook.body.replace(scan.awb.encode(), b"999999"))
    assert changed.body != webhook.body
    if subject.carrier.caps.signed_webhooks:
        with pytest.raises(BadSignature):
            subject.read(changed)
    else:
        assert [one.awb for one in subject.read(changed)] == ["999999"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"awb": 7}', b"\xff\xfe"])
def test_a_body_of_no_known_form(body: bytes) -> None:
    """From who knows the token, so it is kept for a person."""
    for name, header in (("shiprocket", "x-api-key"), ("delhivery", "Authorization")):
        value = SECRET if name == "shiprocket" else f"Token {SECRET}"
        with pytest.raises(UnreadableEvent):
            CARRIERS[name].load().webhook(body, {header: value}, datetime.now(UTC), (SECRET,))


def test_swift_says_when_it_signed() -> None:
    body = b'{"awb": "1", "scan": {"status": "moving", "at_ms": 1000}}'
    for age, refused in ((0, False), (299, False), (302, True), (-302, True)):
        at = int(time.time()) - age
        signed = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"swift-signature": f"t={at},v1={signed}"}
        read = CARRIERS["swift"].load().webhook
        if refused:
            with pytest.raises(StaleSignature):
                read(body, headers, datetime.now(UTC), (SECRET,))
        else:
            (scan,) = read(body, headers, datetime.now(UTC), (SECRET,))
            assert (scan.status, scan.at) == (S.IN_TRANSIT, datetime.fromtimestamp(1, UTC))
