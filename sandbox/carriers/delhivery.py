"""A simulator of Delhivery's documented API: its calls, fields and quirks.

Waybills are fetched beforehand; a booking without one, or with the same order again under another,
is another parcel. Failures come with status 200. A pickup is asked for a warehouse, not a parcel.
Cancelling what was picked up turns it back. NDR actions are done later, and must be asked about.
"Dispatched" is "out for delivery" or "out for return", by the type of the status beside it.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carriers import faults
from sandbox.carriers.base import (
    IST,
    PAISE,
    AnyAnswer,
    Carrier,
    days_until,
    fingerprint_of,
    json_in,
    json_of,
    number_in,
    pincode_in,
    text_in,
)
from sandbox.carriers.books import Parcel, Scan
from sandbox.carriers.journeys import BEFORE_PICKUP, Step
from sandbox.carriers.yard import AGAIN, DEFER, EDIT, Refused
from sandbox.psp.books import now_ms
from sandbox.psp.edge import Answer, BadField

S = Step
ACTION_AFTER_MS = 150
# step -> (status type, status, NSL code, what it says)
WORDS: dict[Step, tuple[str, str, str, str]] = {
    S.BOOKED: ("UD", "Manifested", "X-UCI", "Manifest uploaded"),
    S.PICKUP_SCHEDULED: ("UD", "Manifested", "FMPUR-101", "Pickup scheduled"),
    S.PICKUP_FAILED: ("UD", "Not Picked", "X-PNP", "Pickup failed"),
    S.PICKED_UP: ("UD", "In Transit", "X-PPOM", "Shipment picked up"),
    S.IN_TRANSIT: ("UD", "In Transit", "X-DLL2F", "Bag received at facility"),
    S.OUT_FOR_DELIVERY: ("UD", "Dispatched", "X-DDD3FD", "Out for delivery"),
    S.UNDELIVERED: ("UD", "Pending", "EOD-11", "Consignee unavailable"),
    S.DELIVERED: ("DL", "Delivered", "EOD-38", "Delivered to consignee"),
    S.RTO_INITIATED: ("RT", "In Transit", "RT-108", "Return accepted"),
    S.RTO_IN_TRANSIT: ("RT", "In Transit", "RT-101", "Returned as the courier could not deliver"),
    S.RTO_OUT_FOR_DELIVERY: ("RT", "Dispatched", "X-DDD3FD", "Dispatched for RTO"),
    S.RTO_DELIVERED: ("DL", "RTO", "RD-AC", "RTO delivered"),
    S.LOST: ("LT", "Lost", "LT-100", "Shipment lost"),
    S.DAMAGED: ("LT", "Lost", "LT-101", "Shipment damaged and destroyed"),
    S.CANCELLED: ("CN", "Canceled", "CN-100", "Seller cancelled the order"),
    S.RVP_SCHEDULED: ("PP", "Scheduled", "X-RVP", "Pickup scheduled at the consignee"),
    S.RVP_PICKED: ("PU", "In Transit", "EOD-77", "Pickup completed"),
    S.QC_FAILED: ("CN", "Closed", "EOD-21", "Quality check failed"),
    S.DTO_DELIVERED: ("DL", "DTO", "RD-AC", "Return accepted"),
    S.ODD: ("XX", "Weighed Again", "X-ODD", "Nobody knows"),
}
FAILED_DELIVERIES = {
    "unavailable": ("EOD-11", "Consignee unavailable"),
    "refused": ("EOD-6", "Consignee refused to accept"),
    "address": ("EOD-74", "Bad or incomplete address"),
    "later": ("EOD-3", "Delivery rescheduled by customer"),
}
ACTS = {"RE-ATTEMPT": AGAIN, "DEFER_DLV": DEFER, "EDIT_DETAILS": EDIT}
SHY = "There has been an error but we were asked to not let you see that."
REFUSALS = {
    "unauthenticated": 401,
    "http_500_before": 500,
    "http_500_after": 500,
    "rate_limited": 429,
    "gateway_down": 503,
}


class Delhivery(Carrier):
    """See the module; the API key is `client:token`, or the token alone."""

    name = "delhivery"
    no_cash = ("19",)
    base_paise = 45_00

    def api(self) -> list[Route]:
        """The routes that a merchant uses."""
        posts = {
            "/api/cmu/create.json": self._create,
            "/fm/request/new/": self._pickup,
            "/api/p/edit": self._edit,
            "/api/p/update": self._update,
        }
        gets = {
            "/c/api/pin-codes/json/": self._pincodes,
            "/api/kinko/v1/invoice/charges/.json": self._charges,
            "/api/dc/expected_tat": self._days,
            "/waybill/api/bulk/json/": self._waybills,
            "/api/v1/packages/json/": self._packages,
            "/api/cmu/get_bulk_upl/{id}": self._updated,
        }
        return [
            *(Route(path, self.guarded(does), methods=["POST"]) for path, does in posts.items()),
            *(Route(path, self.guarded(does)) for path, does in gets.items()),
        ]

    def authentic(self, request: Request) -> bool:
        """`Authorization: Token <token>`."""
        wanted = f"Token {self.api_key.rpartition(':')[2]}"
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), wanted.encode())

    def refusal(self, fault: str) -> Answer:
        """A status, and next to nothing."""
        return Answer(REFUSALS[fault], {"detail": SHY})

    def bad_request(self, error: BadField) -> Answer:
        """Success, it says, but for the body."""
        return Answer(200, {"success": False, "error": True, "rmk": error.message, "packages": []})

    def event(self, parcel: Parcel, scan: Scan, event_id: str) -> Mapping[str, Any]:
        """One scan, without an id."""
        kind, status, nsl, says = _words(scan)
        told = {"Status": status, "StatusDateTime": _time(scan.at), "StatusType": kind}
        told |= {"StatusLocation": "", "Instructions": says}
        about = {"AWB": parcel.awb, "ReferenceNo": parcel.merchant_ref}
        return {"Shipment": {"Status": told, "NSLCode": nsl, "Sortcode": "", **about}}

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """The header that the merchant asked for when webhooks were set up."""
        return {"Authorization": f"Token {secret}"}

    async def _pincodes(self, request: Request) -> Response:
        pin = pincode_in(dict(request.query_params), "filter_codes")

        def act(fault: str) -> Answer:
            if self.unserved and pin.startswith(self.unserved):
                return Answer(200, {"delivery_codes": []})
            cash = "N" if pin.startswith(self.no_cash) else "Y"
            code = {"pin": int(pin), "pre_paid": "Y", "cod": cash, "pickup": "Y", "repl": "Y"}
            return Answer(200, {"delivery_codes": [{"postal_code": code}]})

        return await self.edge.call(faults.SERVICEABLE, pin, act)

    async def _charges(self, request: Request) -> Response:
        query = dict(request.query_params)
        origin, destination = pincode_in(query, "o_pin"), pincode_in(query, "d_pin")
        cash, grams = query.get("pt") == "COD", int(number_in(query, "cgm"))

        def act(fault: str) -> Answer:
            fare = self.fare(origin, destination, cash=cash, grams=grams)
            return AnyAnswer(200, [{"total_amount": fare[1] / PAISE if fare else None}])

        return await self.edge.call(faults.SERVICEABLE, f"{origin}-{destination}", act)

    async def _days(self, request: Request) -> Response:
        query = dict(request.query_params)
        origin, destination = pincode_in(query, "origin_pin"), pincode_in(query, "destination_pin")

        def act(fault: str) -> Answer:
            fare = self.fare(origin, destination, cash=False, grams=500)
            return Answer(200, {"success": True, "data": {"tat": fare[0] if fare else None}})

        return await self.edge.call(faults.SERVICEABLE, f"{origin}-{destination}", act)

    async def _waybills(self, request: Request) -> Response:
        def act(fault: str) -> Answer:
            with self.books.transaction():
                # A text in JSON, not an object.
                return AnyAnswer(200, self.parcels.new_awb())

        return await self.edge.call(faults.RESERVE, "", act)

    async def _create(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        data = json_in(form.get("data", [""])[0])
        shipments = data.get("shipments")
        if form.get("format") != ["json"] or not isinstance(shipments, list) or len(shipments) != 1:
            raise BadField("data", "format key missing in POST, or not one shipment")
        wanted, site = shipments[0], text_in(data.get("pickup_location") or {}, "name")
        order, waybill = text_in(wanted, "order"), str(wanted.get("waybill") or "")
        pincode_in(wanted, "pin")

        def act(fault: str) -> Answer:
            with self.books.transaction():
                remark = self._remark(wanted, waybill)
                if remark:
                    return _created(order, waybill, remark)
                parcel = self.yard.book(
                    order,
                    awb=waybill or self.parcels.new_awb(),
                    reverse=wanted["payment_mode"] == "Pickup",
                    collect=int(number_in(wanted, "cod_amount") * PAISE),
                    value=int(number_in(wanted, "total_amount") * PAISE),
                    fingerprint=fingerprint_of(wanted),
                    site=site,
                )
                return _created(order, parcel.awb or "", "")

        return await self.edge.call(faults.BOOK, order, act)

    def _remark(self, wanted: Mapping[str, Any], waybill: str) -> str:
        """Why a parcel is not taken; a second one of the same order is."""
        if waybill and not self.parcels.is_waybill(waybill):
            return f"Unknown waybill {waybill}"
        if waybill and self.parcels.parcel(waybill):
            return f"Unable to consume waybill {waybill}"
        if wanted.get("payment_mode") not in ("Prepaid", "COD", "Pickup", "REPL"):
            return "Invalid payment mode"
        pin, cash = str(wanted["pin"]), wanted["payment_mode"] == "COD"
        if self.fare(pin, pin, cash=cash, grams=500) is None:
            return "Pincode not serviceable"
        return ""

    async def _pickup(self, request: Request) -> Response:
        body = await json_of(request)
        site = text_in(body, "pickup_location")
        text_in(body, "pickup_date")

        def act(fault: str) -> Answer:
            with self.books.transaction():
                asked = self.parcels.waiting_at(site)
                for parcel in asked:
                    self.yard.pickup(parcel)
            if not asked:
                message = "Pickup request already exists for this warehouse"
                return Answer(200, {"pr_exist": True, "data": {"message": message}})
            return Answer(201, {"pickup_id": now_ms(), "pickup_location_name": site})

        return await self.edge.call(faults.PICKUP, site, act)

    async def _edit(self, request: Request) -> Response:
        body = await json_of(request)
        parcel = self.parcels.parcel(text_in(body, "waybill"))
        if parcel is None or body.get("cancellation") != "true":
            return _edited(parcel, "Nothing to edit").response()

        def act(fault: str) -> Answer:
            try:
                with self.books.transaction():
                    now = self.parcels.by_id(parcel.id) or parcel
                    early = now.state in (*BEFORE_PICKUP, S.CANCELLED)
                    self.yard.cancel(now) if early else self.yard.turn_back(now)
            except Refused:
                return _edited(parcel, "Shipment has reached its end")
            return _edited(parcel, "")

        return await self.edge.call(faults.CANCEL, parcel.merchant_ref, act)

    async def _update(self, request: Request) -> Response:
        data = (await json_of(request)).get("data")
        if not isinstance(data, list) or len(data) != 1 or data[0].get("act") not in ACTS:
            raise BadField("data", "data must have one waybill and its act")
        waybill, does = text_in(data[0], "waybill"), ACTS[data[0]["act"]]
        days = days_until(data[0].get("action_data") or {}, "deferred_date")
        parcel = self.parcels.parcel(waybill)

        def act(fault: str) -> Answer:
            with self.books.transaction():
                due = now_ms() + ACTION_AFTER_MS
                return Answer(
                    200, {"request_id": self.parcels.add_action(waybill, does, days, due)}
                )

        return await self.edge.call(faults.NDR, parcel.merchant_ref if parcel else waybill, act)

    async def _updated(self, request: Request) -> Response:
        action = self.parcels.action(request.path_params["id"])
        if action is None:
            return Answer(404, {"detail": SHY}).response()

        def act(fault: str) -> Answer:
            act_name = next(name for name, does in ACTS.items() if does == action.act)
            row = {"waybill": action.awb, "action": act_name}
            done, failed = action.outcome == "done", action.outcome not in (None, "done")
            message = f"Not allowed: {action.outcome}"
            return Answer(
                200,
                {
                    "status": "Success" if done else "Failure" if failed else "Pending",
                    "success_wbns": [row] if done else [],
                    "failed_wbns": [{**row, "message": message}] if failed else [],
                    "request_id": action.id,
                },
            )

        return await self.edge.call(faults.ACTION, action.awb, act)

    async def _packages(self, request: Request) -> Response:
        waybill = request.query_params.get("waybill")
        order = request.query_params.get("ref_ids", "")
        parcel = self.parcels.parcel(waybill) if waybill else None
        operation = faults.TRACK if waybill else faults.LOOK_UP
        ref = parcel.merchant_ref if parcel else order

        def act(fault: str) -> Answer:
            now = self.parcels.parcel(waybill) if waybill else None
            found = ([now] if now else []) if waybill else self.seen(order, fault)
            if not found:
                error = "No such waybill or Order Id found"
                return Answer(200, {"Success": False, "Error": error, "rmk": error})
            return Answer(200, {"ShipmentData": [{"Shipment": self._shown(one)} for one in found]})

        return await self.edge.call(operation, ref, act)

    def _shown(self, parcel: Parcel) -> dict[str, Any]:
        scans = self.parcels.scans(parcel.id)
        return {
            "AWB": parcel.awb,
            "ReferenceNo": parcel.merchant_ref,
            "OrderType": "Pickup" if parcel.reverse else "COD" if parcel.collect else "Pre-paid",
            "Status": {"StatusType": _words(scans[-1])[0], "Status": _words(scans[-1])[1]},
            "Scans": [{"ScanDetail": _detail(one)} for one in scans],
        }


def _words(scan: Scan) -> tuple[str, str, str, str]:
    kind, status, nsl, says = WORDS[scan.step]
    if scan.step is S.UNDELIVERED:
        nsl, says = FAILED_DELIVERIES.get(scan.reason or "", (nsl, scan.reason or says))
    return kind, status, nsl, says


def _time(at: int) -> str:
    """An Indian time that does not say so."""
    return datetime.fromtimestamp(at / 1000, IST).replace(tzinfo=None).isoformat()


def _detail(scan: Scan) -> dict[str, Any]:
    kind, status, nsl, says = _words(scan)
    at = _time(scan.at)
    told = {"ScanDateTime": at, "ScanType": kind, "Scan": status, "StatusDateTime": at}
    return {**told, "ScannedLocation": "", "StatusCode": nsl, "Instructions": says}


def _created(order: str, waybill: str, remark: str) -> Answer:
    package = {"refnum": order, "waybill": waybill, "status": "Fail" if remark else "Success"}
    body = {"success": not remark, "packages": [{**package, "remarks": [remark]}], "rmk": remark}
    return Answer(200, body)


def _edited(parcel: Parcel | None, error: str) -> Answer:
    about = {"waybill": parcel.awb if parcel else "", "status": not error}
    return Answer(200, {**about, "error": error} if error else about)
