"""Each error that Stripe documents, and the class that it is to us."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from activities.payments.psp import PaymentResult, RefundStatus
from activities.payments.psp.stripe import Stripe
from activities.payments.psp.stripe_codes import CODES
from domain.money import Money
from domain.payments import (
    Decision,
    FailureClass,
    Operation,
    PaymentMethod,
    PaymentState,
    decide,
)
from tests.stripe.conftest import request_for

F = FailureClass
LEFT = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "requires_payment_method",
    "amount": 2_499_00,
    "currency": "inr",
    "amount_received": 0,
    "latest_charge": "ch_1",
    "created": 1,
    "metadata": {"merchant_ref": "att"},
}


async def asked(
    answer: Callable[[httpx.Request], httpx.Response],
    call: Callable[[Stripe], Any],
) -> Any:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await call(Stripe(client, base_url="http://stripe.test", api_key="k", secrets=[]))


async def authorise(status: int, body: Any) -> PaymentResult:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    result: PaymentResult = await asked(
        lambda _: httpx.Response(status, content=content),
        lambda psp: psp.authorise(request_for("att", "pm_1"), key="key"),
    )
    return result


def error(type_: str, **named: Any) -> dict[str, Any]:
    return {"error": {"type": type_, "message": "why", **named}}


def decline(decline_code: str | None, code: str = "card_declined", **named: Any) -> dict[str, Any]:
    given = {"code": code, **({"decline_code": decline_code} if decline_code else {}), **named}
    left = {**LEFT, "last_payment_error": error("card_error", **given)["error"]}
    return error("card_error", payment_intent=left, **given)


@pytest.mark.parametrize(
    ("decline_code", "failure"),
    [
        ("insufficient_funds", F.DECLINED_SOFT),
        ("do_not_honor", F.DECLINED_SOFT),
        ("generic_decline", F.DECLINED_SOFT),
        ("lost_card", F.DECLINED_HARD),
        ("stolen_card", F.DECLINED_HARD),
        ("do_not_try_again", F.DECLINED_HARD),
        ("duplicate_transaction", F.DECLINED_HARD),
        ("fraudulent", F.FRAUD),
        ("merchant_blacklist", F.FRAUD),
        ("authentication_required", F.AUTH_REQUIRED),
        ("authentication_not_handled", F.AUTH_REQUIRED),
        ("processing_error", F.REJECTED_TRANSIENT),
        ("issuer_not_available", F.REJECTED_TRANSIENT),
        ("try_again_later", F.REJECTED_TRANSIENT),
    ],
)
async def test_declines_by_their_decline_code(decline_code: str, failure: FailureClass) -> None:
    result = await authorise(402, decline(decline_code))
    assert (result.failure_class, result.failure_code) == (failure, decline_code)
    # The payment that it left behind can be confirmed again: not final until it is voided.
    assert (result.state, result.ref, result.final) == (PaymentState.FAILED, "pi_1", False)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("expired_card", F.DECLINED_HARD),
        ("incorrect_cvc", F.DECLINED_HARD),
        ("processing_error", F.REJECTED_TRANSIENT),
        ("authentication_required", F.AUTH_REQUIRED),
    ],
)
async def test_declines_by_their_code_alone(code: str, failure: FailureClass) -> None:
    result = await authorise(402, decline(None, code))
    assert (result.failure_class, result.failure_code) == (failure, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (decline("a_decline_of_tomorrow"), "card_declined"),
        (decline(None, "a_code_of_tomorrow"), "card_error"),
        (error("card_error"), "card_error"),
    ],
)
async def test_a_decline_without_a_row_stops(body: Any, code: str) -> None:
    result = await authorise(402, body)
    assert (result.state, result.failure_class) == (PaymentState.FAILED, F.DECLINED_HARD)
    assert result.failure_code == code


@pytest.mark.parametrize(
    ("named", "code", "failure"),
    [
        ({"network_advice_code": "03"}, "MAC_03", F.DECLINED_SOFT),
        ({"network_advice_code": "21"}, "MAC_21", F.DECLINED_SOFT),
        ({"network_advice_code": "02"}, "do_not_honor", F.DECLINED_SOFT),
        ({"advice_code": "do_not_try_again"}, "do_not_try_again", F.DECLINED_HARD),
        ({"advice_code": "try_again_later"}, "do_not_honor", F.DECLINED_SOFT),
    ],
)
async def test_a_networks_advice_outweighs_a_soft_decline(
    named: dict[str, str], code: str, failure: FailureClass
) -> None:
    result = await authorise(402, decline("do_not_honor", **named))
    assert (result.failure_code, result.failure_class) == (code, failure)
    led_to = decide("stripe", Operation.AUTHORISE, failure, code, PaymentMethod.CARD)
    never_again = code != "do_not_honor"
    assert led_to is (Decision.STOP if never_again else Decision.NEXT_PSP)


@pytest.mark.parametrize(
    ("status", "body", "failure", "code"),
    [
        (400, error("idempotency_error"), F.UNKNOWN, "idempotency_error"),
        (409, error("idempotency_error"), F.IN_PROGRESS, "conflict"),
        (409, error("invalid_request_error", code="idempotency_key_in_use"), F.IN_PROGRESS,
         "idempotency_key_in_use"),
        (409, {"error": {}}, F.IN_PROGRESS, "conflict"),
        (429, error("invalid_request_error", code="rate_limit"), F.REJECTED_TRANSIENT,
         "rate_limit"),
        (429, error("invalid_request_error", code="lock_timeout"), F.REJECTED_TRANSIENT,
         "lock_timeout"),
        (429, b"", F.REJECTED_TRANSIENT, "http_429"),
        (400, error("invalid_request_error", code="parameter_missing"), F.INVALID_REQUEST,
         "parameter_missing"),
        (400, error("invalid_request_error"), F.INVALID_REQUEST, "invalid_request_error"),
        (400, error("invalid_request_error", code="amount_too_small"), F.INVALID_REQUEST,
         "amount_too_small"),
        (404, error("invalid_request_error", code="resource_missing"), F.INVALID_REQUEST,
         "resource_missing"),
        (401, error("invalid_request_error"), F.CONFIG, "http_401"),
        (401, error("invalid_request_error", code="api_key_expired"), F.CONFIG,
         "api_key_expired"),
        (403, error("invalid_request_error"), F.CONFIG, "http_403"),
        (500, error("api_error"), F.UNKNOWN, "http_500"),
        # What a server error says of itself proves nothing.
        (500, error("card_error", code="card_declined"), F.UNKNOWN, "http_500"),
        (502, b"<html>", F.UNKNOWN, "http_502"),
        (503, error("invalid_request_error", code="rate_limit"), F.UNKNOWN, "http_503"),
        (418, error("invalid_request_error"), F.UNKNOWN, "http_418"),
        (302, b"", F.UNKNOWN, "http_302"),
        (400, {"error": "text"}, F.UNKNOWN, "http_400"),
        (400, {"error": {"code": ["odd"], "type": 7}}, F.UNKNOWN, "http_400"),
        (200, b"<html>", F.UNKNOWN, "unreadable_body"),
        (200, {}, F.UNKNOWN, "unreadable_body"),
        (200, {**LEFT, "amount": "249900"}, F.UNKNOWN, "unreadable_body"),
        (200, {**LEFT, "amount": 1, "status": "requires_capture"}, F.UNKNOWN, "amount_mismatch"),
    ],
)  # fmt: skip
async def test_errors_by_type_code_and_status(
    status: int, body: Any, failure: FailureClass, code: str
) -> None:
    result = await authorise(status, body)
    assert (result.failure_class, result.failure_code) == (failure, code)
    undecided = failure in (F.UNKNOWN, F.IN_PROGRESS)
    expected = PaymentState.UNKNOWN if undecided else PaymentState.FAILED
    assert result.state is expected or code == "amount_mismatch"


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ({"status": "requires_payment_method"}, PaymentState.CREATED),
        ({"status": "requires_confirmation"}, PaymentState.CREATED),
        ({"status": "processing"}, PaymentState.PENDING),
        ({"status": "requires_capture"}, PaymentState.AUTHORISED),
        ({"status": "canceled"}, PaymentState.VOIDED),
        ({"status": "succeeded", "amount_received": 2_499_00}, PaymentState.CAPTURED),
        ({"status": "succeeded", "amount_received": 1}, PaymentState.PARTIALLY_CAPTURED),
        ({"status": "a_state_of_tomorrow"}, PaymentState.UNKNOWN),
        ({"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}},
         PaymentState.ACTION_REQUIRED),
    ],
)  # fmt: skip
async def test_states(shown: dict[str, Any], state: PaymentState) -> None:
    result: PaymentResult = await asked(
        lambda _: httpx.Response(200, json={**LEFT, **shown}), lambda psp: psp.find(ref="pi_1")
    )
    assert (result.state, result.failure_class, result.next_action) == (state, None, None)


async def test_a_void_of_a_payment_that_the_bank_thinks_about_is_asked_again() -> None:
    refusal = error("invalid_request_error", code="payment_intent_unexpected_state")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(400, json=refusal)
        return httpx.Response(200, json={**LEFT, "status": "processing"})

    result: PaymentResult = await asked(answer, lambda psp: psp.void("pi_1", key="key"))
    assert (result.state, result.failure_class) == (PaymentState.PENDING, F.IN_PROGRESS)


async def test_a_refused_capture_whose_payment_cannot_be_looked_up_is_unknown() -> None:
    refusal = error("invalid_request_error", code="payment_intent_unexpected_state")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400 if request.method == "POST" else 500, json=refusal)

    result: PaymentResult = await asked(
        answer, lambda psp: psp.capture("pi_1", Money(2_499_00), key="key")
    )
    assert (result.state, result.failure_class) == (PaymentState.UNKNOWN, F.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("succeeded", RefundStatus.DONE),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
        ("a_status_of_tomorrow", RefundStatus.UNKNOWN),
    ],
)
async def test_refunds_by_status(status: str, expected: RefundStatus) -> None:
    shown = {"id": "re_1", "amount": 100, "created": 1, "status": status}
    result = await asked(
        lambda _: httpx.Response(200, json=shown),
        lambda psp: psp.refund("pi_1", Money(100), key="key"),
    )
    assert (result.status, result.ref, result.amount) == (expected, "re_1", 100)


async def test_a_balance_that_is_too_low_for_a_refund_is_a_persons_matter() -> None:
    body = error("invalid_request_error", code="balance_insufficient")
    result = await asked(
        lambda _: httpx.Response(400, json=body),
        lambda psp: psp.refund("pi_1", Money(100), key="key"),
    )
    assert (result.status, result.failure_class) == (RefundStatus.FAILED, F.DECLINED_SOFT)
    led_to = decide(
        "stripe", Operation.REFUND, F.DECLINED_SOFT, "balance_insufficient", PaymentMethod.CARD
    )
    assert led_to is Decision.PARK


@pytest.mark.parametrize("body", [b"{}", b'{"data": 5}', b'{"data": [{}]}', b'{"data": [7]}'])
async def test_a_listing_of_no_known_form_is_unknown(body: bytes) -> None:
    result = await asked(
        lambda _: httpx.Response(200, content=body), lambda psp: psp.find(merchant_ref="att")
    )
    refund = await asked(
        lambda _: httpx.Response(200, content=body),
        lambda psp: psp.find_refund(key="key", payment_ref="pi_1"),
    )
    assert (result.found, result.failure_code) == (True, "unreadable_body")
    assert (refund.status, refund.failure_code) == (RefundStatus.UNKNOWN, "unreadable_body")


def test_the_table_has_a_row_for_each_class_that_stripe_can_mean() -> None:
    # NOT_SENT is known before Stripe is.
    assert set(CODES.values()) == set(FailureClass) - {F.NOT_SENT}
