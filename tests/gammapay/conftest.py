"""A market in which gammapay is the only PSP, and its webhooks arrive at the real edge."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest_asyncio

from activities.payments.psp.gammapay import GammaPay
from api import ApiConfig, RateLimits, create_app
from db import migrate
from db.session import Database
from tests.integration.checkout.hooks import Hooks
from tests.integration.checkout.market import Life, Market
from tests.integration.checkout.orders import TIMINGS
from tests.integration.db import postgres, shop, valkey
from tests.sandbox.harness import API_KEY, SECRET, Sandbox
from tests.support.temporal import dev_server
from workers.config import ProviderConfig, WorkerConfig
from workers.main import run_activities, run_workflows
from workers.relay import run_relay

PSP = "gammapay"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def market() -> AsyncIterator[Market]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        cache = stack.enter_context(valkey.running())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sagakart-psp-")))
        await migrate.upgrade(server.url())
        db = Database(server.url(), pool_size=5)
        stack.push_async_callback(db.close)
        await shop.open_shop(db)
        client = await stack.enter_async_context(dev_server())
        hooks = await Hooks().open()
        stack.push_async_callback(hooks.close)
        box = Sandbox(PSP, folder, webhook_url=hooks.url(PSP))
        await asyncio.to_thread(box.start)
        stack.callback(box.kill)
        config = WorkerConfig(
            temporal_address=client.service_client.config.target_host,
            namespace=client.namespace,
            postgres_url=server.url(),
            redis_url=cache.url,
            providers={
                PSP: ProviderConfig(url=box.url, key=API_KEY, webhook_secrets=(SECRET,)),
            },
            timings=TIMINGS,
            sandboxed=True,
            sweep_every=3600,
        )
        hooks.edge = await stack.enter_async_context(_edge(config))
        for part in (run_workflows, run_activities, run_relay):
            await stack.enter_async_context(_living(part, config))
        yield Market(db, client, server, {PSP: box}, {}, hooks, config)


@asynccontextmanager
async def _living(part: object, config: WorkerConfig) -> AsyncIterator[None]:
    """One worker or relay, in this process."""
    life = Life()
    assert callable(part)
    task = asyncio.create_task(part(config, life))
    up = asyncio.create_task(life.up.wait())
    done, _ = await asyncio.wait([task, up], return_when=asyncio.FIRST_COMPLETED)
    for ended in done - {up}:
        await ended
    try:
        yield
    finally:
        life.stop.set()
        await task


@asynccontextmanager
async def _edge(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        ApiConfig(
            postgres_url=config.postgres_url,
            redis_url=config.redis_url,
            temporal_address=config.temporal_address,
            namespace=config.namespace,
            jwt_secret="a-secret-of-the-tests-that-is-long-enough",
            webhooks={PSP: partial(GammaPay.webhook, secrets=(SECRET,))},
            limits=RateLimits.relaxed(1000),
        )
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://edge") as http,
    ):
        yield http
