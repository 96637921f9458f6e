"""Orders that are refused before anybody is asked for money: why, and that nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest

from db.repositories import risk
from db.vocabulary import BlockKind
from domain.orders import OrderState
from saga import CancelVerdict, EventKind
from tests.integration.checkout.books import PRICE, SHELF, Books, sold, unsold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, Order, events, steps
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.db import shop
from workflows.contracts.orders import OrderLine

# From half a lakh on, an order of the account's first day scores 30; a whole lakh adds as much.
DEAR = 1_00_000_00
NEVER_OPENED = Books(order="", sagas=("checkout COMPENSATED",))


async def never_asked_for_money(order: Order) -> None:
    assert [order.calls(psp) for psp in PSPS] == [[], []]
    assert await shop.rows(
        order.market.db, "SELECT count(*) FROM payments WHERE order_id = :id", id=order.id
    ) == [(0,)]


REFUSED_AT_OPENING: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown-sku": (
        "UNKNOWN_SKU",
        {"lines": [OrderLine(sku="NO-SUCH-SKU", qty=1)]},
        "nothing is sold under the SKU 'NO-SUCH-SKU'",
    ),
    "other-seller": (
        "NOT_SOLD_BY_SELLER",
        {"lines": [OrderLine(sku="S-other-seller", qty=1, seller_id="deccan")]},
        "seller 'deccan' does not sell 'S-other-seller'",
    ),
    "price-changed": (
        "PRICE_CHANGED",
        {"expected_total_paise": PRICE - 1},
        "the total is now ₹ 599.00: look at it and order again",
    ),
    "no-such-coupon": (
        "COUPON_UNKNOWN",
        {"coupon_code": "NOSUCH"},
        "there is no coupon 'NOSUCH': check or remove it",
    ),
    "old-coupon": (
        "COUPON_NOT_ACTIVE",
        {"coupon_code": "TEN"},
        "coupon TEN is not active: remove it",
    ),
    "foreign-address": (
        "ADDRESS_UNKNOWN",
        {"address_id": "home"},
        "choose one of your own addresses",
    ),
    "no-lines": ("EMPTY_ORDER", {"lines": []}, "the order has no lines: add a product"),
    "too-many": (
        "QUANTITY_OUT_OF_RANGE",
        {"lines": [OrderLine(sku="S-too-many", qty=21)]},
        "21 of S-too-many: a line takes 1 to 20 pieces",
    ),
}


@side_by_side
@pytest.mark.parametrize("name", REFUSED_AT_OPENING)
async def test_at_opening(market: Market, name: str) -> None:
    code, wrong, message = REFUSED_AT_OPENING[name]
    order = await market.order(name)
    answer = await order.place(**wrong)
    assert (answer.state, answer.code) == (OrderState.REFUSED, code)
    assert answer.message == message
    assert (answer.total_paise, answer.next_action) == (0, None)
    assert await order.end() == f"REFUSED/{code}"
    await order.settled(NEVER_OPENED)
    await never_asked_for_money(order)


@side_by_side
async def test_a_coupon_that_asks_for_more(market: Market) -> None:
    order = await market.order("coupon-minimum")
    await market.offer("RICH", off_paise=100_00, from_paise=1_000_00)
    answer = await order.place(coupon_code="RICH")
    assert (answer.state, answer.code) == (OrderState.REFUSED, "COUPON_MINIMUM_NOT_MET")
    await order.end()
    await order.settled(NEVER_OPENED)
    await never_asked_for_money(order)


@side_by_side
async def test_the_price_that_was_shown(market: Market) -> None:
    order = await market.order("price-as-shown", first=PSPS[0])
    assert await order.buy(expected_total_paise=PRICE) == "CONFIRMED"
    await order.settled(sold(PSPS[0]))


@side_by_side
async def test_out_of_stock(market: Market) -> None:
    order = await market.order("out-of-stock")
    answer = await order.place(qty=SHELF + 1)
    assert answer.code == "OUT_OF_STOCK"
    assert answer.message == "not enough in stock: S-out-of-stock: 5 of 6 left"
    assert await order.end() == "REFUSED/OUT_OF_STOCK"
    await order.settled(unsold("REFUSED/OUT_OF_STOCK").but(reservation=""))
    await never_asked_for_money(order)
    view = await order.timeline()
    assert steps(view, EventKind.UNDO_STARTED) == ["reserve stock", "open order"]


@side_by_side
async def test_a_customer_on_a_block_list(market: Market) -> None:
    order = await market.order("blocked")
    async with market.db.unit_of_work() as session:
        await risk.block(session, BlockKind.USER, "u-blocked", "three parcels sent back empty")
    answer = await order.place()
    assert (answer.code, answer.message) == ("RISK_REJECTED", "we cannot accept this order")
    assert await order.end() == "REFUSED/RISK_REJECTED"
    await order.settled(unsold("REFUSED/RISK_REJECTED"))
    await never_asked_for_money(order)
    noted = events(await order.timeline(), EventKind.NOTED)
    assert [(event.code, event.detail) for event in noted] == [("RISK_REJECTED", "BLOCK_LISTED")]


HELD = ("order.on_hold",)


async def on_hold(market: Market, name: str, **how: Any) -> Order:
    """An order that an agent has to look at."""
    order = await market.order(name, price=DEAR)
    answer = await order.place(**how)
    assert (answer.state, answer.code) == (OrderState.ON_HOLD, "RISK_HOLD")
    view = await order.timeline()
    assert [(at.step, at.doing, at.actions) for at in view.parked] == [
        ("review risk", "decide", ["ACCEPT", "REJECT"])
    ]
    assert view.parked[0].message == "score 60: HIGH_AMOUNT, FIRST_DAY_HIGH_AMOUNT"
    assert (await order.books()).but(sagas=()) == Books(
        order="ON_HOLD",
        reservation="HELD",
        stock=(SHELF - 1, 1, 0),
        events=("order.created", *HELD),
    )
    return order


@side_by_side
async def test_held_and_accepted(market: Market) -> None:
    order = await on_hold(market, "held-accepted")
    assert (await order.resolve("review risk", "ACCEPT")).accepted
    assert await order.end() == "CONFIRMED"
    psp = order.first
    await order.settled(
        sold(psp, events=HELD).but(
            payment=f"CAPTURED {DEAR}",
            attempts=(f"{psp} CAPTURED {DEAR}-0",),
            ledger=(f"CAPTURE psp:{psp} +{DEAR}",),
            psps=(f"{psp} captured {DEAR}/{DEAR}/0",),
        )
    )


@side_by_side
async def test_held_and_rejected(market: Market) -> None:
    order = await on_hold(market, "held-rejected")
    assert (await order.resolve("review risk", "REJECT")).accepted
    assert await order.end() == "REFUSED/RISK_REJECTED"
    await order.settled(unsold("REFUSED/RISK_REJECTED", events=HELD))
    await never_asked_for_money(order)


@side_by_side
async def test_held_and_nobody_looked(market: Market) -> None:
    order = await on_hold(market, "held-timed-out", review=1.5)
    assert await order.end() == "REFUSED/RISK_REVIEW_TIMED_OUT"
    await order.settled(unsold("REFUSED/RISK_REVIEW_TIMED_OUT", events=HELD))
    await never_asked_for_money(order)


@side_by_side
async def test_held_and_cancelled(market: Market) -> None:
    order = await on_hold(market, "held-cancelled")
    assert await order.cancel() is CancelVerdict.CANCELLED
    assert await order.end() == "CANCELLED/CANCELLED"
    await order.settled(unsold("CANCELLED/CANCELLED", events=HELD))
    await never_asked_for_money(order)
