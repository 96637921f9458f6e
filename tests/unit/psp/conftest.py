"""Both PSPs as real servers, and the adapters to them."""

import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from activities.payments.psp import PSP, Adapter, AlphaPay, BetaPay, PaymentRequest, psp_client
from domain.money import Money
from domain.payments import PaymentMethod
from tests.sandbox.harness import API_KEY, SECRET, Sandbox


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sandbox]]:
    started = {
        psp: Sandbox(psp, tmp_path_factory.mktemp(psp)).start() for psp in ("alphapay", "betapay")
    }
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with psp_client(read_timeout_s=1.0) as client:
        yield client


@pytest.fixture(scope="session")
def psps(servers: dict[str, Sandbox], client: httpx.AsyncClient) -> dict[str, PSP]:
    adapters: dict[str, type[Adapter]] = {"alphapay": AlphaPay, "betapay": BetaPay}
    return {
        name: adapters[name](client, base_url=server.url, api_key=API_KEY, secrets=[SECRET])
        for name, server in servers.items()
    }


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses."""
    return f"att_{uuid.uuid4().hex}"


@pytest.fixture
def key() -> str:
    """An idempotency key that no other test uses."""
    return str(uuid.uuid4())


def request_for(
    ref: str,
    instrument: str = "tok_ok",
    method: PaymentMethod = PaymentMethod.CARD,
    *,
    challenge: bool = False,
) -> PaymentRequest:
    return PaymentRequest(
        merchant_ref=ref,
        amount=Money(2_499_00),
        method=method,
        instrument=instrument,
        expires_in_s=300,
        challenge=challenge,
    )
