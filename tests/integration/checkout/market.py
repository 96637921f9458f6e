"""Everything a checkout needs, for real: stores, Temporal, both PSPs, both workers, the edge."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from activities.payments.registry import PROVIDERS
from api import ApiConfig, RateLimits, create_app
from db import migrate, models
from db.ids import stable_ulid
from db.repositories import users
from db.session import Database
from db.vocabulary import OfferKind
from domain.gst import TaxClass
from tests.integration.checkout.books import PRICE, SHELF
from tests.integration.checkout.hooks import Hooks
from tests.integration.checkout.orders import PSPS, TIMINGS, Order
from tests.integration.checkout.wire import Wire
from tests.integration.db import postgres, shop, valkey
from tests.sandbox.harness import API_KEY, SECRET, Sandbox
from tests.support.temporal import dev_server
from workers.config import ProviderConfig, WorkerConfig
from workers.main import run_activities, run_workflows
from workers.relay import run_relay

# A call that a test holds up must not be given up while a busy machine is slow to let it go.
_READ_TIMEOUT_S = 8.0
_THEN = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
# Every webhook comes twice, in every test: that must never show.
_DOUBLED = {"operation": "webhook", "fault": "doubled", "times": 1_000_000}


@dataclass
class Life:
    """A worker's life, as `workers.config.Lifetime`."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self) -> None:
        self.up.set()


@dataclass
class Market:
    """The running servers, and where tests get goods and orders of their own."""

    db: Database
    client: Client
    postgres: postgres.Server
    psps: Mapping[str, Sandbox]
    wires: Mapping[str, Wire]
    hooks: Hooks
    config: WorkerConfig
    orders: dict[str, Order] = field(default_factory=dict)

    async def goods(self, name: str, *, price: int = PRICE, **units: int) -> str:
        """Put a SKU on sale: `goods("last", blr=1)` has one unit, in Bengaluru."""
        sku = f"S-{name}"
        async with self.db.unit_of_work() as session:
            session.add(models.Product(
                id=f"p-{name}", external_id=sku, seller_id="seller", category_id="things",
                title=name, brand=None, tax_class=TaxClass.STANDARD, hsn="8516",
            ))  # fmt: skip
            await session.flush()
            session.add(models.Variant(
                sku=sku, product_id=f"p-{name}", mrp_paise=price * 2, grams=500
            ))  # fmt: skip
            await session.flush()
            session.add(models.Listing(
                id=f"l-{name}", sku=sku, seller_id="seller", price_paise=price
            ))  # fmt: skip
        await shop.stock_up(self.db, sku, **units)
        return sku

    async def offer(
        self,
        code: str,
        *,
        off_paise: int,
        from_paise: int = 0,
        days: tuple[int, int] = (-1, 1),
    ) -> None:
        """Put a coupon out: so much off orders of at least so much, between two days from now."""
        now = datetime.now(UTC)
        async with self.db.unit_of_work() as session:
            session.add(models.Offer(
                id=f"o-{code}", code=code, kind=OfferKind.FLAT, value=off_paise,
                min_order_paise=from_paise, max_discount_paise=None,
                active_from=now + timedelta(days[0]), active_to=now + timedelta(days[1]),
            ))  # fmt: skip

    async def order(
        self, name: str, *, first: str = PSPS[0], sku: str = "", price: int = PRICE
    ) -> Order:
        """An order not yet placed: a customer of its own, five units of a SKU of its own.

        Its id follows from the name, and is one that asks `first` before the other PSP.
        """
        assert name not in self.orders, f"two orders are called {name}"
        async with self.db.unit_of_work() as session:
            await users.add(session, users.NewUser(
                id=f"u-{name}", email=f"{name}@example.in", phone=None, name="Meera",
                password_hash="argon2…",
            ))  # fmt: skip
            await users.add_address(session, users.NewAddress(
                id=f"a-{name}", user_id=f"u-{name}", name="Meera", line1="1 Brigade Road",
                line2="", city="Bengaluru", state_code="29", pincode="560001", phone="9800000001",
            ))  # fmt: skip
        sku = sku or await self.goods(name, price=price, blr=SHELF)
        order = Order(self, name, _order_id(name, PSPS.index(first)), sku, first)
        self.orders[name] = order
        return order


def _order_id(name: str, place: int) -> str:
    """The first id made from the name whose even share falls on that place of the route."""
    ids = (stable_ulid(_THEN, name, str(number)) for number in count())
    return next(
        one for one in ids if int.from_bytes(sha256(one.encode()).digest()[:4]) % len(PSPS) == place
    )


@asynccontextmanager
async def open_market() -> AsyncIterator[Market]:
    """Start everything on free ports of 127.0.0.1; leave nothing behind."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        cache = stack.enter_context(valkey.running())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sagakart-psp-")))
        await migrate.upgrade(server.url())
        db = Database(server.url(), pool_size=10)
        stack.push_async_callback(db.close)
        await shop.open_shop(db)
        client = await stack.enter_async_context(dev_server())
        hooks = await Hooks().open()
        stack.push_async_callback(hooks.close)
        psps, wires = {}, {}
        for psp in PSPS:
            box = Sandbox(psp, folder / psp, webhook_url=hooks.url(psp))
            psps[psp] = await asyncio.to_thread(box.start)
            stack.callback(box.kill)
            await box.faults(rules=[_DOUBLED], late_ms=[4000, 4500])
            wires[psp] = await Wire(psp, box.port).open()
            stack.push_async_callback(wires[psp].close)
        config = _worker_config(client, server, cache, wires)
        hooks.edge = await stack.enter_async_context(_edge(config))
        await stack.enter_async_context(_working(config))
        yield Market(db, client, server, psps, wires, hooks, config)


def _worker_config(
    client: Client, server: postgres.Server, cache: valkey.Server, wires: Mapping[str, Wire]
) -> WorkerConfig:
    providers = {
        psp: ProviderConfig(
            url=wire.url, key=API_KEY, webhook_secrets=(SECRET,), patience_s=_READ_TIMEOUT_S
        )
        for psp, wire in wires.items()
    }
    return WorkerConfig(
        temporal_address=client.service_client.config.target_host,
        namespace=client.namespace,
        postgres_url=server.url(),
        redis_url=cache.url,
        providers=providers,
        timings=TIMINGS,
        sandboxed=True,
        # the sweep has a test of its own
        sweep_every=3600,
    )


@asynccontextmanager
async def _working(config: WorkerConfig) -> AsyncIterator[None]:
    """Both workers and the relay, in this process."""
    lives = [Life(), Life(), Life()]
    parts: list[Any] = [run_workflows, run_activities, run_relay]
    tasks = [asyncio.create_task(run(config, life)) for run, life in zip(parts, lives, strict=True)]
    ready = asyncio.gather(*(life.up.wait() for life in lives))
    done, _ = await asyncio.wait([ready, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {ready}:
        await task
    try:
        yield
    finally:
        for life in lives:
            life.stop.set()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def _edge(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    """The edge, for the PSPs' webhooks."""
    app = create_app(
        ApiConfig(
            postgres_url=config.postgres_url,
            redis_url=config.redis_url,
            temporal_address=config.temporal_address,
            namespace=config.namespace,
            jwt_secret="a-secret-of-the-tests-that-is-long-enough",
            webhooks={
                psp: partial(PROVIDERS[psp].load().webhook, secrets=(SECRET,)) for psp in PSPS
            },
            limits=RateLimits.relaxed(1000),
        )
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://edge") as http,
    ):
        yield http
