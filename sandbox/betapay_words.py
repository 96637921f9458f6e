"""How betapay words what goes wrong: code, source, step and reason, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.psp import desk

BAD, GATEWAY, SERVER = "BAD_REQUEST_ERROR", "GATEWAY_ERROR", "SERVER_ERROR"


@dataclass(frozen=True, slots=True)
class Words:
    """An error's HTTP status and its parts."""

    status: int
    code: str
    source: str
    step: str
    reason: str
    description: str

    def shown(self) -> Mapping[str, Any]:
        """The `error` object."""
        return {
            "code": self.code,
            "description": self.description,
            "source": self.source,
            "step": self.step,
            "reason": self.reason,
        }


_AUTHORISING, _PROVING = "payment_authorization", "payment_authentication"

# Why a payment failed or lapsed.
ERRORS: dict[str, Words] = {
    desk.FUNDS: Words(
        400, BAD, "customer", _AUTHORISING, "insufficient_funds", "The account holds too little."
    ),
    desk.LOST_CARD: Words(
        400, BAD, "issuer", _AUTHORISING, "card_lost_or_stolen", "The card was reported lost."
    ),
    desk.FRAUD: Words(
        400, BAD, "internal", _AUTHORISING, "payment_risk_check_failed", "The risk check failed."
    ),
    desk.AUTHENTICATION: Words(
        400, BAD, "issuer", _PROVING, "authentication_required", "The customer must authenticate."
    ),
    desk.TECHNICAL: Words(
        502,
        GATEWAY,
        "gateway",
        _AUTHORISING,
        "gateway_timeout",
        "The bank did not answer; the payment may still be authorized later.",
    ),
    desk.CUSTOMER_DECLINED: Words(
        400, BAD, "customer", _PROVING, "payment_declined", "The customer declined."
    ),
    desk.CUSTOMER_LEFT: Words(
        400, BAD, "customer", _PROVING, "payment_cancelled", "The customer went back."
    ),
    desk.TIMED_OUT: Words(
        400, BAD, "customer", "payment_initiation", "payment_expired", "The time to pay is over."
    ),
}

# Why a request was refused.
REFUSALS: dict[str, Words] = {
    "already_captured": Words(
        400, BAD, "business", "capture", "already_captured", "The payment is captured already."
    ),
    "not_authorised": Words(
        400, BAD, "business", "capture", "not_authorized", "The payment is not authorized."
    ),
    "amount_differs": Words(
        400, BAD, "business", "capture", "amount_mismatch", "Capture the authorized amount exactly."
    ),
    "cannot_cancel": Words(
        400, BAD, "business", "cancel", "already_captured", "It is captured: refund it instead."
    ),
    "not_captured": Words(
        400, BAD, "business", "refund", "not_captured", "Only a captured payment can be refunded."
    ),
    "amount_too_large": Words(
        400, BAD, "business", "refund", "amount_too_large", "More than what is left to refund."
    ),
    "no_such_payment": Words(
        404, BAD, "business", "lookup", "no_such_payment", "There is no payment with this id."
    ),
    "in_progress": Words(
        409, BAD, "business", "refund", "in_progress", "A refund with this key is still running."
    ),
    "key_mismatch": Words(
        400, BAD, "business", "refund", "key_mismatch", "This key was used for something else."
    ),
    "unauthenticated": Words(
        401, BAD, "business", "authentication", "unauthenticated", "User name or key is wrong."
    ),
    "http_500_before": Words(
        500, SERVER, "internal", "processing", "server_error", "Something went wrong."
    ),
    "http_500_after": Words(
        500, SERVER, "internal", "processing", "server_error", "Something went wrong."
    ),
    "rate_limited": Words(
        429, BAD, "business", "processing", "rate_limited", "Too many requests: try again later."
    ),
    "gateway_down": Words(
        503,
        GATEWAY,
        "gateway",
        "payment_initiation",
        "gateway_down",
        "The bank cannot be reached. Nothing was done.",
    ),
}
