"""Delhivery by its documented API: the waybill fetched beforehand is the key of a booking."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import orjson

from activities.payments.psp.http import UNREADABLE, Answer, JsonObject, Trouble
from activities.shipping.carriers import delhivery_words as words
from activities.shipping.carriers.delhivery_requests import action_of, shipment_of
from activities.shipping.carriers.http import MALFORMED, CarrierHttp, Tongue, refused
from activities.shipping.carriers.port import (
    Address,
    Booking,
    BookingState,
    CarrierCapabilities,
    Deed,
    DeedState,
    NdrAction,
    NdrKind,
    Parcel,
    Quotes,
    Reservation,
    Tracking,
)
from domain import webhooks
from domain.carriers import Quote
from domain.money import Money
from domain.payments import FailureClass as F
from domain.scans import Scan
from domain.shipping import FREE_TO_CANCEL
from domain.shipping import ShipmentState as S

NO_SUCH = "No such waybill or Order Id found"
CONSUMED = "Unable to consume waybill"
OVER = "Shipment has reached its end"
NOT_SERVED = "Pincode not serviceable"
# How its remarks begin; it has no codes, and failures come with status 200.
_REMARKS: Mapping[str, F] = {
    NO_SUCH: F.INVALID_REQUEST,
    OVER: F.INVALID_REQUEST,
    NOT_SERVED: F.DECLINED_HARD,
    "Nothing to edit": F.INVALID_REQUEST,
    "Unknown waybill": F.INVALID_REQUEST,
    "Invalid payment mode": F.INVALID_REQUEST,
    # The request that first used it has acted.
    CONSUMED: F.UNKNOWN,
}


def _remark(body: JsonObject) -> str | None:
    packages = body.get("packages") or ()
    remarks = [str(each) for package in packages for each in package.get("remarks") or ()]
    said = [*remarks, *(str(body.get(name) or "") for name in ("error", "Error", "rmk"))]
    # The remark as far as it is the same for every parcel.
    known = (begin for text in said for begin in _REMARKS if text.startswith(begin))
    return next(known, None)


_TONGUE = Tongue(codes=_REMARKS, read_code=_remark)


class TokenAuth(httpx.Auth):
    """`Authorization: Token <token>`."""

    def __init__(self, token: str) -> None:
        self._header = f"Token {token}"

    def auth_flow(self, request: httpx.Request) -> Any:
        """Add the header."""
        request.headers["authorization"] = self._header
        yield request


class Delhivery:
    """The carrier port over Delhivery's HTTP; `api_key` is `client name:token`, or the token."""

    name = "delhivery"
    caps = CarrierCapabilities(
        keyed=True,
        reserves=True,
        grace=timedelta(seconds=30),
        later_actions=True,
        actions=frozenset(NdrKind),
        signed_webhooks=False,
    )

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        self._client_name, _, token = api_key.rpartition(":")
        self._http = CarrierHttp(client, base_url, TokenAuth(token))
        self._secrets = tuple(secrets)

    async def serviceable(
        self, origin: str, destination: str, *, cod: bool, grams: int, reverse: bool = False
    ) -> Quotes:
        """Its PIN code list, then its days and its charges."""
        customer = origin if reverse else destination
        answer = await self._http.get("/c/api/pin-codes/json/", {"filter_codes": customer})
        try:
            if not _goes_there(_body(answer), cod=cod, reverse=reverse):
                return Quotes()
            where = {"origin_pin": origin, "destination_pin": destination, "mot": "S"}
            answer = await self._http.get("/api/dc/expected_tat", where)
            days = int(_body(answer)["data"]["tat"])
            answer = await self._http.get(
                "/api/kinko/v1/invoice/charges/.json",
                {
                    "md": "S",
                    "ss": "DTO" if reverse else "Delivered",
                    "pt": "COD" if cod else "Pre-paid",
                    "cgm": str(grams),
                    "o_pin": origin,
                    "d_pin": destination,
                },
            )
            # As text, so that the number is taken as it is written.
            rupees = Decimal(str(_body(answer)["value"][0]["total_amount"]))
            cost = Money(int((rupees * 100).to_integral_value()))
            return Quotes(offers=(Quote(carrier=self.name, promised_days=days, cost=cost),))
        except MALFORMED:
            failure = _TONGUE.failure(UNREADABLE if _is_ok(answer) else answer)
            return Quotes(failure_class=failure.failure_class, failure_code=failure.code)

    async def reserve(self) -> Reservation:
        """A waybill, which is the key of the booking that will use it."""
        asked = {"count": "1", "cl": self._client_name}
        answer = await self._http.get("/waybill/api/bulk/json/", asked)
        if isinstance(answer, Answer) and answer.ok:
            awb = str(answer.body.get("value") or "").split(",")[0].strip()
            if awb.isascii() and awb.isalnum():
                return Reservation(awb=awb)
            answer = UNREADABLE
        failure = _TONGUE.failure(answer)
        return Reservation(failure_class=failure.failure_class, failure_code=failure.code)

    async def book(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Book under a waybill fetched beforehand; the same again is the same parcel."""
        mode = "COD" if parcel.collect.paise else "Prepaid"
        return await self._book(parcel, awb, mode, customer=parcel.destination, ours=parcel.origin)

    async def reverse(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Book a reverse pickup: its "consignee" is the customer that it is fetched from."""
        ours = parcel.destination
        return await self._book(parcel, awb, "Pickup", customer=parcel.origin, ours=ours)

    async def _book(
        self, parcel: Parcel, awb: str | None, mode: str, *, customer: Address, ours: Address
    ) -> Booking:
        if awb is None:
            # Without one, a booking sent twice would be two parcels.
            return Booking(
                state=BookingState.REFUSED,
                merchant_ref=parcel.merchant_ref,
                failure_class=F.INVALID_REQUEST,
                failure_code="waybill_needed",
            )
        data = {
            "shipments": [shipment_of(parcel, awb, mode, customer, ours)],
            "pickup_location": {"name": ours.site or ""},
        }
        form = {"format": "json", "data": orjson.dumps(data).decode()}
        answer = await self._http.post_form("/api/cmu/create.json", form)
        if _is_ok(answer) and _body(answer).get("success") is True:
            try:
                (package,) = _body(answer)["packages"]
                same = (package["status"], str(package["waybill"])) == ("Success", awb)
            except MALFORMED:
                same = False
            if same:
                return _booked(parcel.merchant_ref, awb)
            return _TONGUE.not_booked(UNREADABLE, parcel.merchant_ref)
        if _TONGUE.failure(answer).code == CONSUMED:
            return await self._first_use(awb, parcel.merchant_ref)
        return _TONGUE.not_booked(answer, parcel.merchant_ref)

    async def _first_use(self, awb: str, merchant_ref: str) -> Booking:
        """Whose the waybill is: ours, from a request whose answer was lost, or another's."""
        answer = await self._http.get("/api/v1/packages/json/", {"waybill": awb})
        try:
            found = _bookings(_body(answer))
        except MALFORMED:
            return _TONGUE.not_found(answer, merchant_ref)
        if found and found[0].merchant_ref == merchant_ref:
            return found[0]
        return Booking(
            state=BookingState.REFUSED if found else BookingState.UNKNOWN,
            merchant_ref=merchant_ref,
            failure_class=F.INVALID_REQUEST if found else F.UNKNOWN,
            failure_code="waybill_of_another" if found else CONSUMED,
        )

    async def pickup(self, booking: Booking, site: str, on: date, *, key: str) -> Deed:
        """Have all that is booked at a warehouse fetched; one open request is enough."""
        body = {"pickup_location": site, "pickup_date": on.isoformat(), "pickup_time": "14:00:00"}
        answer = await self._http.post("/fm/request/new/", {**body, "expected_package_count": 1})
        if _is_ok(answer):
            told = _body(answer)
            if told.get("pr_exist") or "pickup_id" in told:
                return Deed(state=DeedState.DONE, ref=str(told.get("pickup_id") or "") or None)
            answer = UNREADABLE
        return _TONGUE.not_done(answer)

    async def cancel(self, booking: Booking, *, key: str) -> Deed:
        """Cancel; its answer does not tell a parcel called off from one that turns back, so look.

        UNKNOWN where that look failed: asking again does no harm.
        """
        if booking.awb is None:
            return refused("no_waybill")
        body = {"waybill": booking.awb, "cancellation": "true"}
        answer = await self._http.post("/api/p/edit", body)
        if not (_is_ok(answer) and _body(answer).get("status") is True):
            failed = _TONGUE.not_done(answer)
            late = failed.failure_code == OVER
            return Deed(
                state=DeedState.TOO_LATE if late else failed.state,
                failure_class=failed.failure_class,
                failure_code=failed.failure_code,
            )
        seen = await self.track(booking.awb)
        if seen.failure_class is not None:
            unknown = Trouble(F.UNKNOWN, seen.failure_code or "not_tracked")
            return _TONGUE.not_done(unknown)
        picked_up = any(
            scan.status not in (*FREE_TO_CANCEL, S.CANCELLED, S.UNMAPPED) for scan in seen.scans
        )
        off = any(scan.status is S.CANCELLED for scan in seen.scans)
        return Deed(state=DeedState.RETURNING if picked_up and not off else DeedState.DONE)

    async def ndr_action(self, awb: str, action: NdrAction, *, key: str) -> Deed:
        """Ask for an action, whose outcome `action` tells later; RETURN is a cancellation."""
        if action.kind is NdrKind.RETURN:
            off = await self.cancel(Booking(state=BookingState.BOOKED, awb=awb), key=key)
            return Deed(state=DeedState.DONE) if off.state is DeedState.RETURNING else off
        asked = action_of(awb, action)
        answer = await self._http.post("/api/p/update", {"data": [asked]})
        if _is_ok(answer):
            ref = _body(answer).get("request_id")
            if isinstance(ref, str) and ref:
                return Deed(state=DeedState.PENDING, ref=ref)
            if _body(answer).get("success") is not False:
                answer = UNREADABLE
        return _TONGUE.not_done(answer)

    async def action(self, ref: str) -> Deed:
        """What became of an action: a waybill in neither list is still being worked on."""
        answer = await self._http.get(f"/api/cmu/get_bulk_upl/{ref}", {"verbose": "true"})
        try:
            told = _body(answer)
            done, failed = told["success_wbns"], told["failed_wbns"]
            if failed:
                return Deed(
                    state=DeedState.REFUSED,
                    ref=ref,
                    failure_class=F.INVALID_REQUEST,
                    failure_code=str(failed[0]["message"])[:100],
                )
            return Deed(state=DeedState.DONE if done else DeedState.PENDING, ref=ref)
        except MALFORMED:
            return _TONGUE.not_done(UNREADABLE if _is_ok(answer) else answer)

    async def find(self, *, merchant_ref: str) -> Booking:
        """Look a parcel up by our order id."""
        answer = await self._http.get("/api/v1/packages/json/", {"ref_ids": merchant_ref})
        try:
            rows = [row for row in _bookings(_body(answer)) if row.merchant_ref == merchant_ref]
        except MALFORMED:
            return _TONGUE.not_found(UNREADABLE if _is_ok(answer) else answer, merchant_ref)
        live = [row for row in rows if row.state is BookingState.BOOKED]
        none = Booking(state=BookingState.NOT_FOUND, merchant_ref=merchant_ref)
        return next(iter([*live, *rows]), none)

    async def track(self, awb: str) -> Tracking:
        """Every scan of a parcel."""
        answer = await self._http.get("/api/v1/packages/json/", {"waybill": awb})
        try:
            (one,) = _body(answer)["ShipmentData"]
            rows = one["Shipment"]["Scans"]
            return Tracking(scans=tuple(words.scan_in_list(awb, row["ScanDetail"]) for row in rows))
        except MALFORMED:
            failure = _TONGUE.failure(answer)
            return Tracking(failure_class=failure.failure_class, failure_code=failure.code)

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[Scan]:
        """As `webhook`, with the tokens valid now."""
        return self.webhook(raw, headers, now, self._secrets)

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[Scan]:
        """Check `Authorization: Token …`, the header agreed on at set-up; raises WebhookError."""
        given = webhooks.header_of(headers, "Authorization").encode()
        wanted = [f"Token {secret}".encode() for secret in secrets if secret]
        if not any(hmac.compare_digest(one, given) for one in wanted):
            raise webhooks.BadSignature("Authorization fits none of the tokens valid now")
        body = webhooks.json_object(raw)
        try:
            return [words.scan_in_event(body)]
        except MALFORMED as error:
            raise webhooks.UnreadableEvent(f"not Delhivery's known form: {error}") from error


def _is_ok(answer: Answer | Trouble) -> bool:
    return isinstance(answer, Answer) and answer.ok


def _body(answer: Answer | Trouble) -> JsonObject:
    """The body of a success; ValueError for anything else."""
    if isinstance(answer, Trouble) or not answer.ok:
        raise ValueError("no answer to read")
    return answer.body


def _goes_there(body: JsonObject, *, cod: bool, reverse: bool) -> bool:
    wanted = "pickup" if reverse else "cod" if cod else "pre_paid"
    return any(row["postal_code"][wanted] == "Y" for row in body["delivery_codes"])


def _bookings(body: JsonObject) -> list[Booking]:
    """The parcels that a look-up shows; none where Delhivery says so; KeyError for other errors."""
    if str(body.get("Error") or "").startswith(NO_SUCH):
        return []
    shown = [row["Shipment"] for row in body["ShipmentData"]]
    return [_shown(one) for one in shown]


def _shown(shipment: JsonObject) -> Booking:
    off = shipment["Status"]["StatusType"] == "CN"
    booked = _booked(str(shipment["ReferenceNo"]), str(shipment["AWB"]))
    return replace(booked, state=BookingState.CANCELLED) if off else booked


def _booked(merchant_ref: str, awb: str) -> Booking:
    return Booking(
        state=BookingState.BOOKED, merchant_ref=merchant_ref, awb=awb, courier="delhivery"
    )
