"""The access token: got once, renewed in time, and never a reason to send a payment twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from activities.payments.psp import PaymentRequest, psp_client
from activities.payments.psp import oauth as module
from activities.payments.psp.gammapay import GammaPay
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from tests.sandbox.harness import API_KEY, SECRET, Sandbox

F = FailureClass
REQUEST = PaymentRequest(
    merchant_ref="att_1",
    amount=Money(599_00),
    method=PaymentMethod.WALLET,
    instrument="tok_ok",
    expires_in_s=300,
)
ORDER = {
    "payment_id": "pay_1", "order_id": "att_1", "state": "COMPLETED", "amount": 599_00,
    "currency": "INR", "paid": 599_00, "refunded": 0, "updated_ms": 1,
}  # fmt: skip


class Server:
    """gammapay as far as these tests need it; `tokens` and `calls` are what it was asked."""

    def __init__(self, *, lasts: Any = 600) -> None:
        self.tokens: list[dict[str, list[str]]] = []
        self.calls: list[tuple[str, str]] = []
        self.door: Callable[[], httpx.Response] | None = None
        self.lasts = lasts
        self.valid = ""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            self.tokens.append(parse_qs(request.content.decode()))
            if self.door is not None:
                return self.door()
            self.valid = f"token-{len(self.tokens)}"
            return httpx.Response(200, json={"access_token": self.valid, "expires_in": self.lasts})
        await asyncio.sleep(0.01)  # so that calls made at once meet
        given = request.headers["authorization"]
        self.calls.append((request.url.path, given))
        if given != f"Bearer {self.valid}":
            return httpx.Response(401, json={"error": {"code": "TOKEN_REFUSED"}})
        return httpx.Response(200, json=ORDER)

    def adapter(self, api_key: str = "id:secret") -> GammaPay:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return GammaPay(client, base_url="http://gamma", api_key=api_key, secrets=[])


async def test_one_token_for_many_calls() -> None:
    server = Server()
    psp = server.adapter()
    told = await asyncio.gather(*(psp.authorise(REQUEST, key="k") for _ in range(5)))
    assert {one.state for one in told} == {PaymentState.CAPTURED}
    assert server.tokens == [
        {
            "grant_type": ["client_credentials"],
            "client_id": ["id"],
            "client_secret": ["secret"],
        }
    ]
    assert server.calls == [("/v1/pay", "Bearer token-1")] * 5


async def test_a_key_alone_is_a_secret_of_the_client_gammapay() -> None:
    server = Server()
    await server.adapter("only-a-secret").authorise(REQUEST, key="k")
    assert server.tokens[0]["client_id"] == ["gammapay"]
    assert server.tokens[0]["client_secret"] == ["only-a-secret"]


async def test_it_is_renewed_shortly_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    server = Server(lasts=600)
    psp = server.adapter()
    for passed, tokens in ((0, 1), (539, 1), (1, 2), (539, 2), (1, 3)):
        now[0] += passed
        await psp.authorise(REQUEST, key="k")
        assert len(server.tokens) == tokens
    assert "Bearer token-3" in server.calls[-1]


async def test_a_refused_token_is_replaced_and_the_call_sent_once_more() -> None:
    server = Server()
    psp = server.adapter()
    await psp.authorise(REQUEST, key="k")
    server.valid = "another"
    told = await asyncio.gather(*(psp.authorise(REQUEST, key="k") for _ in range(5)))
    assert {one.failure_class for one in told} == {None}
    # five were refused and sent again, and only one of them went for the token
    assert server.calls.count(("/v1/pay", "Bearer token-1")) == 6
    assert server.calls.count(("/v1/pay", "Bearer token-2")) == 5
    assert len(server.tokens) == 2


async def test_who_refuses_the_new_token_too_is_not_asked_a_third_time() -> None:
    server = Server()
    server.door = lambda: httpx.Response(200, json={"access_token": "no", "expires_in": 600})
    told = await server.adapter().authorise(REQUEST, key="k")
    assert (told.state, told.failure_class) == (PaymentState.FAILED, F.CONFIG)
    assert told.failure_code == "TOKEN_REFUSED"
    assert (len(server.calls), len(server.tokens)) == (2, 2)


def _slow() -> httpx.Response:
    raise httpx.ReadTimeout("slow")


def _cut() -> httpx.Response:
    raise httpx.RemoteProtocolError("cut")


@pytest.mark.parametrize(
    ("door", "failure", "code"),
    [
        (_slow, F.NOT_SENT, "token/read_timeout"),
        (_cut, F.NOT_SENT, "token/connection_lost"),
        (lambda: httpx.Response(500), F.NOT_SENT, "token/http_500"),
        (lambda: httpx.Response(429), F.NOT_SENT, "token/http_429"),
        (lambda: httpx.Response(200, content=b"<html>"), F.NOT_SENT, "token/unreadable_body"),
        (lambda: httpx.Response(200, json={}), F.NOT_SENT, "token/unreadable_body"),
        (
            lambda: httpx.Response(200, json={"access_token": "t", "expires_in": "soon"}),
            F.NOT_SENT,
            "token/unreadable_body",
        ),
        (lambda: httpx.Response(400), F.CONFIG, "token/http_400"),
        (lambda: httpx.Response(401), F.CONFIG, "token/http_401"),
        (lambda: httpx.Response(403), F.CONFIG, "token/http_403"),
    ],
)
async def test_without_a_token_nothing_is_sent(
    door: Callable[[], httpx.Response], failure: FailureClass, code: str
) -> None:
    """Whatever became of the request for the token, the payment itself has not left."""
    server = Server()
    server.door = door
    psp = server.adapter()
    told = await psp.authorise(REQUEST, key="k")
    assert (told.state, told.failure_class) == (PaymentState.FAILED, failure)
    assert told.failure_code == code
    assert server.calls == []
    server.door = None
    assert (await psp.authorise(REQUEST, key="k")).failure_class is None


async def test_a_not_found_of_somebody_on_the_way_is_none() -> None:
    """A gateway's 404 about the address says nothing about the payment."""
    server = Server()
    psp = server.adapter()
    await psp.authorise(REQUEST, key="k")

    def lost(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, content=b"<html>no such page")

    client = httpx.AsyncClient(
        transport=httpx.MockTransport(
            lambda request: server(request) if "token" in request.url.path else lost(request)  # type: ignore[arg-type]
        )
    )
    psp = GammaPay(client, base_url="http://gamma", api_key="id:secret", secrets=[])
    for asked in ({"merchant_ref": "att_1"}, {"ref": "pay_1"}):
        told = await psp.find(**asked)
        assert (told.found, told.failure_class) == (True, F.UNKNOWN)
    assert (await psp.find_refund(key="k")).failure_class is F.UNKNOWN


async def test_a_restart_that_forgets_all_tokens(tmp_path: Path) -> None:
    box = Sandbox("gammapay", tmp_path).start()
    try:
        async with psp_client() as client:
            psp = GammaPay(client, base_url=box.url, api_key=API_KEY, secrets=[SECRET])
            first = await psp.authorise(REQUEST, key="k")
            box.kill()
            box.start()
            second = await psp.find(merchant_ref="att_1")
            again = await psp.authorise(REQUEST, key="k")
        assert (second.ref, again.ref) == (first.ref, first.ref)
        assert (await box.books("att_1"))[0]["captured"] == 599_00
    finally:
        box.stop()
