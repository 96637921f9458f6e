"""Lost answers: what a naive client does to the customer, and what ours does."""

import asyncio
import itertools

import httpx
import pytest
from ulid import ULID

from activities.payments.psp import PaymentResult, RefundStatus
from activities.payments.psp.stripe import Stripe
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from tests.stripe.conftest import API_KEY, request_for
from tests.stripe.proxy import Proxy
from tests.stripe.shapes import Shown

AMOUNT = Money(2_499_00)
HELD = "requires_capture"


async def books(proxy: Proxy, ref: str) -> list[Shown]:
    """localstripe's own payments under our reference, whatever the proxy says."""
    answer = await proxy.client.get("/v1/payment_intents", params={"limit": 100_000})
    return [row for row in answer.json()["data"] if row["metadata"].get("merchant_ref") == ref]


def charged(rows: list[Shown]) -> list[int]:
    """The charges that hold or took money."""
    return [
        row["latest_charge"]["amount"]
        for row in rows
        if row["latest_charge"] and row["status"] in (HELD, "succeeded")
    ]


async def naive_authorise(proxy: Proxy, ref: str, card: str) -> httpx.Response:
    """A client as they are mostly written: no key, and once more when no answer came."""
    form = {
        "amount": "249900",
        "currency": "inr",
        "payment_method": card,
        "capture_method": "manual",
        "confirm": "true",
        "metadata[merchant_ref]": ref,
    }
    async with httpx.AsyncClient(base_url=proxy.url, auth=(API_KEY, ""), trust_env=False) as client:
        try:
            return await client.post("/v1/payment_intents", data=form)
        except httpx.TransportError:
            return await client.post("/v1/payment_intents", data=form)


async def test_the_answer_is_lost_a_naive_client_charges_twice_and_ours_once(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("drop_after")
    answer = await naive_authorise(proxy, f"{ref}-naive", card)
    assert answer.status_code == 200
    assert charged(await books(proxy, f"{ref}-naive")) == [2_499_00, 2_499_00]

    proxy.faults["authorise"].append("drop_after")
    lost = await stripe_psp.authorise(request_for(ref, card), key=key)
    again = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert (lost.state, lost.failure_class) == (PaymentState.UNKNOWN, FailureClass.UNKNOWN)
    assert (again.state, again.failure_class) == (PaymentState.AUTHORISED, None)
    [row] = await books(proxy, ref)
    assert (row["id"], charged([row])) == (again.ref, [2_499_00])


async def test_both_of_a_naive_clients_payments_are_found(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("drop_after")
    await naive_authorise(proxy, ref, card)
    found = await stripe_psp.find(merchant_ref=ref)
    assert (found.state, len(found.others)) == (PaymentState.AUTHORISED, 1)
    gone = await stripe_psp.void_by_merchant_ref(ref, key=key)
    assert gone.state is PaymentState.VOIDED
    assert charged(await books(proxy, ref)) == []


@pytest.mark.parametrize("fault", ["drop_after", "500_after"])
async def test_a_payment_whose_answer_is_lost_is_found_by_our_reference(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str, fault: str
) -> None:
    proxy.faults["authorise"].append(fault)
    lost = await stripe_psp.authorise(request_for(ref, card), key=key)
    found = await stripe_psp.find(merchant_ref=ref)
    assert (lost.state, lost.failure_class) == (PaymentState.UNKNOWN, FailureClass.UNKNOWN)
    assert lost.ref is None
    assert (found.state, found.failure_class) == (PaymentState.AUTHORISED, None)
    assert charged(await books(proxy, ref)) == [2_499_00]


async def test_a_server_error_is_replayed_and_the_truth_is_looked_up(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("500_after")
    results = [await stripe_psp.authorise(request_for(ref, card), key=key) for _ in range(3)]
    assert {one.failure_class for one in results} == {FailureClass.UNKNOWN}
    assert {one.failure_code for one in results} == {"http_500"}
    assert (await stripe_psp.find(merchant_ref=ref)).state is PaymentState.AUTHORISED
    assert charged(await books(proxy, ref)) == [2_499_00]


async def test_what_never_arrived_is_not_found_and_can_be_sent(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("drop_before")
    lost = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert lost.failure_class is FailureClass.UNKNOWN
    assert not (await stripe_psp.find(merchant_ref=ref)).found
    sent = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert sent.state is PaymentState.AUTHORISED
    assert charged(await books(proxy, ref)) == [2_499_00]


async def test_one_reference_is_one_payment_under_whatever_key(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    results = [
        await stripe_psp.authorise(request_for(ref, card), key=f"{key}-{n}") for n in range(3)
    ]
    assert len({one.ref for one in results}) == 1
    assert charged(await books(proxy, ref)) == [2_499_00]


async def test_a_race_under_one_reference_makes_one_payment(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("slow")
    first = asyncio.create_task(stripe_psp.authorise(request_for(ref, card), key=key))
    await asyncio.sleep(0.1)
    second = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert (second.state, second.failure_class) == (PaymentState.UNKNOWN, FailureClass.IN_PROGRESS)
    assert (await first).state is PaymentState.AUTHORISED
    assert charged(await books(proxy, ref)) == [2_499_00]


async def test_after_a_void_by_reference_a_late_request_makes_no_payment(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    gone = await stripe_psp.void_by_merchant_ref(ref, key=key)
    late = await stripe_psp.authorise(request_for(ref, card), key=key)
    again = await stripe_psp.void_by_merchant_ref(ref, key=key)
    for void in (gone, again):
        assert (void.state, void.found, void.failure_class) == (PaymentState.VOIDED, False, None)
    assert (late.state, late.failure_code) == (PaymentState.UNKNOWN, "idempotency_error")
    assert not (await stripe_psp.find(merchant_ref=ref)).found
    assert await books(proxy, ref) == []


async def test_a_void_by_reference_while_the_request_is_at_work_waits_for_it(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    proxy.faults["authorise"].append("slow")
    first = asyncio.create_task(stripe_psp.authorise(request_for(ref, card), key=key))
    await asyncio.sleep(0.1)
    early = await stripe_psp.void_by_merchant_ref(ref, key=key)
    await first
    gone = await stripe_psp.void_by_merchant_ref(ref, key=key)
    # Its key is taken and nothing is listed: no proof of anything yet.
    assert (early.state, early.failure_code) == (PaymentState.UNKNOWN, "not_listed_yet")
    assert early.outcome_unknown
    assert (gone.state, gone.failure_class) == (PaymentState.VOIDED, None)
    assert charged(await books(proxy, ref)) == []


async def test_a_payment_that_comes_between_look_and_void_is_voided(
    client: httpx.AsyncClient, stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    """The list said no, and the request arrived before the void could take its key."""

    class Behind(Stripe):
        async def find(
            self, *, ref: str | None = None, merchant_ref: str | None = None
        ) -> PaymentResult:
            told = await super().find(ref=ref, merchant_ref=merchant_ref)
            if merchant_ref and not told.found:
                await stripe_psp.authorise(request_for(merchant_ref, card), key=key)
            return told

    behind = Behind(client, base_url=proxy.url, api_key=API_KEY, secrets=[])
    gone = await behind.void_by_merchant_ref(ref, key=key)
    assert (gone.state, gone.found) == (PaymentState.VOIDED, True)
    assert charged(await books(proxy, ref)) == []


@pytest.mark.parametrize("fault", ["drop_after", "500_after", "500_before", "drop_before"])
async def test_a_void_by_reference_is_done_only_when_stripe_says_so(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str, fault: str
) -> None:
    proxy.faults["authorise"].append(fault)
    result = await stripe_psp.void_by_merchant_ref(ref, key=key)
    assert (result.state, result.failure_class) == (PaymentState.UNKNOWN, FailureClass.UNKNOWN)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "500_before", "500_after"])
async def test_unknown_capture(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str, fault: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    proxy.faults["capture"].append(fault)
    lost = await stripe_psp.capture(held.ref, AMOUNT, key=key)
    found = await stripe_psp.find(ref=held.ref)
    assert (lost.failure_class, lost.state) == (FailureClass.UNKNOWN, PaymentState.UNKNOWN)
    taken = "after" in fault
    assert found.captured == (2_499_00 if taken else 0)
    again = await stripe_psp.capture(held.ref, AMOUNT, key=f"{key}-again")
    assert (again.state, again.captured) == (PaymentState.CAPTURED, 2_499_00)
    [row] = await books(proxy, ref)
    assert row["latest_charge"]["amount_refunded"] == 0


@pytest.mark.parametrize("fault", ["drop_after", "500_after"])
async def test_unknown_refund_is_never_made_twice(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str, fault: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    await stripe_psp.capture(held.ref, AMOUNT, key=key)
    proxy.faults["refund"].append(fault)
    part = Money(499_00)
    results = [await stripe_psp.refund(held.ref, part, key=key) for _ in range(3)]
    found = await stripe_psp.find_refund(key=key, payment_ref=held.ref)
    replayed = RefundStatus.DONE if fault == "drop_after" else RefundStatus.UNKNOWN
    assert [one.status for one in results] == [RefundStatus.UNKNOWN, replayed, replayed]
    assert (found.status, found.amount) == (RefundStatus.DONE, 499_00)
    assert (await stripe_psp.find(ref=held.ref)).refunded == 499_00


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "500_before", "500_after"])
async def test_unknown_void_is_sent_again(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str, fault: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    proxy.faults["cancel"].append(fault)
    lost = await stripe_psp.void(held.ref, key=key)
    again = await stripe_psp.void(held.ref, key=key)
    assert lost.failure_class is FailureClass.UNKNOWN
    assert (again.state, again.failure_class) == (PaymentState.VOIDED, None)
    assert charged(await books(proxy, ref)) == []


async def test_capture_racing_void_ends_in_one_of_them(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    taken, gone = await asyncio.gather(
        stripe_psp.capture(held.ref, AMOUNT, key=key), stripe_psp.void(held.ref, key=key)
    )
    found = await stripe_psp.find(ref=held.ref)
    done = [one for one in (taken, gone) if one.failure_class is None]
    assert len(done) == 1
    assert {taken.state, gone.state} == {found.state}
    assert found.captured == (2_499_00 if done == [taken] else 0)


async def test_refunds_racing_each_other_never_exceed_what_was_taken(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    there = held.ref
    await stripe_psp.capture(there, AMOUNT, key=key)
    results = await asyncio.gather(
        *(stripe_psp.refund(there, Money(1_000_00), key=f"{key}-{n}") for n in range(5))
    )
    assert [one.status for one in results].count(RefundStatus.DONE) == 2
    assert (await stripe_psp.find(ref=there)).refunded == 2_000_00


@pytest.mark.parametrize("fault", ["drop_before", "500_before"])
async def test_a_look_up_that_fails_is_not_a_not_found(
    stripe_psp: Stripe, proxy: Proxy, ref: str, fault: str
) -> None:
    proxy.faults["list"].append(fault)
    result = await stripe_psp.find(merchant_ref=ref)
    assert (result.state, result.found) == (PaymentState.UNKNOWN, True)
    assert result.failure_class is FailureClass.UNKNOWN
    assert not (await stripe_psp.find(merchant_ref=ref)).found


async def test_an_attempts_id_bounds_how_far_back_we_look(
    stripe_psp: Stripe, proxy: Proxy, card: str, key: str
) -> None:
    order = ULID()
    ref = f"{order}-2"
    await stripe_psp.authorise(request_for(ref, card), key=key)
    asked: list[str] = []

    async def note(request: httpx.Request) -> None:
        asked.append(request.url.params.get("created[gte]", ""))

    async with httpx.AsyncClient(event_hooks={"request": [note]}, trust_env=False) as client:
        psp = Stripe(client, base_url=proxy.url, api_key=API_KEY, secrets=[])
        assert (await psp.find(merchant_ref=ref)).state is PaymentState.AUTHORISED
        assert not (await psp.find(merchant_ref=f"{order}-1")).found
    assert asked == [str(int(order.timestamp) - 300)] * 2


def pages(count: int, mine: int | None) -> httpx.MockTransport:
    """A listing of `count` pages of one row each; ours is on the page `mine`."""
    shown = {
        "id": "pi_mine",
        "status": HELD,
        "amount": 100,
        "currency": "inr",
        "amount_received": 0,
        "latest_charge": None,
        "created": 1,
        "metadata": {"merchant_ref": "att"},
    }
    asked = itertools.count()

    def answer(request: httpx.Request) -> httpx.Response:
        page = next(asked)
        after = request.url.params.get("starting_after")
        assert after == (f"pi_{page - 1}" if page else None)
        other = {**shown, "id": f"pi_{page}", "metadata": {}}
        rows = [shown if page == mine else other]
        return httpx.Response(200, json={"data": rows, "has_more": page + 1 < count})

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("count", "mine", "ref", "code"),
    [
        (3, 2, "pi_mine", None),
        (10, None, None, None),
        (11, 9, "pi_mine", None),
        (11, 10, None, "too_many_to_list"),
    ],
)
async def test_looking_through_pages(
    count: int, mine: int | None, ref: str | None, code: str | None
) -> None:
    async with httpx.AsyncClient(transport=pages(count, mine)) as client:
        psp = Stripe(client, base_url="http://stripe.test", api_key="k", secrets=[])
        result = await psp.find(merchant_ref="att")
    # What we gave up looking for is unknown; what we looked for everywhere is not there.
    assert (result.ref, result.failure_code) == (ref, code)
    assert result.found is not (mine is None)
