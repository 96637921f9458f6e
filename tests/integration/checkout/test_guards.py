"""An activity that runs twice, or after its own undo: what a lost answer makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError

from activities.orders.activities import OrderActivities
from activities.payments.attempts import AttemptActivities
from activities.payments.provider import Providers
from activities.payments.settling import PaymentActivities
from activities.stock.activities import StockActivities
from domain.payments import PaymentMethod, PaymentState
from saga import Call, StepFailed, Undo, Verdict
from tests.integration.checkout.books import PRICE, SHELF
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, Order, code_of
from tests.integration.db import shop
from workers import connections
from workflows.contracts.ids import SAGAS, payment_id
from workflows.contracts.orders import OpenedOrder, OpenOrder, StockLine
from workflows.contracts.payments import (
    AUTHORISE_PAYMENT,
    AttemptResult,
    AuthoriseAttempt,
    PaymentAuthorised,
    PayOrder,
)
from workflows.contracts.stock import CommitStock, Reserved, ReserveStock

ALPHA, BETA = PSPS


class Hand:
    """The activities, called by hand for one order as a saga would."""

    def __init__(self, market: Market, order: Order, providers: Providers) -> None:
        async def no_saga(_: str) -> bool:
            return False

        self.order = order
        self.orders = OrderActivities(market.db)
        self.stock = StockActivities(market.db, no_saga)
        self.payments = PaymentActivities(providers, market.config.routes)
        self.attempts = AttemptActivities(providers)

    async def open(self) -> None:
        """Write the order, so that the others have something to stand on."""
        await self.orders.open(self.order.request().order, call("open order"))

    def pay(self, instrument: str = "tok_ok") -> PayOrder:
        """What the checkout would ask the payment saga for."""
        return PayOrder(
            order_id=self.order.id,
            user_id=f"u-{self.order.name}",
            amount_paise=PRICE,
            currency="INR",
            method=PaymentMethod.CARD,
            instrument=instrument,
            pincode="560001",
        )

    def wanted(self) -> ReserveStock:
        line = StockLine(sku=self.order.sku, qty=2)
        return ReserveStock(order_id=self.order.id, pincode="560001", lines=[line], hold_seconds=60)

    async def attempt(self) -> AuthoriseAttempt:
        """Open the payment; its first attempt is not yet made."""
        plan = await self.payments.open(self.pay(), call("open payment"))
        return AuthoriseAttempt(
            attempt_id=self.order.ref(1),
            payment_id=plan.payment_id,
            order_id=self.order.id,
            seq=1,
            psp=self.order.first,
            amount_paise=PRICE,
            currency="INR",
            method=PaymentMethod.CARD,
            instrument="tok_ok",
            reason="by hand",
            expires_in=60,
        )


def call(step: str) -> Call:
    """A call with a key of its own; sent again as it is, it is a replay."""
    key = str(uuid4())
    return Call(key=key, do_key=key, saga_id="by-hand", step=step)


def undo_of(do: Call) -> Call:
    return Call(key=str(uuid4()), do_key=do.key, saga_id=do.saga_id, step=do.step)


@pytest_asyncio.fixture(loop_scope="session")
async def hand(market: Market, request: pytest.FixtureRequest) -> AsyncIterator[Hand]:
    """An order of the test's own, and the activities."""
    order = await market.order(request.node.name.replace("_", "-"), first=ALPHA)
    async with connections.providers(market.config) as psps:
        hand = Hand(market, order, Providers(market.db, psps))
        await hand.open()
        yield hand


async def test_a_replay_answers_as_before(hand: Hand) -> None:
    do = call("reserve stock")
    first = await hand.stock.reserve(hand.wanted(), do)
    assert await hand.stock.reserve(hand.wanted(), do) == first
    assert (await hand.order.books()).stock == (SHELF - 2, 2, 0)
    undo = Undo[ReserveStock, Reserved](input=hand.wanted(), output=first)
    await hand.stock.release(undo, undo_of(do))
    assert (await hand.order.books()).stock == (SHELF, 0, 0)


async def test_an_order_is_opened_once(hand: Hand) -> None:
    do = call("open order")
    order = hand.order.request(order_id="01KQRTVTJ0AAAAAAAAAAAAAAAA").order
    first = await hand.orders.open(order, do)
    assert await hand.orders.open(order, do) == first
    found = "SELECT count(*) FROM outbox WHERE key = :id"
    assert await shop.rows(hand.order.market.db, found, id=order.order_id) == [(1,)]


async def test_an_undo_twice_gives_back_once(hand: Hand) -> None:
    do = call("reserve stock")
    reserved = await hand.stock.reserve(hand.wanted(), do)
    undo = Undo[ReserveStock, Reserved](input=hand.wanted(), output=reserved)
    for _ in range(2):
        await hand.stock.release(undo, undo_of(do))
    assert (await hand.order.books()).stock == (SHELF, 0, 0)
    ended = await hand.order.books()
    assert ended.reservation == "RELEASED"


async def test_an_action_that_comes_after_its_undo(hand: Hand) -> None:
    do = call("reserve stock")
    undo = Undo[ReserveStock, Reserved](input=hand.wanted())
    await hand.stock.release(undo, undo_of(do))
    with pytest.raises(StepFailed) as late:
        await hand.stock.reserve(hand.wanted(), do)
    assert late.value.code == "UNDONE_BEFORE"
    found = await hand.order.books()
    assert (found.reservation, found.stock) == ("", (SHELF, 0, 0))


async def test_an_order_that_is_ended_twice_is_told_once(hand: Hand) -> None:
    do = call("open order")
    request = hand.order.request(order_id="01KQRTVTJ0BBBBBBBBBBBBBBBB").order
    opened = await hand.orders.open(request, do)
    undo = Undo[OpenOrder, OpenedOrder](input=request, output=opened, code="OUT_OF_STOCK")
    for _ in range(2):
        await hand.orders.cancel(undo, undo_of(do))
    told = "SELECT schema FROM outbox WHERE key = :id ORDER BY id"
    found = await shop.rows(hand.order.market.db, told, id=request.order_id)
    assert found == [("order.created",), ("order.refused",)]


async def test_a_commit_twice_sells_once(hand: Hand) -> None:
    await hand.stock.reserve(hand.wanted(), call("reserve stock"))
    for _ in range(2):
        await hand.stock.commit(CommitStock(order_id=hand.order.id), call("commit stock"))
    assert (await hand.order.books()).stock == (SHELF - 2, 0, 2)


async def test_an_authorisation_that_comes_after_its_void(hand: Hand) -> None:
    """Held up between us and the worker, it must not be sent any more."""
    attempt = await hand.attempt()
    do = call(f"authorise via {ALPHA}")
    undo = Undo[AuthoriseAttempt, AttemptResult](input=attempt)
    await hand.attempts.void(undo, undo_of(do))
    with pytest.raises(StepFailed) as late:
        await hand.attempts.authorise(attempt, do)
    assert late.value.code == "UNDONE_BEFORE"
    assert hand.order.calls(ALPHA) == ["void-by-ref"]
    found = await hand.order.books()
    assert (found.attempts, found.psps) == ((f"{ALPHA} VOIDED",), ())


async def test_what_is_learnt_often_is_booked_once(hand: Hand) -> None:
    attempt = await hand.attempt()
    held = await hand.attempts.authorise(attempt, call(f"authorise via {ALPHA}"))
    assert held.state is PaymentState.AUTHORISED
    paid = PaymentAuthorised(
        payment_id=attempt.payment_id,
        order_id=hand.order.id,
        attempt_id=attempt.attempt_id,
        psp=ALPHA,
        ref=held.ref,
        state=held.state,
        amount_paise=PRICE,
        currency="INR",
    )
    capture = call("capture payment")
    first = await hand.payments.capture(paid, capture)
    assert await hand.payments.capture(paid, capture) == first
    assert (await hand.payments.find_capture(paid, capture)).verdict is Verdict.HAPPENED
    assert (await hand.attempts.look(attempt, call("look"))).captured_paise == PRICE
    found = await hand.order.books()
    assert found.ledger == (f"CAPTURE psp:{ALPHA} +{PRICE}",)
    assert found.psps == (f"{ALPHA} captured {PRICE}/{PRICE}/0",)
    assert hand.order.calls(ALPHA) == ["authorise", "capture"]


async def test_a_payment_that_fails_closes_itself(hand: Hand) -> None:
    """Whoever started the saga, and whether or not anybody undoes it afterwards."""
    declined = hand.pay("tok_declined_lost")
    with pytest.raises(WorkflowFailureError) as failed:
        await hand.order.market.client.execute_workflow(
            AUTHORISE_PAYMENT.name, declined, id=payment_id(hand.order.id), task_queue=SAGAS
        )
    assert code_of(failed.value.cause) == "PAYMENT_DECLINED"
    found = await hand.order.books()
    assert found.payment == f"FAILED {PRICE}"
    assert found.attempts == (f"{ALPHA} FAILED",)
    assert hand.order.calls(ALPHA) == ["authorise"]
