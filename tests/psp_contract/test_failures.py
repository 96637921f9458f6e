"""The contract under failure: one class each, no money twice, and the truth can be looked up."""

from __future__ import annotations

import asyncio

import pytest

from activities.payments.psp import RefundStatus
from domain.payments import FailureClass, Operation, PaymentState
from tests.psp_contract.conftest import AMOUNT, Subject
from tests.sandbox.harness import free_port

F = FailureClass
S = PaymentState
READ_TIMEOUT_PASSED_MS = 1300


@pytest.mark.parametrize(
    ("instrument", "failure"),
    [
        ("tok_declined_funds", F.DECLINED_SOFT),
        ("tok_declined_lost", F.DECLINED_HARD),
        ("tok_fraud", F.FRAUD),
        ("tok_auth_required", F.AUTH_REQUIRED),
        ("tok_technical", F.REJECTED_TRANSIENT),
    ],
)
async def test_declines(
    subject: Subject, instrument: str, failure: FailureClass, ref: str, key: str
) -> None:
    told = await subject.pay(ref, key, instrument)
    found = await subject.psp.find(merchant_ref=ref)
    assert (told.state, told.failure_class) == (S.FAILED, failure)
    assert told.ref is not None
    assert (found.state, found.failure_class, found.ref) == (S.FAILED, failure, told.ref)
    assert found.failure_code == told.failure_code
    # Only a PSP that says so may turn a failure into money later.
    lasting = subject.psp.caps.late_success is None or failure is not F.REJECTED_TRANSIENT
    assert (told.final, found.final) == (lasting, lasting)
    assert await subject.books(ref) == [(0, 0)]


@pytest.mark.parametrize(
    ("fault", "failure", "payments"),
    [
        ("timeout_before", F.UNKNOWN, 0),
        ("timeout_after", F.UNKNOWN, 1),
        ("connection_reset", F.UNKNOWN, 1),
        ("slow", F.UNKNOWN, 1),
        ("http_500_before", F.UNKNOWN, 0),
        ("http_500_after", F.UNKNOWN, 1),
        ("unreadable_body", F.UNKNOWN, 1),
        ("rate_limited", F.REJECTED_TRANSIENT, 0),
        ("gateway_down", F.REJECTED_TRANSIENT, 0),
    ],
)
async def test_an_answer_to_authorise_that_fails(
    subject: Subject, fault: str, failure: FailureClass, payments: int, ref: str, key: str
) -> None:
    await subject.fault("authorise", ref, fault, slow_ms=READ_TIMEOUT_PASSED_MS)
    told = await subject.pay(ref, key)
    if fault == "slow":
        await asyncio.sleep(0.5)
    undecided = failure is F.UNKNOWN
    assert (told.failure_class, told.outcome_unknown) == (failure, undecided)
    assert told.state is (S.UNKNOWN if undecided else S.FAILED)
    assert told.ref is None
    found = await subject.psp.find(merchant_ref=ref)
    assert found.found is bool(payments)
    assert len(await subject.books(ref)) == payments


async def test_the_same_request_again_after_a_lost_answer(
    subject: Subject, ref: str, key: str
) -> None:
    """Who honours our key there makes one payment of two requests; of who does not, we only ask."""
    await subject.fault("authorise", ref, "timeout_after")
    lost = await subject.pay(ref, key)
    assert lost.failure_class is F.UNKNOWN
    if Operation.AUTHORISE in subject.psp.caps.keyed:
        again = await subject.pay(ref, key)
    else:
        again = await subject.psp.find(merchant_ref=ref)
    assert again.state is (S.CAPTURED if subject.at_once else S.AUTHORISED)
    assert (again.failure_class, again.others) == (None, ())
    assert [row["id"] for row in await subject.server.books(ref)] == [again.ref]


async def test_many_requests_at_once_under_one_key(subject: Subject, ref: str, key: str) -> None:
    await asyncio.gather(*(subject.pay(ref, key) for _ in range(8)))
    keyed = Operation.AUTHORISE in subject.psp.caps.keyed
    assert len(await subject.books(ref)) == (1 if keyed else 8)


@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_look_up_that_fails_is_not_a_not_found(
    subject: Subject, fault: str, ref: str
) -> None:
    await subject.fault("find", ref, fault)
    told = await subject.psp.find(merchant_ref=ref)
    assert (told.state, told.found, told.failure_class) == (S.UNKNOWN, True, F.UNKNOWN)
    assert not (await subject.psp.find(merchant_ref=ref)).found


@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_look_up_of_a_refund_that_fails_is_not_a_not_found(
    subject: Subject, fault: str, key: str
) -> None:
    await subject.fault("find_refund", key, fault)
    told = await subject.psp.find_refund(key=key)
    assert (told.status, told.failure_class) == (RefundStatus.UNKNOWN, F.UNKNOWN)
    assert (await subject.psp.find_refund(key=key)).status is RefundStatus.NOT_FOUND


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "connection_reset"])
async def test_unknown_capture_and_refund_are_asked_again(
    subject: Subject, fault: str, ref: str, key: str
) -> None:
    # What is taken at once has no capture: there our call is a look.
    capture = "find" if subject.at_once else "capture"
    rules = [
        {"operation": operation, "merchant_ref": ref, "fault": fault}
        for operation in (capture, "refund")
    ]
    await subject.server.faults(rules=rules)
    paid = await subject.pay(ref, key)
    assert paid.ref is not None
    captures = [await subject.psp.capture(paid.ref, AMOUNT, key=f"{key}-c") for _ in range(2)]
    refunds = [await subject.psp.refund(paid.ref, AMOUNT, key=f"{key}-r") for _ in range(2)]
    assert [one.failure_class for one in captures] == [F.UNKNOWN, None]
    assert captures[1].captured == AMOUNT.paise
    assert [one.status for one in refunds] == [RefundStatus.UNKNOWN, RefundStatus.DONE]
    assert await subject.psp.find_refund(key=f"{key}-r") == refunds[1]
    assert await subject.books(ref) == [(AMOUNT.paise, AMOUNT.paise)]


@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "unreadable_body"])
async def test_an_unknown_void_is_asked_again(
    subject: Subject, fault: str, ref: str, key: str
) -> None:
    await subject.fault("void", ref, fault)
    asked = await subject.pay(ref, key, "tok_3ds")
    assert asked.ref is not None
    told = [await subject.psp.void(asked.ref, key=f"{key}-v") for _ in range(2)]
    assert [one.failure_class for one in told] == [F.UNKNOWN, None]
    assert told[1].state is S.VOIDED


async def test_voiding_nothing_stops_what_comes_late_where_it_says_so(
    subject: Subject, ref: str, key: str
) -> None:
    gone = await subject.psp.void_by_merchant_ref(ref, key=f"{key}-v")
    late = await subject.pay(ref, key)
    assert (gone.found, gone.failure_class) == (False, None)
    if subject.psp.caps.void_prevents:
        assert gone.state is S.VOIDED
        assert (late.state, late.failure_class) == (S.FAILED, F.INVALID_REQUEST)
        assert await subject.books(ref) == []
    else:
        assert gone.state is S.UNKNOWN
        assert late.failure_class is None


async def test_the_wrong_key_is_a_matter_of_configuration(
    subject: Subject, ref: str, key: str
) -> None:
    psp = subject.adapter(api_key="wrong:wrong")
    told = await psp.authorise(subject.request(ref), key=key)
    assert (told.state, told.failure_class) == (S.FAILED, F.CONFIG)
    assert (await psp.find(merchant_ref=ref)).failure_class is F.CONFIG
    assert await subject.books(ref) == []


async def test_nobody_listens(subject: Subject, ref: str, key: str) -> None:
    psp = subject.adapter(url=f"http://127.0.0.1:{free_port()}")
    told = await psp.authorise(subject.request(ref), key=key)
    assert (told.state, told.failure_class) == (S.FAILED, F.NOT_SENT)
