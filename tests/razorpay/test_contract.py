"""The port's contract over Razorpay: saved cards by charge, everything else by link."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from activities.payments.psp import NOT_FOUND, ActionKind, RefundStatus
from activities.payments.psp.razorpay import Razorpay
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.razorpay.conftest import AMOUNT, SAVED, Desk, request_for
from tests.sandbox.harness import API_KEY, free_port

F, S, M = FailureClass, PaymentState, PaymentMethod
BY_LINK = [M.UPI_INTENT, M.UPI_QR, M.NETBANKING, M.WALLET]


async def test_a_saved_card_is_held_captured_and_refunded(desk: Desk, ref: str, key: str) -> None:
    held = await desk.psp.authorise(request_for(ref), key=key)
    assert held.ref is not None
    taken = await desk.psp.capture(held.ref, AMOUNT, key=key)
    refund = await desk.psp.refund(held.ref, Money(499_00), key=key)
    found = await desk.psp.find(merchant_ref=ref)
    assert held.ref.startswith("pay_")
    assert (held.state, held.captured, held.failure_class) == (S.AUTHORISED, 0, None)
    assert (held.amount, held.merchant_ref, held.final) == (AMOUNT, ref, True)
    assert (taken.state, taken.captured, taken.failure_class) == (S.CAPTURED, 2_499_00, None)
    assert (refund.status, refund.amount, refund.failure_class) == (RefundStatus.DONE, 499_00, None)
    assert (found.state, found.ref, found.others) == (S.PARTIALLY_REFUNDED, held.ref, ())
    assert (found.captured, found.refunded) == (2_499_00, 499_00)
    assert await desk.psp.find_refund(key=key, payment_ref=held.ref) == refund
    assert held.occurred_at is not None
    assert abs(datetime.now(UTC) - held.occurred_at) < timedelta(seconds=10)
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 499_00)]


@pytest.mark.parametrize("method", BY_LINK)
async def test_a_link_is_paid_and_taken_at_once(
    desk: Desk, method: PaymentMethod, ref: str, key: str
) -> None:
    asked = await desk.link(ref, method)
    assert await desk.psp.find(merchant_ref=ref) == asked
    await desk.customer(asked, "approve")
    paid = await desk.psp.find(merchant_ref=ref)
    assert asked.ref is not None
    assert (asked.state, asked.captured) == (S.ACTION_REQUIRED, 0)
    assert (paid.state, paid.captured, paid.ref) == (S.CAPTURED, 2_499_00, asked.ref)
    assert (paid.next_action, paid.failure_class) == (None, None)
    assert await desk.psp.find(ref=asked.ref) == paid
    assert method in desk.psp.caps.captures_at_once
    captured = await desk.psp.capture(asked.ref, AMOUNT, key=key)
    refund = await desk.psp.refund(asked.ref, AMOUNT, key=key)
    assert (captured.state, captured.failure_class) == (S.CAPTURED, None)
    assert refund.status is RefundStatus.DONE
    assert (await desk.psp.find(ref=asked.ref)).state is S.REFUNDED
    assert await desk.psp.find_refund(key=key, payment_ref=asked.ref) == refund
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)]


@pytest.mark.parametrize("method", BY_LINK)
async def test_what_the_customer_is_asked_to_do(
    desk: Desk, method: PaymentMethod, ref: str
) -> None:
    asked = await desk.link(ref, method)
    action = asked.next_action
    assert action is not None
    assert action.url == f"{desk.server.url}/l/{asked.ref}"
    upi = method in (M.UPI_INTENT, M.UPI_QR)
    assert action.kind == (method if upi else ActionKind.REDIRECT)
    assert (action.deep_link, action.qr) == ((action.url,) * 2 if upi else (None, None))
    assert action.expires_at is not None
    left = action.expires_at - datetime.now(UTC)
    # Ours is the shorter time: the link itself cannot end before a quarter of an hour.
    assert timedelta(seconds=290) < left <= timedelta(seconds=300)
    async with desk.server.client() as client:
        link = (await client.get(f"/v1/payment_links/{asked.ref}")).json()
    assert link["upi_link"] is (method is M.UPI_INTENT)
    assert link["expire_by"] - datetime.now(UTC).timestamp() > 15 * 60


@pytest.mark.parametrize(
    ("instrument", "challenge"),
    [("", False), ("tok_of_another_psp", False), (SAVED, True), ("cust_1", False)],
)
async def test_a_card_that_cannot_be_charged_is_asked_for_on_a_page(
    desk: Desk, instrument: str, challenge: bool, ref: str, key: str
) -> None:
    request = request_for(ref, instrument, challenge=challenge)
    asked = await desk.psp.authorise(request, key=key)
    assert asked.next_action is not None
    assert (asked.state, asked.next_action.kind) == (S.ACTION_REQUIRED, ActionKind.REDIRECT)
    assert await desk.totals(ref) == []
    await desk.customer(asked, "approve")
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 0)]


async def test_a_step_up_after_authentication_required(desk: Desk, ref: str, key: str) -> None:
    alone = request_for(ref, "cust_1:token_auth_required")
    first = await desk.psp.authorise(alone, key=key)
    again = request_for(f"{ref}2", "cust_1:token_auth_required", challenge=True)
    second = await desk.psp.authorise(again, key=key)
    assert (first.state, first.failure_class) == (S.FAILED, F.AUTH_REQUIRED)
    assert (second.state, second.failure_class) == (S.ACTION_REQUIRED, None)


async def test_a_bank_that_takes_its_time(desk: Desk, ref: str, key: str) -> None:
    told = await desk.psp.authorise(request_for(ref, "cust_1:token_pending"), key=key)
    assert (told.state, told.failure_class) == (S.PENDING, None)


async def test_capturing_again_is_a_success(desk: Desk, ref: str, key: str) -> None:
    held = await desk.held(ref)
    answers = [await desk.psp.capture(held, AMOUNT, key=f"{key}-{n}") for n in range(3)]
    assert [(one.state, one.captured, one.failure_class) for one in answers] == [
        (S.CAPTURED, 2_499_00, None)
    ] * 3
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 0)]


@pytest.mark.parametrize("off", [-1, 1])
async def test_capture_must_equal_what_is_held(desk: Desk, off: int, ref: str, key: str) -> None:
    held = await desk.held(ref)
    result = await desk.psp.capture(held, AMOUNT + Money(off), key=key)
    assert result.failure_class is F.INVALID_REQUEST
    assert result.captured == 0
    assert await desk.totals(ref) == [(2_499_00, 0, 0)]
    assert desk.psp.caps.partial_capture is False


async def test_nothing_is_captured_where_nothing_is_held(desk: Desk, ref: str, key: str) -> None:
    asked = await desk.link(ref)
    assert asked.ref is not None
    result = await desk.psp.capture(asked.ref, AMOUNT, key=key)
    assert (result.failure_class, result.captured) == (F.INVALID_REQUEST, 0)
    assert await desk.totals(ref) == []


async def test_refunds_end_at_what_was_taken(desk: Desk, ref: str, key: str) -> None:
    taken = await desk.taken(ref)
    part = await desk.psp.refund(taken, Money(499_00), key=f"{key}-1")
    too_much = await desk.psp.refund(taken, AMOUNT, key=f"{key}-2")
    rest = await desk.psp.refund(taken, AMOUNT - Money(499_00), key=f"{key}-3")
    assert (part.status, rest.status) == (RefundStatus.DONE, RefundStatus.DONE)
    assert (too_much.status, too_much.failure_class) == (RefundStatus.FAILED, F.INVALID_REQUEST)
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)]


async def test_what_is_not_captured_is_not_refunded(desk: Desk, ref: str, key: str) -> None:
    held, asked = await desk.held(ref), await desk.link(f"{ref}2")
    assert asked.ref is not None
    for there in (held, asked.ref):
        result = await desk.psp.refund(there, Money(100), key=key)
        assert (result.status, result.failure_class) == (RefundStatus.FAILED, F.INVALID_REQUEST)


@pytest.mark.parametrize("choice", ["decline", "cancel"])
async def test_a_customer_may_try_again_on_the_same_link(desk: Desk, choice: str, ref: str) -> None:
    asked = await desk.link(ref)
    await desk.customer(asked, choice)
    still = await desk.psp.find(merchant_ref=ref)
    await desk.customer(asked, "approve")
    paid = await desk.psp.find(merchant_ref=ref)
    assert (still.state, still.next_action) == (S.ACTION_REQUIRED, asked.next_action)
    assert (paid.state, paid.captured, paid.others) == (S.CAPTURED, 2_499_00, ())


async def test_not_found_is_a_value(desk: Desk, ref: str, key: str) -> None:
    assert await desk.psp.find(merchant_ref=ref) == NOT_FOUND
    asked = await desk.link(f"{ref}L")
    for there in (asked.ref, await desk.taken(ref)):
        refund = await desk.psp.find_refund(key=key, payment_ref=there)
        assert (refund.status, refund.failure_class) == (RefundStatus.NOT_FOUND, None)


@pytest.mark.parametrize("there", ["pay_none", "plink_none"])
async def test_a_reference_that_razorpay_does_not_know_is_not_a_not_found(
    desk: Desk, there: str, key: str
) -> None:
    """It gave us this reference and deletes none: the key is of another account, or mode."""
    found = await desk.psp.find(ref=there)
    assert (found.state, found.found, found.failure_class) == (S.UNKNOWN, True, F.CONFIG)
    assert found.failure_code == "payment_of_another_account"
    captured = await desk.psp.capture(there, AMOUNT, key=key)
    assert (captured.failure_class, captured.captured) == (F.CONFIG, 0)
    assert (await desk.psp.refund(there, AMOUNT, key=key)).failure_class is F.CONFIG
    refund = await desk.psp.find_refund(key=key, payment_ref=there)
    assert (refund.status, refund.failure_class) == (RefundStatus.UNKNOWN, F.CONFIG)
    assert (await desk.psp.void(there, key=key)).failure_class is F.CONFIG


async def test_a_refund_cannot_be_found_without_its_payment(desk: Desk, key: str) -> None:
    refund = await desk.psp.find_refund(key=key)
    assert (refund.status, refund.failure_code) == (RefundStatus.UNKNOWN, "payment_ref_needed")


async def test_find_without_a_reference_is_a_bug(desk: Desk) -> None:
    with pytest.raises(ValueError, match="find needs ref or merchant_ref"):
        await desk.psp.find()


async def test_cash_is_no_method_of_a_psp(desk: Desk, ref: str, key: str) -> None:
    result = await desk.psp.authorise(request_for(ref, method=M.COD), key=key)
    assert (result.state, result.failure_code) == (S.FAILED, "method_not_supported")
    assert result.failure_class is F.INVALID_REQUEST


async def test_the_wrong_key_is_a_matter_of_configuration(
    desk: Desk, client: httpx.AsyncClient, ref: str, key: str
) -> None:
    psp = Razorpay(client, base_url=desk.server.url, api_key="a:b", secrets=[])
    for request in (request_for(ref), request_for(ref, "", M.WALLET)):
        result = await psp.authorise(request, key=key)
        assert (result.state, result.failure_class) == (S.FAILED, F.CONFIG)
    assert (await psp.find(merchant_ref=ref)).failure_class is F.CONFIG
    assert (await psp.void("plink_1", key=key)).failure_class is F.CONFIG


async def test_nobody_listens(client: httpx.AsyncClient, ref: str, key: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    psp = Razorpay(client, base_url=url, api_key=API_KEY, secrets=[])
    for request in (request_for(ref), request_for(ref, "", M.WALLET)):
        result = await psp.authorise(request, key=key)
        assert (result.state, result.failure_class) == (S.FAILED, F.NOT_SENT)
    refund = await psp.refund("pay_1", AMOUNT, key=key)
    assert (refund.status, refund.failure_class) == (RefundStatus.FAILED, F.NOT_SENT)
