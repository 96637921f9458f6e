"""Whatever a carrier's server, or a gateway before it, answers: a value, and never a wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import orjson
import pytest

from activities.shipping.carriers import (
    Address,
    Booking,
    BookingState,
    Carrier,
    DeedState,
    NdrAction,
    NdrKind,
    Parcel,
)
from activities.shipping.registry import CARRIERS
from domain.money import Money
from domain.payments import FailureClass
from tests.carriers.conftest import days_ahead
from tests.sandbox.harness import API_KEY

_AT = Address(name="n", phone="9", line="l", city="c", state="s", pincode="560099", site="hub")
_PARCEL = Parcel(
    merchant_ref="shp",
    origin=_AT,
    destination=_AT,
    grams=500,
    length_mm=1,
    breadth_mm=1,
    height_mm=1,
    value=Money(1_00),
    collect=Money(0),
    contents="x",
    ordered_at=datetime(2026, 1, 1, tzinfo=UTC),
)
_BOOKED = Booking(state=BookingState.BOOKED, merchant_ref="shp", awb="1", ref="7:8")
BODIES: list[object] = [
    {},
    [],
    None,
    "text",
    7,
    {"success": True},
    {"success": True, "packages": []},
    {"success": True, "packages": [{"status": "Success", "waybill": "another"}]},
    {"packages": [7], "ShipmentData": [7], "delivery_codes": [{}], "items": [7], "data": [7]},
    {"ShipmentData": [{"Shipment": {}}], "data": {"available_courier_companies": [{}]}},
    {"status": True, "awb": 7, "reference": 7, "rates": [{"days": "x", "paise": "y"}]},
    {"order_id": "x", "shipment_id": "y", "awb_assign_status": 1, "response": []},
    {"order_id": 7, "shipment_id": 8, "awb_assign_status": 1, "response": {"data": {}}},
    {"tracking_data": {"shipment_track_activities": [7], "is_return": False}, "scans": [{}]},
    {"request_id": 7, "success_wbns": None, "failed_wbns": [{}], "value": [{}]},
    {"status": 200, "data": {"available_courier_companies": [{"rate": "x"}]}},
    {"errors": {"order_id": []}, "message": None, "error": {"code": 7}},
    {"errors": [], "error": None, "Error": 7, "rmk": {}},
]


@pytest.fixture(params=sorted(CARRIERS))
async def answering(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[[int, object], Carrier]]:
    """A carrier whose server answers every call but the login with one status and body."""
    clients: list[httpx.AsyncClient] = []

    def made(status: int, body: object) -> Carrier:
        async def answer(asked: httpx.Request) -> httpx.Response:
            if asked.url.path.endswith("/auth/login"):
                return httpx.Response(200, json={"token": "t"})
            return httpx.Response(status, content=orjson.dumps(body))

        clients.append(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
        adapter = CARRIERS[request.param].load()
        return adapter(clients[-1], base_url="http://odd", api_key=API_KEY, secrets=[])

    yield made
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize("status", [200, 202, 400, 404, 422, 500, 503])
async def test_a_booking_is_never_made_up(
    answering: Callable[[int, object], Carrier], status: int
) -> None:
    for body in BODIES:
        carrier = answering(status, body)
        for told in (
            await carrier.book(_PARCEL, key="k", awb="1"),
            await carrier.reverse(_PARCEL, key="k", awb="1"),
            await carrier.find(merchant_ref="shp"),
        ):
            assert (told.state, told.failure_class) == (
                BookingState.UNKNOWN,
                FailureClass.UNKNOWN,
            ), (status, body)
            assert told.awb is None


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
async def test_a_deed_is_never_made_up(
    answering: Callable[[int, object], Carrier], status: int
) -> None:
    for body in BODIES:
        for told in await _deeds(answering(status, body)):
            assert (told, body) == (DeedState.UNKNOWN, body)


async def test_a_success_is_read_without_stumbling(
    answering: Callable[[int, object], Carrier],
) -> None:
    for body in BODIES:
        assert set(await _deeds(answering(200, body))) <= {
            DeedState.UNKNOWN,
            DeedState.REFUSED,
            DeedState.DONE,
            DeedState.PENDING,
        }


async def test_what_cannot_be_read_is_no_empty_answer(
    answering: Callable[[int, object], Carrier],
) -> None:
    for body in BODIES:
        carrier = answering(200, body)
        tracked = await carrier.track("1")
        offered = await carrier.serviceable("560099", "411001", cod=False, grams=1)
        assert (tracked.scans, tracked.failure_class) == ((), FailureClass.UNKNOWN), body
        assert offered.offers == (), body


async def _deeds(carrier: Carrier) -> list[DeedState]:
    told = [
        await carrier.pickup(_BOOKED, "hub", days_ahead(1), key="k"),
        await carrier.cancel(_BOOKED, key="k"),
        await carrier.ndr_action("1", NdrAction(kind=NdrKind.REATTEMPT), key="k"),
        await carrier.ndr_action("1", NdrAction(kind=NdrKind.RETURN), key="k"),
    ]
    if carrier.caps.later_actions:
        told.append(await carrier.action("UPL1"))
    return [deed.state for deed in told]
