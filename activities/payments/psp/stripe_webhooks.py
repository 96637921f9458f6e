"""Stripe's webhooks: `Stripe-Signature: t=…,v1=…`, and the events that tell of payments."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from activities.payments.psp.http import JsonObject
from activities.payments.psp.stripe_codes import name_of
from activities.payments.psp.stripe_objects import KEY, MERCHANT_REF, refunded_of, time_of
from domain.webhooks import (
    EventKind,
    PaymentEvent,
    Trust,
    check_timed_signature,
    json_object,
    reading,
    text_of,
    whole,
)

_HEADER: Final = "Stripe-Signature"
_PAYMENT_REQUIRED: Final = 402

_PAYMENT_KINDS: Final[Mapping[str, EventKind]] = {
    "payment_intent.amount_capturable_updated": EventKind.PAYMENT_AUTHORISED,
    "payment_intent.succeeded": EventKind.PAYMENT_CAPTURED,
    "payment_intent.payment_failed": EventKind.PAYMENT_FAILED,
    "payment_intent.canceled": EventKind.PAYMENT_VOIDED,
}
_REFUND_KINDS: Final[Mapping[str, EventKind]] = {
    "succeeded": EventKind.REFUND_SUCCEEDED,
    "failed": EventKind.REFUND_FAILED,
    "canceled": EventKind.REFUND_FAILED,
}
# By event and status: an inquiry (warning_…) takes no money, and one that turns into a dispute
# says so by the money that is withdrawn.
_DISPUTE_KINDS: Final[Mapping[tuple[str, str], EventKind]] = {
    ("charge.dispute.created", "needs_response"): EventKind.DISPUTE_OPENED,
    ("charge.dispute.created", "under_review"): EventKind.DISPUTE_OPENED,
    ("charge.dispute.funds_withdrawn", "needs_response"): EventKind.DISPUTE_OPENED,
    ("charge.dispute.funds_withdrawn", "under_review"): EventKind.DISPUTE_OPENED,
    ("charge.dispute.closed", "won"): EventKind.DISPUTE_WON,
    ("charge.dispute.closed", "lost"): EventKind.DISPUTE_LOST,
}

# What an event tells that is not about a payment of ours.
_OF_OTHERS: Final[Mapping[str, Any]] = {
    "kind": EventKind.OTHER,
    "merchant_ref": "",
    "ref": "",
    "amount": 0,
    "currency": "",
    "captured": 0,
    "refunded": 0,
}


def verify_stripe(
    raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
) -> list[PaymentEvent]:
    """Check the signature (one v1 or several) and read the event, if it tells of a payment of ours.

    An account may serve others too: their payments, and events about other things, give no event.
    Refunds and disputes name a payment by Stripe's reference only: their `merchant_ref` is empty.
    Raises BadSignature where no v1 fits a secret, StaleSignature where t is off by more than
    TOLERANCE, and UnreadableEvent where the signed bytes are no event.
    """
    check_timed_signature(raw, headers, _HEADER, now, secrets)
    body = json_object(raw)
    event = reading("stripe", lambda: _event(body))
    return [event] if event.ref else []


def _event(body: JsonObject) -> PaymentEvent:
    """The event of a body; without a `ref` where it tells of no payment of ours."""
    shown = body["data"]["object"]
    kind = text_of(body["type"])
    read = _READERS.get(shown["object"])
    fields = read(kind, shown) if read else {}
    return PaymentEvent(
        event_id=text_of(body["id"]),
        provider="stripe",
        occurred_at=time_of(whole(body["created"])),
        trust=Trust.SIGNED,
        **{**_OF_OTHERS, **fields},
    )


def _of_payment(event: str, shown: JsonObject) -> dict[str, Any]:
    if MERCHANT_REF not in shown["metadata"]:
        return {}
    error = shown.get("last_payment_error")
    return {
        **_payment(shown, shown["id"]),
        "kind": _PAYMENT_KINDS.get(event, EventKind.OTHER),
        "merchant_ref": text_of(shown["metadata"][MERCHANT_REF]),
        "captured": whole(shown["amount_received"]),
        "failure_code": name_of(_PAYMENT_REQUIRED, error) if error else None,
    }


def _of_charge(event: str, shown: JsonObject) -> dict[str, Any]:
    if MERCHANT_REF not in shown["metadata"]:
        return {}
    refunded = refunded_of(shown)
    # letting go of what was held and not taken comes under the same name
    told = event == "charge.refunded" and refunded > 0
    return {
        **_payment(shown, shown["payment_intent"]),
        "kind": EventKind.REFUND_SUCCEEDED if told else EventKind.OTHER,
        "merchant_ref": text_of(shown["metadata"][MERCHANT_REF]),
        "captured": whole(shown["amount_captured"]),
        "refunded": refunded,
    }


def _of_refund(_event: str, shown: JsonObject) -> dict[str, Any]:
    """A refund names its payment by Stripe's reference only, and not what else was refunded."""
    kind = _REFUND_KINDS.get(shown["status"], EventKind.OTHER)
    amount = whole(shown["amount"])
    if not shown["payment_intent"]:
        return {}
    return {
        **_payment(shown, shown["payment_intent"]),
        "kind": kind,
        "refunded": amount if kind is EventKind.REFUND_SUCCEEDED else 0,
        "refund_ref": text_of(shown["id"]),
        "refund_merchant_ref": (shown.get("metadata") or {}).get(KEY),
        "failure_code": shown.get("failure_reason"),
    }


def _of_dispute(event: str, shown: JsonObject) -> dict[str, Any]:
    if not shown["payment_intent"]:
        return {}
    return {
        **_payment(shown, shown["payment_intent"]),
        "kind": _DISPUTE_KINDS.get((event, shown["status"]), EventKind.OTHER),
        "failure_code": shown.get("reason"),
        "dispute_ref": text_of(shown["id"]),
        "dispute_amount": whole(shown["amount"]),
    }


def _payment(shown: JsonObject, ref: object) -> dict[str, Any]:
    return {
        "ref": text_of(ref),
        "amount": whole(shown["amount"]),
        "currency": text_of(shown["currency"]).upper(),
    }


_READERS: Final[Mapping[str, Callable[[str, JsonObject], dict[str, Any]]]] = {
    "payment_intent": _of_payment,
    "charge": _of_charge,
    "refund": _of_refund,
    "dispute": _of_dispute,
}
