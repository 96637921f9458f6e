"""Every failure of a call gets exactly one class, and acts as that class promises."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from activities.payments.psp import PSP, AlphaPay, BetaPay, PaymentResult, RefundStatus
from activities.payments.psp import alphapay as alphapay_adapter
from activities.payments.psp import betapay as betapay_adapter
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from sandbox import alphapay as alphapay_sandbox
from sandbox import betapay_words
from tests.sandbox.harness import API_KEY, Sandbox, free_port
from tests.unit.psp.conftest import request_for

BOTH = pytest.mark.parametrize("name", ["alphapay", "betapay"])
F = FailureClass
Psps = dict[str, PSP]
Servers = dict[str, Sandbox]


@BOTH
@pytest.mark.parametrize(
    ("instrument", "failure"),
    [
        ("tok_declined_funds", F.DECLINED_SOFT),
        ("tok_declined_lost", F.DECLINED_HARD),
        ("tok_fraud", F.FRAUD),
        ("tok_auth_required", F.AUTH_REQUIRED),
        ("tok_technical", F.REJECTED_TRANSIENT),
    ],
)
async def test_declines(
    psps: Psps, name: str, instrument: str, failure: FailureClass, ref: str, key: str
) -> None:
    result = await psps[name].authorise(request_for(ref, instrument), key=key)
    found = await psps[name].find(merchant_ref=ref)
    assert (result.state, result.failure_class) == (PaymentState.FAILED, failure)
    assert result.ref is not None
    assert (found.state, found.failure_class, found.ref) == (result.state, failure, result.ref)
    assert found.failure_code == result.failure_code
    # Only betapay's technical failures may still turn into money.
    not_final = (name, instrument) == ("betapay", "tok_technical")
    assert (result.final, found.final) == (not not_final, not not_final)


@BOTH
@pytest.mark.parametrize(
    ("fault", "failure", "code", "payments"),
    [
        ("timeout_before", F.UNKNOWN, "connection_lost", 0),
        ("timeout_after", F.UNKNOWN, "connection_lost", 1),
        ("connection_reset", F.UNKNOWN, "connection_lost", 1),
        ("slow", F.UNKNOWN, "read_timeout", 1),
        ("http_500_before", F.UNKNOWN, None, 0),
        ("http_500_after", F.UNKNOWN, None, 1),
        ("unreadable_body", F.UNKNOWN, "unreadable_body", 1),
        ("rate_limited", F.REJECTED_TRANSIENT, "rate_limited", 0),
        ("gateway_down", F.REJECTED_TRANSIENT, "gateway_down", 0),
    ],
)
async def test_edge_faults_on_authorise(
    psps: Psps,
    servers: Servers,
    name: str,
    fault: str,
    failure: FailureClass,
    code: str | None,
    payments: int,
    ref: str,
    key: str,
) -> None:
    rule = {"operation": "authorise", "merchant_ref": ref, "fault": fault}
    await servers[name].faults(slow_ms=1300, rules=[rule])
    result = await psps[name].authorise(request_for(ref), key=key)
    if fault == "slow":
        await asyncio.sleep(0.5)
    undecided = failure is F.UNKNOWN
    assert (result.failure_class, result.outcome_unknown) == (failure, undecided)
    assert result.state is (PaymentState.UNKNOWN if undecided else PaymentState.FAILED)
    assert result.ref is None
    if code is not None:
        assert result.failure_code == code
    # Whatever the answer was, the truth can be looked up.
    found = await psps[name].find(merchant_ref=ref)
    assert found.found is bool(payments)
    assert found.state is (PaymentState.AUTHORISED if payments else PaymentState.UNKNOWN)
    assert len(await servers[name].books(ref)) == payments


@BOTH
@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "unreadable_body"])
async def test_a_lookup_that_fails_is_not_a_not_found(
    psps: Psps, servers: Servers, name: str, fault: str, ref: str
) -> None:
    rule = {"operation": "find", "merchant_ref": ref, "fault": fault}
    await servers[name].faults(rules=[rule])
    result = await psps[name].find(merchant_ref=ref)
    assert (result.state, result.found) == (PaymentState.UNKNOWN, True)
    assert result.failure_class is F.UNKNOWN
    assert not (await psps[name].find(merchant_ref=ref)).found


@BOTH
@pytest.mark.parametrize("fault", ["timeout_after", "http_500_after", "connection_reset"])
async def test_unknown_capture_and_refund_can_be_asked_again(
    psps: Psps, servers: Servers, name: str, fault: str, ref: str, key: str
) -> None:
    psp, amount = psps[name], Money(2_499_00)
    rules = [
        {"operation": operation, "merchant_ref": ref, "fault": fault}
        for operation in ("capture", "refund")
    ]
    await servers[name].faults(rules=rules)
    held = await psp.authorise(request_for(ref), key=key)
    assert held.ref is not None
    captures = [await psp.capture(held.ref, amount, key=f"{key}-c") for _ in range(2)]
    refunds = [await psp.refund(held.ref, amount, key=f"{key}-r") for _ in range(2)]
    found = await psp.find_refund(key=f"{key}-r")
    assert [one.failure_class for one in captures] == [F.UNKNOWN, None]
    assert captures[1].captured == 2_499_00
    assert [one.status for one in refunds] == [RefundStatus.UNKNOWN, RefundStatus.DONE]
    assert found == refunds[1]
    [row] = await servers[name].books(ref)
    assert (row["captured"], row["refunded"], row["movements"]) == (2_499_00, 2_499_00, 4)


@BOTH
async def test_refusals_of_a_refund(psps: Psps, name: str, ref: str, key: str) -> None:
    held = await psps[name].authorise(request_for(ref), key=key)
    assert held.ref is not None
    result = await psps[name].refund(held.ref, Money(100), key=f"{key}-r")
    assert (result.status, result.failure_class) == (RefundStatus.FAILED, F.INVALID_REQUEST)
    assert result.failure_code == "not_captured"


@BOTH
async def test_the_wrong_key_is_a_matter_of_configuration(
    servers: Servers, client: httpx.AsyncClient, name: str, ref: str, key: str
) -> None:
    adapter: dict[str, type[AlphaPay | BetaPay]] = {"alphapay": AlphaPay, "betapay": BetaPay}
    psp = adapter[name](client, base_url=servers[name].url, api_key="wrong", secrets=[])
    result = await psp.authorise(request_for(ref), key=key)
    assert (result.state, result.failure_class) == (PaymentState.FAILED, F.CONFIG)
    assert (await psp.find(merchant_ref=ref)).failure_class is F.CONFIG


Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def replies() -> AsyncIterator[dict[str, bytes]]:
    """A server that says what a test puts in: `replies["raw"]`."""
    said: dict[str, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said["raw"])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    said["url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}".encode()
    yield said
    server.close()
    await server.wait_closed()


async def authorise_at(url: str, client: httpx.AsyncClient, name: str) -> PaymentResult:
    psp = AlphaPay if name == "alphapay" else BetaPay
    made = psp(client, base_url=url, api_key=API_KEY, secrets=[])
    return await made.authorise(request_for("att"), key="key-0123456789")


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@BOTH
@pytest.mark.parametrize(
    ("raw", "failure", "code"),
    [
        (http("200 OK", b"<html>"), F.UNKNOWN, "unreadable_body"),
        (http("200 OK", b"[]"), F.UNKNOWN, "unreadable_body"),
        (http("200 OK", b"{}"), F.UNKNOWN, "unreadable_body"),
        (http("302 Found", b""), F.UNKNOWN, "http_302"),
        (http("418 Teapot", b"{}"), F.UNKNOWN, "http_418"),
        (http("400 Bad", b'{"error": {"code": "new", "reason": "new"}}'), F.UNKNOWN, "new"),
        (http("400 Bad", b'{"error": "text"}'), F.UNKNOWN, "http_400"),
        (http("502 Bad Gateway", b"<html>"), F.UNKNOWN, "http_502"),
        (http("503 Unavailable", b"<html>"), F.UNKNOWN, "http_503"),
        (http("429 Slow Down", b"<html>"), F.REJECTED_TRANSIENT, "http_429"),
        (http("403 Forbidden", b""), F.CONFIG, "http_403"),
        (b"nonsense\r\n\r\n", F.UNKNOWN, "connection_lost"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", F.UNKNOWN, "connection_lost"),
    ],
)
async def test_answers_of_no_known_form(
    replies: dict[str, bytes],
    client: httpx.AsyncClient,
    name: str,
    raw: bytes,
    failure: FailureClass,
    code: str,
) -> None:
    replies["raw"] = raw
    result = await authorise_at(replies["url"].decode(), client, name)
    assert (result.failure_class, result.failure_code) == (failure, code)
    assert result.state is (PaymentState.UNKNOWN if failure is F.UNKNOWN else PaymentState.FAILED)


async def test_another_amount_than_asked_is_unknown(
    replies: dict[str, bytes], client: httpx.AsyncClient
) -> None:
    body = (
        b'{"id":"pay_1","status":"authorised","amount":1,"currency":"INR","captured":0,'
        b'"refunded":0,"merchant_ref":"att","updated":1}'
    )
    replies["raw"] = http("200 OK", body)
    result = await authorise_at(replies["url"].decode(), client, "alphapay")
    assert (result.failure_class, result.failure_code) == (F.UNKNOWN, "amount_mismatch")


@BOTH
async def test_nobody_listens(client: httpx.AsyncClient, name: str) -> None:
    result = await authorise_at(f"http://127.0.0.1:{free_port()}", client, name)
    assert (result.failure_class, result.failure_code) == (F.NOT_SENT, "connect_failed")
    assert result.state is PaymentState.FAILED


@BOTH
async def test_no_connection_in_time(client: httpx.AsyncClient, name: str) -> None:
    with socket.socket() as deaf:
        # A full backlog: further connections get no answer from the kernel.
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        result = await authorise_at(f"http://127.0.0.1:{address[1]}", client, name)
        for filler in fillers:
            filler.close()
    assert (result.failure_class, result.failure_code) == (F.NOT_SENT, "connect_timeout")


@BOTH
@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://"])
async def test_an_address_that_is_none(client: httpx.AsyncClient, name: str, url: str) -> None:
    result = await authorise_at(url, client, name)
    assert (result.failure_class, result.failure_code) == (F.CONFIG, "bad_address")


async def test_a_key_under_other_parameters_is_unknown_at_alphapay(
    psps: Psps, ref: str, key: str
) -> None:
    await psps["alphapay"].authorise(request_for(ref), key=key)
    result = await psps["alphapay"].authorise(request_for(ref, "tok_3ds"), key=key)
    assert (result.failure_class, result.failure_code) == (F.UNKNOWN, "idempotency_mismatch")


async def test_a_key_in_flight_at_alphapay(
    psps: Psps, servers: Servers, ref: str, key: str
) -> None:
    rule = {"operation": "authorise", "merchant_ref": ref, "fault": "slow"}
    await servers["alphapay"].faults(slow_ms=400, rules=[rule])
    first = asyncio.create_task(psps["alphapay"].authorise(request_for(ref), key=key))
    await asyncio.sleep(0.15)
    second = await psps["alphapay"].authorise(request_for(ref), key=key)
    assert second.failure_class is F.IN_PROGRESS
    assert second.state is PaymentState.UNKNOWN
    assert (await first).state is PaymentState.AUTHORISED


def test_every_code_that_the_sandbox_speaks_has_a_class() -> None:
    alpha = {code for code, _ in alphapay_sandbox.ERRORS.values()}
    alpha |= set(alphapay_sandbox.REFUSALS) - {"internal_error"}
    beta = {words.reason for words in betapay_words.ERRORS.values()}
    beta |= {words.reason for words in betapay_words.REFUSALS.values()} - {"server_error"}
    assert alpha | {"invalid_request"} == set(alphapay_adapter.CODES)
    assert beta | {"invalid_field"} == set(betapay_adapter.REASONS)
