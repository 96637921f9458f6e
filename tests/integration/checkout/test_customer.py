"""What customers do at the PSP: decline, stay away, cancel, come too late."""

from __future__ import annotations

import asyncio

import pytest

from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import CancelVerdict, EventKind
from tests.integration.checkout.books import PRICE, sold, unpaid
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, Order, events, waiting
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault

ALPHA, BETA = PSPS
ASKED = ("order.awaiting_payment",)
SHORT = waiting(action=2)


async def asked(order: Order, *how: object, **also: object) -> None:
    """Place an order that then waits for its customer."""
    assert (await order.place(*how, **also)).state is OrderState.AWAITING_PAYMENT


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_declines_3d_secure(market: Market, psp: str) -> None:
    order = await market.order(f"3ds-declined-{psp}", first=psp)
    await asked(order, "tok_3ds")
    await order.customer("decline")
    assert await order.end() == "REFUSED/PAYMENT_DECLINED"
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_DECLINED",
            payment=f"FAILED {PRICE}",
            attempts=(f"{psp} FAILED",),
            psps=(f"{psp} failed 0/0/0",),
            events=ASKED,
        )
    )


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_goes_back_from_the_upi_app(market: Market, psp: str) -> None:
    order = await market.order(f"upi-went-back-{psp}", first=psp)
    await asked(order, "success@upi", PaymentMethod.UPI_INTENT)
    await order.customer("cancel")
    assert await order.end() == "REFUSED/PAYMENT_DECLINED"
    await order.settled(
        unpaid(
            "REFUSED/PAYMENT_DECLINED",
            payment=f"FAILED {PRICE}",
            attempts=(f"{psp} FAILED",),
            psps=(f"{psp} failed 0/0/0",),
            events=ASKED,
        )
    )
    assert [order.calls(other) for other in PSPS if other != psp] == [[]]


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_ignores_3d_secure(market: Market, psp: str) -> None:
    order = await market.order(f"3ds-ignored-{psp}", first=psp)
    await asked(order, "tok_3ds", timings=SHORT)
    assert await order.end() == "EXPIRED/PAYMENT_EXPIRED"
    found = await settled_state(order, psp)
    await order.settled(
        unpaid(
            "EXPIRED/PAYMENT_EXPIRED",
            payment=f"{'VOIDED' if found == 'voided' else 'EXPIRED'} {PRICE}",
            attempts=(f"{psp} {found.upper()}",),
            psps=(f"{psp} {found} 0/0/0",),
            events=ASKED,
        )
    )


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_ignores_a_upi_code(market: Market, psp: str) -> None:
    order = await market.order(f"qr-ignored-{psp}", first=psp)
    await asked(order, "ignored@upi", PaymentMethod.UPI_QR, timings=SHORT)
    assert await order.end() == "EXPIRED/PAYMENT_EXPIRED"
    found = await settled_state(order, psp)
    await order.settled(
        unpaid(
            "EXPIRED/PAYMENT_EXPIRED",
            payment=f"{'VOIDED' if found == 'voided' else 'EXPIRED'} {PRICE}",
            attempts=(f"{psp} {found.upper()}",),
            psps=(f"{psp} {found} 0/0/0",),
            events=ASKED,
        )
    )


async def settled_state(order: Order, psp: str) -> str:
    """Whether the PSP's clock or our void was quicker: both end the payment at the same time."""
    rows = await order.market.psps[psp].books(order.ref(1))
    assert [row["status"] in ("voided", "expired") for row in rows] == [True]
    return str(rows[0]["status"])


@side_by_side
@pytest.mark.parametrize("psp", PSPS)
async def test_cancels_while_the_app_is_open(market: Market, psp: str) -> None:
    order = await market.order(f"upi-cancelled-{psp}", first=psp)
    await asked(order, "success@upi", PaymentMethod.UPI_INTENT)
    assert await order.cancel() is CancelVerdict.CANCELLED
    assert await order.end() == "CANCELLED/CANCELLED"
    await order.settled(
        unpaid(
            "CANCELLED/CANCELLED",
            payment=f"VOIDED {PRICE}",
            attempts=(f"{psp} VOIDED",),
            psps=(f"{psp} voided 0/0/0",),
            events=ASKED,
        )
    )
    # and paying for it is no longer possible
    assert (await order.customer("approve")).status_code == 409
    assert (await order.books()).psps == (f"{psp} voided 0/0/0",)


@side_by_side
async def test_cancels_as_the_money_is_taken(market: Market) -> None:
    """The app has paid (betapay captures at once) when the cancellation comes: it is refunded."""
    order = await market.order("upi-paid-and-cancelled", first=BETA)
    look = market.wires[BETA].fail("find", order.ref(1), Fault.HOLD)
    # and the refund has to be asked for again
    market.wires[BETA].fail("refund", order.ref(1), Fault.DROP_BEFORE)
    await asked(order, "success@upi", PaymentMethod.UPI_INTENT, timings=waiting(poll=0.5))
    await look.met.wait()
    await order.customer("approve")
    cancelling = asyncio.create_task(order.cancel())
    await order.until(lambda view: events(view, EventKind.CANCEL_REQUESTED))
    look.go.set()
    assert await cancelling is CancelVerdict.CANCELLED
    assert await order.end() == "CANCELLED/CANCELLED"
    await order.settled(
        unpaid(
            "CANCELLED/CANCELLED",
            payment=f"REFUNDED {PRICE}",
            attempts=(f"{BETA} REFUNDED {PRICE}-{PRICE}",),
            psps=(f"{BETA} captured {PRICE}/{PRICE}/{PRICE}",),
            events=ASKED,
        ).but(
            refunds=(f"DONE {PRICE}",),
            ledger=(f"CAPTURE psp:{BETA} +{PRICE}", f"REFUND psp:{BETA} -{PRICE}"),
        )
    )
    assert order.calls(BETA) == ["authorise", "refund", "refund"]
    assert len(set(order.keys(BETA, "refund"))) == 1


@side_by_side
async def test_cancels_while_the_card_is_asked(market: Market) -> None:
    """The answer "authorised" comes after the cancellation: it is voided, not lost."""
    order = await market.order("cancelled-authorising", first=ALPHA)
    held = market.wires[ALPHA].fail("authorise", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    cancelling = asyncio.create_task(order.cancel())
    await order.until(lambda view: events(view, EventKind.CANCEL_REQUESTED))
    held.go.set()
    assert await cancelling is CancelVerdict.CANCELLED
    assert (await placing).state is OrderState.CANCELLED
    assert await order.end() == "CANCELLED/CANCELLED"
    await order.settled(
        unpaid(
            "CANCELLED/CANCELLED",
            payment=f"VOIDED {PRICE}",
            attempts=(f"{ALPHA} VOIDED",),
            psps=(f"{ALPHA} voided {PRICE}/0/0",),
        )
    )
    assert order.calls(ALPHA) == ["authorise", "void"]


@side_by_side
async def test_cancels_during_the_capture(market: Market) -> None:
    """The capture is the point of no return: sold, and the customer is told that it is too late."""
    order = await market.order("cancelled-capturing", first=ALPHA)
    held = market.wires[ALPHA].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    cancelling = asyncio.create_task(order.cancel())
    view = await order.until(lambda view: events(view, EventKind.CANCEL_REQUESTED))
    assert not view.pivot_passed
    held.go.set()
    assert await cancelling is CancelVerdict.TOO_LATE
    assert (await placing).state is OrderState.CONFIRMED
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(ALPHA))
    late = events(await order.timeline(), EventKind.CANCEL_TOO_LATE)
    assert [(event.step, event.actor) for event in late] == [("capture payment", "customer")]
