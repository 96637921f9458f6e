"""What Razorpay's errors mean: a table on (code, source, step, reason), first fitting row.

The code alone is too coarse to tell, and one reason means different things by its source: a
customer who took too long is not a bank that did not answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from activities.payments.psp.http import Answer, JsonObject, Trouble
from domain.payments import FailureClass

ANY = "*"
GATEWAY, SERVER = "GATEWAY_ERROR", "SERVER_ERROR"
# Razorpay writes this where it has nothing to say.
SILENT = "NA"


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """What an error means; '*' fits everything.

    `final`: a payment that failed so stays failed. Where the bank's own answer is missing, and
    where the customer left, it may still be authorised.
    """

    code: str
    source: str
    step: str
    reason: str
    failure: FailureClass
    final: bool

    def fits(self, said: tuple[str, str, str, str]) -> bool:
        """Whether this row speaks about an error."""
        own = (self.code, self.source, self.step, self.reason)
        return all(mine in (ANY, other) for mine, other in zip(own, said, strict=True))


def _rows(
    failure: FailureClass,
    reasons: Iterable[str],
    *,
    code: str = ANY,
    sources: Iterable[str] = (ANY,),
    step: str = ANY,
    final: bool = True,
) -> tuple[ErrorRow, ...]:
    return tuple(
        ErrorRow(code, source, step, reason, failure, final)
        for source in sources
        for reason in reasons
    )


_F = FailureClass
_CUSTOMER_LEFT = (
    "payment_cancelled",
    "payment_timed_out",
    "payment_collect_request_expired",
    "payment_session_expired",
    "otp_expired",
)
# Everybody between Razorpay and the customer's money.
_BETWEEN = (
    "gateway",
    "internal",
    "network",
    "bank",
    "issuer",
    "issuer_bank",
    "beneficiary_bank",
    "customer_psp",
)

ERRORS: tuple[ErrorRow, ...] = (
    # a silent bank looks like a customer who left, but for the source
    *_rows(_F.REJECTED_TRANSIENT, _CUSTOMER_LEFT, sources=_BETWEEN, final=False),
    *_rows(_F.EXPIRED, _CUSTOMER_LEFT, final=False),
    # no more is known than that it did not work, and at whom
    *_rows(
        _F.REJECTED_TRANSIENT,
        ("payment_failed",),
        sources=("gateway", "internal", "network", "beneficiary_bank", "customer_psp"),
        final=False,
    ),
    *_rows(_F.DECLINED_SOFT, ("payment_failed", "authentication_failed"), final=False),
    *_rows(
        _F.REJECTED_TRANSIENT,
        (
            "bank_cutoff_in_progress",
            "bank_not_available",
            "bank_technical_error",
            "credit_failed",
            "deemed_transaction",
            "gateway_technical_error",
            "invalid_response_from_gateway",
            "issuer_technical_error",
            "payment_declined_due_to_high_traffic",
            "payment_pending",
            "psp_app_not_available",
            "psp_not_available",
            "request_timed_out",
            "upi_app_technical_error",
            "verification_failed",
            "vpa_resolution_failed",
        ),
        final=False,
    ),
    # the bank has answered: this payment cannot come back
    *_rows(
        _F.DECLINED_SOFT,
        (
            "authorisation_declined_by_psp",
            "card_declined",
            "credit_limit_exceeded",
            "credit_not_permitted",
            "debit_declined",
            "funds_blocked_by_mandate",
            "incorrect_atm_pin",
            "incorrect_card_details",
            "incorrect_card_expiry_date",
            "incorrect_cardholder_name",
            "incorrect_cvv",
            "incorrect_otp",
            "incorrect_pin",
            "insufficient_funds",
            "invalid_vpa",
            "mcc_amount_limit_exceeded",
            "otp_attempts_exceeded",
            "payment_declined",
            "pin_attempts_exceeded",
            "transaction_daily_count_exceeded",
            "transaction_daily_limit_exceeded",
            "transaction_frequency_limit_exceeded",
            "transaction_limit_exceeded",
        ),
    ),
    *_rows(
        _F.DECLINED_HARD,
        (
            "bank_account_invalid",
            "card_disabled_for_online_payments",
            "card_expired",
            "card_not_enrolled",
            "card_number_invalid",
            "card_type_invalid",
            "debit_instrument_blocked",
            "debit_instrument_inactive",
            "international_transaction_not_allowed",
            "pin_not_set",
            "transaction_on_vpa_restricted",
            "user_not_eligible",
            "user_not_registered_for_netbanking",
        ),
    ),
    *_rows(_F.FRAUD, ("payment_risk_check_failed", "compliance_violation")),
    # the token may not be charged without the customer: with them it may
    *_rows(
        _F.AUTH_REQUIRED,
        (
            "pre_debit_notification_not_sent",
            "BAD_REQUEST_MANDATE_PROMISED_DEBIT_DATE_NOT_HONOURED",
            "reqauth_mandate_not_acknowledged",
        ),
    ),
    *_rows(_F.AUTH_REQUIRED, (ANY,), step="mandate_creation"),
    *_rows(
        _F.CONFIG,
        (
            "bank_not_enabled",
            "card_network_not_enabled",
            "live_mode_not_enabled",
            "merchant_not_activated",
            "payment_method_not_enabled",
            "recurring_payment_not_enabled",
            "upi_intent_not_enabled",
        ),
    ),
    # another payment of the same order is ahead of this one: ask what became of it
    *_rows(_F.IN_PROGRESS, ("duplicate_refund_id", "duplicate_request", "order_already_paid")),
    *_rows(
        _F.INVALID_REQUEST,
        (
            "amount_less_than_minimum_amount",
            "extra_field_sent",
            "input_validation_failed",
            "invalid_amount",
            "invalid_currency",
            "invalid_email",
            "invalid_mobile_number",
            "invalid_order_id",
            "invalid_request",
            "order_amount_mismatch",
            "order_payment_method_mismatch",
            "record_not_found",
            "refund_limit_crossed",
        ),
    ),
    # a refusal whose only word is its description, which is for people
    *_rows(_F.INVALID_REQUEST, (SILENT,), code="BAD_REQUEST_ERROR", final=False),
    # of a payment that failed, at whoever's machine; as an answer to a call it is no answer
    *_rows(_F.REJECTED_TRANSIENT, (ANY,), code=SERVER, final=False),
    *_rows(_F.REJECTED_TRANSIENT, (ANY,), code=GATEWAY, final=False),
)

_BY_STATUS = {
    401: FailureClass.CONFIG,
    403: FailureClass.CONFIG,
    409: FailureClass.IN_PROGRESS,
    429: FailureClass.REJECTED_TRANSIENT,
}


def row_for(code: object, source: object, step: object, reason: object) -> ErrorRow | None:
    """The first row that fits an error's parts; None where there is none."""
    said = (_word(code), _word(source), _word(step), _word(reason) or SILENT)
    return next((row for row in ERRORS if row.fits(said)), None)


def named(code: object, reason: object) -> str | None:
    """The error's name for support: its reason, else its code."""
    return next((word for word in (_word(reason), _word(code)) if word not in ("", SILENT)), None)


def failure_of(answer: Answer) -> Trouble:
    """What an error answer means for the call; UNKNOWN where it proves nothing.

    Only an error that names the payment it is about is believed when the server itself failed.
    """
    error = _error_in(answer.body)
    name = named(error.get("code"), error.get("reason")) or f"http_{answer.status}"
    if answer.status in _BY_STATUS:
        return Trouble(_BY_STATUS[answer.status], name)
    if failed_payment_in(answer.body) is None and (
        answer.status >= 500 or error.get("code") in (GATEWAY, SERVER)
    ):
        return Trouble(FailureClass.UNKNOWN, name)
    row = row_for(error.get("code"), error.get("source"), error.get("step"), error.get("reason"))
    return Trouble(row.failure if row else FailureClass.UNKNOWN, name)


def failed_payment_in(body: JsonObject) -> str | None:
    """The id of the failed payment that an error answer is about, if it names one."""
    about = _error_in(body).get("metadata")
    ref = about.get("payment_id") if isinstance(about, dict) else None
    return ref if isinstance(ref, str) and ref else None


def _error_in(body: JsonObject) -> JsonObject:
    error = body.get("error")
    return error if isinstance(error, dict) else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
