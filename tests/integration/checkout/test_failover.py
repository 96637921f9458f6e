"""A PSP says no, or is not there: who is asked next, who is not, and what is left at the first."""

from __future__ import annotations

import asyncio

import pytest

from domain.payments import PaymentMethod
from saga import EventKind
from tests.integration.checkout.books import PRICE, sold, unpaid
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, events, steps, waiting
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault
from tests.integration.db import shop

ALPHA, BETA = PSPS
OTHER = {ALPHA: BETA, BETA: ALPHA}
DOWN = {"error": {"code": "gateway_down", "reason": "gateway_down"}}


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_a_soft_decline_by_both(market: Market, psp: str) -> None:
    """The other is asked, and after it there is nobody left."""
    order = await market.order(f"soft-{psp}", first=psp)
    assert await order.buy("tok_declined_funds") == "REFUSED/PAYMENT_DECLINED"
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_DECLINED",
            payment=f"FAILED {PRICE}",
            attempts=(f"{psp} FAILED", f"{OTHER[psp]} FAILED"),
            psps=(f"{ALPHA} failed 0/0/0", f"{BETA} failed 0/0/0"),
        )
    )
    assert order.calls(psp) == ["authorise"]
    assert order.calls(OTHER[psp]) == ["authorise"]


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_a_soft_decline_and_the_other_accepts(market: Market, psp: str) -> None:
    other = OTHER[psp]
    order = await market.order(f"soft-then-ok-{psp}", first=psp)
    declined = {
        ALPHA: (402, {"error": {"code": "insufficient_funds"}}),
        BETA: (400, {"error": {"reason": "insufficient_funds"}}),
    }
    market.wires[psp].fail("authorise", order.ref(1), Fault.REFUSE, answer=declined[psp])
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(other).but(attempts=(f"{psp} VOIDED", f"{other} CAPTURED {PRICE}-0")))
    assert order.calls(other) == ["authorise", "capture"]


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
@pytest.mark.parametrize("card", ["tok_declined_lost", "tok_fraud"])
async def test_a_hard_decline_stops(market: Market, psp: str, card: str) -> None:
    order = await market.order(f"{card[4:].replace('_', '-')}-{psp}", first=psp)
    assert await order.buy(card) == "REFUSED/PAYMENT_DECLINED"
    # fraud is asked once more with 3-D Secure, of the same PSP
    attempts = 2 if card == "tok_fraud" else 1
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_DECLINED",
            payment=f"FAILED {PRICE}",
            attempts=(f"{psp} FAILED",) * attempts,
            psps=(f"{psp} failed 0/0/0",) * attempts,
        )
    )
    assert order.calls(psp) == ["authorise"] * attempts
    assert order.calls(OTHER[psp]) == []


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_a_psp_that_is_down(market: Market, psp: str) -> None:
    other = OTHER[psp]
    order = await market.order(f"down-{psp}", first=psp)
    market.wires[psp].fail("authorise", order.ref(1), Fault.REFUSE, answer=(503, DOWN))
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(other).but(attempts=(f"{psp} VOIDED", f"{other} CAPTURED {PRICE}-0")))


@side_by_side
async def test_both_are_down(market: Market) -> None:
    order = await market.order("both-down", first=ALPHA)
    assert await order.buy("tok_gateway_down") == "REFUSED/PAYMENT_UNAVAILABLE"
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_UNAVAILABLE",
            payment=f"VOIDED {PRICE}",
            attempts=(f"{ALPHA} VOIDED", f"{BETA} VOIDED"),
            psps=(),
        )
    )


@side_by_side
async def test_nothing_is_left_where_a_failure_is_not_final(market: Market) -> None:
    """betapay may authorise a technical failure late: it is voided before the other is asked."""
    order = await market.order("technical", first=BETA)
    assert await order.buy("tok_technical") == "REFUSED/PAYMENT_UNAVAILABLE"
    (voided,), (elsewhere,) = order.calls_of(BETA, "void"), order.calls_of(ALPHA, "authorise")
    assert voided.at < elsewhere.at
    expected = unpaid(
        "REFUSED/PAYMENT_UNAVAILABLE",
        payment=f"VOIDED {PRICE}",
        attempts=(f"{BETA} VOIDED", f"{ALPHA} FAILED"),
        psps=(f"{ALPHA} failed 0/0/0", f"{BETA} voided 0/0/0"),
    )
    await order.settled(expected)
    # longer than betapay takes to authorise late
    await asyncio.sleep(5)
    assert await order.books() == expected


@side_by_side
async def test_a_request_that_arrives_after_all_hope(market: Market) -> None:
    """Held up on its way beyond betapay's grace, it is authorised there after alphapay was paid."""
    order = await market.order("late-card", first=BETA)
    held = market.wires[BETA].fail("authorise", order.ref(1), Fault.HOLD)
    assert await order.buy() == "CONFIRMED"
    paid = sold(ALPHA).but(attempts=(f"{BETA} VOIDED", f"{ALPHA} CAPTURED {PRICE}-0"))
    await order.settled(paid)
    held.go.set()
    outcome = await order.watch(1).result()
    assert outcome.returned_paise == 0
    await order.settled(paid.but(psps=(*paid.psps, f"{BETA} voided {PRICE}/0/0")))
    assert order.calls(BETA) == ["authorise", "void"]
    view = await order.timeline(order.watch(1))
    assert steps(view, EventKind.STEP_DONE) == ["give back what came late"]


@side_by_side
async def test_upi_money_that_arrives_after_all_hope(market: Market) -> None:
    """The same with UPI, which betapay takes at once: it is refunded, and the books balance."""
    order = await market.order("late-upi", first=BETA)
    held = market.wires[BETA].fail("authorise", order.ref(1), Fault.HOLD)
    await order.place("auto@upi", PaymentMethod.UPI_INTENT, timings=waiting(late=20))
    assert await order.end() == "CONFIRMED"
    held.go.set()
    outcome = await order.watch(1).result()
    assert outcome.returned_paise == PRICE
    paid = sold(ALPHA, events=("order.awaiting_payment",))
    await order.settled(
        paid.but(
            attempts=(f"{BETA} REFUNDED {PRICE}-{PRICE}", f"{ALPHA} CAPTURED {PRICE}-0"),
            refunds=(f"DONE {PRICE}",),
            ledger=(
                *paid.ledger,
                f"LATE_CAPTURE psp:{BETA} +{PRICE}",
                f"REFUND psp:{BETA} -{PRICE}",
            ),
            psps=(*paid.psps, f"{BETA} captured {PRICE}/{PRICE}/{PRICE}"),
        )
    )
    assert order.calls(BETA) == ["authorise", "refund"]


@side_by_side
async def test_money_that_arrives_after_its_watcher(market: Market) -> None:
    """Nobody watches any more when betapay's webhook tells of it: a new watcher gives it back."""
    order = await market.order("late-webhook", first=BETA)
    held = market.wires[BETA].fail("authorise", order.ref(1), Fault.HOLD)
    assert await order.buy(timings=waiting(late=1, late_poll=0.3)) == "CONFIRMED"
    assert (await order.watch(1).result()).returned_paise == 0
    paid = sold(ALPHA).but(attempts=(f"{BETA} VOIDED", f"{ALPHA} CAPTURED {PRICE}-0"))
    await order.settled(paid)
    assert order.calls(BETA) == ["authorise"]
    held.go.set()
    await order.settled(paid.but(psps=(*paid.psps, f"{BETA} voided {PRICE}/0/0")))
    assert order.calls(BETA) == ["authorise", "void"]
    told = "SELECT id FROM webhook_inbox WHERE payment_ref = :ref AND kind = 'PAYMENT_AUTHORISED'"
    ((webhook,),) = await shop.rows(market.db, told, ref=order.ref(1))
    again = await order.timeline(order.watch(1, webhook))
    assert steps(again, EventKind.STEP_DONE) == ["give back what came late"]


@side_by_side
async def test_the_timeline_says_why(market: Market) -> None:
    order = await market.order("why", first=ALPHA)
    market.wires[ALPHA].fail("authorise", order.ref(1), Fault.REFUSE, answer=(503, DOWN))
    assert await order.buy() == "CONFIRMED"
    view = await order.timeline(order.payment)
    failed = events(view, EventKind.STEP_FAILED)
    assert [(event.step, event.code) for event in failed] == [
        (f"authorise via {ALPHA}", "REJECTED_TRANSIENT/gateway_down")
    ]
    noted = events(view, EventKind.NOTED)
    assert [(event.code, event.detail) for event in noted] == [
        ("NEXT_PSP", "after REJECTED_TRANSIENT/gateway_down")
    ]
    assert steps(view, EventKind.UNDONE) == [f"authorise via {ALPHA}"]
