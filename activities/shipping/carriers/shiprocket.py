"""Shiprocket by its documented API: an order, then its AWB; our reference is the order's id."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from activities.payments.psp.http import UNREADABLE, Answer, JsonObject, Trouble
from activities.shipping.carriers import shiprocket_words as words
from activities.shipping.carriers.http import MALFORMED, UNDECIDED, CarrierHttp, refused
from activities.shipping.carriers.port import (
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
from activities.shipping.carriers.shiprocket_requests import order_of, return_of
from activities.shipping.carriers.shiprocket_words import TONGUE
from domain import webhooks
from domain.carriers import Quote
from domain.money import Money
from domain.payments import FailureClass as F
from domain.scans import Scan

ROOT = "/v1/external"
TOKEN_LIFE_S = 9 * 24 * 3600.0  # a token lasts about ten days
_REFUSED_US = (400, 401, 403, 422)
_LATE = {words.PICKED_UP: DeedState.TOO_LATE, words.ENDED: DeedState.TOO_LATE}
_CANCELLED = ("CANCELED", "CANCELLED")


class ShiprocketHttp(CarrierHttp):
    """Calls under a token got by login; without one nothing is sent."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, api_key: str) -> None:
        super().__init__(client, base_url, httpx.Auth())
        email, _, password = api_key.partition(":")
        self._credentials = {"email": email, "password": password}
        self._door = CarrierHttp(client, base_url, httpx.Auth())
        self._turn = asyncio.Lock()
        self._token, self._until = "", 0.0

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any
    ) -> Answer | Trouble:
        """Send; what its token had refused at the door was not acted on, and is sent once more."""
        path = f"{ROOT}{path}"
        token = await self._fresh()
        if isinstance(token, Trouble):
            return token
        answer = await super()._send(method, path, _bearing(token, headers), **given)
        if isinstance(answer, Trouble) or answer.status != 401:
            return answer
        token = await self._fresh(refused_token=token)
        if isinstance(token, Trouble):
            return token
        return await super()._send(method, path, _bearing(token, headers), **given)

    async def _fresh(self, *, refused_token: str = "") -> str | Trouble:
        """A token that is not the refused one; one call at a time asks for it."""
        async with self._turn:
            now = time.monotonic()
            if self._token != refused_token and now < self._until:
                return self._token
            answer = await self._door.post(f"{ROOT}/auth/login", self._credentials)
            if isinstance(answer, Trouble):
                return Trouble(F.NOT_SENT, f"token/{answer.code}")
            if not answer.ok:
                ours = answer.status in _REFUSED_US
                return Trouble(F.CONFIG if ours else F.NOT_SENT, f"token/http_{answer.status}")
            token = answer.body.get("token")
            if not isinstance(token, str) or not token:
                return Trouble(F.NOT_SENT, f"token/{UNREADABLE.code}")
            self._token, self._until = token, now + TOKEN_LIFE_S
            return token


def _bearing(token: str, headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return {**(headers or {}), "authorization": f"Bearer {token}"}


class Shiprocket:
    """The carrier port over Shiprocket's HTTP; `api_key` is `email:password` of an API user."""

    name = "shiprocket"
    caps = CarrierCapabilities(
        keyed=True,
        reserves=False,
        grace=timedelta(seconds=30),
        later_actions=False,
        actions=frozenset(NdrKind),
        signed_webhooks=False,
        exact_200=True,
    )

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        self._http = ShiprocketHttp(client, base_url, api_key)
        self._secrets = tuple(secrets)

    async def serviceable(
        self, origin: str, destination: str, *, cod: bool, grams: int, reverse: bool = False
    ) -> Quotes:
        """The couriers behind it, the cheapest first; a body of status 404 is "none"."""
        asked = {
            "pickup_postcode": origin,
            "delivery_postcode": destination,
            "cod": str(int(cod)),
            "weight": str(Decimal(grams) / 1000),
            "is_return": str(int(reverse)),
        }
        answer = await self._http.get("/courier/serviceability/", asked)
        if isinstance(answer, Answer) and answer.ok:
            try:
                return Quotes(offers=_offers(answer.body))
            except MALFORMED:
                answer = UNREADABLE
        failure = TONGUE.failure(answer)
        return Quotes(failure_class=failure.failure_class, failure_code=failure.code)

    async def reserve(self) -> Reservation:
        """Shiprocket gives AWBs to orders alone."""
        return Reservation()

    async def book(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Create the order, then have its AWB assigned; goes on where an earlier request ended."""
        return await self._book("/orders/create/adhoc", order_of(parcel), parcel.merchant_ref)

    async def reverse(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Create a return order, then have its AWB assigned."""
        return await self._book("/orders/create/return", return_of(parcel), parcel.merchant_ref)

    async def _book(self, path: str, order: JsonObject, merchant_ref: str) -> Booking:
        answer = await self._http.post(path, order)
        if isinstance(answer, Answer) and answer.ok and "shipment_id" in answer.body:
            try:
                ids = f"{int(answer.body['order_id'])}:{int(answer.body['shipment_id'])}"
            except MALFORMED:
                return TONGUE.not_booked(UNREADABLE, merchant_ref)
            return await self._assign(ids, merchant_ref)
        if isinstance(answer, Trouble) or not words.may_be_taken(answer.body):
            return TONGUE.not_booked(answer, merchant_ref)
        first = await self.find(merchant_ref=merchant_ref)
        if first.state is BookingState.INCOMPLETE and first.ref:
            return await self._assign(first.ref, merchant_ref)
        # Taken and not to be seen is a listing that lags.
        missing = first.state is BookingState.NOT_FOUND
        return TONGUE.not_found(UNREADABLE, merchant_ref) if missing else first

    async def _assign(self, ids: str, merchant_ref: str) -> Booking:
        shipment_id = int(ids.partition(":")[2])
        answer = await self._http.post("/courier/assign/awb", {"shipment_id": shipment_id})
        order = Booking(state=BookingState.INCOMPLETE, merchant_ref=merchant_ref, ref=ids)
        if isinstance(answer, Answer) and answer.ok:
            return _assigned(order, answer)
        if TONGUE.failure(answer).code == words.ALREADY_ASSIGNED:
            return await self.find(merchant_ref=merchant_ref)
        return _unassigned(order, TONGUE.failure(answer))

    async def pickup(self, booking: Booking, site: str, on: date, *, key: str) -> Deed:
        """Have one parcel picked up; a parcel in the queue already is DONE."""
        ids = (booking.ref or "").partition(":")[2]
        if not ids:
            return refused("no_shipment_id")
        body = {"shipment_id": [int(ids)], "pickup_date": [on.isoformat()]}
        return await self._deed("/courier/generate/pickup", body)

    async def cancel(self, booking: Booking, *, key: str) -> Deed:
        """Cancel the order, with or without an AWB; TOO_LATE once it was picked up."""
        ids = (booking.ref or "").partition(":")[0]
        if not ids:
            return refused("no_order_id")
        return await self._deed("/orders/cancel", {"ids": [int(ids)]})

    async def ndr_action(self, awb: str, action: NdrAction, *, key: str) -> Deed:
        """Instruct after a failed delivery."""
        does = "return" if action.kind is NdrKind.RETURN else "re-attempt"
        body: dict[str, Any] = {"action": does, "comments": f"Asked for by the buyer ({does})"}
        if action.on is not None:
            body["deferred_date"] = action.on.isoformat()
        if action.address is not None:
            body["phone"], body["address1"] = action.address.phone, action.address.line
        return await self._deed(f"/ndr/{awb}/action", body)

    async def _deed(self, path: str, body: JsonObject) -> Deed:
        answer = await self._http.post(path, body)
        if isinstance(answer, Answer) and answer.ok and not words.is_error(answer.body):
            # A pickup that is not queued is one that nobody comes to.
            done = answer.body.get("pickup_status", 1) == 1
            return Deed(state=DeedState.DONE) if done else TONGUE.not_done(answer)
        failed = TONGUE.not_done(answer)
        if failed.failure_code == words.ALREADY_QUEUED:
            return Deed(state=DeedState.DONE)
        state = _LATE.get(failed.failure_code or "", failed.state)
        return Deed(
            state=state, failure_class=failed.failure_class, failure_code=failed.failure_code
        )

    async def action(self, ref: str) -> Deed:
        """Shiprocket's actions are taken at once."""
        return Deed(state=DeedState.DONE, ref=ref)

    async def find(self, *, merchant_ref: str) -> Booking:
        """Look an order up by our reference; INCOMPLETE where it has no AWB yet."""
        answer = await self._http.get("/orders", {"search": merchant_ref})
        if isinstance(answer, Answer) and answer.ok:
            try:
                # A search finds what is alike, too.
                rows = [
                    row for row in answer.body["data"] if row["channel_order_id"] == merchant_ref
                ]
                none = Booking(state=BookingState.NOT_FOUND, merchant_ref=merchant_ref)
                return _booking(rows[0]) if rows else none
            except MALFORMED:
                answer = UNREADABLE
        return TONGUE.not_found(answer, merchant_ref)

    async def track(self, awb: str) -> Tracking:
        """Every activity of a parcel."""
        answer = await self._http.get(f"/courier/track/awb/{awb}")
        if isinstance(answer, Answer) and answer.ok:
            try:
                data = answer.body["tracking_data"]
                rows, reverse = data["shipment_track_activities"] or (), bool(data["is_return"])
                read = (words.scan_of(awb, one, reverse=reverse) for one in reversed(rows))
                return Tracking(scans=tuple(read))
            except MALFORMED:
                answer = UNREADABLE
        failure = TONGUE.failure(answer)
        return Tracking(failure_class=failure.failure_class, failure_code=failure.code)

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[Scan]:
        """As `webhook`, with the tokens valid now."""
        return self.webhook(raw, headers, now, self._secrets)

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[Scan]:
        """Check the shared `x-api-key`, which proves nothing of the body; raises WebhookError."""
        given = webhooks.header_of(headers, "x-api-key").encode()
        if not any(hmac.compare_digest(one.encode(), given) for one in secrets if one):
            raise webhooks.BadSignature("x-api-key fits none of the tokens valid now")
        body = webhooks.json_object(raw)
        try:
            return words.scans_of(body)
        except MALFORMED as error:
            raise webhooks.UnreadableEvent(f"not Shiprocket's known form: {error}") from error


def _assigned(order: Booking, answer: Answer) -> Booking:
    """The order with the AWB that an answer gives it; one of status 0 found no courier."""
    try:
        if answer.body["awb_assign_status"] == 0:
            return _unassigned(order, Trouble(F.DECLINED_SOFT, "awb_not_assigned"))
        data = answer.body["response"]["data"]
        awb, courier = webhooks.text_of(data["awb_code"]), str(data.get("courier_name") or "")
    except MALFORMED:
        return _unassigned(order, UNREADABLE)
    return replace(order, state=BookingState.BOOKED, awb=awb, courier=courier or None)


def _unassigned(order: Booking, failure: Trouble) -> Booking:
    """The order is there, whatever became of its AWB."""
    unknown = failure.failure_class in UNDECIDED
    return replace(
        order,
        state=BookingState.UNKNOWN if unknown else BookingState.INCOMPLETE,
        failure_class=failure.failure_class,
        failure_code=failure.code,
    )


def _offers(body: JsonObject) -> tuple[Quote, ...]:
    if int(body["status"]) == 404:
        return ()
    offers = (
        Quote(
            carrier="shiprocket",
            promised_days=int(row["estimated_delivery_days"]),
            # As text, so that the number is taken as it is written.
            cost=Money(int((Decimal(str(row["rate"])) * 100).to_integral_value())),
        )
        for row in body["data"]["available_courier_companies"]
    )
    return tuple(sorted(offers, key=lambda quote: (quote.cost.paise, quote.promised_days)))


def _booking(row: JsonObject) -> Booking:
    (shipment,) = row["shipments"]
    cancelled = str(row["status"]).upper() in _CANCELLED
    there = BookingState.BOOKED if shipment["awb"] else BookingState.INCOMPLETE
    return Booking(
        state=BookingState.CANCELLED if cancelled else there,
        merchant_ref=row["channel_order_id"],
        awb=str(shipment["awb"]) or None,
        ref=f"{int(row['id'])}:{int(shipment['id'])}",
        courier=shipment.get("courier") or None,
    )
