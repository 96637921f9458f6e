"""No money twice, and none that stays: lost answers, late successes, voids, refunds, receipts."""

import asyncio

import httpx
import pytest

from activities.payments.psp import PaymentResult, RefundStatus
from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from tests.razorpay.conftest import AMOUNT, Desk, request_for
from tests.sandbox.harness import Sandbox

F, S = FailureClass, PaymentState


async def naive_charge(server: Sandbox, ref: str) -> httpx.Response:
    """A client as most are written: an order, a charge on it; after an error all over again."""
    money = {"amount": AMOUNT.paise, "currency": "INR"}
    who = {"customer_id": "cust_1", "email": "a@example.com", "contact": "+919000090000"}
    async with server.client() as client:
        order = (await client.post("/v1/orders", json={**money, "receipt": ref})).json()
        charge = {**money, **who, "token": "token_ok", "recurring": True, "order_id": order["id"]}
        return await client.post("/v1/payments/create/recurring", json=charge)


async def becomes(desk: Desk, ref: str, state: PaymentState) -> PaymentResult:
    for _ in range(60):
        told = await desk.psp.find(merchant_ref=ref)
        if told.state is state:
            return told
        await asyncio.sleep(0.05)
    raise AssertionError(told)


async def test_a_naive_client_pays_twice_when_the_answer_is_lost(desk: Desk, ref: str) -> None:
    await desk.fault("authorise", ref, "timeout_after", instrument="tok_ok")
    with pytest.raises(httpx.RemoteProtocolError):
        await naive_charge(desk.server, ref)
    assert (await naive_charge(desk.server, ref)).status_code == 200
    assert await desk.totals(ref) == [(2_499_00, 0, 0)] * 2


@pytest.mark.parametrize(
    "fault", ["timeout_after", "connection_reset", "slow", "http_500_after", "unreadable_body"]
)
async def test_ours_pays_once_when_the_answer_is_lost(
    desk: Desk, fault: str, ref: str, key: str
) -> None:
    await desk.fault("authorise", ref, fault, instrument="tok_ok")
    lost = await desk.psp.authorise(request_for(ref), key=key)
    if fault == "slow":
        await asyncio.sleep(0.5)
    found = await desk.psp.find(merchant_ref=ref)
    again = await desk.psp.authorise(request_for(ref), key=key)
    assert (lost.state, lost.failure_class) == (S.UNKNOWN, F.UNKNOWN)
    assert (found.state, found.others, found.failure_class) == (S.AUTHORISED, (), None)
    assert again == found
    assert await desk.totals(ref) == [(2_499_00, 0, 0)]
    # It is asked for by looking: the engine is told not to send it again.
    assert Operation.AUTHORISE not in desk.psp.caps.keyed


async def test_many_charges_at_once_make_one_payment(desk: Desk, ref: str, key: str) -> None:
    told = await asyncio.gather(*(desk.psp.authorise(request_for(ref), key=key) for _ in range(8)))
    assert await desk.totals(ref) == [(2_499_00, 0, 0)]
    refs = {one.ref for one in told if one.ref is not None}
    assert refs == {(await desk.psp.find(merchant_ref=ref)).ref}
    for one in told:
        assert one.state is S.AUTHORISED or one.failure_class is F.IN_PROGRESS


async def test_many_links_at_once_are_one(desk: Desk, ref: str) -> None:
    told = await asyncio.gather(*(desk.link(ref) for _ in range(8)))
    assert {(one.state, one.ref) for one in told} == {(S.ACTION_REQUIRED, told[0].ref)}


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "unreadable_body"])
async def test_a_lost_link_is_found(desk: Desk, fault: str, ref: str) -> None:
    await desk.fault("authorise", ref, fault)
    lost = await desk.link(ref)
    found, again = await desk.psp.find(merchant_ref=ref), await desk.link(ref)
    assert (lost.state, lost.failure_class, lost.ref) == (S.UNKNOWN, F.UNKNOWN, None)
    assert (found.state, again.ref) == (S.ACTION_REQUIRED, found.ref)


async def test_a_link_of_another_amount_under_our_reference_is_a_riddle(
    desk: Desk, ref: str, key: str
) -> None:
    await desk.link(ref)
    other = request_for(ref, "", PaymentMethod.WALLET, amount=Money(1_00))
    told = await desk.psp.authorise(other, key=key)
    assert (told.failure_class, told.failure_code) == (F.UNKNOWN, "amount_mismatch")


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "http_500_after"])
async def test_an_order_takes_no_money(desk: Desk, fault: str, ref: str, key: str) -> None:
    """Whatever became of the order, no payment was asked for: going elsewhere is safe."""
    await desk.fault("authorise", ref, fault, instrument="an order")
    told = await desk.psp.authorise(request_for(ref), key=key)
    assert (told.state, told.ref, told.failure_class) == (S.FAILED, None, F.NOT_SENT)
    assert await desk.totals(ref) == []
    again = await desk.psp.authorise(request_for(ref), key=key)
    assert again.state is S.AUTHORISED
    assert len(await desk.totals(ref)) == 1


async def test_without_a_look_nothing_is_charged(desk: Desk, ref: str, key: str) -> None:
    await desk.fault("find", ref, "http_500_before", times=2)
    told = await desk.psp.authorise(request_for(ref), key=key)
    assert (told.state, told.ref, told.failure_class) == (S.FAILED, None, F.NOT_SENT)
    assert await desk.totals(ref) == []


async def test_a_receipt_that_contains_ours_is_not_ours(desk: Desk, ref: str, key: str) -> None:
    """Razorpay filters receipts by "contains": the tenth attempt contains the first."""
    await desk.held(f"{ref}0")
    assert not (await desk.psp.find(merchant_ref=ref)).found
    first = await desk.psp.authorise(request_for(ref), key=key)
    assert (first.state, first.merchant_ref) == (S.AUTHORISED, ref)
    assert len(await desk.totals(ref)) == len(await desk.totals(f"{ref}0")) == 1


async def test_a_double_charge_shows_and_both_are_given_back(
    desk: Desk, ref: str, key: str
) -> None:
    for _ in range(2):
        await naive_charge(desk.server, ref)
    found = await desk.psp.find(merchant_ref=ref)
    assert found.ref is not None
    [other] = found.others
    told = await desk.psp.void_by_merchant_ref(ref, key=key)
    assert (told.state, told.others) == (
        S.CAPTURED,
        (other if told.ref == found.ref else found.ref,),
    )
    # As whoever gives money back does: one key for the first, one with its name for the second.
    for refund_key, payment in ((key, found.ref), (f"{key}:{other}", other)):
        refund = await desk.psp.refund(payment, AMOUNT, key=refund_key)
        assert refund.status is RefundStatus.DONE
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)] * 2


# Voiding: no money can stay.


async def test_a_void_of_held_money_captures_it_to_be_refunded(
    desk: Desk, ref: str, key: str
) -> None:
    held = await desk.held(ref)
    for _ in range(2):
        told = await desk.psp.void(held, key=key)
        assert (told.state, told.captured) == (S.CAPTURED, 2_499_00)
        assert told.failure_class is F.INVALID_REQUEST
    refund = await desk.psp.refund(held, AMOUNT, key=key)
    assert refund.status is RefundStatus.DONE
    over = await desk.psp.void(held, key=key)
    assert (over.state, over.failure_class) == (S.REFUNDED, None)
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)]


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "timeout_before"])
async def test_an_unknown_void_is_asked_again(desk: Desk, fault: str, ref: str, key: str) -> None:
    held = await desk.held(ref)
    await desk.fault("capture", ref, fault)
    told = [await desk.psp.void(held, key=key) for _ in range(2)]
    assert [one.failure_class for one in told] == [F.UNKNOWN, F.INVALID_REQUEST]
    assert (told[1].state, told[1].captured) == (S.CAPTURED, 2_499_00)


async def test_a_void_that_cannot_look_is_no_void(desk: Desk, ref: str, key: str) -> None:
    held = await desk.held(ref)
    await desk.fault("find", ref, "http_500_before")
    told = await desk.psp.void(held, key=key)
    assert (told.state, told.failure_class) == (S.UNKNOWN, F.UNKNOWN)
    assert await desk.totals(ref) == [(2_499_00, 0, 0)]


async def test_a_link_is_closed_for_good(desk: Desk, ref: str, key: str) -> None:
    asked = await desk.link(ref)
    assert asked.ref is not None
    for gone in (
        await desk.psp.void(asked.ref, key=key),
        await desk.psp.void(asked.ref, key=key),
        await desk.psp.void_by_merchant_ref(ref, key=key),
    ):
        assert (gone.state, gone.failure_class, gone.found) == (S.VOIDED, None, True)
    assert (await desk.customer(asked, "approve")).status_code == 409
    assert await desk.totals(ref) == []


async def test_a_link_that_was_paid_first_is_not_voided(desk: Desk, ref: str, key: str) -> None:
    asked = await desk.link(ref)
    await desk.customer(asked, "approve")
    assert asked.ref is not None
    for told in (
        await desk.psp.void(asked.ref, key=key),
        await desk.psp.void_by_merchant_ref(ref, key=key),
    ):
        assert (told.state, told.ref, told.captured) == (S.CAPTURED, asked.ref, 2_499_00)
        assert (told.failure_class, told.failure_code) == (F.INVALID_REQUEST, "already_captured")


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "unreadable_body"])
async def test_an_unknown_cancellation_is_asked_again(
    desk: Desk, fault: str, ref: str, key: str
) -> None:
    asked = await desk.link(ref)
    assert asked.ref is not None
    await desk.fault("void", ref, fault)
    told = [await desk.psp.void(asked.ref, key=key) for _ in range(2)]
    assert [one.failure_class for one in told] == [F.UNKNOWN, None]
    assert told[1].state is S.VOIDED


async def test_a_payment_under_way_is_not_called_void(desk: Desk, ref: str, key: str) -> None:
    """The link is closed while the bank is at work: what comes of it is seen, and refunded."""
    asked = await desk.link(ref)
    assert asked.ref is not None
    await desk.customer(asked, "pending")
    told = await desk.psp.void(asked.ref, key=key)
    assert (told.state, told.final, told.failure_class) == (S.VOIDING, False, None)
    late = await becomes(desk, ref, S.CAPTURED)
    assert late.ref == asked.ref
    refund = await desk.psp.refund(asked.ref, AMOUNT, key=key)
    assert refund.status is RefundStatus.DONE
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)]


async def test_nothing_there_proves_nothing(desk: Desk, ref: str, key: str) -> None:
    gone = await desk.psp.void_by_merchant_ref(ref, key=key)
    late = await desk.psp.authorise(request_for(ref), key=key)
    assert (gone.found, gone.state) == (False, S.UNKNOWN)
    assert late.state is S.AUTHORISED
    assert not desk.psp.caps.void_prevents


async def test_what_lapsed_was_never_ours(desk: Desk, ref: str, key: str) -> None:
    held = await desk.held(ref)
    await desk.lapse(held)
    found = await desk.psp.find(ref=held)
    captured = await desk.psp.capture(held, AMOUNT, key=key)
    gone = await desk.psp.void(held, key=key)
    assert (found.state, found.captured, found.refunded) == (S.VOIDED, 0, 0)
    assert captured.failure_class is F.INVALID_REQUEST
    assert (gone.state, gone.failure_class) == (S.VOIDED, None)
    assert await desk.totals(ref) == [(2_499_00, 0, 0)]


# Late success: failed is not final, for three days.


async def test_a_failed_charge_may_be_authorised_late(desk: Desk, ref: str, key: str) -> None:
    await desk.server.faults(late_ms=[300, 300])
    failed = await desk.psp.authorise(request_for(ref, "cust_1:token_technical"), key=key)
    assert (failed.state, failed.failure_class) == (S.FAILED, F.REJECTED_TRANSIENT)
    assert failed.ref is not None
    assert failed.final is False
    voided = await desk.psp.void(failed.ref, key=key)
    assert (voided.state, voided.final, voided.failure_class) == (S.FAILED, False, None)
    late = await becomes(desk, ref, S.AUTHORISED)
    assert (late.ref, late.failure_class) == (failed.ref, None)
    assert (await desk.psp.void(failed.ref, key=key)).captured == 2_499_00
    assert (await desk.psp.refund(failed.ref, AMOUNT, key=key)).status is RefundStatus.DONE
    assert desk.psp.caps.late_success is not None
    assert desk.psp.caps.late_success.days == 3


async def test_a_try_on_a_closed_link_may_come_late(desk: Desk, ref: str, key: str) -> None:
    await desk.server.faults(late_ms=[600, 600])
    asked = await desk.link(ref)
    assert asked.ref is not None
    await desk.customer(asked, "technical")
    closed = await desk.psp.void(asked.ref, key=key)
    # Not VOIDED, which would end the watch over it.
    assert (closed.state, closed.final, closed.ref) == (S.FAILED, False, asked.ref)
    late = await becomes(desk, ref, S.CAPTURED)
    assert (late.ref, late.captured) == (asked.ref, 2_499_00)
    assert (await desk.psp.refund(asked.ref, AMOUNT, key=key)).status is RefundStatus.DONE
    assert await desk.totals(ref) == [(2_499_00, 2_499_00, 2_499_00)]


async def test_a_late_try_on_a_paid_link_is_returned_by_razorpay(desk: Desk, ref: str) -> None:
    await desk.server.faults(late_ms=[300, 300])
    asked = await desk.link(ref)
    await desk.customer(asked, "technical")
    await desk.customer(asked, "approve")
    await asyncio.sleep(0.6)
    found = await desk.psp.find(merchant_ref=ref)
    assert (found.state, found.captured, found.others) == (S.CAPTURED, 2_499_00, ())
    rows = await desk.server.books(ref)
    assert sorted(row["status"] for row in rows) == ["captured", "voided"]


async def test_a_declined_try_stays_declined(desk: Desk, ref: str, key: str) -> None:
    asked = await desk.link(ref)
    assert asked.ref is not None
    await desk.customer(asked, "decline")
    closed = await desk.psp.void(asked.ref, key=key)
    assert (closed.state, closed.final) == (S.VOIDED, True)
