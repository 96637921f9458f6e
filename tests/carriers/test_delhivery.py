"""What is particular to Delhivery: waybills beforehand, "Dispatched", actions done later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from activities.shipping.carriers import BookingState, DeedState, NdrAction, NdrKind
from activities.shipping.carriers.delhivery import Delhivery
from activities.shipping.carriers.delhivery_words import CLOSER, STATUSES, meaning
from domain.payments import FailureClass
from domain.scans import Scan
from domain.shipping import ShipmentState
from tests.carriers.conftest import Subject
from tests.sandbox.harness import API_KEY, SECRET

S = ShipmentState
TOKEN = API_KEY.partition(":")[2]


def read(kind: str, status: str, code: str, at: str = "2026-11-20T17:10:42.767") -> Scan:
    told = {"Status": status, "StatusDateTime": at, "StatusType": kind, "StatusLocation": "Pune"}
    shipment = {"Status": told, "NSLCode": code, "AWB": "555", "ReferenceNo": "shp"}
    raw, now = orjson.dumps({"Shipment": shipment}), datetime.now(UTC)
    headers = {"authorization": f"Token {SECRET}"}
    (scan,) = Delhivery.webhook(raw, headers, now, (SECRET,))
    return scan


def test_dispatched_means_two_things() -> None:
    assert read("UD", "Dispatched", "X-DDD3FD").status is S.OUT_FOR_DELIVERY
    assert read("RT", "Dispatched", "X-DDD3FD").status is S.RTO_OUT_FOR_DELIVERY


def test_the_two_dispatched_are_two_scans() -> None:
    """The same word, code and time: only the type keeps them apart."""
    out, back = read("UD", "Dispatched", "X-D"), read("RT", "Dispatched", "X-D")
    assert out.identity != back.identity


@pytest.mark.parametrize(
    ("kind", "status", "code", "state"),
    [
        ("DL", "Delivered", "EOD-38", S.DELIVERED),
        ("DL", "RTO", "RD-AC", S.RTO_DELIVERED),
        ("DL", "DTO", "RD-AC", S.DTO_DELIVERED),
        ("UD", "Pending", "X-PROM", S.IN_TRANSIT),
        ("UD", "Pending", "EOD-74", S.NDR),
        ("RT", "Pending", "EOD-74", S.RTO_IN_TRANSIT),
        ("UD", "Manifested", "X-UCI", S.BOOKED),
        ("UD", "Manifested", "FMPUR-101", S.PICKUP_SCHEDULED),
        ("UD", "In Transit", "X-PPOM", S.PICKED_UP),
        ("PU", "Dispatched", "", S.RVP_PICKED),
        ("PP", "Dispatched", "", S.RVP_SCHEDULED),
        ("DL", "Dispatched", "", S.UNMAPPED),
        ("UD", "Delivered", "", S.UNMAPPED),
    ],
)
def test_a_status_means_what_it_and_its_type_mean(
    kind: str, status: str, code: str, state: ShipmentState
) -> None:
    told = read(kind, status, code)
    assert (told.status, told.carrier_status_id) == (state, f"{kind}/{status}/{code}")


def test_every_closer_row_is_of_a_known_status() -> None:
    assert {row[:2] for row in CLOSER} <= set(STATUSES)
    assert all(meaning(*row) is not STATUSES[row[:2]] for row in CLOSER)


def test_its_times_are_indian() -> None:
    assert read("UD", "Pending", "").at == datetime(2026, 11, 20, 11, 40, 42, 767000, tzinfo=UTC)
    with_zone = read("UD", "Pending", "", "2026-11-20T17:10:42+00:00")
    assert with_zone.at == datetime(2026, 11, 20, 17, 10, 42, tzinfo=UTC)


async def created(subject: Subject, ref: str, waybill: str) -> dict[str, Any]:
    """A booking by hand, as a careless merchant sends it."""
    shipment = {"order": ref, "payment_mode": "Prepaid", "pin": "411001", "waybill": waybill}
    data = {"shipments": [shipment], "pickup_location": {"name": "hub"}}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{subject.server.url}/api/cmu/create.json",
            data={"format": "json", "data": orjson.dumps(data).decode()},
            headers={"authorization": f"Token {TOKEN}"},
        )
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_without_a_waybill_the_same_order_twice_is_two_parcels(
    delhivery: Subject, ref: str
) -> None:
    """Which is why the adapter does not book without one."""
    for _ in range(2):
        assert (await created(delhivery, ref, ""))["success"] is True
    assert len(await delhivery.books(ref)) == 2

    told = await delhivery.carrier.book(delhivery.parcel(f"{ref}-b"), key="k")
    assert (told.state, told.failure_class, told.failure_code) == (
        BookingState.REFUSED,
        FailureClass.INVALID_REQUEST,
        "waybill_needed",
    )
    assert await delhivery.books(f"{ref}-b") == []


async def test_a_failure_comes_with_status_200(delhivery: Subject, ref: str) -> None:
    told = await created(delhivery, ref, "12345")
    assert (told["success"], told["packages"][0]["status"]) == (False, "Fail")
    booked = await delhivery.carrier.book(delhivery.parcel(ref), key="k", awb="12345")
    assert (booked.state, booked.failure_code) == (BookingState.REFUSED, "Unknown waybill")
    assert await delhivery.books(ref) == []


async def test_a_remark_that_nobody_knows_proves_nothing(delhivery: Subject, ref: str) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        package = {"status": "Fail", "waybill": "1", "remarks": ["Crashing while saving"]}
        return httpx.Response(200, json={"success": False, "packages": [package]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Delhivery(client, base_url="http://d", api_key=API_KEY, secrets=[])
        told = await carrier.book(delhivery.parcel(ref), key="k", awb="1")
    assert (told.state, told.failure_class) == (BookingState.UNKNOWN, FailureClass.UNKNOWN)


async def test_an_ndr_action_is_done_later(delhivery: Subject, ref: str) -> None:
    booked = await delhivery.booked(ref)
    await delhivery.scan(ref, "undelivered", "later")
    assert booked.awb
    asked = await delhivery.carrier.ndr_action(
        booked.awb, NdrAction(kind=NdrKind.REATTEMPT), key="k"
    )
    assert (asked.state, asked.failure_class) == (DeedState.PENDING, None)
    assert asked.ref is not None
    assert asked.ref.startswith("UPL")
    assert (await delhivery.carrier.action(asked.ref)).state is DeedState.PENDING
    await delhivery.until(ref, "out_for_delivery")
    done = await delhivery.carrier.action(asked.ref)
    assert (done.state, done.ref) == (DeedState.DONE, asked.ref)


async def test_an_action_that_nobody_knows(delhivery: Subject) -> None:
    told = await delhivery.carrier.action("UPL0")
    assert (told.state, told.failure_class) == (DeedState.UNKNOWN, FailureClass.UNKNOWN)


async def test_a_pickup_is_for_a_warehouse(delhivery: Subject, ref: str) -> None:
    """One request fetches all that is booked there, and nothing that is booked elsewhere."""
    hub = delhivery.parcel(ref).origin
    refs = [ref, f"{ref}-b", f"{ref}-c"]
    for one in refs:
        await delhivery.lives(one)
    first = await delhivery.booked(ref)
    awb = await delhivery.awb()
    beside = delhivery.parcel(refs[1])
    at_the_hub = type(beside)(
        **{name: getattr(beside, name) for name in beside.__slots__} | {"origin": hub}
    )
    await delhivery.carrier.book(at_the_hub, key="k", awb=awb)
    await delhivery.booked(refs[2])
    await delhivery.asked(first, ref)
    states = [(await delhivery.books(one))[0]["state"] for one in refs]
    assert states == ["pickup_scheduled", "pickup_scheduled", "booked"]


async def test_the_characters_that_it_refuses_are_left_out(delhivery: Subject, ref: str) -> None:
    sent: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.append(httpx.QueryParams(request.content.decode())["data"])
        package = {"status": "Success", "waybill": "1", "remarks": [""]}
        return httpx.Response(200, json={"success": True, "packages": [package]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Delhivery(client, base_url="http://d", api_key=API_KEY, secrets=[])
        told = await carrier.book(delhivery.parcel(ref, cash=100_05), key="k", awb="1")
    assert told.state is BookingState.BOOKED
    (shipment,) = orjson.loads(sent[0])["shipments"]
    assert (shipment["add"], shipment["products_desc"]) == (
        "12   13, Lake Road",
        "1 kettle  2 cups",
    )
    assert (shipment["cod_amount"], shipment["total_amount"]) == ("100.05", "2499.50")
    assert (shipment["payment_mode"], shipment["weight"]) == ("COD", "740")


@pytest.mark.parametrize(("reverse", "asked", "flag"), [(False, "2", "cod"), (True, "1", "pickup")])
async def test_it_is_the_customer_s_pin_code_that_counts(
    reverse: bool, asked: str, flag: str
) -> None:
    pins: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if "filter_codes" not in request.url.params:
            return httpx.Response(200, json=[{"total_amount": 71.05}])
        pins.append(request.url.params["filter_codes"])
        row = {"pre_paid": "Y", "cod": "Y", "pickup": "Y", flag: "N"}
        return httpx.Response(200, json={"delivery_codes": [{"postal_code": row}]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Delhivery(client, base_url="http://d", api_key=API_KEY, secrets=[])
        told = await carrier.serviceable(
            "100001", "200002", cod=not reverse, grams=1, reverse=reverse
        )
    assert (told.offers, told.failure_class) == ((), None)
    assert [pin[0] for pin in pins] == [asked]
