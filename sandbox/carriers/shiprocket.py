"""A simulator of Shiprocket's documented API: its calls, fields, ids and quirks.

An order, then its AWB, in two calls. Two id spaces: orders' statuses and shipments'. Errors with
status 200. Times without a zone, in two forms. Webhooks carry a shared token and no id, and come
again unless they are answered with exactly 200.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carriers import faults
from sandbox.carriers.base import (
    IST,
    PAISE,
    Carrier,
    days_until,
    fingerprint_of,
    json_of,
    number_in,
    pincode_in,
    text_in,
)
from sandbox.carriers.books import Parcel, Scan
from sandbox.carriers.journeys import Step
from sandbox.carriers.yard import AGAIN, DEFER, EDIT, RETURN, Refused
from sandbox.psp.edge import Answer, BadField

S = Step
TOKEN_S = 10 * 24 * 3600
ORDER_FROM, SHIPMENT_FROM = 700_000_000, 300_000_000
COURIER: dict[str, Any] = {"courier_company_id": 10, "courier_name": "Sandbox Surface"}
# step -> (the order's status id, the shipment's, label, the courier's own code)
WORDS: dict[Step, tuple[int, int, str, str]] = {
    S.BOOKED: (3, 1, "AWB ASSIGNED", "X-UCI"),
    S.PICKUP_SCHEDULED: (4, 3, "PICKUP SCHEDULED", "FMPUR-101"),
    S.PICKUP_FAILED: (11, 20, "PICKUP EXCEPTION", "X-PNP"),
    S.PICKED_UP: (51, 42, "PICKED UP", "X-PPOM"),
    S.IN_TRANSIT: (20, 18, "IN TRANSIT", "X-DLL2F"),
    S.OUT_FOR_DELIVERY: (19, 17, "OUT FOR DELIVERY", "X-DDD3FD"),
    S.UNDELIVERED: (36, 21, "UNDELIVERED", "EOD-11"),
    S.DELIVERED: (7, 7, "DELIVERED", "EOD-38"),
    S.RTO_INITIATED: (15, 9, "RTO INITIATED", "RT-108"),
    S.RTO_IN_TRANSIT: (45, 46, "RTO IN TRANSIT", "RT-101"),
    S.RTO_OUT_FOR_DELIVERY: (48, 41, "RTO OFD", "RT-109"),
    S.RTO_DELIVERED: (16, 10, "RTO DELIVERED", "RD-AC"),
    S.LOST: (24, 12, "LOST", "LT-100"),
    S.DAMAGED: (27, 25, "DAMAGED", "DM-100"),
    S.CANCELLED: (5, 8, "CANCELED", "CN-100"),
    S.RVP_SCHEDULED: (22, 3, "PICKUP SCHEDULED", "X-RVP"),
    S.RVP_PICKED: (25, 42, "PICKED UP", "X-RPU"),
    S.QC_FAILED: (30, 47, "QC FAILED", "X-QCF"),
    S.DTO_DELIVERED: (26, 7, "DELIVERED", "X-DTO"),
    S.ODD: (99, 99, "HANDED TO A DRONE", "X-DRONE"),
}
REASONS = {
    "unavailable": "Customer not available",
    "refused": "Customer refused to accept the shipment",
    "address": "Incomplete address",
    "later": "Customer asked for future delivery",
}
ACTS = {"re-attempt": AGAIN, "return": RETURN}
# fault or refusal -> (HTTP status, message)
REFUSALS: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "Token has expired or is wrong."),
    "http_500_before": (500, "Server Error"),
    "http_500_after": (500, "Server Error"),
    "rate_limited": (429, "Too Many Attempts."),
    "gateway_down": (503, "Service Unavailable"),
    "no_such_shipment": (404, "Shipment not found"),
    "assigned": (400, "AWB is already assigned"),
    "no_awb": (400, "AWB is not assigned yet"),
    "queued": (400, "Already in Pickup Queue."),
    "cancelled": (400, "The order is cancelled"),
    "picked_up": (400, "Cancellation is not possible after pickup"),
    "ended": (400, "The shipment has reached its end"),
    "not_undelivered": (400, "Shipment is not in NDR"),
    "too_far_ahead": (422, "The deferred date is too far ahead"),
}


def refuse(what: str) -> Answer:
    """An error in Shiprocket's words."""
    status, message = REFUSALS[what]
    return Answer(status, {"message": message, "status_code": status})


class Shiprocket(Carrier):
    """See the module. Tokens live in memory: a restart ends them all."""

    name = "shiprocket"
    resolution_ms = 1000
    exact_200 = True
    unserved = ("194",)
    base_paise = 48_00

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._tokens: dict[str, float] = {}

    def api(self) -> list[Route]:
        """The routes of /v1/external."""
        at = "/v1/external"
        posts = {
            "/orders/create/adhoc": self._create,
            "/orders/create/return": self._create_return,
            "/courier/assign/awb": self._assign,
            "/courier/generate/pickup": self._pickup,
            "/orders/cancel": self._cancel,
            "/ndr/{awb}/action": self._ndr,
        }
        gets = {
            "/courier/serviceability/": self._serviceable,
            "/orders": self._list,
            "/courier/track/awb/{awb}": self._track,
        }
        post = ["POST"]
        return [
            Route(f"{at}/auth/login", self._login, methods=post),
            *(Route(at + path, self.guarded(does), methods=post) for path, does in posts.items()),
            *(Route(at + path, self.guarded(does)) for path, does in gets.items()),
        ]

    async def _login(self, request: Request) -> Response:
        body = await json_of(request)
        given = f"{body.get('email')}:{body.get('password')}"
        if not hmac.compare_digest(given.encode(), self.api_key.encode()):
            message = "Invalid email and password combination"
            return Answer(400, {"message": message, "status_code": 400}).response()
        token, now = secrets.token_urlsafe(32), time.monotonic()
        self._tokens = {each: until for each, until in self._tokens.items() if until > now}
        self._tokens[token] = now + TOKEN_S
        return Answer(200, {"id": 1, "email": body["email"], "token": token}).response()

    def authentic(self, request: Request) -> bool:
        """`Authorization: Bearer <token>`, while it lasts."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._tokens.get(token, 0.0) > time.monotonic()

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return refuse(fault)

    def bad_request(self, error: BadField) -> Answer:
        """422 with the field."""
        return _invalid(error.name, error.message)

    def event(self, parcel: Parcel, scan: Scan, event_id: str) -> Mapping[str, Any]:
        """All scans until now under the last one's status, in both id spaces."""
        order_status, shipment_status, label, _ = WORDS[scan.step]
        said = [one for one in self.parcels.scans(parcel.id) if one.at < scan.at]
        at = datetime.fromtimestamp(scan.at / 1000, IST)
        return {
            "awb": parcel.awb,
            "courier_name": COURIER["courier_name"],
            "current_status": label,
            "current_status_id": order_status,
            "shipment_status": label,
            "shipment_status_id": shipment_status,
            "current_timestamp": at.strftime("%d %m %Y %H:%M:%S"),
            "order_id": parcel.merchant_ref,
            "sr_order_id": ORDER_FROM + parcel.id,
            "etd": "",
            "scans": [_activity(one) for one in (*said, scan)],
            "is_return": int(parcel.reverse),
        }

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """The shared token; nothing ties it to the body."""
        return {"x-api-key": secret}

    async def _serviceable(self, request: Request) -> Response:
        query = dict(request.query_params)
        origin = pincode_in(query, "pickup_postcode")
        destination = pincode_in(query, "delivery_postcode")
        grams, cash = int(number_in(query, "weight") * 1000), query.get("cod") == "1"

        def act(fault: str) -> Answer:
            fare = self.fare(origin, destination, cash=cash, grams=grams)
            if fare is None:
                return Answer(200, {"status": 404, "message": "No courier partners available"})
            courier: dict[str, Any] = {**COURIER, "rate": fare[1] / PAISE, "cod": int(cash)}
            courier["estimated_delivery_days"] = str(fare[0])
            return Answer(200, {"status": 200, "data": {"available_courier_companies": [courier]}})

        return await self.edge.call(faults.SERVICEABLE, f"{origin}-{destination}", act)

    async def _create(self, request: Request) -> Response:
        body = await json_of(request)
        return await self._take(body, "billing_pincode", reverse=False)

    async def _create_return(self, request: Request) -> Response:
        return await self._take(await json_of(request), "pickup_pincode", reverse=True)

    async def _take(self, body: Mapping[str, Any], pincode: str, *, reverse: bool) -> Response:
        order_id = text_in(body, "order_id")
        pincode_in(body, pincode)
        for name in ("weight", "length", "breadth", "height"):
            if not number_in(body, name):
                raise BadField(name, f"The {name} field is required.")
        total = int(number_in(body, "sub_total") * PAISE)

        def act(fault: str) -> Answer:
            with self.books.transaction():
                if self.parcels.parcels(order_id):
                    return _invalid("order_id", "The order id has already been taken.")
                parcel = self.yard.book(
                    order_id,
                    awb=None,
                    reverse=reverse,
                    collect=total if body.get("payment_method") == "COD" else 0,
                    value=total,
                    fingerprint=fingerprint_of(body),
                )
            ids = {"order_id": ORDER_FROM + parcel.id, "shipment_id": SHIPMENT_FROM + parcel.id}
            return Answer(200, {**ids, "status": "NEW", "status_code": 1, "awb_code": ""})

        return await self.edge.call(faults.BOOK, order_id, act)

    async def _on(
        self, parcel: Parcel | None, operation: str, deed: Callable[[Parcel], Answer]
    ) -> Response:
        if parcel is None:
            return refuse("no_such_shipment").response()

        def act(fault: str) -> Answer:
            try:
                with self.books.transaction():
                    return deed(self.parcels.by_id(parcel.id) or parcel)
            except Refused as refused:
                return refuse(refused.code)

        return await self.edge.call(operation, parcel.merchant_ref, act)

    def _shipment(self, shipment_id: object) -> Parcel | None:
        if not isinstance(shipment_id, int):
            return None
        return self.parcels.by_id(shipment_id - SHIPMENT_FROM)

    async def _assign(self, request: Request) -> Response:
        def deed(parcel: Parcel) -> Answer:
            if parcel.awb:
                return refuse("assigned")
            if parcel.state is Step.CANCELLED:
                # An error in a success's clothes, as the documentation warns.
                error = {"awb_assign_error": "The order is cancelled"}
                return Answer(200, {"awb_assign_status": 0, "response": {"data": error}})
            booked = self.yard.begin(self.parcels.assign(parcel.id, self.parcels.new_awb()))
            given: dict[str, Any] = {"awb_code": booked.awb, "order_id": ORDER_FROM + parcel.id}
            data = {**COURIER, **given}
            return Answer(200, {"awb_assign_status": 1, "response": {"data": data}})

        body = await json_of(request)
        return await self._on(self._shipment(body.get("shipment_id")), faults.ASSIGN, deed)

    async def _pickup(self, request: Request) -> Response:
        body = await json_of(request)
        one = body.get("shipment_id")
        if not isinstance(one, list) or len(one) != 1:
            raise BadField("shipment_id", "One shipment at a time.")

        def deed(parcel: Parcel) -> Answer:
            if not parcel.awb:
                return refuse("no_awb")
            if not self.yard.pickup(parcel):
                return refuse("queued")
            return Answer(200, {"pickup_status": 1, "response": {"status": 3}})

        return await self._on(self._shipment(one[0]), faults.PICKUP, deed)

    async def _cancel(self, request: Request) -> Response:
        ids = (await json_of(request)).get("ids")
        if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], int):
            raise BadField("ids", "The ids field is required.")

        def deed(parcel: Parcel) -> Answer:
            self.yard.cancel(parcel)
            return Answer(200, {"message": "Order cancelled successfully.", "status_code": 200})

        return await self._on(self.parcels.by_id(ids[0] - ORDER_FROM), faults.CANCEL, deed)

    async def _ndr(self, request: Request) -> Response:
        body = await json_of(request)
        act = ACTS.get(text_in(body, "action"))
        text_in(body, "comments")
        if act is None:
            raise BadField("action", f"The action must be one of {', '.join(ACTS)}.")
        chosen = EDIT if body.get("address1") else DEFER if body.get("deferred_date") else act
        days = days_until(body, "deferred_date")

        def deed(parcel: Parcel) -> Answer:
            self.yard.after_ndr(parcel, chosen, days)
            return Answer(202, {"message": "The action was taken.", "status_code": 202})

        return await self._on(self.parcels.parcel(request.path_params["awb"]), faults.NDR, deed)

    async def _list(self, request: Request) -> Response:
        order_id = request.query_params.get("search", "")

        def act(fault: str) -> Answer:
            return Answer(200, {"data": [_order(one) for one in self.seen(order_id, fault)]})

        return await self.edge.call(faults.LOOK_UP, order_id, act)

    async def _track(self, request: Request) -> Response:
        def deed(parcel: Parcel) -> Answer:
            said = self.parcels.scans(parcel.id)
            status = WORDS[said[-1].step] if said else (0, 0, "", "")
            tracked = {
                "track_status": int(bool(said)),
                "shipment_status": status[1],
                "shipment_track": [{"awb_code": parcel.awb, "current_status": status[2]}],
                # The newest first.
                "shipment_track_activities": [_activity(one) for one in reversed(said)],
                "is_return": parcel.reverse,
            }
            return Answer(200, {"tracking_data": tracked})

        return await self._on(self.parcels.parcel(request.path_params["awb"]), faults.TRACK, deed)


def _invalid(name: str, message: str) -> Answer:
    about = {"message": "The given data was invalid.", "errors": {name: [message]}}
    return Answer(422, {**about, "status_code": 422})


def _order(parcel: Parcel) -> dict[str, Any]:
    status, _, label, _ = WORDS[parcel.state]
    shipment = {"id": SHIPMENT_FROM + parcel.id, "awb": parcel.awb or ""}
    return {
        "id": ORDER_FROM + parcel.id,
        "channel_order_id": parcel.merchant_ref,
        "status": label,
        "status_code": status,
        "shipments": [{**shipment, "courier": COURIER["courier_name"] if parcel.awb else ""}],
    }


def _activity(scan: Scan) -> dict[str, Any]:
    _, status, label, code = WORDS[scan.step]
    at = datetime.fromtimestamp(scan.at / 1000, IST)
    return {
        "date": at.strftime("%Y-%m-%d %H:%M:%S"),
        "status": code,
        "activity": REASONS.get(scan.reason or "", scan.reason or label.capitalize()),
        "location": "",
        "sr-status": str(status) if scan.step is not S.ODD else "NA",
        "sr-status-label": label if scan.step is not S.ODD else "NA",
    }
