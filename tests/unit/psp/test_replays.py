"""Never twice: what each PSP does with a call that is made again, and how duplicates show."""

import asyncio

import pytest

from activities.payments.psp import PSP, PaymentResult, RefundStatus
from activities.payments.psp.port import NOT_FOUND, weightiest
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from tests.sandbox.harness import Sandbox
from tests.unit.psp.conftest import request_for

Psps = dict[str, PSP]
Servers = dict[str, Sandbox]


async def test_alphapay_replays_a_dropped_answer(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    request = request_for(ref, "tok_timeout_after")
    lost = await psps["alphapay"].authorise(request, key=key)
    again = await psps["alphapay"].authorise(request, key=key)
    assert lost.failure_class is FailureClass.UNKNOWN
    assert (again.state, again.failure_class) == (PaymentState.AUTHORISED, None)
    assert [row["id"] for row in await servers["alphapay"].books(ref)] == [again.ref]


@pytest.mark.parametrize("name", ["alphapay", "betapay"])
async def test_one_key_may_serve_a_void_and_a_refund(
    psps: Psps, name: str, ref: str, key: str
) -> None:
    """Giving money back is one act to us, whichever call it takes."""
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    await psps[name].capture(held.ref, Money(2_499_00), key=key)
    too_late = await psps[name].void(held.ref, key=key)
    refund = await psps[name].refund(held.ref, Money(2_499_00), key=key)
    assert too_late.failure_code == "already_captured"
    assert (refund.status, refund.failure_class) == (RefundStatus.DONE, None)


async def test_betapay_must_be_asked_not_called_again(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    lost = await psps["betapay"].authorise(request_for(ref, "tok_timeout_after"), key=key)
    found = await psps["betapay"].find(merchant_ref=ref)
    assert lost.failure_class is FailureClass.UNKNOWN
    assert (found.state, found.others) == (PaymentState.AUTHORISED, ())
    assert [row["id"] for row in await servers["betapay"].books(ref)] == [found.ref]


async def test_a_double_charge_at_betapay_shows_and_is_voided_whole(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    for _ in range(2):
        await psps["betapay"].authorise(request_for(ref), key=key)
    found = await psps["betapay"].find(merchant_ref=ref)
    books = await servers["betapay"].books(ref)
    assert {found.ref, *found.others} == {row["id"] for row in books}
    assert len(books) == 2
    gone = await psps["betapay"].void_by_merchant_ref(ref, key=key)
    assert (gone.state, gone.failure_class) == (PaymentState.VOIDED, None)
    assert [row["status"] for row in await servers["betapay"].books(ref)] == ["voided"] * 2


async def test_voiding_nothing_at_alphapay_stops_what_comes_late(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    gone = await psps["alphapay"].void_by_merchant_ref(ref, key=f"{key}-v")
    late = await psps["alphapay"].authorise(request_for(ref), key=key)
    assert (gone.state, gone.found, gone.failure_class) == (PaymentState.VOIDED, False, None)
    assert (late.state, late.failure_code) == (PaymentState.FAILED, "merchant_ref_voided")
    assert await servers["alphapay"].books(ref) == []
    assert psps["alphapay"].caps.void_prevents


async def test_voiding_nothing_at_betapay_proves_nothing(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    gone = await psps["betapay"].void_by_merchant_ref(ref, key=f"{key}-v")
    late = await psps["betapay"].authorise(request_for(ref), key=key)
    assert gone == NOT_FOUND
    assert late.state is PaymentState.AUTHORISED
    assert not psps["betapay"].caps.void_prevents


async def test_failed_is_not_final_at_betapay(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    await servers["betapay"].faults(late_ms=[300, 300])
    failed = await psps["betapay"].authorise(request_for(ref, "tok_technical"), key=key)
    await asyncio.sleep(0.6)
    found = await psps["betapay"].find(merchant_ref=ref)
    assert (failed.state, failed.final) == (PaymentState.FAILED, False)
    assert (found.state, found.ref, found.failure_class) == (
        PaymentState.AUTHORISED,
        failed.ref,
        None,
    )


async def test_a_void_ends_a_failed_payment_at_betapay(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    await servers["betapay"].faults(late_ms=[300, 300])
    failed = await psps["betapay"].authorise(request_for(ref, "tok_technical"), key=key)
    assert failed.ref is not None
    gone = await psps["betapay"].void(failed.ref, key=f"{key}-v")
    await asyncio.sleep(0.6)
    found = await psps["betapay"].find(merchant_ref=ref)
    assert (gone.state, gone.final, gone.failure_class) == (PaymentState.VOIDED, True, None)
    assert (found.state, found.amount) == (PaymentState.VOIDED, Money(2_499_00))


async def test_a_stale_listing_is_a_not_found_within_the_grace(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    rule = {"operation": "find", "merchant_ref": ref, "fault": "stale_listing"}
    await servers["betapay"].faults(stale_ms=1500, rules=[rule])
    await psps["betapay"].authorise(request_for(ref), key=key)
    stale = await psps["betapay"].find(merchant_ref=ref)
    assert stale == NOT_FOUND
    assert (await psps["betapay"].find(merchant_ref=ref)).state is PaymentState.AUTHORISED
    assert psps["betapay"].caps.grace.total_seconds() > 1.5


def test_the_weightiest_holds_money_and_the_others_that_may_take_some_are_named() -> None:
    def one(ref: str, state: PaymentState, *, final: bool = True) -> PaymentResult:
        return PaymentResult(state=state, ref=ref, final=final)

    found = weightiest(
        [
            one("a", PaymentState.FAILED),
            one("b", PaymentState.FAILED, final=False),
            one("c", PaymentState.AUTHORISED),
            one("d", PaymentState.VOIDED),
            one("e", PaymentState.CAPTURED),
        ]
    )
    assert (found.ref, found.others) == ("e", ("c", "b"))
    assert weightiest([]) == NOT_FOUND
