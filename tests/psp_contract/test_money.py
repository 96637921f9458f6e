"""The contract, where all goes well or is refused: what every adapter does with money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from activities.payments.psp import NOT_FOUND, ActionKind, RefundStatus
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.psp_contract.conftest import AMOUNT, Subject

F = FailureClass
S = PaymentState
UPI = (PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR)


async def test_its_name_is_its_rows(subject: Subject) -> None:
    assert subject.psp.name == subject.name
    assert PaymentMethod.COD not in subject.psp.caps.methods
    assert subject.psp.caps.captures_at_once <= subject.psp.caps.methods
    assert subject.psp.caps.grace > timedelta()


async def test_pay_capture_refund(subject: Subject, ref: str, key: str) -> None:
    psp = subject.psp
    paid = await subject.pay(ref, key)
    assert paid.ref is not None
    taken = await psp.capture(paid.ref, AMOUNT, key=f"{key}-c")
    refund = await psp.refund(paid.ref, Money(499_00), key=f"{key}-r")
    by_ours, by_theirs = await psp.find(merchant_ref=ref), await psp.find(ref=paid.ref)
    first = (S.CAPTURED, AMOUNT.paise) if subject.at_once else (S.AUTHORISED, 0)
    assert (paid.state, paid.captured, paid.failure_class) == (*first, None)
    assert (paid.amount, paid.merchant_ref, paid.final) == (AMOUNT, ref, True)
    assert (taken.state, taken.captured, taken.failure_class) == (S.CAPTURED, AMOUNT.paise, None)
    assert (refund.status, refund.amount, refund.failure_class) == (RefundStatus.DONE, 499_00, None)
    for found in (by_ours, by_theirs):
        assert (found.state, found.ref) == (S.PARTIALLY_REFUNDED, paid.ref)
        assert (found.captured, found.refunded, found.others) == (AMOUNT.paise, 499_00, ())
    assert await psp.find_refund(key=f"{key}-r") == refund
    assert paid.occurred_at is not None
    assert abs(datetime.now(UTC) - paid.occurred_at) < timedelta(seconds=10)
    assert await subject.books(ref) == [(AMOUNT.paise, 499_00)]


async def test_refunds_end_at_what_was_taken(subject: Subject, ref: str, key: str) -> None:
    taken = await subject.taken(ref, key)
    part = await subject.psp.refund(taken, Money(499_00), key=f"{key}-1")
    too_much = await subject.psp.refund(taken, AMOUNT, key=f"{key}-2")
    rest = await subject.psp.refund(taken, AMOUNT - Money(499_00), key=f"{key}-3")
    assert (part.status, rest.status) == (RefundStatus.DONE, RefundStatus.DONE)
    assert (too_much.status, too_much.failure_class) == (RefundStatus.FAILED, F.INVALID_REQUEST)
    assert (await subject.psp.find(ref=taken)).state is S.REFUNDED
    assert await subject.books(ref) == [(AMOUNT.paise, AMOUNT.paise)]


async def test_a_refund_asked_for_twice_is_one(subject: Subject, ref: str, key: str) -> None:
    taken = await subject.taken(ref, key)
    answers = [await subject.psp.refund(taken, Money(99_00), key=f"{key}-r") for _ in range(3)]
    assert answers == [answers[0]] * 3
    assert await subject.books(ref) == [(AMOUNT.paise, 99_00)]


async def test_capturing_again_is_a_success(subject: Subject, ref: str, key: str) -> None:
    paid = await subject.pay(ref, key)
    assert paid.ref is not None
    for attempt in range(2):
        taken = await subject.psp.capture(paid.ref, AMOUNT, key=f"{key}-{attempt}")
        assert (taken.state, taken.captured) == (S.CAPTURED, AMOUNT.paise)
        assert (taken.failure_class, taken.failure_code) == (None, None)
    assert await subject.books(ref) == [(AMOUNT.paise, 0)]


async def test_capturing_more_than_was_asked_for_fails(
    subject: Subject, ref: str, key: str
) -> None:
    paid = await subject.pay(ref, key)
    assert paid.ref is not None
    more = await subject.psp.capture(paid.ref, AMOUNT + Money(1), key=f"{key}-c")
    assert more.failure_class is F.INVALID_REQUEST
    assert await subject.books(ref) == [(AMOUNT.paise if subject.at_once else 0, 0)]


async def test_capturing_what_nobody_has_paid_fails(subject: Subject, ref: str, key: str) -> None:
    asked = await subject.pay(ref, key, "tok_3ds")
    assert asked.ref is not None
    for there in (asked.ref, "pay_none"):
        nothing = await subject.psp.capture(there, AMOUNT, key=f"{key}-{there}")
        assert (nothing.failure_class, nothing.captured) == (F.INVALID_REQUEST, 0)
    assert await subject.books(ref) == [(0, 0)]


@pytest.mark.parametrize("by_ours", [False, True], ids=["by theirs", "by ours"])
async def test_void_is_repeatable(subject: Subject, by_ours: bool, ref: str, key: str) -> None:
    asked = await subject.pay(ref, key, "tok_3ds" if subject.at_once else "tok_ok")
    assert asked.ref is not None
    for attempt in range(2):
        void = subject.psp.void_by_merchant_ref if by_ours else subject.psp.void
        gone = await void(ref if by_ours else asked.ref, key=f"{key}-{attempt}")
        assert (gone.state, gone.failure_class) == (S.VOIDED, None)
    assert (await subject.server.customer(asked.ref, "approve")).status_code == 409
    assert await subject.books(ref) == [(0, 0)]


async def test_void_of_a_captured_payment_says_so(subject: Subject, ref: str, key: str) -> None:
    taken = await subject.taken(ref, key)
    for result in (
        await subject.psp.void(taken, key=f"{key}-v"),
        await subject.psp.void_by_merchant_ref(ref, key=f"{key}-w"),
    ):
        assert (result.state, result.ref) == (S.CAPTURED, taken)
        assert result.failure_class is F.INVALID_REQUEST
    assert await subject.books(ref) == [(AMOUNT.paise, 0)]


async def test_void_of_a_declined_payment_needs_nothing(
    subject: Subject, ref: str, key: str
) -> None:
    declined = await subject.pay(ref, key, "tok_declined_funds")
    gone = await subject.psp.void_by_merchant_ref(ref, key=f"{key}-v")
    assert declined.state is S.FAILED
    assert gone.state in (S.FAILED, S.VOIDED)
    assert gone.failure_class is None


async def test_one_key_may_serve_a_void_and_a_refund(subject: Subject, ref: str, key: str) -> None:
    """Giving money back is one act to us, whichever call it takes."""
    taken = await subject.taken(ref, key)
    too_late = await subject.psp.void(taken, key=key)
    refund = await subject.psp.refund(taken, AMOUNT, key=key)
    assert too_late.failure_class is F.INVALID_REQUEST
    assert (refund.status, refund.failure_class) == (RefundStatus.DONE, None)


async def test_not_found_is_a_value(subject: Subject, ref: str) -> None:
    by_ours = await subject.psp.find(merchant_ref=ref)
    by_theirs = await subject.psp.find(ref="pay_none")
    refund = await subject.psp.find_refund(key=ref)
    assert (by_ours, by_theirs) == (NOT_FOUND, NOT_FOUND)
    assert (refund.status, refund.failure_class) == (RefundStatus.NOT_FOUND, None)


async def test_find_without_a_reference_is_a_bug(subject: Subject) -> None:
    with pytest.raises(ValueError, match="find needs ref or merchant_ref"):
        await subject.psp.find()


@pytest.mark.parametrize("method", list(PaymentMethod))
async def test_a_method_it_does_not_have_is_refused_unsent(
    subject: Subject, method: PaymentMethod, ref: str, key: str
) -> None:
    request = subject.request(ref, method=method)
    result = await subject.psp.authorise(request, key=key)
    if method in subject.psp.caps.methods:
        at_once = method in subject.psp.caps.captures_at_once
        assert (result.state, result.failure_class) == (
            S.CAPTURED if at_once else S.AUTHORISED,
            None,
        )
    else:
        assert (result.state, result.failure_code) == (S.FAILED, "method_not_supported")
        assert result.failure_class is F.INVALID_REQUEST
        assert await subject.books(ref) == []


async def test_the_customer_acts_on_a_page(subject: Subject, ref: str, key: str) -> None:
    asked = await subject.pay(ref, key, "tok_3ds")
    action = asked.next_action
    assert (asked.state, asked.failure_class) == (S.ACTION_REQUIRED, None)
    assert action is not None
    assert asked.ref is not None
    assert (action.kind, action.deep_link) == (ActionKind.REDIRECT, None)
    assert action.url == f"{subject.server.url}/pay/{asked.ref}"
    again = await subject.psp.find(merchant_ref=ref)
    assert (again.state, again.next_action) == (S.ACTION_REQUIRED, action)
    await subject.server.customer(asked.ref, "approve")
    found = await subject.psp.find(ref=asked.ref)
    assert found.state is (S.CAPTURED if subject.at_once else S.AUTHORISED)
    assert found.next_action is None


@pytest.mark.parametrize("method", UPI)
async def test_the_customer_acts_in_a_upi_app(
    subject: Subject, method: PaymentMethod, ref: str, key: str
) -> None:
    request = subject.request(ref, "success@upi", method)
    asked = await subject.psp.authorise(request, key=key)
    action = asked.next_action
    assert action is not None
    assert asked.ref is not None
    assert action.kind.value == method.value
    assert action.deep_link is not None
    assert action.deep_link.startswith("upi://pay?")
    assert "am=2499.00" in action.deep_link
    assert action.qr == action.deep_link
    assert action.expires_at is not None
    left = action.expires_at - datetime.now(UTC)
    assert timedelta(seconds=290) < left <= timedelta(seconds=301)
    await subject.server.customer(asked.ref, "approve")
    paid = await subject.psp.find(merchant_ref=ref)
    at_once = method in subject.psp.caps.captures_at_once
    assert paid.state is (S.CAPTURED if at_once else S.AUTHORISED)
    assert paid.captured == (AMOUNT.paise if at_once else 0)


@pytest.mark.parametrize(
    ("choice", "failure"), [("decline", F.DECLINED_SOFT), ("cancel", F.EXPIRED)]
)
async def test_the_customer_does_not_pay(
    subject: Subject, choice: str, failure: FailureClass, ref: str, key: str
) -> None:
    asked = await subject.pay(ref, key, "tok_3ds")
    assert asked.ref is not None
    await subject.server.customer(asked.ref, choice)
    found = await subject.psp.find(ref=asked.ref)
    assert (found.state, found.failure_class) == (S.FAILED, failure)
    assert (found.final, found.next_action) == (True, None)
