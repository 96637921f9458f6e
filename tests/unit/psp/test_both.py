"""What holds for either adapter, against the real sandbox servers."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.payments.psp import (
    PSP,
    ActionKind,
    NextAction,
    PaymentResult,
    RefundStatus,
)
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.sandbox.harness import Sandbox
from tests.unit.psp.conftest import request_for

BOTH = pytest.mark.parametrize("name", ["alphapay", "betapay"])
AMOUNT = Money(2_499_00)
Psps = dict[str, PSP]
Servers = dict[str, Sandbox]


@BOTH
async def test_authorise_capture_refund(
    psps: Psps, servers: Servers, name: str, ref: str, key: str
) -> None:
    psp = psps[name]
    held = await psp.authorise(request_for(ref), key=key)
    assert held.ref is not None
    taken = await psp.capture(held.ref, AMOUNT, key=f"{key}-c")
    refund = await psp.refund(held.ref, Money(499_00), key=f"{key}-r")
    found = await psp.find(merchant_ref=ref)
    found_refund = await psp.find_refund(key=f"{key}-r")
    assert (held.state, held.captured, held.failure_class) == (PaymentState.AUTHORISED, 0, None)
    assert (held.amount, held.merchant_ref, held.final) == (AMOUNT, ref, True)
    assert (taken.state, taken.captured) == (PaymentState.CAPTURED, 2_499_00)
    assert (refund.status, refund.amount, refund.failure_class) == (RefundStatus.DONE, 499_00, None)
    assert (found.state, found.ref) == (PaymentState.PARTIALLY_REFUNDED, held.ref)
    assert (found.captured, found.refunded, found.others) == (2_499_00, 499_00, ())
    assert found_refund == refund
    assert held.occurred_at is not None
    assert abs(datetime.now(UTC) - held.occurred_at) < timedelta(seconds=10)
    [row] = await servers[name].books(ref)
    assert (row["captured"], row["refunded"]) == (2_499_00, 499_00)


@BOTH
async def test_refunded_in_full(psps: Psps, name: str, ref: str, key: str) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    await psps[name].capture(held.ref, AMOUNT, key=f"{key}-c")
    await psps[name].refund(held.ref, AMOUNT, key=f"{key}-r")
    assert (await psps[name].find(ref=held.ref)).state is PaymentState.REFUNDED


@BOTH
async def test_capturing_again_is_a_success(
    psps: Psps, servers: Servers, name: str, ref: str, key: str
) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    for attempt in range(2):
        taken = await psps[name].capture(held.ref, AMOUNT, key=f"{key}-{attempt}")
        assert (taken.state, taken.captured) == (PaymentState.CAPTURED, 2_499_00)
        assert (taken.failure_class, taken.failure_code) == (None, None)
    [row] = await servers[name].books(ref)
    assert (row["captured"], row["movements"]) == (2_499_00, 3)


@BOTH
async def test_capturing_more_than_is_held_fails(psps: Psps, name: str, ref: str, key: str) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    more = await psps[name].capture(held.ref, AMOUNT + Money(1), key=f"{key}-c")
    assert more.failure_class is FailureClass.INVALID_REQUEST
    assert (await psps[name].find(ref=held.ref)).captured == 0


@BOTH
async def test_void_is_repeatable(psps: Psps, name: str, ref: str, key: str) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    for attempt in range(2):
        gone = await psps[name].void(held.ref, key=f"{key}-{attempt}")
        assert (gone.state, gone.failure_class) == (PaymentState.VOIDED, None)


@BOTH
async def test_void_of_a_captured_payment_says_so(
    psps: Psps, name: str, ref: str, key: str
) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    await psps[name].capture(held.ref, AMOUNT, key=f"{key}-c")
    for result in (
        await psps[name].void(held.ref, key=f"{key}-v"),
        await psps[name].void_by_merchant_ref(ref, key=f"{key}-w"),
    ):
        assert (result.state, result.ref) == (PaymentState.CAPTURED, held.ref)
        assert result.failure_class is FailureClass.INVALID_REQUEST
        assert result.failure_code == "already_captured"


@BOTH
async def test_void_of_a_declined_payment_needs_nothing(
    psps: Psps, name: str, ref: str, key: str
) -> None:
    declined = await psps[name].authorise(request_for(ref, "tok_declined_funds"), key=key)
    gone = await psps[name].void_by_merchant_ref(ref, key=f"{key}-v")
    assert declined.state is PaymentState.FAILED
    assert gone.state in (PaymentState.FAILED, PaymentState.VOIDED)
    assert gone.failure_class is None


@BOTH
async def test_not_found_is_a_value(psps: Psps, name: str, ref: str) -> None:
    by_ours = await psps[name].find(merchant_ref=ref)
    by_theirs = await psps[name].find(ref="pay_none")
    refund = await psps[name].find_refund(key=ref)
    nothing = PaymentResult(state=PaymentState.UNKNOWN, found=False)
    assert (by_ours, by_theirs) == (nothing, nothing)
    assert (refund.status, refund.failure_class) == (RefundStatus.NOT_FOUND, None)


@BOTH
async def test_find_without_a_reference_is_a_bug(psps: Psps, name: str) -> None:
    with pytest.raises(ValueError, match="find needs ref or merchant_ref"):
        await psps[name].find()


@BOTH
async def test_cash_is_no_method_of_a_psp(
    psps: Psps, servers: Servers, name: str, ref: str, key: str
) -> None:
    result = await psps[name].authorise(request_for(ref, method=PaymentMethod.COD), key=key)
    assert (result.state, result.failure_code) == (PaymentState.FAILED, "method_not_supported")
    assert result.failure_class is FailureClass.INVALID_REQUEST
    assert await servers[name].books(ref) == []


@BOTH
async def test_three_d_secure(psps: Psps, servers: Servers, name: str, ref: str, key: str) -> None:
    asked = await psps[name].authorise(request_for(ref, "tok_3ds"), key=key)
    assert (asked.state, asked.failure_class) == (PaymentState.ACTION_REQUIRED, None)
    assert asked.next_action is not None
    assert asked.next_action.kind is ActionKind.REDIRECT
    assert asked.next_action.url == f"{servers[name].url}/pay/{asked.ref}"
    assert asked.ref is not None
    await servers[name].customer(asked.ref, "approve")
    assert (await psps[name].find(ref=asked.ref)).state is PaymentState.AUTHORISED


@BOTH
async def test_a_step_up_after_authentication_required(
    psps: Psps, servers: Servers, name: str, ref: str, key: str
) -> None:
    first = await psps[name].authorise(request_for(ref, "tok_auth_required"), key=key)
    again = request_for(f"{ref}-2", "tok_auth_required", challenge=True)
    second = await psps[name].authorise(again, key=f"{key}-2")
    assert first.failure_class is FailureClass.AUTH_REQUIRED
    assert (second.state, second.failure_class) == (PaymentState.ACTION_REQUIRED, None)


@BOTH
@pytest.mark.parametrize("method", [PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR])
async def test_upi(
    psps: Psps, servers: Servers, name: str, method: PaymentMethod, ref: str, key: str
) -> None:
    asked = await psps[name].authorise(request_for(ref, "success@upi", method), key=key)
    action = asked.next_action
    assert action is not None
    assert asked.ref is not None
    assert action.kind == method
    assert action.deep_link is not None
    assert action.deep_link.startswith("upi://pay?")
    assert "am=2499.00" in action.deep_link
    assert action.qr == action.deep_link
    assert action.expires_at is not None
    left = action.expires_at - datetime.now(UTC)
    assert timedelta(seconds=295) < left <= timedelta(seconds=301)
    await servers[name].customer(asked.ref, "approve")
    paid = await psps[name].find(merchant_ref=ref)
    at_once = method in psps[name].caps.captures_at_once
    assert at_once is (name == "betapay")
    assert paid.state is (PaymentState.CAPTURED if at_once else PaymentState.AUTHORISED)
    assert paid.captured == (2_499_00 if at_once else 0)


@BOTH
@pytest.mark.parametrize(
    ("choice", "failure"),
    [("decline", FailureClass.DECLINED_SOFT), ("cancel", FailureClass.EXPIRED)],
)
async def test_the_customer_does_not_pay(
    psps: Psps,
    servers: Servers,
    name: str,
    choice: str,
    failure: FailureClass,
    ref: str,
    key: str,
) -> None:
    asked = await psps[name].authorise(request_for(ref, "tok_3ds"), key=key)
    assert asked.ref is not None
    await servers[name].customer(asked.ref, choice)
    found = await psps[name].find(ref=asked.ref)
    assert (found.state, found.failure_class) == (PaymentState.FAILED, failure)
    assert (found.final, found.next_action) == (True, None)


def test_next_action_as_json() -> None:
    action = NextAction(
        kind=ActionKind.REDIRECT, url="http://x/pay/1", expires_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert action.to_json() == {
        "kind": "REDIRECT",
        "url": "http://x/pay/1",
        "deep_link": None,
        "qr": None,
        "expires_at": "2026-01-02T00:00:00+00:00",
    }
