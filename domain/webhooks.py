"""PSP webhooks: whether the bytes are the PSP's own, and what they tell.

Pure: secrets and the time of arrival are passed in. Each verifier takes the secrets that are
valid now, so that an old and a new one overlap while a secret is rotated.

WebhookError(DomainError)
├── BadSignature       not signed by the PSP: refuse, change nothing
│   └── StaleSignature signed, but too long ago or ahead: refuse too
└── UnreadableEvent    signed, but not in a form we know: keep the bytes for a person
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.errors import DomainError

TOLERANCE = timedelta(seconds=300)


class WebhookError(DomainError):
    """A webhook that cannot be taken."""


class BadSignature(WebhookError):
    """The bytes are not the PSP's own, or no longer fresh; the reason never holds a secret."""

    def __init__(self, reason: str) -> None:
        super().__init__("BAD_SIGNATURE", reason)
        self.reason = reason


class StaleSignature(BadSignature):
    """Signed by the PSP, but too long ago or ahead: a replay, or a clock that is wrong."""


class UnreadableEvent(WebhookError):
    """The bytes are signed but are no event of a known form."""

    def __init__(self, reason: str) -> None:
        super().__init__("UNREADABLE_EVENT", reason)
        self.reason = reason


class Trust(StrEnum):
    """What stands behind an event; on TOKEN_ONLY ask the PSP before acting."""

    SIGNED = "SIGNED"
    TOKEN_ONLY = "TOKEN_ONLY"  # noqa: S105 - a word, not a secret


class EventKind(StrEnum):
    """What a PSP tells; OTHER is kept, and changes nothing."""

    PAYMENT_AUTHORISED = "PAYMENT_AUTHORISED"
    PAYMENT_CAPTURED = "PAYMENT_CAPTURED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAYMENT_VOIDED = "PAYMENT_VOIDED"
    PAYMENT_EXPIRED = "PAYMENT_EXPIRED"
    REFUND_SUCCEEDED = "REFUND_SUCCEEDED"
    REFUND_FAILED = "REFUND_FAILED"
    DISPUTE_OPENED = "DISPUTE_OPENED"
    DISPUTE_WON = "DISPUTE_WON"
    DISPUTE_LOST = "DISPUTE_LOST"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """One event: amounts in minor units (paise) as they stood at `occurred_at` (UTC).

    `merchant_ref` and `ref` name the payment, `refund_ref` and `refund_merchant_ref` the refund
    and `dispute_ref` the dispute where the event tells of one. Events come doubled and in any
    order: an amount that is lower than the one already known is old news.
    """

    event_id: str
    provider: str
    kind: EventKind
    occurred_at: datetime
    merchant_ref: str
    ref: str
    trust: Trust
    amount: int
    currency: str
    captured: int
    refunded: int
    refund_ref: str | None = None
    refund_merchant_ref: str | None = None
    failure_code: str | None = None
    dispute_ref: str | None = None
    dispute_amount: int | None = None


# (raw body, headers, time of arrival, secrets valid now) -> events; none where it is not about us
Verifier = Callable[[bytes, Mapping[str, str], datetime, Sequence[str]], list[PaymentEvent]]
# the same with its secrets: (raw body, headers, time of arrival) -> events
WebhookReader = Callable[[bytes, Mapping[str, str], datetime], list[PaymentEvent]]

_ALPHAPAY_KINDS: Mapping[str, EventKind] = {
    "payment.authorised": EventKind.PAYMENT_AUTHORISED,
    "payment.captured": EventKind.PAYMENT_CAPTURED,
    "payment.failed": EventKind.PAYMENT_FAILED,
    "payment.voided": EventKind.PAYMENT_VOIDED,
    "payment.expired": EventKind.PAYMENT_EXPIRED,
    "refund.succeeded": EventKind.REFUND_SUCCEEDED,
    "refund.failed": EventKind.REFUND_FAILED,
    "dispute.opened": EventKind.DISPUTE_OPENED,
    "dispute.won": EventKind.DISPUTE_WON,
    "dispute.lost": EventKind.DISPUTE_LOST,
}
_BETAPAY_KINDS: Mapping[str, EventKind] = {
    "payment.authorized": EventKind.PAYMENT_AUTHORISED,
    "payment.captured": EventKind.PAYMENT_CAPTURED,
    "payment.failed": EventKind.PAYMENT_FAILED,
    "refund.processed": EventKind.REFUND_SUCCEEDED,
}


def verify_alphapay(
    raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
) -> list[PaymentEvent]:
    """Check `AlphaPay-Signature: t=…,v1=…` (one v1 or several) and read the event.

    Raises BadSignature where no v1 fits a secret, StaleSignature where t is off by more than
    TOLERANCE, and UnreadableEvent where the signed bytes are no event.
    """
    check_timed_signature(raw, headers, "AlphaPay-Signature", now, secrets)
    body = json_object(raw)
    return [reading("alphapay", lambda: _alphapay_event(body))]


def verify_betapay(
    raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
) -> list[PaymentEvent]:
    """Check `X-BetaPay-Signature`, which signs the body without a time, and read the event.

    The event's id comes from an unsigned header: it serves to drop doubles, and proves nothing.
    Raises BadSignature and UnreadableEvent.
    """
    check_signature(raw, [header_of(headers, "X-BetaPay-Signature")], secrets)
    event_id = header_of(headers, "X-BetaPay-Event-Id")
    body = json_object(raw)
    return [reading("betapay", lambda: _betapay_event(body, event_id))]


def header_of(headers: Mapping[str, str], name: str) -> str:
    """The value of a header, however it is spelt; raises BadSignature where it is missing."""
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value
    raise BadSignature(f"the header {name} is missing")


def check_timed_signature(
    raw: bytes, headers: Mapping[str, str], name: str, now: datetime, secrets: Sequence[str]
) -> None:
    """Check a header `t=<seconds>,v1=<hex>` (one v1 or several) that signs the time and the body.

    Raises BadSignature where no v1 fits a secret, StaleSignature where t is off by more than
    TOLERANCE.
    """
    signed_at, given = _time_and_signatures(name, header_of(headers, name))
    check_signature(f"{signed_at}.".encode() + raw, given, secrets)
    # After the signature, so that a stranger learns nothing about our clock.
    age = abs(now.timestamp() - int(signed_at))
    if age > TOLERANCE.total_seconds():
        raise StaleSignature(
            f"signed {age:.0f} s away from now, over the {TOLERANCE.total_seconds():.0f} s allowed:"
            " check both clocks, or it is a replay"
        )


def _time_and_signatures(name: str, header: str) -> tuple[str, list[str]]:
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for key, _, value in parts if key == "t"]
    signatures = [value for key, _, value in parts if key == "v1"]
    right = len(times) == 1 and times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12
    if not right or not signatures:
        raise BadSignature(f"{name} is not of the form t=<seconds>,v1=<hex>")
    return times[0], signatures


def check_signature(signed: bytes, given: Sequence[str], secrets: Sequence[str]) -> None:
    """Raise BadSignature unless one given signature fits one valid secret; constant in time."""
    if not any(secrets):
        raise BadSignature("no webhook secret is configured, so no signature can be trusted")
    fits = False
    for secret in filter(None, secrets):
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for one in given:
            fits |= hmac.compare_digest(wanted, one.encode())
    if not fits:
        raise BadSignature("the signature fits none of the secrets valid now")


def json_object(raw: bytes) -> Mapping[str, Any]:
    """The JSON object of a body; raises UnreadableEvent."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise UnreadableEvent(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise UnreadableEvent(f"the body is a JSON {type(body).__name__}, not an object")
    return body


def reading(provider: str, read: Callable[[], PaymentEvent]) -> PaymentEvent:
    """The event that `read` makes of a body; raises UnreadableEvent for what it stumbles over."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise UnreadableEvent(
            f"not an event of {provider}'s known form: {type(error).__name__} {error}"
        ) from error


def _alphapay_event(body: Mapping[str, Any]) -> PaymentEvent:
    payment = body["data"]["payment"]
    refund = body["data"].get("refund") or {}
    dispute = body["data"].get("dispute") or {}
    return PaymentEvent(
        event_id=text_of(body["id"]),
        provider="alphapay",
        kind=_ALPHAPAY_KINDS.get(body["type"], EventKind.OTHER),
        occurred_at=datetime.fromtimestamp(whole(body["created"]) / 1000, UTC),
        merchant_ref=text_of(payment["merchant_ref"]),
        ref=text_of(payment["id"]),
        trust=Trust.SIGNED,
        amount=whole(payment["amount"]),
        currency=text_of(payment["currency"]),
        captured=whole(payment["captured"]),
        refunded=whole(payment["refunded"]),
        refund_ref=refund.get("id"),
        refund_merchant_ref=refund.get("merchant_ref"),
        failure_code=(payment.get("error") or {}).get("code"),
        dispute_ref=dispute.get("id"),
        dispute_amount=_whole_or_none(dispute.get("amount")),
    )


def _betapay_event(body: Mapping[str, Any], event_id: str) -> PaymentEvent:
    payment = body["payload"]["payment"]["entity"]
    refund = body["payload"].get("refund", {}).get("entity") or {}
    kind = _BETAPAY_KINDS.get(body["event"], EventKind.OTHER)
    if kind is EventKind.PAYMENT_FAILED and payment["status"] == "expired":
        kind = EventKind.PAYMENT_EXPIRED
    return PaymentEvent(
        event_id=text_of(event_id),
        provider="betapay",
        kind=kind,
        occurred_at=datetime.fromtimestamp(whole(body["created_at"]), UTC),
        merchant_ref=text_of(payment["receipt"]),
        ref=text_of(payment["id"]),
        trust=Trust.SIGNED,
        amount=whole(payment["amount"]),
        currency=text_of(payment["currency"]),
        captured=whole(payment["amount_captured"]),
        refunded=whole(payment["amount_refunded"]),
        refund_ref=refund.get("id"),
        refund_merchant_ref=refund.get("receipt"),
        failure_code=(payment.get("error") or {}).get("reason"),
    )


def text_of(value: object) -> str:
    """A short text; raises ValueError."""
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError(f"{value!r:.60} is not a text of 1 to 200 characters")
    return value


def _whole_or_none(value: object) -> int | None:
    return None if value is None else whole(value)


def whole(value: object) -> int:
    """A whole number from 0 up; raises ValueError."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.60} is not a whole number from 0 up")
    return value
