"""Results that are no reading of an object: refused, not sent, not known."""

from __future__ import annotations

from dataclasses import replace

from activities.payments.psp.http import Trouble
from activities.payments.psp.port import PaymentRequest, PaymentResult, RefundResult, RefundStatus
from domain.payments import FailureClass, PaymentState

# Nothing of the payment itself had been sent when these ended the call.
_SAID_NO = frozenset(
    {FailureClass.CONFIG, FailureClass.INVALID_REQUEST, FailureClass.REJECTED_TRANSIENT}
)


def asked_for(request: PaymentRequest, result: PaymentResult) -> PaymentResult:
    """A payment that was asked for by us; one of another amount is a riddle."""
    told = replace(result, merchant_ref=request.merchant_ref)
    if result.amount in (None, request.amount):
        return told
    return with_failure(told, Trouble(FailureClass.UNKNOWN, "amount_mismatch"))


def not_sent(request: PaymentRequest, failure: Trouble) -> PaymentResult:
    """Ended before a payment was asked for: this call made none."""
    result = PaymentResult(state=PaymentState.FAILED, merchant_ref=request.merchant_ref)
    return with_failure(result, not_acted(failure))


def not_acted(failure: Trouble) -> Trouble:
    """A look-up's failure as that of the deed which it kept from being tried."""
    if failure.failure_class in _SAID_NO:
        return failure
    return Trouble(FailureClass.NOT_SENT, failure.code)


def is_unread(told: PaymentResult) -> bool:
    """Whether a look brought no word about the payment itself."""
    return told.state is PaymentState.UNKNOWN and told.failure_class is not None


def unknown(ref: str | None) -> PaymentResult:
    """Nothing is known of a payment but its reference."""
    return PaymentResult(state=PaymentState.UNKNOWN, ref=ref)


def with_failure(result: PaymentResult, failure: Trouble) -> PaymentResult:
    """The result of a call that did not do what was asked."""
    return replace(result, failure_class=failure.failure_class, failure_code=failure.code)


def refused(result: PaymentResult, code: str) -> PaymentResult:
    """What was asked does not fit where the payment stands; `code` is ours."""
    return with_failure(result, Trouble(FailureClass.INVALID_REQUEST, code))


def without_failure(result: PaymentResult) -> PaymentResult:
    """The result of a call after which all is as was asked."""
    return replace(result, failure_class=None, failure_code=None)


def refund_untold(status: RefundStatus, failure: Trouble) -> RefundResult:
    """A refund of which nothing is known but why."""
    return RefundResult(
        status=status, failure_class=failure.failure_class, failure_code=failure.code
    )
