"""The table of errors, and answers of no known form: each failure gets exactly one class."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from activities.payments.psp.http import Answer
from activities.payments.psp.razorpay import Razorpay
from activities.payments.psp.razorpay_errors import ANY, ERRORS, failure_of, row_for
from activities.payments.psp.razorpay_objects import read_payment
from domain.payments import FailureClass, PaymentMethod, PaymentState
from sandbox import razorpay_words
from tests.razorpay.conftest import Desk, request_for
from tests.sandbox.harness import API_KEY

F, S = FailureClass, PaymentState
BAD, GATEWAY, SERVER = "BAD_REQUEST_ERROR", "GATEWAY_ERROR", "SERVER_ERROR"
HELD, PROVED, ASKED = "payment_authorization", "payment_authentication", "payment_initiation"
NAMES = ("code", "source", "step", "reason")


def error(status: int, *said: str, payment: str | None = None) -> Answer:
    about = {} if payment is None else {"payment_id": payment}
    return Answer(status, {"error": {**dict(zip(NAMES, said, strict=True)), "metadata": about}})


@pytest.mark.parametrize(
    ("said", "failure", "final"),
    [
        # the same reason, told apart by its source
        ((BAD, "customer", PROVED, "payment_timed_out"), F.EXPIRED, False),
        ((GATEWAY, "gateway", HELD, "payment_timed_out"), F.REJECTED_TRANSIENT, False),
        ((BAD, "customer", PROVED, "payment_cancelled"), F.EXPIRED, False),
        ((GATEWAY, "issuer_bank", PROVED, "payment_cancelled"), F.REJECTED_TRANSIENT, False),
        ((GATEWAY, "gateway", HELD, "payment_failed"), F.REJECTED_TRANSIENT, False),
        ((BAD, "issuer_bank", HELD, "payment_failed"), F.DECLINED_SOFT, False),
        # the bank's own word is final
        ((BAD, "customer", HELD, "insufficient_funds"), F.DECLINED_SOFT, True),
        ((GATEWAY, "issuer_bank", HELD, "card_declined"), F.DECLINED_SOFT, True),
        ((BAD, "customer", HELD, "card_expired"), F.DECLINED_HARD, True),
        ((BAD, "internal", HELD, "payment_risk_check_failed"), F.FRAUD, True),
        ((GATEWAY, "bank", HELD, "bank_technical_error"), F.REJECTED_TRANSIENT, False),
        # by its step alone
        ((BAD, "customer", "mandate_creation", "mandate_gone"), F.AUTH_REQUIRED, True),
        ((BAD, "business", ASKED, "pre_debit_notification_not_sent"), F.AUTH_REQUIRED, True),
        ((BAD, "business", ASKED, "live_mode_not_enabled"), F.CONFIG, True),
        ((BAD, "business", ASKED, "order_already_paid"), F.IN_PROGRESS, True),
        ((BAD, "business", ASKED, "input_validation_failed"), F.INVALID_REQUEST, True),
        ((BAD, "NA", "NA", "NA"), F.INVALID_REQUEST, False),
        ((GATEWAY, "network", "payment_response", "never_heard_of"), F.REJECTED_TRANSIENT, False),
    ],
)
def test_the_table(said: tuple[str, str, str, str], failure: FailureClass, final: bool) -> None:
    row = row_for(*said)
    assert row is not None
    assert (row.failure, row.final) == (failure, final)


def test_what_the_table_does_not_know_has_no_row() -> None:
    assert row_for(BAD, "customer", HELD, "never_heard_of") is None
    assert row_for(None, 7, [], {}) is None


@pytest.mark.parametrize("reason", ["NA", "", None])
def test_a_refusal_may_say_nothing_but_its_description(reason: str | None) -> None:
    row = row_for(BAD, None, None, reason)
    assert row is not None
    # Of a failed payment it tells nothing: that one may come back.
    assert (row.failure, row.final) == (F.INVALID_REQUEST, False)


def test_every_row_of_the_table_can_be_reached() -> None:
    """No row hides behind an earlier one that fits all that it fits."""
    for place, row in enumerate(ERRORS):
        said = (row.code, row.source, row.step, row.reason)
        before = [one for one in ERRORS[:place] if one.fits(said)]
        assert before == [], (row, before)
        assert said != (ANY,) * 4


@pytest.mark.parametrize(
    ("answer", "failure", "code"),
    [
        (error(401, BAD, "NA", "NA", "NA"), F.CONFIG, BAD),
        (error(403, BAD, "business", ASKED, "insufficient_funds"), F.CONFIG, "insufficient_funds"),
        (error(409, BAD, "NA", "NA", "NA"), F.IN_PROGRESS, BAD),
        (error(429, BAD, "NA", "NA", "NA"), F.REJECTED_TRANSIENT, BAD),
        (error(400, BAD, "NA", "NA", "NA"), F.INVALID_REQUEST, BAD),
        (
            error(400, BAD, "business", "payment_capture", "capture_failed"),
            F.UNKNOWN,
            "capture_failed",
        ),
        # a server's or a gateway's word proves nothing, unless it names the payment that failed
        (error(500, SERVER, "internal", ASKED, "server_error"), F.UNKNOWN, "server_error"),
        (error(400, SERVER, "internal", ASKED, "server_error"), F.UNKNOWN, "server_error"),
        (
            error(502, GATEWAY, "gateway", HELD, "gateway_technical_error"),
            F.UNKNOWN,
            "gateway_technical_error",
        ),
        (
            error(502, GATEWAY, "gateway", HELD, "gateway_technical_error", payment="pay_1"),
            F.REJECTED_TRANSIENT,
            "gateway_technical_error",
        ),
        (
            error(400, GATEWAY, "issuer_bank", HELD, "card_declined", payment="pay_1"),
            F.DECLINED_SOFT,
            "card_declined",
        ),
        (error(503, BAD, "customer", HELD, "insufficient_funds"), F.UNKNOWN, "insufficient_funds"),
        (Answer(400, {"error": "text"}), F.UNKNOWN, "http_400"),
        (Answer(418), F.UNKNOWN, "http_418"),
        (Answer(429), F.REJECTED_TRANSIENT, "http_429"),
    ],
)
def test_what_an_error_means_for_the_call(answer: Answer, failure: FailureClass, code: str) -> None:
    trouble = failure_of(answer)
    assert (trouble.failure_class, trouble.code) == (failure, code)


def test_every_word_that_the_simulator_speaks_has_a_row() -> None:
    for words in (*razorpay_words.ERRORS.values(), *razorpay_words.REFUSALS.values()):
        assert row_for(words.code, words.source, words.step, words.reason) is not None, words


def shown(**given: Any) -> dict[str, Any]:
    return {
        "id": "pay_1",
        "status": "failed",
        "amount": 100,
        "currency": "INR",
        "captured": False,
        "amount_refunded": 0,
        "created_at": 1,
        "notes": [],
        **given,
    }


def test_a_failure_without_a_row_stops_and_may_come_back() -> None:
    told = read_payment(shown(error_code=BAD, error_reason="never_heard_of"))
    assert (told.state, told.failure_class, told.final) == (S.FAILED, F.DECLINED_HARD, False)
    assert told.failure_code == "never_heard_of"


def test_a_status_that_nobody_knows_is_unknown() -> None:
    told = read_payment(shown(status="dreamt"))
    assert (told.state, told.failure_class, told.failure_code) == (
        S.UNKNOWN,
        F.UNKNOWN,
        "status_dreamt",
    )


@pytest.mark.parametrize(
    ("token", "failure", "code"),
    [
        ("token_declined_funds", F.DECLINED_SOFT, "insufficient_funds"),
        ("token_declined_lost", F.DECLINED_HARD, "debit_instrument_blocked"),
        ("token_fraud", F.FRAUD, "payment_risk_check_failed"),
        ("token_auth_required", F.AUTH_REQUIRED, "pre_debit_notification_not_sent"),
        ("token_technical", F.REJECTED_TRANSIENT, "payment_timed_out"),
        ("token_gateway_down", F.UNKNOWN, "gateway_technical_error"),
    ],
)
async def test_declines(
    desk: Desk, token: str, failure: FailureClass, code: str, ref: str, key: str
) -> None:
    told = await desk.psp.authorise(request_for(ref, f"cust_1:{token}"), key=key)
    assert (told.failure_class, told.failure_code) == (failure, code)
    if failure is F.UNKNOWN:
        assert (told.state, await desk.totals(ref)) == (S.UNKNOWN, [])
        return
    found = await desk.psp.find(merchant_ref=ref)
    assert (found.state, found.failure_class, found.ref) == (S.FAILED, failure, told.ref)
    assert (told.final, found.final) == (failure is not F.REJECTED_TRANSIENT,) * 2
    assert await desk.totals(ref) == [(0, 0, 0)]


@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_look_up_that_fails_is_not_a_not_found(desk: Desk, fault: str, ref: str) -> None:
    await desk.fault("find", ref, fault)
    told = await desk.psp.find(merchant_ref=ref)
    assert (told.state, told.found, told.failure_class) == (S.UNKNOWN, True, F.UNKNOWN)
    assert not (await desk.psp.find(merchant_ref=ref)).found


@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_refund_that_cannot_be_looked_up_is_not_a_not_found(
    desk: Desk, fault: str, ref: str, key: str
) -> None:
    taken = await desk.taken(ref)
    await desk.fault("find_refund", ref, fault)
    told = await desk.psp.find_refund(key=key, payment_ref=taken)
    assert (told.status.value, told.failure_class) == ("UNKNOWN", F.UNKNOWN)


async def test_a_charge_whose_payment_cannot_be_read_is_pending(
    desk: Desk, ref: str, key: str
) -> None:
    """The answer named it, so it is there; where it stands is looked up later."""
    rules = [
        {"operation": "find", "merchant_ref": ref, "fault": "slow", "times": 2},
        {"operation": "find", "merchant_ref": ref, "fault": "timeout_before"},
    ]
    await desk.server.faults(slow_ms=1, rules=rules)
    told = await desk.psp.authorise(request_for(ref), key=key)
    assert (told.state, told.failure_class) == (S.PENDING, None)
    assert told.ref is not None
    assert (await desk.psp.find(ref=told.ref)).state is S.AUTHORISED


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture
async def says() -> AsyncIterator[dict[str, Any]]:
    """A server that says what a test puts in under `raw`, whatever it is asked."""
    said: dict[str, Any] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said["raw"])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    said["url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield said
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("raw", "failure", "code"),
    [
        (http("200 OK", b"<html>"), F.UNKNOWN, "unreadable_body"),
        (http("200 OK", b"[]"), F.UNKNOWN, "unreadable_body"),
        (http("200 OK", b"{}"), F.UNKNOWN, "unreadable_body"),
        (http("302 Found", b""), F.UNKNOWN, "http_302"),
        (http("502 Bad Gateway", b"<html>"), F.UNKNOWN, "http_502"),
        (http("429 Slow Down", b"<html>"), F.REJECTED_TRANSIENT, "http_429"),
        (http("403 Forbidden", b""), F.CONFIG, "http_403"),
        (b"nonsense\r\n\r\n", F.UNKNOWN, "connection_lost"),
    ],
)
async def test_answers_of_no_known_form(
    says: dict[str, Any], client: httpx.AsyncClient, raw: bytes, failure: FailureClass, code: str
) -> None:
    says["raw"] = raw
    psp = Razorpay(client, base_url=says["url"], api_key=API_KEY, secrets=[])
    undecided = failure is F.UNKNOWN
    link = await psp.authorise(request_for("att", "", PaymentMethod.WALLET), key="key")
    assert (link.failure_class, link.failure_code) == (failure, code)
    assert link.state is (S.UNKNOWN if undecided else S.FAILED)
    # Of a saved card nothing but a look was sent.
    card = await psp.authorise(request_for("att"), key="key")
    assert (card.state, card.failure_code) == (S.FAILED, code)
    assert card.failure_class is (F.NOT_SENT if undecided else failure)
    for told in (await psp.find(ref="pay_1"), await psp.find(merchant_ref="att")):
        assert (told.state, told.found, told.failure_class) == (S.UNKNOWN, True, failure)
    assert (await psp.void("plink_1", key="key")).failure_class is failure
    assert await psp.downtimes() is None


async def test_a_link_that_says_paid_and_shows_no_payment_is_unknown(
    says: dict[str, Any], client: httpx.AsyncClient
) -> None:
    link = {"id": "plink_1", "status": "paid", "amount": 1, "currency": "INR", "created_at": 1}
    body = {**link, "reference_id": "att", "items": [], "short_url": "http://x", "notes": None}
    says["raw"] = http("200 OK", json.dumps(body).encode())
    psp = Razorpay(client, base_url=says["url"], api_key=API_KEY, secrets=[])
    told = await psp.find(ref="plink_1")
    refund = await psp.find_refund(key="key", payment_ref="plink_1")
    assert (told.state, told.failure_code) == (S.UNKNOWN, "payment_not_listed")
    assert (refund.status.value, refund.failure_class) == ("UNKNOWN", F.UNKNOWN)
    assert (await psp.void("plink_1", key="key")).failure_class is F.UNKNOWN
