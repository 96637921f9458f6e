"""Orders paid through gammapay, and what a forger with its webhooks' password can do: nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from db.repositories import inbox
from domain.orders import OrderState
from domain.payments import PaymentMethod
from tests.gammapay.conftest import PSP
from tests.integration.checkout.books import PRICE, sold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import Order, waiting
from tests.integration.db import shop
from tests.sandbox.harness import SECRET
from workflows.contracts.payments import LOOK

UPI = PaymentMethod.UPI_INTENT
WALLET = PaymentMethod.WALLET
# Without a word from outside nobody looks before a test is over.
UNASKED = waiting(poll=60, action=60)
CLAIMS: dict[str, dict[str, Any]] = {
    "paid": {"state": "COMPLETED", "paid": PRICE},
    "failed": {"state": "FAILED", "paid": 0, "reason": "RISK_REJECTED"},
    "cancelled": {"state": "CANCELLED", "paid": 0},
    "expired": {"state": "EXPIRED", "paid": 0},
    "refunded": {"state": "COMPLETED", "paid": PRICE, "refunded": PRICE},
}
_INBOX = """SELECT count(*) FILTER (WHERE delivered_at IS NULL), count(*) FROM webhook_inbox
            WHERE payment_ref = :ref AND payload ->> 'ref' = 'pay_forged'"""
_FORGED = """SELECT id FROM webhook_inbox
             WHERE payment_ref = :ref AND payload ->> 'ref' = 'pay_forged'"""
_WATCHERS = "SELECT state FROM sagas WHERE kind = 'late-payment' AND order_id = :id"


async def forge(market: Market, ref: str, claim: str, number: int = 0) -> None:
    """Send what only gammapay should, with its password; the edge takes it."""
    order = {
        "payment_id": "pay_forged", "order_id": ref, "amount": PRICE, "currency": "INR",
        "refunded": 0, "updated_ms": int(time.time() * 1000) + number, **CLAIMS[claim],
    }  # fmt: skip
    about = {"refund": {"refund_id": "forged"}} if claim == "refunded" else {}
    raw = json.dumps({"event": "order.forged", "order": order, **about}).encode()
    headers = {"Authorization": hashlib.sha256(SECRET.encode()).hexdigest()}
    assert market.hooks.edge is not None
    path = f"/v1/payments/webhook/{PSP}"
    answer = await market.hooks.edge.post(path, content=raw, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "received"})


async def delivered(market: Market, ref: str, forged: int) -> None:
    """Wait until every forgery about a payment has gone wherever it goes."""
    await until(lambda: shop.rows(market.db, _INBOX, ref=ref), [(0, forged)])


async def until(ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until an answer is as wanted."""
    async with asyncio.timeout(20):
        # what other processes do tells nobody when it is done
        while await ask() != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def looks(handle: WorkflowHandle[Any, Any]) -> int:
    """How often a saga has asked gammapay by itself."""
    history = await handle.fetch_history()
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    return sum(one.activity_type.name == LOOK.name for one in scheduled)


async def awaited(market: Market, name: str) -> Order:
    """An order that waits for its customer."""
    order = await market.order(name)
    answer = await order.place("success@upi", UPI, timings=UNASKED)
    assert answer.state is OrderState.AWAITING_PAYMENT
    return order


async def test_a_wallet_is_captured_once(market: Market) -> None:
    order = await market.order("wallet")
    assert await order.buy(method=WALLET) == "CONFIRMED"
    await order.settled(sold(PSP))


async def test_a_true_webhook_brings_the_news(market: Market) -> None:
    """Nothing else does: without it nobody would look before the customer's time is over."""
    order = await awaited(market, "upi")
    await order.customer("approve")
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(PSP, events=("order.awaiting_payment",)))


async def test_a_lost_answer_is_asked_for_again(market: Market) -> None:
    """The order id is the key: one payment comes of two requests."""
    order = await market.order("lost-answer")
    rule = {"operation": "authorise", "merchant_ref": order.ref(1), "fault": "timeout_after"}
    await market.psps[PSP].faults(rules=[rule])
    assert await order.buy(method=WALLET) == "CONFIRMED"
    await order.settled(sold(PSP))


async def test_what_was_taken_at_once_is_refunded_when_the_order_fails(market: Market) -> None:
    order = await market.order("cancelled-late")
    rule = {"operation": "authorise", "merchant_ref": order.ref(1), "fault": "slow"}
    await market.psps[PSP].faults(rules=[rule], slow_ms=1500)
    placing = asyncio.create_task(order.place(method=WALLET))
    await order.until(lambda view: any("authorise" in event.step for event in view.events),
                      order.payment)  # fmt: skip
    await order.cancel()
    await placing
    assert (await order.end()).startswith("CANCELLED")
    (row,) = await market.psps[PSP].books(order.ref(1))
    assert (row["captured"], row["refunded"]) == (PRICE, PRICE)
    books = await order.books()
    assert books.attempts == (f"{PSP} REFUNDED {PRICE}-{PRICE}",)
    assert books.ledger == (f"CAPTURE psp:{PSP} +{PRICE}", f"REFUND psp:{PSP} -{PRICE}")


@pytest.mark.parametrize("claim", sorted(CLAIMS))
async def test_a_forgery_while_the_customer_decides(market: Market, claim: str) -> None:
    """The saga is woken, asks gammapay, hears that nothing has happened, and waits on."""
    order = await awaited(market, f"forged-{claim}")
    before, seen = await order.books(), await looks(order.payment)
    await forge(market, order.ref(1), claim)
    await delivered(market, order.ref(1), forged=1)
    await until(lambda: looks(order.payment), seen + 1)
    await asyncio.sleep(0.5)
    assert await order.books() == before
    assert before.order == "AWAITING_PAYMENT"
    assert before.ledger == ()
    await order.customer("approve")
    assert await order.end() == "CONFIRMED"
    await order.settled(sold(PSP, events=("order.awaiting_payment",)))


async def test_a_forged_refund_of_a_sold_order(market: Market) -> None:
    order = await market.order("forged-refund")
    assert await order.buy(method=WALLET) == "CONFIRMED"
    await order.settled(sold(PSP))
    for number, claim in enumerate(("refunded", "cancelled", "failed")):
        await forge(market, order.ref(1), claim, number)
    await delivered(market, order.ref(1), forged=3)
    await asyncio.sleep(0.5)
    await order.settled(sold(PSP))


async def test_a_forgery_about_an_order_that_was_cancelled(market: Market) -> None:
    order = await awaited(market, "over-cancelled")
    await order.cancel()
    assert (await order.end()).startswith("CANCELLED")
    before = await order.books()
    assert (before.attempts, before.ledger) == ((f"{PSP} VOIDED",), ())
    await forge(market, order.ref(1), "paid")
    await delivered(market, order.ref(1), forged=1)
    await until(lambda: shop.rows(market.db, _WATCHERS, id=order.id), [("COMPLETED",)])
    assert await order.books() == before


async def test_forgeries_about_an_order_that_was_declined(market: Market) -> None:
    """What never came is not given back, and one watcher looks into any number of lies."""
    order = await awaited(market, "over-declined")
    await order.customer("decline")
    assert await order.end() == "REFUSED/PAYMENT_DECLINED"
    before = await order.books()
    assert (before.attempts, before.ledger) == ((f"{PSP} FAILED",), ())
    await forge(market, order.ref(1), "paid")
    await until(lambda: shop.rows(market.db, _WATCHERS, id=order.id), [("WAITING",)])
    for number in range(1, 8):
        await forge(market, order.ref(1), "paid", number)
    await delivered(market, order.ref(1), forged=8)
    assert len(await shop.rows(market.db, _WATCHERS, id=order.id)) == 1
    await until(lambda: shop.rows(market.db, _WATCHERS, id=order.id), [("COMPLETED",)])
    assert await order.books() == before


async def test_a_replayed_webhook_is_looked_into_again(market: Market) -> None:
    """Its first watcher has ended; the replay starts another, and the relay goes on."""
    order = await awaited(market, "replayed")
    await order.cancel()
    assert (await order.end()).startswith("CANCELLED")
    before = await order.books()
    await forge(market, order.ref(1), "paid")
    await delivered(market, order.ref(1), forged=1)
    await until(lambda: shop.rows(market.db, _WATCHERS, id=order.id), [("COMPLETED",)])
    ((webhook,),) = await shop.rows(market.db, _FORGED, ref=order.ref(1))
    async with market.db.unit_of_work() as session:
        assert (await inbox.replay(session, webhook)).delivered_at is not None
    await delivered(market, order.ref(1), forged=1)
    await until(lambda: shop.rows(market.db, _WATCHERS, id=order.id), [("COMPLETED",)] * 2)
    assert await order.books() == before
