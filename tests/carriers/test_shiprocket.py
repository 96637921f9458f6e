"""What is particular to Shiprocket: two calls for a booking, two tables of ids, exactly 200."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from activities.shipping.carriers import Booking, BookingState, DeedState
from activities.shipping.carriers.shiprocket import Shiprocket
from activities.shipping.carriers.shiprocket_words import FORWARD, REVERSE
from domain.payments import FailureClass
from domain.scans import Scan, fold
from domain.shipping import Direction, ShipmentState
from tests.carriers.conftest import Subject
from tests.sandbox.harness import API_KEY, SECRET

S = ShipmentState


def read(**fields: Any) -> list[Scan]:
    body = {
        "awb": "19041424751540",
        "current_timestamp": "23 05 2023 11:43:52",
        "shipment_status": "IN TRANSIT",
        "shipment_status_id": 18,
        "current_status_id": 20,
        "is_return": 0,
        "scans": [],
        **fields,
    }
    now = datetime.now(UTC)
    return Shiprocket.webhook(orjson.dumps(body), {"X-Api-Key": SECRET}, now, (SECRET,))


def scan(status: str, date: str = "2023-05-19 11:59:16") -> dict[str, str]:
    return {"date": date, "status": "X-1", "activity": "a", "location": "Pune", "sr-status": status}


def test_the_order_s_id_says_nothing_of_the_parcel() -> None:
    """20 in the order's table is "in transit"; in the shipment's it is a pickup that failed."""
    (told,) = read(current_status_id=20, shipment_status_id=18)
    assert (told.status, told.carrier_status_id) == (S.IN_TRANSIT, "18")
    (told,) = read(current_status_id=18, shipment_status_id=20)
    assert (told.status, told.carrier_status_id) == (S.PICKUP_FAILED, "20")


def test_both_forms_of_its_times_are_indian() -> None:
    (told,) = read()
    assert told.at == datetime(2023, 5, 23, 6, 13, 52, tzinfo=UTC)
    (told,) = read(scans=[scan("18")])
    assert (told.at, told.location) == (datetime(2023, 5, 19, 6, 29, 16, tzinfo=UTC), "Pune")


def test_a_failed_delivery_told_again_later_is_one_attempt() -> None:
    rows = [scan("17"), scan("21", "2023-05-19 15:00:00")]
    first = read(shipment_status_id=21, scans=rows)
    later = read(shipment_status_id=21, scans=rows, current_timestamp="24 05 2023 09:00:00")
    assert [one.status for one in first] == [S.OUT_FOR_DELIVERY, S.NDR]
    assert fold([*first, *later]).attempts == 1


def test_a_status_that_no_scan_has_is_told_by_the_event() -> None:
    told = read(shipment_status_id=17, scans=[scan("18")])
    assert [one.status for one in told] == [S.IN_TRANSIT, S.OUT_FOR_DELIVERY]


def test_what_it_does_not_know_itself_is_kept_by_the_courier_s_code() -> None:
    told = read(scans=[scan("NA"), scan("18"), scan("991", "2023-05-20 10:00:00")])
    assert [(one.status, one.carrier_status_id) for one in told] == [
        (S.UNMAPPED, "courier:X-1"),
        (S.IN_TRANSIT, "18"),
        (S.UNMAPPED, "991"),
    ]


def test_the_same_id_on_a_return_is_on_its_way_to_us() -> None:
    (told,) = read(shipment_status_id=7, is_return=1)
    assert told.status is S.DTO_DELIVERED
    assert fold([told], Direction.REVERSE).state is S.DTO_DELIVERED
    (told,) = read(shipment_status_id=7)
    assert told.status is S.DELIVERED


def test_the_tables_stay_in_their_direction() -> None:
    forth = {S.RVP_SCHEDULED, S.RVP_PICKED, S.QC_FAILED, S.DTO_DELIVERED, S.UNMAPPED}
    assert set(S) - set(FORWARD.values()) == forth
    back = {S.RVP_SCHEDULED, S.RVP_PICKED, S.QC_FAILED, S.DTO_DELIVERED}
    assert set(REVERSE.values()) == back | {S.PICKUP_FAILED, S.CANCELLED, S.LOST, S.DAMAGED}


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "http_500_after"])
async def test_one_parcel_though_the_answer_with_the_awb_was_lost(
    shiprocket: Subject, fault: str, ref: str
) -> None:
    """The second of the two calls: the order is there, its AWB perhaps."""
    parcel = shiprocket.parcel(ref)
    await shiprocket.fault("assign", ref, fault)
    lost = await shiprocket.carrier.book(parcel, key="k")
    assert (lost.state, lost.failure_class, lost.awb) == (
        BookingState.UNKNOWN,
        FailureClass.UNKNOWN,
        None,
    )
    found = await shiprocket.carrier.find(merchant_ref=ref)
    acted = fault != "timeout_before"
    assert found.state is (BookingState.BOOKED if acted else BookingState.INCOMPLETE)
    again = await shiprocket.carrier.book(parcel, key="k")
    assert again.state is BookingState.BOOKED
    (row,) = await shiprocket.books(ref)
    assert (row["awb"], row["steps"]) == (again.awb, ["booked"])


async def test_an_order_without_an_awb_is_called_off_by_its_id(
    shiprocket: Subject, ref: str
) -> None:
    """So another carrier may be asked: nothing is left that a courier would fetch."""
    await shiprocket.fault("assign", ref, "rate_limited")
    told = await shiprocket.carrier.book(shiprocket.parcel(ref), key="k")
    assert (told.state, told.failure_class) == (
        BookingState.INCOMPLETE,
        FailureClass.REJECTED_TRANSIENT,
    )
    assert (await shiprocket.carrier.cancel(told, key="k")).state is DeedState.DONE
    again = await shiprocket.carrier.book(shiprocket.parcel(ref), key="k")
    assert (again.state, again.awb) == (BookingState.CANCELLED, None)
    (row,) = await shiprocket.books(ref)
    assert (row["awb"], row["state"]) == (None, "cancelled")


async def test_a_listing_that_lags_is_no_second_order(shiprocket: Subject, ref: str) -> None:
    """The order's id is taken, and the order is not to be seen: nothing is known."""
    await shiprocket.booked(ref)
    await shiprocket.fault("find", ref, "stale_listing", stale_ms=60_000)
    told = await shiprocket.carrier.book(shiprocket.parcel(ref), key="k")
    assert (told.state, told.failure_class) == (BookingState.UNKNOWN, FailureClass.UNKNOWN)
    assert len(await shiprocket.books(ref)) == 1


async def test_a_token_that_ended_is_had_anew(shiprocket: Subject, ref: str) -> None:
    calls: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if request.url.path.endswith("/auth/login"):
            token = f"t{calls.count(request.url.path)}"
            return httpx.Response(200, json={"token": token})
        if request.headers["authorization"] != "Bearer t2":
            return httpx.Response(401, json={"message": "Token has expired"})
        return httpx.Response(200, json={"data": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        for _ in range(2):
            found = await carrier.find(merchant_ref=ref)
            assert found.state is BookingState.NOT_FOUND
    at = "/v1/external"
    login, orders = f"{at}/auth/login", f"{at}/orders"
    assert calls == [login, orders, login, orders, orders]


async def test_anything_but_200_has_a_webhook_come_again(shiprocket: Subject, ref: str) -> None:
    shiprocket.shop.status = 202
    try:
        await shiprocket.booked(ref)
        first = await shiprocket.told(ref, lambda received: len(received) >= 2)
    finally:
        shiprocket.shop.status = 200
    assert {one.body for one in first} == {first[0].body}
    assert set(first[0].headers) >= {"x-api-key", "content-type"}


async def test_an_order_that_no_courier_takes(shiprocket: Subject, ref: str) -> None:
    """A refusal in a success's clothes: the order is there all the same, and to be cancelled."""

    async def answer(request: httpx.Request) -> httpx.Response:
        answers: dict[str, dict[str, Any]] = {
            "/v1/external/auth/login": {"token": "t"},
            "/v1/external/orders/create/adhoc": {"order_id": 7, "shipment_id": 8},
            "/v1/external/courier/assign/awb": {"awb_assign_status": 0, "response": {"data": {}}},
        }
        return httpx.Response(200, json=answers[request.url.path])

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        told = await carrier.book(shiprocket.parcel(ref), key="k")
    assert (told.state, told.awb, told.ref) == (BookingState.INCOMPLETE, None, "7:8")
    assert (told.failure_class, told.failure_code) == (
        FailureClass.DECLINED_SOFT,
        "awb_not_assigned",
    )


async def test_a_search_that_finds_what_is_alike(shiprocket: Subject) -> None:
    def row(order: str, number: int) -> dict[str, Any]:
        shipment = {"id": number, "awb": f"A{number}", "courier": "c"}
        return {
            "id": number,
            "channel_order_id": order,
            "status": "NEW",
            "shipments": [shipment],
        }

    async def answer(request: httpx.Request) -> httpx.Response:
        rows = [row("shp-10", 10), row("shp-1", 1)]
        return httpx.Response(200, json={"token": "t", "data": rows})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        found = await carrier.find(merchant_ref="shp-1")
        assert (found.merchant_ref, found.awb, found.ref) == ("shp-1", "A1", "1:1")
        assert (await carrier.find(merchant_ref="shp-")).state is BookingState.NOT_FOUND


@pytest.mark.parametrize(
    ("body", "state", "failure"),
    [
        ({"message": "Cancelled", "status_code": 200}, DeedState.DONE, None),
        (
            {"message": "Shipment not found", "status_code": 404},
            DeedState.REFUSED,
            FailureClass.INVALID_REQUEST,
        ),
        (
            {"message": "Who knows", "errors": {"ids": ["?"]}},
            DeedState.UNKNOWN,
            FailureClass.UNKNOWN,
        ),
        ({"pickup_status": 0}, DeedState.UNKNOWN, FailureClass.UNKNOWN),
    ],
)
async def test_an_error_that_comes_with_status_200(
    body: dict[str, Any], state: DeedState, failure: FailureClass | None
) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        login = request.url.path.endswith("/auth/login")
        return httpx.Response(200, json={"token": "t"} if login else body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        booking = Booking(state=BookingState.BOOKED, awb="1", ref="7:8")
        told = await carrier.cancel(booking, key="k")
    assert (told.state, told.failure_class) == (state, failure)


async def test_a_complaint_about_the_order_s_id_is_looked_into(
    shiprocket: Subject, ref: str
) -> None:
    """However it is worded: the order may be there from a request whose answer was lost."""

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/auth/login"):
            return httpx.Response(200, json={"token": "t"})
        if request.method == "GET":
            return httpx.Response(200, json={"data": []})
        errors = {"order_id": ["Duplicate, in words that nobody has heard."]}
        return httpx.Response(
            422, json={"message": "The given data was invalid.", "errors": errors}
        )

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        told = await carrier.book(shiprocket.parcel(ref), key="k")
    assert (told.state, told.failure_class) == (BookingState.UNKNOWN, FailureClass.UNKNOWN)


async def test_any_other_complaint_is_a_refusal(shiprocket: Subject, ref: str) -> None:
    parcel = replace(shiprocket.parcel(ref), grams=0)
    told = await shiprocket.carrier.book(parcel, key="k")
    assert (told.state, told.failure_class) == (
        BookingState.REFUSED,
        FailureClass.INVALID_REQUEST,
    )
    assert await shiprocket.books(ref) == []


async def test_an_awb_that_another_request_had_assigned(shiprocket: Subject, ref: str) -> None:
    """Between the order and its AWB another worker was quicker: it is one parcel, and ours."""

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/courier/assign/awb"):
            return httpx.Response(400, json={"message": "AWB is already assigned"})
        shipments = [{"id": 8, "awb": "A8", "courier": "c"}]
        row = {"id": 7, "channel_order_id": ref, "status": "NEW", "shipments": shipments}
        ids = {"order_id": 7, "shipment_id": 8}
        return httpx.Response(200, json={"token": "t", "data": [row], **ids})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        carrier = Shiprocket(client, base_url="http://sr", api_key=API_KEY, secrets=[])
        told = await carrier.book(shiprocket.parcel(ref), key="k")
    assert (told.state, told.awb, told.ref, told.failure_class) == (
        BookingState.BOOKED,
        "A8",
        "7:8",
        None,
    )
