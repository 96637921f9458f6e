"""What went wrong at others, each by the name of the report where it can be read."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

from activities.payments.psp import PSP, PaymentRequest, psp_client
from activities.payments.registry import PROVIDERS
from db.repositories import inbox
from db.repositories.inbox import NewWebhook
from db.vocabulary import Trust
from domain.money import Money
from domain.orders import OrderState
from domain.payments import PaymentMethod, PaymentState
from saga import CancelVerdict
from tests.integration.checkout.books import PRICE, sold
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS, Order, waiting
from tests.integration.checkout.side_by_side import side_by_side
from tests.integration.checkout.wire import Fault
from tests.integration.db import shop
from tests.sandbox.harness import API_KEY, SECRET

ALPHA, BETA = PSPS
TRANSACTIONS = 305
AT_ONCE = 24


@side_by_side
async def test_medusa_13301_the_confirmation_races_the_webhook(market: Market) -> None:
    """There, both confirmed at once and the order went missing."""
    order = await market.order("medusa-13301", first=ALPHA)
    held = market.wires[ALPHA].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    await market.hooks.until(order.id, "payment.captured", times=2)
    held.go.set()
    assert (await placing).state is OrderState.CONFIRMED
    await order.end()
    await order.settled(sold(ALPHA))


@side_by_side
async def test_saleor_14926_the_customer_refreshes_and_pays_again(market: Market) -> None:
    """There, the page was loaded again and the card charged again."""
    order = await market.order("saleor-14926", first=BETA)
    held = market.wires[BETA].fail("authorise", order.ref(1), Fault.HOLD_ANSWER)
    first = asyncio.create_task(order.place())
    await held.met.wait()
    again = asyncio.create_task(order.place())
    await asyncio.sleep(0.3)
    held.go.set()
    assert await first == await again
    await order.end()
    await order.settled(sold(BETA))
    assert order.calls(BETA) == ["authorise", "capture"]


@side_by_side
async def test_saleor_19811_a_refund_is_sent_without_a_key(market: Market) -> None:
    """There, a refund whose answer was lost was sent again and paid twice."""
    order = await market.order("saleor-19811", first=BETA)
    assert await order.buy() == "CONFIRMED"
    market.wires[BETA].fail("refund", order.ref(1), Fault.DROP_AFTER)
    await order.refund("once", PRICE // 2)
    assert await order.refunded("once") == "DONE"
    keys = order.keys(BETA, "refund")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert keys[0]
    (row,) = await market.psps[BETA].books(order.ref(1))
    assert row["refunded"] == PRICE // 2


@side_by_side
async def test_hyperswitch_3408_seen_but_never_delivered(market: Market) -> None:
    """There, the duplicate check was written first: a crash after it lost the webhook for good."""
    order = await market.order("hyperswitch-3408", first=ALPHA)
    market.hooks.lost.add(order.ref(1))
    nobody_looks = waiting(poll=60)
    await order.place("success@upi", PaymentMethod.UPI_QR, timings=nobody_looks)
    assert (await order.customer("approve")).status_code == 200
    (row,) = await market.psps[ALPHA].books(order.ref(1))
    # what the edge has stored when it dies before it can tell anybody
    async with market.db.unit_of_work() as session:
        seen = await inbox.receive(
            session,
            NewWebhook(
                provider=ALPHA,
                event_id="evt-3408",
                occurred_at=datetime.now(UTC),
                trust=Trust.SIGNED,
                kind="PAYMENT_AUTHORISED",
                payment_ref=order.ref(1),
                order_id=order.id,
                payload={"captured": 0, "refunded": 0, "ref": row["id"]},
            ),
        )
    assert (seen.new, seen.delivered) == (True, False)
    assert await order.end() == "CONFIRMED"
    delivered = "SELECT delivered_at IS NOT NULL FROM webhook_inbox WHERE event_id = 'evt-3408'"
    assert await shop.rows(market.db, delivered) == [(True,)]


@side_by_side
async def test_hyperswitch_13180_a_5xx_is_shown_as_processing_for_ever(market: Market) -> None:
    """There, the connector's 500 left the payment in processing, with nobody to look after it."""
    order = await market.order("hyperswitch-13180", first=ALPHA)
    broken = (500, {"error": {"code": "internal_error"}})
    market.wires[ALPHA].fail("authorise", order.ref(1), Fault.REFUSE, times=9, answer=broken)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(BETA).but(attempts=(f"{ALPHA} VOIDED", f"{BETA} CAPTURED {PRICE}-0")))
    assert await market.psps[ALPHA].books(order.ref(1)) == []


@side_by_side
async def test_medusa_15527_a_late_compensation_refunds_a_good_order(market: Market) -> None:
    """There, an undo that came after the sale gave the money of a good order back."""
    order = await market.order("medusa-15527", first=ALPHA)
    held = market.wires[ALPHA].fail("capture", order.ref(1), Fault.HOLD_ANSWER)
    placing = asyncio.create_task(order.place())
    await held.met.wait()
    cancelling = asyncio.create_task(order.cancel())
    await asyncio.sleep(0.3)
    held.go.set()
    assert (await placing).state is OrderState.CONFIRMED
    assert await cancelling is CancelVerdict.TOO_LATE
    await order.end()
    await order.settled(sold(ALPHA))
    assert order.calls(ALPHA) == ["authorise", "capture"]


@side_by_side
async def test_saleor_10916_charged_and_no_order(market: Market) -> None:
    """There, the charge went through and the order was never made."""
    order = await market.order("saleor-10916", first=BETA)
    market.wires[BETA].fail("capture", order.ref(1), Fault.DROP_AFTER)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(BETA))


async def test_a_client_that_tries_elsewhere_charges_twice_and_ours_does_not(
    quiet: Market,
) -> None:
    """The answer to the charge is lost after the PSP has acted."""
    ref = "01KQRTVTJ0NAIVENAIVENAIVE0-1"
    request = PaymentRequest(
        merchant_ref=ref,
        amount=Money(PRICE),
        method=PaymentMethod.CARD,
        instrument="tok_ok",
        expires_in_s=60,
    )
    quiet.wires[ALPHA].fail("authorise", ref, Fault.DROP_AFTER)
    async with psp_client() as client:
        naive: list[PSP] = [
            PROVIDERS[psp].load()(
                client, base_url=quiet.wires[psp].url, api_key=API_KEY, secrets=[SECRET]
            )
            for psp in PSPS
        ]
        for psp in naive:
            told = await psp.authorise(request, key=str(uuid4()))
            if told.state is PaymentState.AUTHORISED:
                break  # "it worked", says the second one
        held = [row for psp in PSPS for row in await quiet.psps[psp].books(ref)]
        assert [row["status"] for row in held] == ["authorised", "authorised"]
        assert sum(row["authorised"] for row in held) == 2 * PRICE
        for psp in naive:
            await psp.void_by_merchant_ref(ref, key=str(uuid4()))

    order = await quiet.order("lost-headline", first=ALPHA)
    quiet.wires[ALPHA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    assert await order.buy() == "CONFIRMED"
    await order.settled(sold(ALPHA))
    assert await quiet.psps[BETA].books(order.ref(1)) == []


async def test_razorpay_magento_291_duplicates_and_missing_orders(quiet: Market) -> None:
    """There, 305 transactions made 6 duplicate and 3 missing orders."""
    sku = await quiet.goods("magento-291", blr=TRANSACTIONS)
    orders = [
        await quiet.order(f"magento-{n}", first=PSPS[n % 2], sku=sku) for n in range(TRANSACTIONS)
    ]
    gate = asyncio.Semaphore(AT_ONCE)

    async def buy(number: int, order: Order) -> str:
        wire = quiet.wires[order.first]
        if number % 10 == 3:
            wire.fail("authorise", order.ref(1), Fault.DROP_AFTER)
        if number % 10 == 6:
            wire.fail("capture", order.ref(1), Fault.DROP_AFTER)
        async with gate:
            # every fifth customer is impatient and asks twice
            asked = [order.place() for _ in range(2 if number % 5 == 0 else 1)]
            await asyncio.gather(*asked)
            return await order.end()

    ends = await asyncio.gather(*(buy(number, order) for number, order in enumerate(orders)))
    assert Counter(ends) == {"CONFIRMED": TRANSACTIONS}
    kept = "SELECT count(*)::int, count(DISTINCT id)::int FROM orders WHERE id = ANY(:ids)"
    ids = [order.id for order in orders]
    assert await shop.rows(quiet.db, kept, ids=ids) == [(TRANSACTIONS, TRANSACTIONS)]
    taken = Counter[str]()
    for psp in PSPS:
        async with quiet.psps[psp].client() as client:
            for row in (await client.get("/_sandbox/books")).json()["payments"]:
                taken[row["merchant_ref"].rpartition("-")[0]] += row["captured"]
    assert {order.id: taken[order.id] for order in orders} == dict.fromkeys(ids, PRICE)


@side_by_side
async def test_a_void_that_comes_too_late_and_then_no_answer(market: Market) -> None:
    """Captured while it was to be voided, and the look at it fails: it is looked at again."""
    order = await market.order("void-too-late", first=ALPHA)
    wire = market.wires[ALPHA]
    asked = wire.fail("authorise", order.ref(1), Fault.HOLD_ANSWER)
    void = wire.fail("void", order.ref(1), Fault.HOLD)
    placing = asyncio.create_task(order.place())
    await asked.met.wait()
    cancelling = asyncio.create_task(order.cancel())
    await asyncio.sleep(0.3)
    asked.go.set()
    await void.met.wait()
    (row,) = await market.psps[ALPHA].books(order.ref(1))
    async with market.psps[ALPHA].client() as client:
        taken = await client.post(f"/v1/payments/{row['id']}/capture", json={"amount": PRICE})
    assert taken.status_code == 200
    wire.fail("find", order.ref(1), Fault.DROP_BEFORE)
    void.go.set()
    assert await cancelling is CancelVerdict.CANCELLED
    await placing
    await order.end()
    books = await order.books()
    assert books.refunds == (f"DONE {PRICE}",)
    assert books.psps == (f"{ALPHA} captured {PRICE}/{PRICE}/{PRICE}",)
