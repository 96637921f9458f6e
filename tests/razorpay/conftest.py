"""The simulator as a real server, the adapter to it, and a customer who pays by link."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from activities.payments.psp import PaymentRequest, PaymentResult, psp_client
from activities.payments.psp.razorpay import Razorpay
from domain.money import Money
from domain.payments import PaymentMethod
from tests.sandbox.harness import API_KEY, SECRET, Sandbox, Shop

AMOUNT = Money(2_499_00)
SAVED = "cust_1:token_ok"


def request_for(
    ref: str,
    instrument: str = SAVED,
    method: PaymentMethod = PaymentMethod.CARD,
    *,
    challenge: bool = False,
    amount: Money = AMOUNT,
) -> PaymentRequest:
    return PaymentRequest(
        merchant_ref=ref,
        amount=amount,
        method=method,
        instrument=instrument,
        expires_in_s=300,
        challenge=challenge,
    )


@dataclass(frozen=True)
class Desk:
    """The adapter and its server, with what the tests ask of them again and again."""

    psp: Razorpay
    server: Sandbox

    async def held(self, ref: str, instrument: str = SAVED) -> str:
        """Charge a saved card; the payment that holds the money."""
        told = await self.psp.authorise(request_for(ref, instrument), key="not sent")
        assert told.ref is not None, told
        return told.ref

    async def taken(self, ref: str) -> str:
        """The same, captured."""
        held = await self.held(ref)
        assert (await self.psp.capture(held, AMOUNT, key="not sent")).captured == AMOUNT.paise
        return held

    async def link(
        self, ref: str, method: PaymentMethod = PaymentMethod.UPI_INTENT
    ) -> PaymentResult:
        """Open a payment link."""
        return await self.psp.authorise(request_for(ref, "", method), key="not sent")

    async def customer(self, asked: PaymentResult | str, choice: str) -> httpx.Response:
        """A customer on the page of a link."""
        link = asked if isinstance(asked, str) else asked.ref
        async with httpx.AsyncClient(base_url=self.server.url, trust_env=False) as browser:
            return await browser.post(f"/l/{link}/{choice}")

    async def lapse(self, payment: str) -> None:
        """The end of the time to capture."""
        async with self.server.client() as client:
            answer = await client.post(f"/_sandbox/lapse/{payment}")
        assert answer.status_code == 200, answer.text

    async def fault(self, operation: str, ref: str, fault: str, **given: Any) -> None:
        """A fault for the next call of a kind; `instrument` narrows it to one request of it."""
        rule = {"operation": operation, "merchant_ref": ref, "fault": fault, **given}
        await self.server.faults(slow_ms=1300, rules=[rule])

    async def totals(self, ref: str) -> list[tuple[int, int, int]]:
        """Authorised, captured and refunded of each payment in the simulator's own books."""
        rows = await self.server.books(ref)
        return [(row["authorised"], row["captured"], row["refunded"]) for row in rows]


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[Shop]:
    shop = await Shop().open()
    yield shop
    await shop.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Sandbox]:
    started = Sandbox("razorpay", tmp_path_factory.mktemp("razorpay"), shop.url).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with psp_client(read_timeout_s=1.0) as client:
        yield client


@pytest.fixture(scope="session")
def desk(server: Sandbox, client: httpx.AsyncClient) -> Desk:
    psp = Razorpay(client, base_url=server.url, api_key=API_KEY, secrets=[SECRET])
    return Desk(psp, server)


@pytest.fixture(autouse=True)
async def no_faults_left(server: Sandbox) -> AsyncIterator[None]:
    yield
    await server.faults()


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses, of the length of an attempt's id."""
    return f"att{uuid.uuid4().hex[:24]}-1"


@pytest.fixture
def key() -> str:
    """An idempotency key that no other test uses."""
    return str(uuid.uuid4())
