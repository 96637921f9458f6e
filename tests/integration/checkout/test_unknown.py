"""No trustworthy answer: found and used, found out not to be, or asked of a person."""

from __future__ import annotations

import asyncio

import pytest

from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import EventKind
from tests.integration.checkout.books import PRICE, sold, unsold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, events, steps, waiting
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault

ALPHA, BETA = PSPS
NOT_HELD = (409, {"error": {"code": "not_authorised", "reason": "not_authorized"}})
IMPATIENT = waiting(ladder=(0.1,))


@side_by_side
async def test_authorised_and_the_answer_lost_where_keys_are_honoured(market: Market) -> None:
    """The same request under the same key brings the first answer: charged once."""
    order = await market.order("answer-lost-alphapay", first=ALPHA)
    market.wires[ALPHA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(ALPHA))
    assert order.calls(ALPHA) == ["authorise", "authorise", "capture"]
    assert len(set(order.keys(ALPHA, "authorise"))) == 1
    view = await order.timeline(order.payment)
    assert steps(view, EventKind.STEP_RESENT) == [f"authorise via {ALPHA}"]
    assert order.calls(BETA) == []


@side_by_side
async def test_authorised_and_the_answer_lost_where_they_are_not(market: Market) -> None:
    """betapay would make a second payment of a second request: it is asked what became of it."""
    order = await market.order("answer-lost-betapay", first=BETA)
    market.wires[BETA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(BETA))
    assert order.calls(BETA) == ["authorise", "capture"]
    inquired = events(await order.timeline(order.payment), EventKind.STEP_INQUIRED)
    assert [event.code for event in inquired] == ["HAPPENED"]
    assert order.calls(ALPHA) == []


@side_by_side
async def test_upi_taken_and_the_answer_lost(market: Market) -> None:
    order = await market.order("answer-lost-upi", first=BETA)
    market.wires[BETA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    # the customer has paid by the time that anybody looks
    later = waiting(ladder=(1.5,))
    assert await order.buy("auto@upi", PaymentMethod.UPI_INTENT, timings=later) == "CONFIRMED"
    await order.settled(sold(BETA))
    assert order.calls(BETA) == ["authorise"]


@side_by_side
async def test_never_arrived(market: Market) -> None:
    """Not found proves nothing within the grace; after it the other PSP is asked, and no sooner."""
    order = await market.order("never-arrived", first=BETA)
    market.wires[BETA].fail("authorise", order.ref(1), Fault.DROP_BEFORE)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(ALPHA).but(attempts=(f"{BETA} VOIDED", f"{ALPHA} CAPTURED {PRICE}-0")))
    view = await order.timeline(order.payment)
    inquired = events(view, EventKind.STEP_INQUIRED)
    assert {event.code for event in inquired[:-1]} == {"STILL_UNKNOWN"}
    assert inquired[-1].code == "DID_NOT_HAPPEN"
    begun = next(e for e in view.events if e.kind is EventKind.STEP_STARTED and BETA in e.step)
    assert (inquired[-1].at - begun.at).total_seconds() >= 8
    assert order.calls(BETA) == ["authorise"]


@side_by_side
async def test_never_arrived_and_sent_again(market: Market) -> None:
    order = await market.order("never-arrived-keyed", first=ALPHA)
    market.wires[ALPHA].fail("authorise", order.ref(1), Fault.DROP_BEFORE)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(ALPHA))
    assert len(set(order.keys(ALPHA, "authorise"))) == 1


@side_by_side
async def test_never_arrived_twice(market: Market) -> None:
    """alphapay can forbid what is still on its way, so that going elsewhere is safe."""
    order = await market.order("never-arrived-twice", first=ALPHA)
    market.wires[ALPHA].fail("authorise", order.ref(1), Fault.DROP_BEFORE, times=2)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(BETA).but(attempts=(f"{ALPHA} VOIDED", f"{BETA} CAPTURED {PRICE}-0")))
    assert order.calls(ALPHA) == ["authorise", "authorise", "void-by-ref"]


@side_by_side
async def test_nobody_can_say_and_a_person_does(market: Market) -> None:
    """Parked with its reason; asked again it is found, and used."""
    order = await market.order("unknown-parked", first=BETA)
    market.wires[BETA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    market.wires[BETA].fail("find", order.ref(1), Fault.REFUSE, times=1, answer=(500, {}))
    placing = asyncio.create_task(order.place(timings=IMPATIENT))
    view = await order.until_parked(order.payment)
    assert [(at.step, at.code, at.doing) for at in view.parked] == [
        (f"authorise via {BETA}", "AUTHORISATION_UNKNOWN", "do")
    ]
    assert view.parked[0].actions == ["RETRY", "MARK_DONE", "SKIP"]
    assert order.calls(ALPHA) == []
    assert (await order.resolve(view.parked[0].step, "RETRY", handle=order.payment)).accepted
    await placing
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(BETA))


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_captured_and_the_answer_lost(market: Market, psp: str) -> None:
    order = await market.order(f"capture-lost-{psp}", first=psp)
    market.wires[psp].fail("capture", order.ref(1), Fault.DROP_AFTER)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(psp))
    assert order.calls(psp) == ["authorise", "capture", "capture"]
    assert len(set(order.keys(psp, "capture"))) == 1


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_captured_and_nobody_can_say(market: Market, psp: str) -> None:
    """Both answers are lost: it is looked up, and found taken."""
    order = await market.order(f"capture-lost-twice-{psp}", first=psp)
    market.wires[psp].fail("capture", order.ref(1), Fault.DROP_AFTER, times=2)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(psp))
    inquired = events(await order.timeline(), EventKind.STEP_INQUIRED)
    assert [(event.step, event.code) for event in inquired] == [("capture payment", "HAPPENED")]


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_a_capture_that_is_refused(market: Market, psp: str) -> None:
    """Nothing was taken, so nothing is sold: the hold is voided and all is given back."""
    order = await market.order(f"capture-refused-{psp}", first=psp)
    market.wires[psp].fail("capture", order.ref(1), Fault.REFUSE, answer=NOT_HELD)
    answer = await order.place()
    assert (answer.state, answer.code) == (OrderState.REFUSED, "PAYMENT_DECLINED")
    assert answer.message == "the payment was declined; please try another way to pay"
    assert await order.end() == "REFUSED/PAYMENT_DECLINED"
    await order.settled(
        unsold("REFUSED/PAYMENT_DECLINED").but(
            payment=f"VOIDED {PRICE}",
            attempts=(f"{psp} VOIDED",),
            psps=(f"{psp} voided {PRICE}/0/0",),
            sagas=("checkout COMPENSATED", "payment COMPLETED"),
        )
    )
    assert order.calls(psp) == ["authorise", "capture", "void"]
    failed = events(await order.timeline(), EventKind.STEP_FAILED)
    assert [(event.step, event.code.partition("/")[0]) for event in failed] == [
        ("capture payment", "INVALID_REQUEST")
    ]
