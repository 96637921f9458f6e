"""Races and outages that cost money where they are not thought of."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from db.ids import new_ulid
from db.repositories import stock
from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import EventKind
from tests.integration.checkout.books import Books, sold, unsold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, events
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault
from tests.integration.db import shop
from workflows.contracts.ids import SAGAS, SWEEP
from workflows.contracts.stock import Swept

ALPHA, BETA = PSPS
BUYERS = 20


@side_by_side
async def test_webhooks_before_the_answers(market: Market) -> None:
    """Authorised and captured are told, twice each, before either call has its answer."""
    order = await market.order("webhook-first", first=ALPHA)
    wire = market.wires[ALPHA]
    authorised = wire.fail("authorise", order.ref(1), Fault.HOLD_ANSWER)
    captured = wire.fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    for held, kind in ((authorised, "payment.authorised"), (captured, "payment.captured")):
        await held.met.wait()
        await market.hooks.until(order.id, kind, times=2)
        held.go.set()
    assert (await placing).state is OrderState.CONFIRMED
    await order.end()
    await order.settled(sold(ALPHA))
    assert order.calls(ALPHA) == ["authorise", "capture"]
    became = Counter(hook.became for hook in market.hooks.about(order.id))
    assert became == {"received": 2, "duplicate": 2}
    kept = "SELECT kind FROM webhook_inbox WHERE payment_ref = :ref ORDER BY kind"
    assert await shop.rows(market.db, kept, ref=order.ref(1)) == [
        ("PAYMENT_AUTHORISED",),
        ("PAYMENT_CAPTURED",),
    ]


@side_by_side
async def test_the_last_unit(market: Market) -> None:
    """Twenty want it at once: one has it and has paid; nobody else was even asked for money."""
    sku = await market.goods("last-unit", blr=1)
    orders = [await market.order(f"last-{n}", sku=sku) for n in range(BUYERS)]
    ends = await asyncio.gather(*(order.buy() for order in orders))
    assert Counter(ends) == {"CONFIRMED": 1, "REFUSED/OUT_OF_STOCK": BUYERS - 1}
    for order, end in zip(orders, ends, strict=True):
        expected = sold(order.first) if end == "CONFIRMED" else unsold(end).but(reservation="")
        await order.settled(expected.but(stock=(0, 0, 1)))
        others = 1 if end == "CONFIRMED" else 0
        assert sum(len(order.calls(psp)) for psp in PSPS) == 2 * others


@side_by_side
async def test_the_same_order_placed_ten_times(market: Market) -> None:
    """Ten requests start one saga, and all hear the same answer."""
    order = await market.order("placed-ten-times", first=BETA)
    answers = await asyncio.gather(*(order.place() for _ in range(10)))
    assert {answer.state for answer in answers} == {OrderState.CONFIRMED}
    await order.settled(sold(BETA))
    assert order.calls(BETA) == ["authorise", "capture"]


async def test_the_sweeper(quiet: Market) -> None:
    """It ends the reservation whose saga is gone, and leaves the one whose saga lives."""
    living = await quiet.order("sweep-living", first=ALPHA)
    held = quiet.wires[ALPHA].fail("capture", living.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(living.place(hold=1))
    await held.met.wait()
    dead = await quiet.order("sweep-dead", first=ALPHA)
    async with quiet.db.unit_of_work() as session:
        await stock.reserve(
            session,
            reservation_id=new_ulid(),
            order_id=dead.id,
            plan=[stock.PlannedLine(dead.sku, shop.BENGALURU, 2)],
            expires_at=datetime.now(UTC) - timedelta(seconds=1),
            key="of a saga that is gone",
        )
    await asyncio.sleep(1)
    assert await swept(quiet) == 1
    gone = Books(order="", reservation="EXPIRED")
    assert await dead.books() == gone
    assert (await living.books()).reservation == "HELD"
    assert await swept(quiet) == 0
    assert await dead.books() == gone
    held.go.set()
    assert (await placing).state is OrderState.CONFIRMED
    assert await living.end() == "CONFIRMED"
    await living.settled(sold(ALPHA))


async def swept(market: Market) -> int:
    """One round of the sweeper: how many reservations it ended."""
    done: Swept = await market.client.execute_workflow(
        SWEEP, id=f"{SWEEP}-{new_ulid()}", task_queue=SAGAS, result_type=Swept
    )
    return done.ended


async def test_the_database_dies_during_the_commit(quiet: Market) -> None:
    """The money is taken; the goods are committed as soon as there is a database again."""
    orders = [await quiet.order(f"database-down-{psp}", first=psp) for psp in PSPS]
    held = [
        quiet.wires[order.first].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
        for order in orders
    ]
    placing = [asyncio.create_task(order.place()) for order in orders]
    for rule in held:
        await rule.met.wait()
    await asyncio.to_thread(quiet.postgres.kill)
    for rule in held:
        rule.go.set()
    await asyncio.sleep(2)
    assert not any(task.done() for task in placing)
    await asyncio.to_thread(quiet.postgres.start)
    for order, task in zip(orders, placing, strict=True):
        assert (await task).state is OrderState.CONFIRMED
        assert await order.end() == "CONFIRMED"
        await order.settled(sold(order.first))
        assert order.calls(order.first).count("authorise") == 1
        assert len(set(order.keys(order.first, "capture"))) == 1
        assert not events(await order.timeline(), EventKind.PARKED)


async def test_a_database_that_dies_while_a_customer_pays(quiet: Market) -> None:
    order = await quiet.order("database-down-paying", first=BETA)
    await order.place("success@upi", PaymentMethod.UPI_INTENT)
    await asyncio.to_thread(quiet.postgres.kill)
    assert (await order.customer("approve")).status_code == 200
    await asyncio.sleep(1)
    await asyncio.to_thread(quiet.postgres.start)
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(BETA, events=("order.awaiting_payment",)))
