"""Orders that are sold: every way to pay, at both PSPs, and what the books say afterwards."""

from __future__ import annotations

from functools import partial

import pytest

from domain.money import Money
from domain.orders import OrderState
from domain.payments import PaymentMethod
from domain.pricing import ShippingRule, price_order
from saga import EventKind
from tests.integration.checkout.books import PRICE, SHELF, Books, sold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, steps, waiting
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.db import shop
from workflows.contracts.orders import OrderLine

ALPHA, BETA = PSPS
ASKED = ("order.awaiting_payment",)


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_by_card(market: Market, psp: str) -> None:
    order = await market.order(f"card-{psp}", first=psp)
    answer = await order.place()
    assert (answer.state, answer.total_paise) == (OrderState.CONFIRMED, PRICE)
    assert (answer.code, answer.next_action) == ("", None)
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(psp))
    assert order.calls(psp) == ["authorise", "capture"]
    assert [order.calls(other) for other in PSPS if other != psp] == [[]]
    view = await order.timeline()
    assert steps(view, EventKind.STEP_DONE) == [
        "open order",
        "reserve stock",
        "score risk",
        "authorise payment",
        "capture payment",
        "commit stock",
        "confirm order",
    ]
    assert (view.parked, view.to_undo, view.pivot_passed) == ([], [], True)


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_by_card_after_3d_secure(market: Market, psp: str) -> None:
    order = await market.order(f"3ds-{psp}", first=psp)
    answer = await order.place("tok_3ds")
    assert (answer.state, answer.code) == (OrderState.AWAITING_PAYMENT, "PAYMENT_ACTION")
    assert answer.next_action is not None
    assert answer.next_action.kind == "REDIRECT"
    assert answer.next_action.url is not None
    assert answer.next_action.url.startswith("http://127.0.0.1:")
    assert (await order.books()).but(sagas=()) == Books(
        order="AWAITING_PAYMENT",
        payment=f"ACTION_REQUIRED {PRICE}",
        attempts=(f"{psp} ACTION_REQUIRED",),
        reservation="HELD",
        stock=(SHELF - 1, 1, 0),
        psps=(f"{psp} requires_action 0/0/0",),
        events=("order.created", *ASKED),
    )
    assert (await order.customer("approve")).status_code == 200
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(psp, events=ASKED))
    assert order.calls(psp) == ["authorise", "capture"]


@side_by_side
async def test_the_bank_asks_for_3d_secure(market: Market) -> None:
    """Authentication required is no "no": the same PSP is asked again, with a challenge."""
    order = await market.order("step-up", first=ALPHA)
    answer = await order.place("tok_auth_required")
    assert answer.state is OrderState.AWAITING_PAYMENT
    assert (await order.customer("approve", attempt=2)).status_code == 200
    assert await order.end() == "CONFIRMED"
    await order.settled(
        sold(ALPHA, events=ASKED).but(
            attempts=(f"{ALPHA} FAILED", f"{ALPHA} CAPTURED {PRICE}-0"),
            psps=(f"{ALPHA} failed 0/0/0", f"{ALPHA} captured {PRICE}/{PRICE}/0"),
        )
    )
    assert order.calls(BETA) == []


@side_by_side
async def test_by_upi_held_and_then_captured(market: Market) -> None:
    """alphapay holds UPI money like a card's; its webhook ends the wait, long before a look."""
    order = await market.order("upi-intent", first=ALPHA)
    patient = waiting(poll=600)
    answer = await order.place("auto@upi", PaymentMethod.UPI_INTENT, timings=patient)
    assert answer.state is OrderState.AWAITING_PAYMENT
    assert answer.next_action is not None
    assert answer.next_action.kind == "UPI_INTENT"
    assert answer.next_action.deep_link is not None
    assert answer.next_action.deep_link.startswith("upi://pay?")
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(ALPHA, events=ASKED))
    assert order.calls(ALPHA) == ["authorise", "capture"]


@side_by_side
async def test_by_upi_captured_at_once(market: Market) -> None:
    """betapay takes UPI money on approval: nothing is left to capture, and nothing is asked."""
    order = await market.order("upi-qr", first=BETA)
    answer = await order.place("success@upi", PaymentMethod.UPI_QR)
    assert answer.next_action is not None
    assert answer.next_action.kind == "UPI_QR"
    assert answer.next_action.qr is not None
    assert (await order.customer("approve")).status_code == 200
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(BETA, events=ASKED))
    assert order.calls(BETA) == ["authorise"]


@side_by_side
@pytest.mark.parametrize("method", ["NETBANKING", "WALLET"])
async def test_by_other_ways(market: Market, method: str) -> None:
    order = await market.order(f"paid-by-{method.lower()}", first=BETA)
    assert await order.buy("tok_ok", PaymentMethod(method)) == "CONFIRMED"
    await order.settled(sold(BETA))
    assert order.calls(BETA) == ["authorise", "capture"]


@side_by_side
async def test_a_payment_whose_webhooks_are_lost(market: Market) -> None:
    order = await market.order("webhooks-lost", first=BETA)
    market.hooks.lost.add(order.id)
    await order.place("auto@upi", PaymentMethod.UPI_INTENT)
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(BETA, events=ASKED))
    assert market.hooks.about(order.id) == []


@side_by_side
async def test_cash_on_delivery(market: Market) -> None:
    order = await market.order("cash")
    assert await order.buy("", PaymentMethod.COD) == "CONFIRMED"
    await order.settled(
        sold("cod").but(
            payment=f"COD_DUE {PRICE}",
            attempts=(),
            ledger=(f"COD_DUE cod:due +{PRICE}",),
            psps=(),
        )
    )
    assert [order.calls(psp) for psp in PSPS] == [[], []]


@side_by_side
async def test_a_coupon_that_leaves_the_delivery(market: Market) -> None:
    order = await market.order("coupon")
    await market.offer("GIFT", off_paise=PRICE)
    answer = await order.place(coupon_code="GIFT")
    # the fee is waived for dear goods, and these cost nothing any more
    assert answer.total_paise == 49_00
    assert await order.end() == "CONFIRMED"
    await order.settled(
        sold(ALPHA).but(
            payment="CAPTURED 4900",
            attempts=(f"{ALPHA} CAPTURED 4900-0",),
            ledger=(f"CAPTURE psp:{ALPHA} +4900",),
            psps=(f"{ALPHA} captured 4900/4900/0",),
        )
    )


async def test_a_total_of_nothing(quiet: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is owed, so no payment is opened; from accepting it on the saga goes forward."""
    free = ShippingRule(fee=Money(0), free_from=Money(0), supplier_state="29")
    monkeypatch.setattr("activities.orders.quote.price_order", partial(price_order, shipping=free))
    order = await quiet.order("nothing-owed")
    await quiet.offer("FREE", off_paise=PRICE)
    assert await order.buy(coupon_code="FREE") == "CONFIRMED"
    await order.settled(
        Books(
            order="CONFIRMED",
            reservation="COMMITTED",
            stock=(SHELF - 1, 0, 1),
            events=("order.created", "order.confirmed"),
            sagas=("checkout COMPLETED",),
        )
    )
    assert [order.calls(psp) for psp in PSPS] == [[], []]


@side_by_side
async def test_two_lines_of_one_sku(market: Market) -> None:
    """They are one claim on the shelf: two and three of five, from a shelf of five."""
    order = await market.order("two-lines")
    lines = [OrderLine(sku=order.sku, qty=2), OrderLine(sku=order.sku, qty=3)]
    assert await order.buy(lines=lines) == "CONFIRMED"
    whole = 5 * PRICE
    await order.settled(
        sold(ALPHA).but(
            payment=f"CAPTURED {whole}",
            attempts=(f"{ALPHA} CAPTURED {whole}-0",),
            ledger=(f"CAPTURE psp:{ALPHA} +{whole}",),
            stock=(0, 0, 5),
            psps=(f"{ALPHA} captured {whole}/{whole}/0",),
        )
    )
    held = "SELECT qty FROM reservation_lines JOIN reservations ON id = reservation_id"
    assert await shop.rows(market.db, f"{held} WHERE order_id = :id", id=order.id) == [(5,)]
