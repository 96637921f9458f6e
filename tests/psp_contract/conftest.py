"""Every PSP of the sandbox as a real server, and its adapter: who has a row is held to the rest."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from activities.payments.psp import PSP, Adapter, PaymentRequest, PaymentResult, psp_client
from activities.payments.registry import PROVIDERS, SANDBOX
from domain.money import Money
from domain.payments import PaymentMethod
from tests.sandbox.harness import API_KEY, SECRET, Sandbox, Shop

AMOUNT = Money(2_499_00)
# The method that each test uses where it does not matter: the first of these that the PSP has.
_PREFERRED = (PaymentMethod.CARD, PaymentMethod.WALLET, PaymentMethod.NETBANKING)
_READ_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Subject:
    """A PSP under test: its adapter, its server, and where its webhooks go."""

    name: str
    psp: PSP
    server: Sandbox
    shop: Shop
    client: httpx.AsyncClient

    @property
    def method(self) -> PaymentMethod:
        return next(one for one in _PREFERRED if one in self.psp.caps.methods)

    @property
    def at_once(self) -> bool:
        """Whether its usual method has no separate capture."""
        return self.method in self.psp.caps.captures_at_once

    def adapter(self, api_key: str = API_KEY, url: str = "") -> PSP:
        """Another instance of the adapter."""
        made: type[Adapter] = PROVIDERS[self.name].load()
        at = url or self.server.url
        return made(self.client, base_url=at, api_key=api_key, secrets=[SECRET])

    def request(
        self,
        ref: str,
        instrument: str = "tok_ok",
        method: PaymentMethod | None = None,
        *,
        challenge: bool = False,
    ) -> PaymentRequest:
        return PaymentRequest(
            merchant_ref=ref,
            amount=AMOUNT,
            method=method or self.method,
            instrument=instrument,
            expires_in_s=300,
            challenge=challenge,
        )

    async def pay(self, ref: str, key: str, instrument: str = "tok_ok") -> PaymentResult:
        """Authorise under our reference."""
        return await self.psp.authorise(self.request(ref, instrument), key=key)

    async def taken(self, ref: str, key: str) -> str:
        """Have money taken; returns the PSP's reference."""
        held = await self.pay(ref, key)
        assert held.ref is not None
        taken = await self.psp.capture(held.ref, AMOUNT, key=f"{key}-c")
        assert taken.failure_class is None
        return held.ref

    async def fault(self, operation: str, ref: str, fault: str, **settings: Any) -> None:
        """Have the next call of an operation on a payment meet a fault."""
        rule = {"operation": operation, "merchant_ref": ref, "fault": fault}
        await self.server.faults(rules=[rule], **settings)

    async def books(self, ref: str) -> list[tuple[int, int]]:
        """What its own books have under a reference of ours: captured and refunded, in paise."""
        return [(row["captured"], row["refunded"]) for row in await self.server.books(ref)]


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[Shop]:
    shop = await Shop().open()
    yield shop
    await shop.close()


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with psp_client(read_timeout_s=_READ_TIMEOUT_S) as client:
        yield client


@pytest.fixture(scope="session", params=SANDBOX)
def subject(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shop: Shop,
    client: httpx.AsyncClient,
) -> Iterator[Subject]:
    name: str = request.param
    server = Sandbox(name, tmp_path_factory.mktemp(name), shop.url).start()
    adapter: type[Adapter] = PROVIDERS[name].load()
    psp = adapter(client, base_url=server.url, api_key=API_KEY, secrets=[SECRET])
    yield Subject(name, psp, server, shop, client)
    server.stop()


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses."""
    return f"att_{uuid.uuid4().hex}"


@pytest.fixture
def key() -> str:
    """An idempotency key that no other test uses."""
    return str(uuid.uuid4())
