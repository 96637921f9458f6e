"""localstripe as a process, our proxy in front of it, and the adapter, as it is in production."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from activities.payments.psp import PaymentRequest, psp_client
from activities.payments.psp.stripe import Stripe
from domain.money import Money
from domain.payments import PaymentMethod
from tests.sandbox.harness import ROOT, free_port
from tests.stripe.events import OLD_SECRET, SECRET, Hooks
from tests.stripe.proxy import Proxy

API_KEY = "sk_test_0123456789"


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    log = tmp_path_factory.mktemp("localstripe") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stripe.upstream", str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "localstripe did not listen in 30 s"
        try:
            httpx.get(f"{url}/v1/payment_intents", auth=(API_KEY, ""), trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def hooks() -> Hooks:
    return Hooks(upstream_secret="whsec_upstream", secret=SECRET)


@pytest.fixture(scope="session")
async def proxy_of_all(localstripe: str, hooks: Hooks) -> AsyncIterator[Proxy]:
    proxy = await Proxy(upstream=localstripe, api_key=API_KEY, hooks=hooks).open()
    yield proxy
    await proxy.close()


@pytest.fixture
def proxy(proxy_of_all: Proxy) -> Iterator[Proxy]:
    """The proxy without faults and without calls; a fault that met nothing fails the test."""
    proxy_of_all.calls.clear()
    yield proxy_of_all
    left = {name: list(queue) for name, queue in proxy_of_all.faults.items() if queue}
    proxy_of_all.faults.clear()
    assert left == {}


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with psp_client(read_timeout_s=2.0) as client:
        yield client


@pytest.fixture
def stripe_psp(client: httpx.AsyncClient, proxy: Proxy) -> Stripe:
    """The adapter: nothing but its address differs from production."""
    return Stripe(client, base_url=proxy.url, api_key=API_KEY, secrets=[SECRET, OLD_SECRET])


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses."""
    return f"att_{uuid.uuid4().hex}"


@pytest.fixture
def key() -> str:
    """An idempotency key that no other test uses."""
    return str(uuid.uuid4())


@pytest.fixture
async def card(proxy: Proxy) -> str:
    """The token of a card that pays."""
    return await proxy.token()


def request_for(
    ref: str,
    instrument: str,
    *,
    challenge: bool = False,
    return_url: str | None = "https://shop.example/back",
) -> PaymentRequest:
    return PaymentRequest(
        merchant_ref=ref,
        amount=Money(2_499_00),
        method=PaymentMethod.CARD,
        instrument=instrument,
        expires_in_s=300,
        return_url=return_url,
        challenge=challenge,
    )
