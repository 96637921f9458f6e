"""What only people can finish: undos that are refused, and goods that are gone after the sale."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError

from db.repositories import stock
from domain.orders import OrderState
from saga import CancelVerdict, EventKind
from tests.integration.checkout.books import PRICE, SHELF, sold, unsold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, code_of, steps
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault
from tests.integration.db import shop

ALPHA, BETA = PSPS
NO = {"error": {"code": "not_authorised", "message": "No."}}


@side_by_side
async def test_goods_that_are_gone_after_the_sale(market: Market) -> None:
    """Somebody gave the reservation away: parked, not refunded; mended, and asked again."""
    order = await market.order("not-committed", first=ALPHA)
    held = market.wires[ALPHA].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    async with market.db.unit_of_work() as session:
        assert await stock.release(session, order.id, key="by hand")
    held.go.set()
    view = await order.until_parked()
    assert [(at.step, at.code, at.doing) for at in view.parked] == [
        ("commit stock", "STOCK_NOT_COMMITTED", "must")
    ]
    assert view.parked[0].message == (
        f"RESERVATION_GONE: the reservation of order {order.id} has ended: it is RELEASED"
    )
    # sold is sold: it can no longer be cancelled, nor does the money go back
    assert await order.cancel() is CancelVerdict.TOO_LATE
    parked = sold(ALPHA).but(
        order="CREATED",
        reservation="RELEASED",
        stock=(SHELF, 0, 0),
        events=("order.created",),
        sagas=("checkout PARKED", "payment COMPLETED"),
    )
    await order.settled(parked)
    assert (await order.resolve("commit stock", "RETRY")).accepted
    await order.until(lambda view: len(steps(view, EventKind.PARKED)) == 2)
    await order.settled(parked)
    assert (await order.resolve("commit stock", "MARK_DONE")).accepted
    await placing
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(ALPHA).but(reservation="RELEASED", stock=(SHELF, 0, 0)))
    assert order.calls(ALPHA) == ["authorise", "capture"]


@side_by_side
async def test_goods_that_are_found_again(market: Market) -> None:
    """The reservation was led under another order: mended, and asked again."""
    order = await market.order("not-committed-mended", first=ALPHA)
    held = market.wires[ALPHA].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    await rename_reservation(market, order.id, "astray")
    held.go.set()
    view = await order.until_parked()
    assert [at.code for at in view.parked] == ["STOCK_NOT_COMMITTED"]
    await rename_reservation(market, "astray", order.id)
    assert (await order.resolve("commit stock", "RETRY")).accepted
    assert (await placing).state is OrderState.CONFIRMED
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(ALPHA))
    assert order.calls(ALPHA) == ["authorise", "capture"]


async def rename_reservation(market: Market, old: str, new: str) -> None:
    statement = "UPDATE reservations SET order_id = :new WHERE order_id = :old"
    await shop.run(market.db, statement, old=old, new=new)


@side_by_side
async def test_a_void_that_is_refused(market: Market) -> None:
    """The other undos are done all the same; skipping the money's takes two people."""
    order = await market.order("void-refused", first=ALPHA)
    wire = market.wires[ALPHA]
    wire.fail("capture", order.ref(1), Fault.REFUSE, answer=(409, NO))
    wire.fail("void", order.ref(1), Fault.REFUSE, times=2, answer=(409, NO))
    placing = asyncio.create_task(order.place())
    view = await order.until_parked()
    assert [(at.step, at.code, at.doing, at.money) for at in view.parked] == [
        ("authorise payment", "UNDO_FAILED", "undo", True)
    ]
    assert view.to_undo == ["authorise payment"]
    ended = "REFUSED/PAYMENT_DECLINED"
    held = unsold(ended).but(
        payment=f"AUTHORISED {PRICE}",
        attempts=(f"{ALPHA} AUTHORISED",),
        psps=(f"{ALPHA} authorised {PRICE}/0/0",),
        sagas=("checkout PARKED", "payment COMPLETED"),
    )
    await order.settled(held)
    # asked again it is refused again, and stays parked
    assert (await order.resolve("authorise payment", "RETRY")).accepted
    await order.until(lambda view: len(steps(view, EventKind.PARKED)) == 2)
    first = await order.resolve("authorise payment", "SKIP", actor="agent")
    assert not first.accepted
    with pytest.raises(WorkflowUpdateFailedError) as same:
        await order.resolve("authorise payment", "SKIP", actor="agent")
    assert code_of(same.value.cause) == "SECOND_PERSON_NEEDED"
    assert await order.cancel() is CancelVerdict.CANCELLING
    assert (await order.resolve("authorise payment", "SKIP", actor="lead")).accepted
    await placing
    assert await order.end() == ended
    await order.settled(held.but(sagas=("checkout COMPENSATED", "payment COMPLETED")))
    assert order.calls(ALPHA) == ["authorise", "capture", "void", "void"]
    resolved = [
        (event.code, event.actor)
        for event in (await order.timeline()).events
        if event.kind in (EventKind.FIRST_APPROVAL, EventKind.RESOLVED)
    ]
    assert resolved == [("RETRY", "agent"), ("SKIP", "agent"), ("SKIP", "lead")]


@side_by_side
async def test_a_void_that_is_refused_until_it_is_not(market: Market) -> None:
    order = await market.order("void-refused-once", first=ALPHA)
    wire = market.wires[ALPHA]
    wire.fail("capture", order.ref(1), Fault.REFUSE, answer=(409, NO))
    wire.fail("void", order.ref(1), Fault.REFUSE, answer=(409, NO))
    placing = asyncio.create_task(order.place())
    await order.until_parked()
    assert (await order.resolve("authorise payment", "RETRY")).accepted
    await placing
    await order.end()
    await order.settled(
        unsold("REFUSED/PAYMENT_DECLINED").but(
            payment=f"VOIDED {PRICE}",
            attempts=(f"{ALPHA} VOIDED",),
            psps=(f"{ALPHA} voided {PRICE}/0/0",),
            sagas=("checkout COMPENSATED", "payment COMPLETED"),
        )
    )
