"""Webhooks of the stand-in: signed by Stripe's own SDK, delivered as a test wants them."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import stripe

from tests.stripe import shapes

SECRET = "whsec_new"
OLD_SECRET = "whsec_old"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PAYMENT: dict[str, Any] = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "succeeded",
    "amount": 100_00,
    "amount_received": 100_00,
    "currency": "inr",
    "latest_charge": "ch_1",
    "metadata": {"merchant_ref": "att_1"},
}


@dataclass(frozen=True)
class Signed:
    """An event's bytes and its signature header."""

    raw: bytes
    signature: str


@dataclass
class Hooks:
    """Events in the order in which they happened; `deliver` sends them in any."""

    upstream_secret: str
    secret: str
    events: list[Signed] = field(default_factory=list)
    originals: list[tuple[bytes, str]] = field(default_factory=list)

    def tell(self, kind: str, shown: shapes.Shown) -> None:
        """Something happened."""
        event = shapes.event(kind, shown, len(self.events) + 1, int(time.time()))
        text = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(text, self.secret)
        self.events.append(Signed(text.encode(), signature))

    def about(self, ref: str) -> list[Signed]:
        """The events that tell of a payment, by Stripe's reference."""
        return [event for event in self.events if ref.encode() in event.raw]

    async def until(self, ref: str, count: int, within_s: float = 6) -> list[Signed]:
        """The events of a payment once there are enough; localstripe's own take a second."""
        deadline = time.monotonic() + within_s
        while len(self.about(ref)) < count:
            assert time.monotonic() < deadline, self.about(ref)
            await asyncio.sleep(0.02)
        return self.about(ref)


async def deliver(url: str, events: Sequence[Signed]) -> list[int]:
    """Post events one after the other, as they are; returns the statuses."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return [
            (
                await client.post(
                    url, content=event.raw, headers={"Stripe-Signature": event.signature}
                )
            ).status_code
            for event in events
        ]


def body_of(kind: str, shown: dict[str, Any], at: datetime = NOW) -> bytes:
    event = {"id": "evt_1", "object": "event", "type": kind, "created": int(at.timestamp())}
    return json.dumps({**event, "data": {"object": shown}}).encode()


def signed(body: bytes, *secrets: str, at: datetime = NOW) -> dict[str, str]:
    """A header of the SDK's making, with a signature for each secret."""
    seconds = int(at.timestamp())
    made = [
        stripe.WebhookSignature.generate_signature_header(body.decode(), secret, seconds)
        for secret in secrets or (SECRET,)
    ]
    rest = [header.partition(",")[2] for header in made[1:]]
    return {"stripe-signature": ",".join([made[0], *rest])}
