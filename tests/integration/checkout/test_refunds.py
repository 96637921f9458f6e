"""Money that goes back after the sale: in parts, at once, lost on the way, and under dispute."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from domain.refunds import RefundState
from tests.integration.checkout.books import PRICE, Books, sold, unpaid
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, Order
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault
from tests.integration.db import shop

ALPHA, BETA = PSPS
PART = PRICE // 4
_DISPUTES = "SELECT state, amount_paise FROM disputes WHERE order_id = :id ORDER BY id"


async def bought(market: Market, name: str, psp: str = ALPHA) -> Order:
    """An order that is sold, and at rest."""
    order = await market.order(name, first=psp)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(psp))
    return order


def refunded(psp: str, *parts: int) -> Books:
    """A sold order of which these parts went back, one after the other."""
    back = sum(parts)
    state = "REFUNDED" if back == PRICE else "PARTIALLY_REFUNDED"
    before = sold(psp)
    return before.but(
        payment=f"{state} {PRICE}",
        attempts=(f"{psp} {state} {PRICE}-{back}",),
        refunds=tuple(f"DONE {part}" for part in parts),
        ledger=(*before.ledger, *(f"REFUND psp:{psp} -{part}" for part in parts)),
        psps=(f"{psp} captured {PRICE}/{PRICE}/{back}",),
        events=(*before.events, *(["refund.done"] * len(parts))),
        sagas=(*before.sagas, *(["refund COMPLETED"] * len(parts))),
    )


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_all_of_it(market: Market, psp: str) -> None:
    order = await bought(market, f"refund-{psp}", psp)
    promised = await order.refund("all")
    assert (promised.state, promised.amount_paise) == (RefundState.PENDING, PRICE)
    assert await order.refunded("all") == "DONE"
    await order.settled(refunded(psp, PRICE))
    again = await order.refund("again")
    assert (again.state, again.code) == (RefundState.FAILED, "NOTHING_TO_REFUND")
    assert order.calls(psp) == ["authorise", "capture", "refund"]


@side_by_side
async def test_in_parts_and_never_more_than_was_taken(market: Market) -> None:
    order = await bought(market, "refund-parts")
    for number in range(3):
        await order.refund(f"part-{number}", PART)
        assert await order.refunded(f"part-{number}") == "DONE"
    more = await order.refund("more", PART + 1)
    assert (more.code, more.message) == (
        "REFUND_TOO_LARGE",
        f"{PART + 1} paise asked for, {PART} paise are left",
    )
    await order.refund("rest")
    assert await order.refunded("rest") == "DONE"
    books = refunded(ALPHA, PART, PART, PART, PART)
    sagas = (*sold(ALPHA).sagas, "refund COMPENSATED", *(["refund COMPLETED"] * 4))
    await order.settled(books.but(sagas=sagas))


@side_by_side
async def test_eight_at_once_of_which_four_fit(market: Market) -> None:
    order = await bought(market, "refund-crowd")
    names = [f"crowd-{number}" for number in range(8)]
    await asyncio.gather(*(order.refund(name, PART) for name in names))
    ends = Counter(await asyncio.gather(*(order.refunded(name) for name in names)))
    assert ends == {"DONE": 4, "FAILED/NOTHING_TO_REFUND": 4}
    books = refunded(ALPHA, PART, PART, PART, PART)
    sagas = (*sold(ALPHA).sagas, *(["refund COMPENSATED"] * 4), *(["refund COMPLETED"] * 4))
    await order.settled(books.but(sagas=sagas))
    assert order.calls(ALPHA).count("refund") == 4


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_the_answer_is_lost_and_the_money_goes_once(market: Market, psp: str) -> None:
    order = await bought(market, f"refund-lost-{psp}", psp)
    market.wires[psp].fail("refund", order.ref(1), Fault.DROP_AFTER, times=2)
    await order.refund("lost", PART)
    assert await order.refunded("lost") == "DONE"
    await order.settled(refunded(psp, PART))
    keys = order.keys(psp, "refund")
    assert len(keys) == 3
    assert len(set(keys)) == 1


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_an_authorisation_lapses_before_its_capture(market: Market, psp: str) -> None:
    """Nothing was taken and nothing can be: the order is undone, and its customer told."""
    order = await market.order(f"lapsed-{psp}", first=psp)
    held = market.wires[psp].fail("capture", order.ref(1), Fault.HOLD)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    await market.psps[psp].lapse(order.ref(1))
    held.go.set()
    assert (await placing).code == "PAYMENT_DECLINED"
    assert await order.end() == "REFUSED/PAYMENT_DECLINED"
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_DECLINED",
            payment=f"VOIDED {PRICE}",
            attempts=(f"{psp} VOIDED",),
            psps=(f"{psp} voided {PRICE}/0/0",),
        ).but(sagas=("checkout COMPENSATED", "payment COMPLETED"))
    )


@side_by_side
async def test_the_same_refund_asked_twice_is_one(market: Market) -> None:
    order = await bought(market, "refund-twice")
    first, second = await asyncio.gather(order.refund("same", PART), order.refund("same", PART))
    assert first == second
    assert await order.refunded("same") == "DONE"
    await order.settled(refunded(ALPHA, PART))


@side_by_side
async def test_a_dispute_forbids_a_refund_until_it_is_won(market: Market) -> None:
    order = await bought(market, "dispute-won")
    dispute = await market.psps[ALPHA].dispute(order.ref(1), PRICE)
    disputed = sold(ALPHA).but(
        payment=f"DISPUTED {PRICE}", attempts=(f"{ALPHA} DISPUTED {PRICE}-0",)
    )
    await order.settled(disputed)
    asked = await order.refund("meanwhile", PART)
    assert asked.code == "PAYMENT_DISPUTED"
    await market.psps[ALPHA].close_dispute(dispute, "won")
    refused = (*sold(ALPHA).sagas, "refund COMPENSATED")
    await order.settled(sold(ALPHA).but(sagas=refused))
    assert await shop.rows(market.db, _DISPUTES, id=order.id) == [("WON", PRICE)]
    await order.refund("afterwards", PART)
    assert await order.refunded("afterwards") == "DONE"
    await order.settled(refunded(ALPHA, PART).but(sagas=(*refused, "refund COMPLETED")))


@side_by_side
async def test_a_lost_dispute_takes_its_part_and_no_refund_can_have_it_too(market: Market) -> None:
    order = await bought(market, "dispute-lost")
    dispute = await market.psps[ALPHA].dispute(order.ref(1), 3 * PART)
    await market.psps[ALPHA].close_dispute(dispute, "lost")
    state = "PARTIALLY_REFUNDED"
    taken = sold(ALPHA).but(
        payment=f"{state} {PRICE}",
        attempts=(f"{ALPHA} {state} {PRICE}-0",),
        ledger=(*sold(ALPHA).ledger, f"CHARGEBACK psp:{ALPHA} -{3 * PART}"),
    )
    await order.settled(taken)
    assert (await order.refund("too-much", PART + 1)).code == "REFUND_TOO_LARGE"
    await order.refund("rest")
    assert await order.refunded("rest") == "DONE"
    found = await order.books()
    assert found.payment == f"REFUNDED {PRICE}"
    assert found.refunds == (f"DONE {PART}",)
    assert found.ledger[-2:] == (
        f"CHARGEBACK psp:{ALPHA} -{3 * PART}",
        f"REFUND psp:{ALPHA} -{PART}",
    )


@side_by_side
async def test_a_refund_races_a_dispute_and_asks_a_person(market: Market) -> None:
    """Promised before the dispute, sent after it: the PSP refuses, and nothing is paid twice."""
    order = await bought(market, "dispute-race")
    held = market.wires[ALPHA].fail("refund", order.ref(1), Fault.HOLD)
    await order.refund("race", PART)
    await held.met.wait()
    dispute = await market.psps[ALPHA].dispute(order.ref(1), PRICE)
    held.go.set()
    saga = order.refunding("race")
    view = await order.until_parked(saga)
    assert [(step.step, step.code) for step in view.parked] == [("send refund", "REFUND_REFUSED")]
    assert view.parked[0].message.startswith("INVALID_REQUEST/payment_disputed")
    await market.psps[ALPHA].close_dispute(dispute, "won")
    assert (await order.resolve("send refund", "RETRY", handle=saga)).accepted
    assert await order.refunded("race") == "DONE"
    await order.settled(refunded(ALPHA, PART))
    keys = order.keys(ALPHA, "refund")
    assert len(keys) == len(set(keys)) == 2


@side_by_side
async def test_a_refund_that_is_settled_by_hand_is_closed(market: Market) -> None:
    order = await bought(market, "refund-by-hand")
    market.wires[ALPHA].fail(
        "refund",
        order.ref(1),
        Fault.REFUSE,
        answer=(400, {"error": {"code": "invalid_request"}}),
    )
    await order.refund("by-hand", PART)
    saga = order.refunding("by-hand")
    await order.until_parked(saga)
    assert not (await order.resolve("send refund", "SKIP", "one", handle=saga)).accepted
    assert (await order.resolve("send refund", "SKIP", "two", handle=saga)).accepted
    assert await order.refunded("by-hand") == "FAILED"
    await order.settled(
        sold(ALPHA).but(refunds=(f"FAILED {PART}",), sagas=(*sold(ALPHA).sagas, "refund COMPLETED"))
    )
    # what was set aside is free again
    assert (await order.refund("afresh")).amount_paise == PRICE
    assert await order.refunded("afresh") == "DONE"
