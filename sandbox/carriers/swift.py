"""swift: the sandbox's own carrier. The shipment's reference is the key; signed webhooks."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carriers import faults
from sandbox.carriers.base import (
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

STATUSES: dict[Step, str] = {
    Step.BOOKED: "booked",
    Step.PICKUP_SCHEDULED: "pickup-planned",
    Step.PICKUP_FAILED: "pickup-missed",
    Step.PICKED_UP: "collected",
    Step.IN_TRANSIT: "moving",
    Step.OUT_FOR_DELIVERY: "at-the-door",
    Step.UNDELIVERED: "not-delivered",
    Step.DELIVERED: "handed-over",
    Step.RTO_INITIATED: "turned-round",
    Step.RTO_IN_TRANSIT: "moving-back",
    Step.RTO_OUT_FOR_DELIVERY: "at-the-senders-door",
    Step.RTO_DELIVERED: "back-at-the-sender",
    Step.LOST: "lost",
    Step.DAMAGED: "damaged",
    Step.CANCELLED: "called-off",
    Step.RVP_SCHEDULED: "fetch-planned",
    Step.RVP_PICKED: "fetched",
    Step.QC_FAILED: "check-failed",
    Step.DTO_DELIVERED: "brought-back",
    Step.ODD: "x-ray",
}
REASONS = {
    "unavailable": "nobody there: customer not available",
    "refused": "the customer refused the parcel",
    "address": "address incomplete",
    "later": "the customer asked for a later day",
}
ACTS = {"again": AGAIN, "defer": DEFER, "address": EDIT, "return": RETURN}
# code -> (HTTP status, what is wrong and what to do)
REFUSALS: dict[str, tuple[int, str]] = {
    "UNAUTHENTICATED": (401, "The key is missing or wrong."),
    "NOT_FOUND": (404, "There is no parcel with this AWB."),
    "REFERENCE_USED": (409, "This reference was used for another parcel: take a new one."),
    "COLLECTED": (409, "The parcel was collected: have it returned instead."),
    "CALLED_OFF": (409, "The parcel was called off: book it anew under a new reference."),
    "ENDED": (409, "The parcel has arrived: there is nothing left to do."),
    "NO_FAILED_DELIVERY": (409, "The last delivery did not fail: there is nothing to instruct."),
    "TOO_FAR_AHEAD": (422, "A delivery can be put off by six days at most."),
    "NOT_SERVED": (422, "We do not go there: ask for rates first."),
    "TOO_MANY_REQUESTS": (429, "Too many requests: wait and try again."),
    "INTERNAL": (500, "Something went wrong."),
    "CLOSED": (503, "We are closed. Nothing was done: try again."),
}
WORDS = {
    "unauthenticated": "UNAUTHENTICATED",
    "http_500_before": "INTERNAL",
    "http_500_after": "INTERNAL",
    "rate_limited": "TOO_MANY_REQUESTS",
    "gateway_down": "CLOSED",
    "picked_up": "COLLECTED",
    "cancelled": "CALLED_OFF",
    "ended": "ENDED",
    "not_undelivered": "NO_FAILED_DELIVERY",
    "too_far_ahead": "TOO_FAR_AHEAD",
}


def refuse(code: str) -> Answer:
    """An error in swift's words."""
    status, message = REFUSALS[code]
    return Answer(status, {"error": {"code": code, "message": message}})


class Swift(Carrier):
    """See the module."""

    name = "swift"
    unserved = ("744",)

    def api(self) -> list[Route]:
        """The routes of /v1."""
        return [
            Route("/v1/rates", self.guarded(self._rates)),
            Route("/v1/shipments", self.guarded(self._book), methods=["POST"]),
            Route("/v1/shipments", self.guarded(self._list)),
            Route("/v1/shipments/{awb}/pickup", self.guarded(self._pickup), methods=["POST"]),
            Route("/v1/shipments/{awb}/cancel", self.guarded(self._cancel), methods=["POST"]),
            Route(
                "/v1/shipments/{awb}/instructions", self.guarded(self._instruct), methods=["POST"]
            ),
            Route("/v1/shipments/{awb}/scans", self.guarded(self._scans)),
        ]

    def authentic(self, request: Request) -> bool:
        """`Authorization: Bearer <key>`."""
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.api_key}".encode())

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return refuse(WORDS[fault])

    def bad_request(self, error: BadField) -> Answer:
        """400 with what is wrong."""
        return Answer(400, {"error": {"code": "BAD_REQUEST", "message": error.message}})

    def event(self, parcel: Parcel, scan: Scan, event_id: str) -> Mapping[str, Any]:
        """One scan."""
        about = {"awb": parcel.awb, "reference": parcel.merchant_ref}
        return {"id": event_id, **about, "scan": _shown_scan(scan)}

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """`Swift-Signature: t=…,v1=…` over time and body."""
        signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Swift-Signature": f"t={at},v1={signed}"}

    async def _rates(self, request: Request) -> Response:
        query = dict(request.query_params)
        origin, destination = pincode_in(query, "from"), pincode_in(query, "to")
        grams, cash = int(number_in(query, "grams")), query.get("cash") == "1"

        def act(fault: str) -> Answer:
            fare = self.fare(origin, destination, cash=cash, grams=grams)
            rates = [{"service": "surface", "days": fare[0], "paise": fare[1]}] if fare else []
            return Answer(200, {"rates": rates})

        return await self.edge.call(faults.SERVICEABLE, f"{origin}-{destination}", act)

    async def _book(self, request: Request) -> Response:
        body = await json_of(request)
        reference, kind = text_in(body, "reference"), text_in(body, "kind")
        origin, destination = pincode_in(body, "from_pincode"), pincode_in(body, "to_pincode")
        grams, cash = int(number_in(body, "grams")), int(number_in(body, "cash"))

        def act(fault: str) -> Answer:
            wanted = fingerprint_of(body)
            with self.books.transaction():
                for first in self.parcels.parcels(reference):
                    same = first.fingerprint == wanted
                    return Answer(200, _shown(first)) if same else refuse("REFERENCE_USED")
                if self.fare(origin, destination, cash=cash > 0, grams=grams) is None:
                    return refuse("NOT_SERVED")
                parcel = self.yard.book(
                    reference,
                    awb=self.parcels.new_awb(),
                    reverse=kind == "reverse",
                    collect=cash,
                    value=int(number_in(body, "value")),
                    fingerprint=wanted,
                )
                return Answer(201, _shown(parcel))

        return await self.edge.call(faults.BOOK, reference, act)

    async def _list(self, request: Request) -> Response:
        reference = request.query_params.get("reference", "")

        def act(fault: str) -> Answer:
            return Answer(200, {"items": [_shown(one) for one in self.seen(reference, fault)]})

        return await self.edge.call(faults.LOOK_UP, reference, act)

    async def _on(
        self, request: Request, operation: str, deed: Callable[[Parcel], Answer]
    ) -> Response:
        parcel = self.parcels.parcel(request.path_params["awb"])
        if parcel is None:
            return refuse("NOT_FOUND").response()

        def act(fault: str) -> Answer:
            try:
                with self.books.transaction():
                    return deed(self.parcels.by_id(parcel.id) or parcel)
            except Refused as refused:
                return refuse(WORDS[refused.code])

        return await self.edge.call(operation, parcel.merchant_ref, act)

    async def _pickup(self, request: Request) -> Response:
        day = text_in(await json_of(request), "day")

        def deed(parcel: Parcel) -> Answer:
            self.yard.pickup(parcel)
            return Answer(200, {"awb": parcel.awb, "day": day})

        return await self._on(request, faults.PICKUP, deed)

    async def _cancel(self, request: Request) -> Response:
        return await self._on(
            request, faults.CANCEL, lambda parcel: Answer(200, _shown(self.yard.cancel(parcel)))
        )

    async def _instruct(self, request: Request) -> Response:
        body = await json_of(request)
        act, days = ACTS.get(text_in(body, "do")), days_until(body, "day")
        if act is None:
            raise BadField("do", f"do {body['do']!r} is not one of {', '.join(ACTS)}")
        chosen = act
        return await self._on(
            request,
            faults.NDR,
            lambda parcel: Answer(200, _shown(self.yard.after_ndr(parcel, chosen, days))),
        )

    async def _scans(self, request: Request) -> Response:
        return await self._on(
            request,
            faults.TRACK,
            lambda parcel: Answer(
                200,
                {
                    "awb": parcel.awb,
                    "scans": [_shown_scan(one) for one in self.parcels.scans(parcel.id)],
                },
            ),
        )


def _shown(parcel: Parcel) -> dict[str, Any]:
    about = {"awb": parcel.awb, "reference": parcel.merchant_ref}
    return {**about, "status": STATUSES[parcel.state]}


def _shown_scan(scan: Scan) -> dict[str, Any]:
    reason = REASONS.get(scan.reason or "", scan.reason)
    return {"status": STATUSES[scan.step], "at_ms": scan.at, "reason": reason}
