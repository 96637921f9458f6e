"""From an HTTP answer to a result, for any PSP: what differs between PSPs is data and readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from activities.payments.psp.http import BY_STATUS, UNREADABLE, Answer, JsonObject, Trouble
from activities.payments.psp.port import (
    NOT_FOUND,
    PaymentRequest,
    PaymentResult,
    RefundResult,
    RefundStatus,
    weightiest,
)
from domain.payments import FailureClass, PaymentState
from domain.routing import Downtime

# What a reader raises where a body is not what the PSP documents.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
UNDECIDED = frozenset({FailureClass.UNKNOWN, FailureClass.IN_PROGRESS})
WITHOUT_MONEY = frozenset({PaymentState.VOIDED, PaymentState.FAILED, PaymentState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one PSP speaks: its error codes with their classes, and readers of its objects.

    `read_code` finds the code in an error's body, `items` names a listing's rows, and `missing`
    is the code of a payment that the PSP does not know.
    """

    codes: Mapping[str, FailureClass]
    read_code: Callable[[JsonObject], str | None]
    read_payment: Callable[[JsonObject], PaymentResult]
    read_refund: Callable[[JsonObject], RefundResult]
    items: str
    missing: str = "no_such_payment"

    def failure(self, answer: Answer | Trouble) -> Trouble:
        """The class of what is no success: by its code, else its status, else UNKNOWN."""
        if isinstance(answer, Trouble):
            return answer
        try:
            code = self.read_code(answer.body)
        except MALFORMED:
            code = None
        if code is not None and code in self.codes:
            return Trouble(self.codes[code], code)
        by_status = BY_STATUS.get(answer.status, FailureClass.UNKNOWN)
        return Trouble(by_status, code or f"http_{answer.status}")

    def payment(self, answer: Answer | Trouble) -> PaymentResult:
        """The payment that an answer shows, with the failure where it is one."""
        shown = self._shown(answer)
        if isinstance(answer, Answer) and answer.ok:
            return shown or _unknown(UNREADABLE)
        return _failed(shown or PaymentResult(state=PaymentState.UNKNOWN), self.failure(answer))

    def _shown(self, answer: Answer | Trouble) -> PaymentResult | None:
        if isinstance(answer, Trouble):
            return None
        try:
            return self.read_payment(answer.body)
        except MALFORMED:
            return None

    def authorised(self, answer: Answer | Trouble, request: PaymentRequest) -> PaymentResult:
        """What became of a request to pay; FAILED where the call surely made no payment."""
        result = self.payment(answer)
        if result.amount not in (None, request.amount):
            return _failed(result, Trouble(FailureClass.UNKNOWN, "amount_mismatch"))
        if result.ref is None and result.failure_class not in UNDECIDED:
            result = replace(result, state=PaymentState.FAILED)
        return replace(result, merchant_ref=request.merchant_ref)

    def voided(self, answer: Answer | Trouble) -> PaymentResult:
        """What became of a void; a payment that ended without money needs none, and is fine."""
        result = self.payment(answer)
        fine = isinstance(answer, Answer) and answer.ok and result.state in WITHOUT_MONEY
        return replace(result, failure_class=None, failure_code=None) if fine else result

    def found(self, answer: Answer | Trouble) -> PaymentResult:
        """The payment looked up by the PSP's reference."""
        return NOT_FOUND if self._is_missing(answer) else self.payment(answer)

    def _is_missing(self, answer: Answer | Trouble) -> bool:
        # By its code: a 404 of some gateway on the way is no word of the PSP's.
        return (
            isinstance(answer, Answer)
            and answer.status == 404
            and self.failure(answer).code == self.missing
        )

    def found_among(self, answer: Answer | Trouble) -> PaymentResult:
        """The weightiest of the payments listed under one merchant reference."""
        if isinstance(answer, Trouble) or not answer.ok:
            return _failed(PaymentResult(state=PaymentState.UNKNOWN), self.failure(answer))
        try:
            return weightiest([self.read_payment(one) for one in answer.body[self.items]])
        except MALFORMED:
            return _unknown(UNREADABLE)

    def refund(self, answer: Answer | Trouble) -> RefundResult:
        """What became of a request to refund."""
        if isinstance(answer, Answer) and answer.ok:
            try:
                return self.read_refund(answer.body)
            except MALFORMED:
                answer = UNREADABLE
        failure = self.failure(answer)
        undecided = failure.failure_class in UNDECIDED
        return RefundResult(
            status=RefundStatus.UNKNOWN if undecided else RefundStatus.FAILED,
            failure_class=failure.failure_class,
            failure_code=failure.code,
        )

    def refund_among(self, answer: Answer | Trouble) -> RefundResult:
        """The refund listed under one merchant reference, NOT_FOUND where there is none."""
        if isinstance(answer, Answer) and answer.ok:
            try:
                rows = [self.read_refund(one) for one in answer.body[self.items]]
            except MALFORMED:
                answer = UNREADABLE
            else:
                return rows[0] if rows else RefundResult(status=RefundStatus.NOT_FOUND)
        failure = self.failure(answer)
        return RefundResult(
            status=RefundStatus.UNKNOWN,
            failure_class=failure.failure_class,
            failure_code=failure.code,
        )


def downtimes_in(
    answer: Answer | Trouble, items: str, read: Callable[[JsonObject], Downtime | None]
) -> tuple[Downtime, ...] | None:
    """The downtimes that a feed lists under `items`; None where it could not be read.

    `read` answers with None for what is down but concerns no method of ours.
    """
    if isinstance(answer, Trouble) or not answer.ok:
        return None
    try:
        rows = [read(one) for one in answer.body[items]]
    except MALFORMED:
        return None
    return tuple(row for row in rows if row is not None)


def not_supported(request: PaymentRequest) -> PaymentResult:
    """A request with a method that the PSP does not have: refused before anything is sent."""
    return PaymentResult(
        state=PaymentState.FAILED,
        merchant_ref=request.merchant_ref,
        failure_class=FailureClass.INVALID_REQUEST,
        failure_code="method_not_supported",
    )


def with_refunds(state: PaymentState, captured: int, refunded: int) -> PaymentState:
    """The state once refunds are counted in; amounts in minor units."""
    if refunded == 0:
        return state
    return PaymentState.REFUNDED if refunded == captured else PaymentState.PARTIALLY_REFUNDED


def _failed(result: PaymentResult, failure: Trouble) -> PaymentResult:
    return replace(result, failure_class=failure.failure_class, failure_code=failure.code)


def _unknown(failure: Trouble) -> PaymentResult:
    return _failed(PaymentResult(state=PaymentState.UNKNOWN), failure)
