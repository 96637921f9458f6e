"""Stripe's objects, read into ours: PaymentIntents, refunds, errors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from activities.payments.psp.dialect import Dialect, with_refunds
from activities.payments.psp.http import Answer, JsonObject, Trouble
from activities.payments.psp.port import (
    ActionKind,
    NextAction,
    PaymentResult,
    RefundResult,
    RefundStatus,
)
from activities.payments.psp.stripe_codes import CODES, name_of
from domain.money import Money
from domain.payments import FailureClass, PaymentState

# The metadata by which we know our own: on a payment, and on a refund.
MERCHANT_REF: Final = "merchant_ref"
KEY: Final = "key"

STATES: Final[Mapping[str, PaymentState]] = {
    "requires_payment_method": PaymentState.CREATED,
    "requires_confirmation": PaymentState.CREATED,
    "requires_action": PaymentState.ACTION_REQUIRED,
    "processing": PaymentState.PENDING,
    "requires_capture": PaymentState.AUTHORISED,
    "succeeded": PaymentState.CAPTURED,
    "canceled": PaymentState.VOIDED,
}
REFUND_STATUSES: Final[Mapping[str, RefundStatus]] = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.DONE,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_PAYMENT_REQUIRED: Final = 402


def time_of(seconds: int) -> datetime:
    """Stripe's seconds since 1970 in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def read_payment(shown: JsonObject) -> PaymentResult:
    """A PaymentIntent, best with its `latest_charge` expanded: only that tells of refunds."""
    charge = shown["latest_charge"]
    charge = charge if isinstance(charge, dict) else {}
    error = shown.get("last_payment_error")
    state = _state(shown, failed=error is not None)
    failed = state is PaymentState.FAILED
    code = name_of(_PAYMENT_REQUIRED, error) if failed and error else None
    captured, refunded = shown["amount_received"], refunded_of(charge)
    return PaymentResult(
        state=with_refunds(state, captured, refunded),
        ref=shown["id"],
        merchant_ref=shown["metadata"].get(MERCHANT_REF),
        amount=Money(shown["amount"], shown["currency"].upper()),
        captured=captured,
        refunded=refunded,
        next_action=_read_action(shown.get("next_action")),
        failure_class=CODES.get(code or "", FailureClass.DECLINED_HARD) if failed else None,
        failure_code=code,
        occurred_at=time_of(shown.get("canceled_at") or charge.get("created") or shown["created"]),
        # Who was sent to authenticate came back with the client secret, which can confirm again.
        final=not failed,
    )


def _state(shown: JsonObject, *, failed: bool) -> PaymentState:
    state = STATES.get(shown["status"], PaymentState.UNKNOWN)
    if shown["status"] == "requires_payment_method" and failed:
        return PaymentState.FAILED
    partly = 0 < shown["amount_received"] < shown["amount"]
    return PaymentState.PARTIALLY_CAPTURED if partly else state


def refunded_of(charge: JsonObject) -> int:
    """What of the captured money went back, in minor units.

    Stripe counts what was held and never taken as refunded too: after a smaller capture, or a void.
    """
    if not charge.get("amount_captured"):
        return 0
    never_taken: int = charge["amount"] - charge["amount_captured"]
    return max(0, int(charge["amount_refunded"]) - never_taken)


def _read_action(shown: JsonObject | None) -> NextAction | None:
    if not shown or shown["type"] != "redirect_to_url":
        return None
    return NextAction(kind=ActionKind.REDIRECT, url=shown["redirect_to_url"]["url"])


def read_refund(shown: JsonObject) -> RefundResult:
    """A refund; one that has failed says so by its status alone."""
    return RefundResult(
        status=REFUND_STATUSES.get(shown["status"], RefundStatus.UNKNOWN),
        ref=shown["id"],
        amount=shown["amount"],
        occurred_at=time_of(shown["created"]),
    )


def plain(answer: Answer | Trouble) -> Answer | Trouble:
    """An error by its name in CODES, over the payment that it left behind; else as it came."""
    if isinstance(answer, Trouble) or answer.ok:
        return answer
    error = answer.body.get("error")
    if not isinstance(error, dict):
        return answer
    left = error.get("payment_intent")
    named = {"error": {"code": name_of(answer.status, error)}}
    return Answer(answer.status, {**(left if isinstance(left, dict) else {}), **named})


def _read_code(body: JsonObject) -> str | None:
    code: str | None = body["error"]["code"]
    return code


DIALECT: Final = Dialect(
    codes=CODES,
    read_code=_read_code,
    read_payment=read_payment,
    read_refund=read_refund,
    items="data",
    missing="resource_missing",
)
