"""The life of a payment at localstripe, through the adapter as it is in production."""

from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from stripe import Charge, Dispute, PaymentIntent, Refund

from activities.payments.psp import ActionKind, NextAction, PaymentResult, RefundStatus
from activities.payments.psp.port import SettlementsUnavailable
from activities.payments.psp.stripe import API_VERSION, Stripe
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.stripe.conftest import API_KEY, request_for
from tests.stripe.proxy import THREE_D_SECURE_CARD, Proxy

AMOUNT = Money(2_499_00)
DECLINED_CARD = "4000000000000341"
DECLINED_3DS_CARD = "4000008400001629"


async def held_ref(psp: Stripe, ref: str, card: str, key: str) -> str:
    held = await psp.authorise(request_for(ref, card), key=key)
    assert (held.state, held.failure_class) == (PaymentState.AUTHORISED, None)
    assert held.ref is not None
    return held.ref


def test_what_we_read_is_in_the_objects_of_the_sdk() -> None:
    assert {
        *("id", "status", "amount", "amount_received", "currency", "latest_charge", "metadata"),
        *("last_payment_error", "next_action", "canceled_at", "created"),
    } <= set(PaymentIntent.__annotations__)
    assert {
        *("amount", "amount_captured", "amount_refunded", "created", "payment_intent", "metadata"),
    } <= set(Charge.__annotations__)
    assert {
        *("id", "amount", "status", "created", "payment_intent", "metadata", "failure_reason"),
    } <= set(Refund.__annotations__)
    assert {"id", "amount", "status", "payment_intent", "reason"} <= set(Dispute.__annotations__)


async def test_authorise_capture_refund(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    held = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert held.ref is not None
    taken = await stripe_psp.capture(held.ref, AMOUNT, key=key)
    first = await stripe_psp.refund(held.ref, Money(499_00), key=f"{key}-1")
    second = await stripe_psp.refund(held.ref, Money(1_00), key=f"{key}-2")
    found = await stripe_psp.find(merchant_ref=ref)
    assert (held.state, held.captured, held.failure_class) == (PaymentState.AUTHORISED, 0, None)
    assert (held.amount, held.merchant_ref, held.final) == (AMOUNT, ref, True)
    assert held.occurred_at is not None
    assert abs(datetime.now(UTC) - held.occurred_at) < timedelta(seconds=10)
    assert (taken.state, taken.captured, taken.refunded) == (PaymentState.CAPTURED, 2_499_00, 0)
    assert (first.status, first.amount, first.failure_class) == (RefundStatus.DONE, 499_00, None)
    assert (found.state, found.ref) == (PaymentState.PARTIALLY_REFUNDED, held.ref)
    assert (found.captured, found.refunded, found.others) == (2_499_00, 500_00, ())
    for suffix, refund in (("-1", first), ("-2", second)):
        assert await stripe_psp.find_refund(key=key + suffix, payment_ref=held.ref) == refund
    whole = await stripe_psp.refund(held.ref, Money(1_999_00), key=f"{key}-3")
    assert whole.status is RefundStatus.DONE
    assert (await stripe_psp.find(ref=held.ref)).state is PaymentState.REFUNDED
    assert {call.version for call in proxy.calls} == {API_VERSION}


async def test_every_post_that_may_act_twice_has_its_operations_key(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    await stripe_psp.capture(there, AMOUNT, key=key)
    await stripe_psp.refund(there, AMOUNT, key=key)
    await stripe_psp.void(there, key=key)
    posted = {call.operation: call.key for call in proxy.calls if call.method == "POST"}
    assert posted == {
        "authorise": f"authorise:{ref}",
        "capture": f"capture:{key}",
        "refund": f"refund:{key}",
        "cancel": None,
    }


async def test_a_smaller_capture_lets_go_of_the_rest(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    taken = await stripe_psp.capture(there, Money(2_000_00), key=key)
    # What was let go of stands as refunded in Stripe's books; nothing of the money taken was.
    assert (taken.state, taken.captured) == (PaymentState.PARTIALLY_CAPTURED, 2_000_00)
    assert taken.refunded == 0
    await stripe_psp.refund(there, Money(300_00), key=key)
    found = await stripe_psp.find(ref=there)
    assert (found.state, found.captured) == (PaymentState.PARTIALLY_REFUNDED, 2_000_00)
    assert found.refunded == 300_00


async def test_capturing_again_under_another_key_is_a_success(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    for n in range(2):
        taken = await stripe_psp.capture(there, AMOUNT, key=f"{key}-{n}")
        assert (taken.state, taken.captured) == (PaymentState.CAPTURED, 2_499_00)
        assert (taken.failure_class, taken.failure_code) == (None, None)
    less = await stripe_psp.capture(there, Money(1_00), key=f"{key}-less")
    assert (less.state, less.captured) == (PaymentState.CAPTURED, 2_499_00)
    assert less.failure_class is FailureClass.INVALID_REQUEST


async def test_capturing_more_than_is_held_fails(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    more = await stripe_psp.capture(there, AMOUNT + Money(1), key=key)
    assert (more.failure_class, more.failure_code) == (
        FailureClass.INVALID_REQUEST,
        "amount_too_large",
    )
    assert (await stripe_psp.find(ref=there)).captured == 0


async def test_void_is_repeatable(stripe_psp: Stripe, ref: str, card: str, key: str) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    for _ in range(2):
        gone = await stripe_psp.void(there, key=key)
        assert (gone.state, gone.failure_class, gone.final) == (PaymentState.VOIDED, None, True)
    late = await stripe_psp.capture(there, AMOUNT, key=key)
    assert (late.state, late.failure_class) == (PaymentState.VOIDED, FailureClass.INVALID_REQUEST)
    assert late.captured == 0


async def test_void_of_a_captured_payment_says_so(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    await stripe_psp.capture(there, AMOUNT, key=key)
    for result in (
        await stripe_psp.void(there, key=key),
        await stripe_psp.void_by_merchant_ref(ref, key=key),
    ):
        assert (result.state, result.ref) == (PaymentState.CAPTURED, there)
        assert result.failure_class is FailureClass.INVALID_REQUEST
        assert result.failure_code == "payment_intent_unexpected_state"


async def test_never_more_back_than_was_taken(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    early = await stripe_psp.refund(there, AMOUNT, key=f"{key}-0")
    await stripe_psp.capture(there, AMOUNT, key=key)
    results = [
        await stripe_psp.refund(there, Money(paise), key=f"{key}-{paise}")
        for paise in (2_000_00, 500_00, 499_00, 1)
    ]
    assert (early.status, early.failure_class) == (
        RefundStatus.FAILED,
        FailureClass.INVALID_REQUEST,
    )
    assert [one.status for one in results] == [
        RefundStatus.DONE,
        RefundStatus.FAILED,
        RefundStatus.DONE,
        RefundStatus.FAILED,
    ]
    assert {one.failure_class for one in results[1::2]} == {FailureClass.INVALID_REQUEST}
    assert results[3].failure_code == "charge_already_refunded"
    assert (await stripe_psp.find(ref=there)).refunded == 2_499_00


async def test_three_d_secure(stripe_psp: Stripe, proxy: Proxy, ref: str, key: str) -> None:
    card = await proxy.token(THREE_D_SECURE_CARD)
    asked = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert (asked.state, asked.failure_class) == (PaymentState.ACTION_REQUIRED, None)
    page = f"{proxy.url}/authenticate/{asked.ref}"
    assert asked.next_action == NextAction(kind=ActionKind.REDIRECT, url=page)
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(f"{page}/pass")
    paid = await stripe_psp.find(merchant_ref=ref)
    assert (paid.state, paid.ref, paid.next_action) == (PaymentState.AUTHORISED, asked.ref, None)
    assert paid.ref is not None
    taken = await stripe_psp.capture(paid.ref, AMOUNT, key=key)
    assert (taken.state, taken.captured) == (PaymentState.CAPTURED, 2_499_00)


async def test_the_customer_does_not_pass(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str
) -> None:
    card = await proxy.token(THREE_D_SECURE_CARD)
    asked = await stripe_psp.authorise(request_for(ref, card), key=key)
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(f"{proxy.url}/authenticate/{asked.ref}/fail")
    found = await stripe_psp.find(merchant_ref=ref)
    assert (found.state, found.failure_class) == (PaymentState.FAILED, FailureClass.DECLINED_SOFT)
    assert found.failure_code == "payment_intent_authentication_failure"
    # It could be confirmed again from the customer's browser, until it is voided.
    assert not found.final
    assert found.ref is not None
    gone = await stripe_psp.void(found.ref, key=key)
    assert (gone.state, gone.final) == (PaymentState.VOIDED, True)


async def test_an_abandoned_authentication_is_voided(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str
) -> None:
    card = await proxy.token(THREE_D_SECURE_CARD)
    asked = await stripe_psp.authorise(request_for(ref, card), key=key)
    assert asked.ref is not None
    assert (await stripe_psp.void(asked.ref, key=key)).state is PaymentState.VOIDED
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(f"{proxy.url}/authenticate/{asked.ref}/pass")
    assert (await stripe_psp.find(ref=asked.ref)).state is PaymentState.VOIDED


async def test_a_step_up_asks_for_three_d_secure(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    plain = await stripe_psp.authorise(request_for(ref, card), key=key)
    asked = await stripe_psp.authorise(request_for(f"{ref}-2", card, challenge=True), key=key)
    assert (plain.state, asked.state) == (PaymentState.AUTHORISED, PaymentState.ACTION_REQUIRED)
    wished = [
        call.form.get("payment_method_options[card][request_three_d_secure]")
        for call in proxy.calls
    ]
    assert wished == [None, "any"]


async def test_without_a_way_back_a_payment_that_needs_the_customer_fails_at_once(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    needs = await proxy.token(THREE_D_SECURE_CARD)
    asked = await stripe_psp.authorise(request_for(ref, needs, return_url=None), key=key)
    plain = await stripe_psp.authorise(request_for(f"{ref}-2", card, return_url=None), key=key)
    assert (asked.state, asked.failure_class) == (PaymentState.FAILED, FailureClass.AUTH_REQUIRED)
    assert asked.failure_code == "authentication_not_handled"
    assert asked.next_action is None
    assert plain.state is PaymentState.AUTHORISED


async def test_a_declined_card(stripe_psp: Stripe, proxy: Proxy, ref: str, key: str) -> None:
    declined = await stripe_psp.authorise(
        request_for(ref, await proxy.token(DECLINED_CARD)), key=key
    )
    assert (declined.state, declined.failure_class) == (
        PaymentState.FAILED,
        FailureClass.DECLINED_SOFT,
    )
    assert (declined.failure_code, declined.final) == ("generic_decline", False)
    found = await stripe_psp.find(merchant_ref=ref)
    assert (found.ref, found.state, found.failure_code) == (
        declined.ref,
        PaymentState.FAILED,
        "generic_decline",
    )
    gone = await stripe_psp.void_by_merchant_ref(ref, key=key)
    assert (gone.state, gone.failure_class, gone.ref) == (PaymentState.VOIDED, None, declined.ref)


async def test_a_card_declined_after_authentication(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str
) -> None:
    card = await proxy.token(DECLINED_3DS_CARD)
    asked = await stripe_psp.authorise(request_for(ref, card), key=key)
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(f"{proxy.url}/authenticate/{asked.ref}/pass")
    found = await stripe_psp.find(merchant_ref=ref)
    assert (found.state, found.failure_code) == (PaymentState.FAILED, "generic_decline")


async def test_not_found_is_a_value(stripe_psp: Stripe, ref: str) -> None:
    nothing = PaymentResult(state=PaymentState.UNKNOWN, found=False)
    assert await stripe_psp.find(merchant_ref=ref) == nothing
    assert await stripe_psp.find(ref="pay_of_somebody_else") == nothing


async def test_a_payment_that_stripe_named_and_does_not_know_is_of_another_account(
    stripe_psp: Stripe,
) -> None:
    result = await stripe_psp.find(ref="pi_000000")
    assert (result.state, result.found) == (PaymentState.UNKNOWN, True)
    assert result.failure_class is FailureClass.CONFIG
    assert result.failure_code == "payment_of_another_account"


async def test_find_without_a_reference_is_a_bug(stripe_psp: Stripe) -> None:
    with pytest.raises(ValueError, match="find needs ref or merchant_ref"):
        await stripe_psp.find()


async def test_a_refund_is_looked_up_under_its_payment(
    stripe_psp: Stripe, ref: str, card: str, key: str
) -> None:
    there = await held_ref(stripe_psp, ref, card, key)
    await stripe_psp.capture(there, AMOUNT, key=key)
    none = await stripe_psp.find_refund(key=key, payment_ref=there)
    nowhere = await stripe_psp.find_refund(key=key)
    assert (none.status, none.failure_class) == (RefundStatus.NOT_FOUND, None)
    assert (nowhere.status, nowhere.failure_code) == (RefundStatus.UNKNOWN, "payment_ref_needed")


@pytest.mark.parametrize("method", [PaymentMethod.UPI_QR, PaymentMethod.COD])
async def test_cards_only(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str, method: PaymentMethod
) -> None:
    request = request_for(ref, "pm_any")
    other = type(request)(
        merchant_ref=ref, amount=AMOUNT, method=method, instrument="pm_any", expires_in_s=300
    )
    result = await stripe_psp.authorise(other, key=key)
    assert (result.state, result.failure_code) == (PaymentState.FAILED, "method_not_supported")
    assert proxy.calls == []


@pytest.mark.parametrize("instrument", ["4242424242424242", "", "cus_1:4242424242424242"])
async def test_what_is_no_token_never_leaves_us(
    stripe_psp: Stripe, proxy: Proxy, ref: str, key: str, instrument: str
) -> None:
    result = await stripe_psp.authorise(request_for(ref, instrument), key=key)
    assert (result.state, result.failure_class) == (
        PaymentState.FAILED,
        FailureClass.INVALID_REQUEST,
    )
    assert result.failure_code == "instrument_is_no_token"
    assert proxy.calls == []


async def test_a_saved_card_goes_with_its_customer(
    stripe_psp: Stripe, proxy: Proxy, ref: str, card: str, key: str
) -> None:
    made = await proxy.client.post("/v1/customers", data={"email": "asha@example.com"})
    customer = made.json()["id"]
    held = await stripe_psp.authorise(request_for(ref, f"{customer}:{card}"), key=key)
    assert held.state is PaymentState.AUTHORISED
    [call] = proxy.calls
    assert (call.form["customer"], call.form["payment_method"]) == (customer, card)


async def test_the_wrong_key_is_a_matter_of_configuration(
    client: httpx.AsyncClient, proxy: Proxy, ref: str, key: str
) -> None:
    wrong = Stripe(client, base_url=proxy.url, api_key="sk_test_wrong", secrets=[])
    result = await wrong.authorise(request_for(ref, "pm_any"), key=key)
    assert (result.state, result.failure_class) == (PaymentState.FAILED, FailureClass.CONFIG)
    assert result.failure_code == "http_401"
    found = await wrong.find(merchant_ref=ref)
    assert (found.state, found.found) == (PaymentState.UNKNOWN, True)
    assert found.failure_class is FailureClass.CONFIG
    assert API_KEY not in repr(result)


async def test_what_stripe_does_not_tell(stripe_psp: Stripe, proxy: Proxy) -> None:
    assert await stripe_psp.downtimes() == ()
    assert not stripe_psp.caps.settlements
    with pytest.raises(SettlementsUnavailable, match="no_report_by_api"):
        _ = [line async for line in stripe_psp.settlements(date(2026, 11, 22))]
    assert proxy.calls == []
