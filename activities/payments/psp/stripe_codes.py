"""Stripe's error codes and the failure class of each.

An error has a type, mostly a code, and for a card that was declined a decline code. The most
specific one that has a row decides; the three share no name with two meanings.
Source: Stripe's lists of error codes and of decline codes.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from activities.payments.psp.http import JsonObject
from domain.payments import FailureClass

_F = FailureClass


def _rows(failure: FailureClass, *names: str) -> Iterable[tuple[str, FailureClass]]:
    return ((name, failure) for name in names)


CODES: Final[Mapping[str, FailureClass]] = dict(
    [
        # -- decline codes ----------------------------------------------------------------
        *_rows(
            _F.DECLINED_SOFT,
            "approve_with_id",
            "call_issuer",
            "card_velocity_exceeded",
            "do_not_honor",
            "generic_decline",
            "insufficient_funds",
            "invalid_amount",
            "no_action_taken",
            "withdrawal_count_limit_exceeded",
            # Mastercard's merchant advice against any further attempt (domain.payments.DECISIONS)
            "MAC_03",
            "MAC_21",
        ),
        # the bank could not be asked, or could not answer
        *_rows(
            _F.REJECTED_TRANSIENT,
            "issuer_not_available",
            "processing_error",
            "reenter_transaction",
            "try_again_later",
        ),
        *_rows(
            _F.DECLINED_HARD,
            "card_not_supported",
            "currency_not_supported",
            "do_not_try_again",
            "expired_card",
            "invalid_account",
            "lost_card",
            "new_account_information_available",
            "not_permitted",
            "pickup_card",
            "restricted_card",
            "revocation_of_all_authorizations",
            "revocation_of_authorization",
            "security_violation",
            "service_not_allowed",
            "stolen_card",
            "stop_payment_order",
            "testmode_decline",
            "transaction_not_allowed",
            # there may be a payment already: another attempt elsewhere could be the second
            "duplicate_transaction",
            # what the customer typed is wrong, and would be wrong elsewhere
            "incorrect_address",
            "incorrect_cvc",
            "incorrect_number",
            "incorrect_zip",
            "invalid_cvc",
            "invalid_expiry_month",
            "invalid_expiry_year",
            "invalid_number",
            # a PIN takes a card reader
            "incorrect_pin",
            "invalid_pin",
            "mobile_device_authentication_required",
            "offline_pin_required",
            "online_or_offline_pin_required",
            "pin_try_exceeded",
        ),
        *_rows(_F.AUTH_REQUIRED, "authentication_not_handled", "authentication_required"),
        *_rows(_F.FRAUD, "fraudulent", "merchant_blacklist"),
        # -- codes ------------------------------------------------------------------------
        # declined, under a decline code that has no row here
        *_rows(_F.DECLINED_HARD, "card_declined", "card_decline_rate_limit_exceeded"),
        *_rows(_F.DECLINED_HARD, "incorrect_postal_code", "expired_payment_method"),
        *_rows(_F.AUTH_REQUIRED, "payment_intent_action_required", "requires_action_not_handled"),
        # the customer was asked, and did not pass
        *_rows(_F.DECLINED_SOFT, "authentication_failure", "payment_intent_authentication_failure"),
        # a refusal is replayed under its key: only a person who tops up the balance can help
        *_rows(_F.DECLINED_SOFT, "balance_insufficient"),
        *_rows(
            _F.EXPIRED,
            "capture_charge_authorization_expired",
            "charge_expired_for_capture",
            "payment_intent_payment_attempt_expired",
        ),
        *_rows(_F.REJECTED_TRANSIENT, "lock_timeout", "rate_limit"),
        *_rows(_F.REJECTED_TRANSIENT, "payment_intent_rate_limit_exceeded"),
        *_rows(_F.IN_PROGRESS, "idempotency_key_in_use", "conflict"),
        *_rows(
            _F.INVALID_REQUEST,
            "amount_too_large",
            "amount_too_small",
            "charge_already_captured",
            "charge_already_refunded",
            "charge_disputed",
            "charge_not_refundable",
            "intent_invalid_state",
            "invalid_charge_amount",
            "parameter_invalid_empty",
            "parameter_invalid_integer",
            "parameter_missing",
            "parameter_unknown",
            "payment_intent_incompatible_payment_method",
            "payment_intent_invalid_parameter",
            "payment_intent_unexpected_state",
            "payment_method_currency_mismatch",
            "payment_method_invalid_parameter",
            "payment_method_unexpected_state",
            "refund_disputed_payment",
            "resource_missing",
            "token_already_used",
            "token_in_use",
            "url_invalid",
        ),
        *_rows(
            _F.CONFIG,
            "account_invalid",
            "api_key_expired",
            "capability_not_active",
            "livemode_mismatch",
            "payment_method_unactivated",
            "platform_api_key_expired",
            "secret_key_required",
            "testmode_charges_only",
            "tls_version_unsupported",
        ),
        # -- types, where no code has a row -------------------------------------------------
        *_rows(_F.DECLINED_HARD, "card_error"),
        *_rows(_F.INVALID_REQUEST, "invalid_request_error"),
        # other parameters under a used key: the request that used it first may have acted
        *_rows(_F.UNKNOWN, "idempotency_error"),
    ]
)

# The statuses of a request that was looked at and refused, whatever the reason.
_REFUSED: Final = frozenset({400, 402, 404})
_CONFLICT: Final = 409
_SERVER_ERROR: Final = 500


def name_of(status: int, error: JsonObject) -> str | None:
    """What an error is called in CODES, else Stripe's own name for it; None where it has none.

    A server error has no name: whatever it says, the request may have acted.
    """
    if status >= _SERVER_ERROR:
        return None
    named = [error.get("decline_code"), error.get("code")]
    if status in _REFUSED:
        named.append(error.get("type"))
    if status == _CONFLICT:
        named.append("conflict")
    names = [name for name in named if isinstance(name, str)]
    name = next((one for one in names if one in CODES), names[0] if names else None)
    soft = CODES.get(name or "") is FailureClass.DECLINED_SOFT
    return _advised(error, name) if soft else name


def _advised(error: JsonObject, name: str | None) -> str | None:
    """A soft decline as the card's network advises on it: it may forbid any further attempt."""
    by_network = f"MAC_{error.get('network_advice_code')}"
    if by_network in CODES:
        return by_network
    return "do_not_try_again" if error.get("advice_code") == "do_not_try_again" else name
