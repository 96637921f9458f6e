"""Razorpay's webhooks: signed over the raw body without a time, doubled, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from activities.payments.psp.http import JsonObject
from activities.payments.psp.razorpay_objects import OUR_REF, notes_of, time_of
from domain.webhooks import (
    EventKind,
    PaymentEvent,
    Trust,
    check_signature,
    header_of,
    json_object,
    reading,
    text_of,
    whole,
)

KINDS: Mapping[str, EventKind] = {
    "payment.authorized": EventKind.PAYMENT_AUTHORISED,
    "payment.captured": EventKind.PAYMENT_CAPTURED,
    "payment.failed": EventKind.PAYMENT_FAILED,
    "payment_link.paid": EventKind.PAYMENT_CAPTURED,
    "payment_link.cancelled": EventKind.PAYMENT_VOIDED,
    "payment_link.expired": EventKind.PAYMENT_EXPIRED,
    "refund.processed": EventKind.REFUND_SUCCEEDED,
    "refund.failed": EventKind.REFUND_FAILED,
    "payment.dispute.created": EventKind.DISPUTE_OPENED,
    "payment.dispute.won": EventKind.DISPUTE_WON,
    "payment.dispute.lost": EventKind.DISPUTE_LOST,
}
# A refund of what was never captured: Razorpay let an authorisation lapse.
_OF_NOTHING_TAKEN: Mapping[EventKind, EventKind] = {
    EventKind.REFUND_SUCCEEDED: EventKind.PAYMENT_VOIDED,
    EventKind.REFUND_FAILED: EventKind.OTHER,
}


class _Parts:
    """The entities of an event's payload."""

    def __init__(self, payload: object) -> None:
        self._payload = payload if isinstance(payload, dict) else {}

    def entity(self, name: str) -> JsonObject:
        """An entity of the payload; empty where the event has none such."""
        part = self._payload.get(name)
        entity = part.get("entity") if isinstance(part, dict) else None
        return entity if isinstance(entity, dict) else {}

    def our_ref(self) -> object:
        """Our reference, wherever the event has it; nothing where it has none."""
        noted = notes_of(self.entity("payment")).get(OUR_REF)
        link, order = self.entity("payment_link"), self.entity("order")
        return noted or link.get("reference_id") or order.get("receipt")


def verify_razorpay(
    raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
) -> list[PaymentEvent]:
    """Check `X-Razorpay-Signature` over the raw bytes and read the event.

    No time is signed, so a replay is known only by `x-razorpay-event-id`, an unsigned header that
    serves to drop doubles. No event: it tells of a payment that is not ours, or of none; to refuse
    it would have Razorpay send it for a day, and then switch the webhook off. Raises BadSignature
    and UnreadableEvent.
    """
    check_signature(raw, [header_of(headers, "X-Razorpay-Signature")], secrets)
    event_id = header_of(headers, "x-razorpay-event-id")
    body = json_object(raw)
    parts = _Parts(body.get("payload"))
    ours = parts.our_ref()
    return [reading("razorpay", lambda: _event(body, parts, ours, event_id))] if ours else []


def _event(body: Mapping[str, object], parts: _Parts, ours: object, event_id: str) -> PaymentEvent:
    name = text_of(body["event"])
    payment = parts.entity("payment")
    about = payment or parts.entity("payment_link")
    refund, dispute = parts.entity("refund"), parts.entity("dispute")
    taken = payment.get("captured") is True
    kind = KINDS.get(name, EventKind.OTHER)
    return PaymentEvent(
        event_id=text_of(event_id),
        provider="razorpay",
        kind=kind if taken else _OF_NOTHING_TAKEN.get(kind, kind),
        occurred_at=time_of(whole(body["created_at"])),
        merchant_ref=text_of(ours),
        ref=text_of(about["id"]),
        trust=Trust.SIGNED,
        amount=whole(about["amount"]),
        currency=text_of(about["currency"]),
        captured=whole(payment["amount"]) if taken else 0,
        refunded=whole(payment["amount_refunded"]) if taken else 0,
        refund_ref=refund.get("id"),
        refund_merchant_ref=refund.get("receipt"),
        failure_code=payment.get("error_reason") or payment.get("error_code") or None,
        dispute_ref=dispute.get("id"),
        dispute_amount=whole(dispute["amount"]) if dispute else None,
    )
