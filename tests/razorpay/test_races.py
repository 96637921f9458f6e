"""What changes between two of our calls: each answer of Razorpay's is put in by hand."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from activities.payments.psp.razorpay import Razorpay
from activities.payments.psp.razorpay_objects import read_link, read_order
from domain.payments import FailureClass, PaymentState
from tests.razorpay.conftest import AMOUNT, request_for

F, S = FailureClass, PaymentState
Body = Mapping[str, Any]
Script = Sequence[tuple[str, int, Body]]
Scripted = Callable[[Script], AbstractAsyncContextManager[Razorpay]]

PAYMENT: Body = {
    "id": "pay_1",
    "status": "authorized",
    "amount": AMOUNT.paise,
    "currency": "INR",
    "captured": False,
    "amount_refunded": 0,
    "created_at": 1,
    "notes": [],
}
TAKEN: Body = {**PAYMENT, "status": "captured", "captured": True}
LAPSED: Body = {**PAYMENT, "status": "refunded", "amount_refunded": AMOUNT.paise}
LINK: Body = {
    "id": "plink_1",
    "reference_id": "att-1",
    "status": "created",
    "amount": AMOUNT.paise,
    "currency": "INR",
    "created_at": 1,
    "expire_by": 2_000_000_000,
    "short_url": "https://rzp.example/1",
    "notes": None,
}
SAID = {"code": "BAD_REQUEST_ERROR", "source": "NA", "step": "NA", "reason": "NA"}
REFUSED: Body = {"error": SAID}
LOOK, CAPTURE = "GET /v1/payments/pay_1", "POST /v1/payments/pay_1/capture"
CANCEL, LOOK_AT_LINK = "POST /v1/payment_links/plink_1/cancel", "GET /v1/payment_links/plink_1"


def items(*rows: Body) -> Body:
    return {"entity": "collection", "count": len(rows), "items": list(rows)}


@pytest.fixture
def scripted() -> Scripted:
    """The adapter over answers, given to each path in this order; all must be asked for."""

    @asynccontextmanager
    async def run(script: Script) -> AsyncIterator[Razorpay]:
        left = list(script)

        def answer(request: httpx.Request) -> httpx.Response:
            asked = f"{request.method} {request.url.path}"
            place = [name for name, *_ in left].index(asked)
            _, status, body = left.pop(place)
            return httpx.Response(status, json=body)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            yield Razorpay(client, base_url="http://x", api_key="a:b", secrets=[])
        assert left == []

    return run


async def test_somebody_else_captured_in_between(scripted: Scripted) -> None:
    script = [(LOOK, 200, PAYMENT), (CAPTURE, 400, REFUSED), (LOOK, 200, TAKEN)]
    async with scripted(script) as psp:
        told = await psp.capture("pay_1", AMOUNT, key="key")
    assert (told.state, told.captured, told.failure_class) == (S.CAPTURED, AMOUNT.paise, None)


async def test_a_refused_capture_stays_refused(scripted: Scripted) -> None:
    script = [(LOOK, 200, PAYMENT), (CAPTURE, 400, REFUSED), (LOOK, 200, PAYMENT)]
    async with scripted(script) as psp:
        told = await psp.capture("pay_1", AMOUNT, key="key")
    assert (told.captured, told.failure_class) == (0, F.INVALID_REQUEST)


async def test_it_lapsed_while_we_voided_it(scripted: Scripted) -> None:
    script = [
        (LOOK, 200, PAYMENT),
        (LOOK, 200, PAYMENT),
        (CAPTURE, 400, REFUSED),
        (LOOK, 200, LAPSED),
        (LOOK, 200, LAPSED),
    ]
    async with scripted(script) as psp:
        told = await psp.void("pay_1", key="key")
    assert (told.state, told.captured, told.failure_class) == (S.VOIDED, 0, None)


async def test_what_can_be_neither_captured_nor_voided_is_said(scripted: Scripted) -> None:
    script = [
        (LOOK, 200, PAYMENT),
        (LOOK, 200, PAYMENT),
        (CAPTURE, 400, REFUSED),
        (LOOK, 200, PAYMENT),
        (LOOK, 200, PAYMENT),
    ]
    async with scripted(script) as psp:
        told = await psp.void("pay_1", key="key")
    assert (told.state, told.failure_class) == (S.AUTHORISED, F.INVALID_REQUEST)


async def test_a_link_that_will_not_close_is_said(scripted: Scripted) -> None:
    script = [
        (CANCEL, 400, REFUSED),
        (LOOK_AT_LINK, 200, LINK),
        ("GET /v1/orders", 200, items()),
    ]
    async with scripted(script) as psp:
        told = await psp.void("plink_1", key="key")
    assert (told.state, told.failure_class) == (S.ACTION_REQUIRED, F.INVALID_REQUEST)


@pytest.mark.parametrize("status", [500, 429])
async def test_a_refused_link_that_cannot_be_looked_up_is_unknown(
    scripted: Scripted, status: int
) -> None:
    """The refusal may be that there is one already."""
    script = [
        ("POST /v1/payment_links", 400, REFUSED),
        ("GET /v1/payment_links", status, {}),
        ("GET /v1/orders", 200, items()),
    ]
    async with scripted(script) as psp:
        told = await psp.authorise(request_for("att-1", ""), key="key")
    assert (told.state, told.failure_class) == (S.UNKNOWN, F.UNKNOWN)


async def test_a_refused_link_that_is_not_there_was_refused(scripted: Scripted) -> None:
    script = [
        ("POST /v1/payment_links", 400, REFUSED),
        ("GET /v1/payment_links", 200, {"payment_links": []}),
        ("GET /v1/orders", 200, items()),
    ]
    async with scripted(script) as psp:
        told = await psp.authorise(request_for("att-1", ""), key="key")
    assert (told.state, told.ref, told.failure_class) == (S.FAILED, None, F.INVALID_REQUEST)


async def test_an_order_that_only_its_link_names_is_looked_at(scripted: Scripted) -> None:
    """A listing by receipt may lag behind; the link itself knows its order."""
    script = [
        (LOOK_AT_LINK, 200, {**LINK, "order_id": "order_1"}),
        ("GET /v1/orders", 200, items()),
        ("GET /v1/orders/order_1/payments", 200, items(TAKEN)),
    ]
    async with scripted(script) as psp:
        told = await psp.find(ref="plink_1")
    assert (told.state, told.captured, told.ref) == (S.CAPTURED, AMOUNT.paise, "plink_1")


async def test_a_payment_without_notes_is_still_under_our_reference(scripted: Scripted) -> None:
    async with scripted(
        [
            ("GET /v1/payment_links", 200, {"payment_links": []}),
            ("GET /v1/orders", 200, items()),
            ("GET /v1/customers/cust_1", 200, {"id": "cust_1"}),
            ("POST /v1/orders", 200, {"id": "order_1"}),
            ("POST /v1/payments/create/recurring", 200, {"razorpay_payment_id": "pay_1"}),
            (LOOK, 200, PAYMENT),
        ]
    ) as psp:
        told = await psp.authorise(request_for("att-1"), key="key")
    assert (told.state, told.ref, told.merchant_ref) == (S.AUTHORISED, "pay_1", "att-1")


def failed(ref: str, at: int, reason: str) -> Body:
    said = {"error_code": "BAD_REQUEST_ERROR", "error_source": "customer", "error_step": "x"}
    told = {**PAYMENT, "id": ref, "status": "failed", "created_at": at}
    return {**told, **said, "error_reason": reason}


def test_of_failed_tries_one_that_may_come_back_tells_most() -> None:
    seen = read_order(
        "att-1", [failed("pay_3", 3, "card_expired"), failed("pay_2", 2, "payment_timed_out")]
    )
    assert seen is not None
    assert (seen.told.ref, seen.told.final, seen.payment_id) == ("pay_2", False, "pay_2")


def test_else_the_last_one_does() -> None:
    seen = read_order(
        "att-1", [failed("pay_3", 3, "card_expired"), failed("pay_2", 2, "insufficient_funds")]
    )
    assert seen is not None
    assert (seen.told.ref, seen.told.failure_class) == ("pay_3", F.DECLINED_HARD)
    assert read_order("att-1", []) is None


def test_money_comes_before_everything() -> None:
    tries = [
        failed("pay_1", 1, "payment_timed_out"),
        {**PAYMENT, "id": "pay_2", "status": "created"},
        {**PAYMENT, "id": "pay_3"},
        {**TAKEN, "id": "pay_4", "status": "refunded", "amount_refunded": AMOUNT.paise},
    ]
    ends = []
    while tries:
        seen = read_link(LINK, tries)
        ends.append((seen.told.state, seen.payment_id, seen.told.ref))
        tries.pop()
    assert ends == [
        (S.REFUNDED, "pay_4", "plink_1"),
        (S.AUTHORISED, "pay_3", "plink_1"),
        (S.PENDING, "pay_2", "plink_1"),
        (S.ACTION_REQUIRED, None, "plink_1"),
    ]


@pytest.mark.parametrize(
    ("status", "tries", "state", "final"),
    [
        ("cancelled", [], S.VOIDED, True),
        ("cancelled", [failed("pay_1", 1, "card_expired")], S.VOIDED, True),
        ("cancelled", [failed("pay_1", 1, "payment_timed_out")], S.FAILED, False),
        ("cancelled", [LAPSED], S.VOIDED, True),
        ("expired", [], S.EXPIRED, True),
        ("expired", [failed("pay_1", 1, "payment_timed_out")], S.FAILED, False),
        ("partially_paid", [], S.UNKNOWN, True),
    ],
)
def test_a_closed_link(
    status: str, tries: Sequence[Body], state: PaymentState, final: bool
) -> None:
    told = read_link({**LINK, "status": status}, tries).told
    assert (told.state, told.final, told.ref) == (state, final, "plink_1")
    # Only a void that ended without money is no failure at all.
    assert (told.failure_class is None) is (state is S.VOIDED)
