"""Every carrier as a real server of the sandbox, and its adapter, held to the same assertions."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.shipping.carriers import (
    Adapter,
    Address,
    Booking,
    BookingState,
    Carrier,
    Parcel,
    carrier_client,
)
from activities.shipping.registry import CARRIERS
from domain.money import Money
from domain.scans import Scan
from tests.sandbox.harness import API_KEY, SECRET, Received, Sandbox, Shop

READ_TIMEOUT_S = 1.0
DAY_MS = 100
_HUB = Address(
    name="SagaKart",
    phone="9000000001",
    line="Plot 5, Bommasandra",
    city="Bengaluru",
    state="Karnataka",
    pincode="560099",
)
_HOME = Address(
    name="A Customer",
    phone="9000000002",
    line="12 & 13, Lake Road",
    city="Pune",
    state="Maharashtra",
    pincode="411001",
    email="a.customer@example.com",
)


def days_ahead(days: int) -> date:
    """An Indian day."""
    return (datetime.now(UTC) + timedelta(days=days, hours=5, minutes=30)).date()


@dataclass(frozen=True)
class Subject:
    """A carrier under test: its adapter, its server, and where its webhooks go."""

    name: str
    carrier: Carrier
    server: Sandbox
    shop: Shop
    client: httpx.AsyncClient

    def adapter(self, api_key: str = API_KEY, url: str = "") -> Carrier:
        """Another instance of the adapter."""
        made: type[Adapter] = CARRIERS[self.name].load()
        at = url or self.server.url
        return made(self.client, base_url=at, api_key=api_key, secrets=[SECRET])

    def parcel(self, ref: str, *, cash: int = 0) -> Parcel:
        """A parcel from a warehouse of its own, so that no other is fetched with it."""
        return Parcel(
            merchant_ref=ref,
            origin=replace(_HUB, site=f"hub-{ref}"),
            destination=_HOME,
            grams=740,
            length_mm=300,
            breadth_mm=205,
            height_mm=90,
            value=Money(2_499_50),
            collect=Money(cash),
            contents="1 kettle; 2 cups",
            ordered_at=datetime(2026, 11, 20, 6, 30, tzinfo=UTC),
        )

    async def awb(self) -> str | None:
        """An AWB beforehand, where the carrier has such a thing."""
        reserved = await self.carrier.reserve()
        assert reserved.failure_class is None
        assert (reserved.awb is not None) is self.carrier.caps.reserves
        return reserved.awb

    async def booked(self, ref: str, *, cash: int = 0) -> Booking:
        """A parcel booked without trouble."""
        parcel = self.parcel(ref, cash=cash)
        told = await self.carrier.book(parcel, key="k", awb=await self.awb())
        assert (told.state, told.failure_class) == (BookingState.BOOKED, None)
        assert told.awb
        return told

    async def fetched_back(self, ref: str) -> Booking:
        """A reverse pickup booked without trouble."""
        there = self.parcel(ref)
        parcel = replace(there, origin=there.destination, destination=there.origin)
        told = await self.carrier.reverse(parcel, key="k", awb=await self.awb())
        assert (told.state, told.failure_class) == (BookingState.BOOKED, None)
        return told

    async def asked(self, booking: Booking, ref: str) -> None:
        """Have it fetched."""
        on = days_ahead(1)
        deed = await self.carrier.pickup(booking, f"hub-{ref}", on, key="k")
        assert deed.failure_class is None

    async def lives(self, ref: str, *steps: tuple[float, str] | tuple[float, str, str]) -> None:
        """Give a parcel its lifecycle, in days after its pickup is asked for."""
        await self._control("lifecycle", {"merchant_ref": ref, "steps": steps})

    async def scan(self, ref: str, step: str, reason: str | None = None) -> None:
        """Have a parcel scanned now."""
        told = await self._control("scan", {"merchant_ref": ref, "step": step, "reason": reason})
        assert told == {"scanned": 1}

    async def fault(self, operation: str, ref: str | None, fault: str, **settings: Any) -> None:
        """Have the next call of an operation on a parcel meet a fault."""
        rule = {"operation": operation, "merchant_ref": ref, "fault": fault}
        await self.server.faults(rules=[rule], **settings)

    async def books(self, ref: str) -> list[dict[str, Any]]:
        """What the carrier's own books have under a reference of ours."""
        async with self.server.client() as client:
            answer = await client.get("/_sandbox/books", params={"merchant_ref": ref})
        found: list[dict[str, Any]] = answer.json()["parcels"]
        return found

    async def _control(self, what: str, body: dict[str, Any]) -> Any:
        async with self.server.client() as client:
            answer = await client.post(f"/_sandbox/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(
        self, ref: str, step: str, *, times: int = 1, within_s: float = 20
    ) -> list[dict[str, Any]]:
        """The books under a reference, once a step was said of its parcel."""
        deadline = time.monotonic() + within_s
        while (rows := await self.books(ref))[0]["steps"].count(step) < times:
            assert time.monotonic() < deadline, rows
            await asyncio.sleep(0.03)
        return rows

    async def scans(self, booking: Booking) -> tuple[Scan, ...]:
        """What the carrier shows of a parcel."""
        assert booking.awb
        told = await self.carrier.track(booking.awb)
        assert told.failure_class is None
        return told.scans

    def read(self, one: Received, *secrets: str) -> list[Scan]:
        """A webhook, as the adapter's class reads it."""
        webhook = CARRIERS[self.name].load().webhook
        return webhook(one.body, one.headers, datetime.now(UTC), secrets or (SECRET,))

    async def told(
        self, ref: str, enough: Callable[[list[Received]], bool], within_s: float = 6
    ) -> list[Received]:
        """The webhooks about a reference, once they are enough."""
        return await self.shop.until(ref, enough, within_s)


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[Shop]:
    shop = await Shop().open()
    yield shop
    await shop.close()


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with carrier_client(read_timeout_s=READ_TIMEOUT_S) as client:
        yield client


def served(
    name: str, factory: pytest.TempPathFactory, shop: Shop, client: httpx.AsyncClient
) -> Iterator[Subject]:
    server = Sandbox(name, factory.mktemp(name), shop.url).start()
    made: type[Adapter] = CARRIERS[name].load()
    carrier = made(client, base_url=server.url, api_key=API_KEY, secrets=[SECRET])
    httpx.post(f"{server.url}/_sandbox/time", json={"day_ms": DAY_MS}, trust_env=False)
    yield Subject(name, carrier, server, shop, client)
    server.stop()


@pytest.fixture(scope="session", params=sorted(CARRIERS))
def subject(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shop: Shop,
    client: httpx.AsyncClient,
) -> Iterator[Subject]:
    yield from served(request.param, tmp_path_factory, shop, client)


@pytest.fixture(scope="session")
def shiprocket(
    tmp_path_factory: pytest.TempPathFactory, shop: Shop, client: httpx.AsyncClient
) -> Iterator[Subject]:
    yield from served("shiprocket", tmp_path_factory, shop, client)


@pytest.fixture(scope="session")
def delhivery(
    tmp_path_factory: pytest.TempPathFactory, shop: Shop, client: httpx.AsyncClient
) -> Iterator[Subject]:
    yield from served("delhivery", tmp_path_factory, shop, client)


@pytest.fixture
def ref() -> str:
    """A merchant reference that no other test uses."""
    return f"shp-{uuid.uuid4().hex}"
