"""swift: the sandbox's own carrier. Our reference is the key, and its webhooks are signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from activities.payments.psp.http import UNREADABLE, Answer, BearerAuth, JsonObject
from activities.shipping.carriers.http import MALFORMED, CarrierHttp, Tongue
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
from domain import webhooks
from domain.carriers import Quote
from domain.money import Money
from domain.payments import FailureClass as F
from domain.scans import Scan
from domain.shipping import ShipmentState as S

STATUSES: Mapping[str, S] = {
    "booked": S.BOOKED,
    "pickup-planned": S.PICKUP_SCHEDULED,
    "pickup-missed": S.PICKUP_FAILED,
    "collected": S.PICKED_UP,
    "moving": S.IN_TRANSIT,
    "at-the-door": S.OUT_FOR_DELIVERY,
    "not-delivered": S.NDR,
    "handed-over": S.DELIVERED,
    "turned-round": S.RTO_INITIATED,
    "moving-back": S.RTO_IN_TRANSIT,
    "at-the-senders-door": S.RTO_OUT_FOR_DELIVERY,
    "back-at-the-sender": S.RTO_DELIVERED,
    "lost": S.LOST,
    "damaged": S.DAMAGED,
    "called-off": S.CANCELLED,
    "fetch-planned": S.RVP_SCHEDULED,
    "fetched": S.RVP_PICKED,
    "check-failed": S.QC_FAILED,
    "brought-back": S.DTO_DELIVERED,
}
_CLASSES: Mapping[F, str] = {
    F.CONFIG: "UNAUTHENTICATED",
    F.REJECTED_TRANSIENT: "TOO_MANY_REQUESTS CLOSED",
    # The request that first used the reference has acted.
    F.UNKNOWN: "REFERENCE_USED INTERNAL",
    F.DECLINED_HARD: "NOT_SERVED",
    F.INVALID_REQUEST: "BAD_REQUEST NOT_FOUND COLLECTED CALLED_OFF ENDED NO_FAILED_DELIVERY"
    " TOO_FAR_AHEAD",
}
_TONGUE = Tongue(
    codes={code: failure for failure, codes in _CLASSES.items() for code in codes.split()},
    read_code=lambda body: body["error"]["code"],
)
_TOO_LATE = {"COLLECTED": DeedState.TOO_LATE, "ENDED": DeedState.TOO_LATE}
_DO = {
    NdrKind.REATTEMPT: "again",
    NdrKind.DEFER: "defer",
    NdrKind.EDIT_ADDRESS: "address",
    NdrKind.RETURN: "return",
}


class Swift:
    """The carrier port over swift's HTTP."""

    name = "swift"
    caps = CarrierCapabilities(
        keyed=True,
        reserves=False,
        grace=timedelta(seconds=5),
        later_actions=False,
        actions=frozenset(NdrKind),
        signed_webhooks=True,
    )

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        self._http = CarrierHttp(client, base_url, BearerAuth(api_key))
        self._secrets = tuple(secrets)

    async def serviceable(
        self, origin: str, destination: str, *, cod: bool, grams: int, reverse: bool = False
    ) -> Quotes:
        """Its rates."""
        asked = {"from": origin, "to": destination, "grams": str(grams), "cash": str(int(cod))}
        answer = await self._http.get("/v1/rates", asked)
        if isinstance(answer, Answer) and answer.ok:
            try:
                return Quotes(offers=tuple(_quote(rate) for rate in answer.body["rates"]))
            except MALFORMED:
                answer = UNREADABLE
        failure = _TONGUE.failure(answer)
        return Quotes(failure_class=failure.failure_class, failure_code=failure.code)

    async def reserve(self) -> Reservation:
        """swift gives an AWB with the booking alone."""
        return Reservation()

    async def book(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Book; a second request under the same reference gets the first's parcel."""
        return await self._book(parcel, "forward")

    async def reverse(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Book a fetch from the customer; it is planned with the booking."""
        return await self._book(parcel, "reverse")

    async def _book(self, parcel: Parcel, kind: str) -> Booking:
        answer = await self._http.post("/v1/shipments", _wanted(parcel, kind))
        if isinstance(answer, Answer) and answer.ok:
            try:
                return _booking(answer.body)
            except MALFORMED:
                answer = UNREADABLE
        return _TONGUE.not_booked(answer, parcel.merchant_ref)

    async def pickup(self, booking: Booking, site: str, on: date, *, key: str) -> Deed:
        """Have one parcel collected."""
        return await self._deed(booking.awb, "pickup", {"day": on.isoformat()})

    async def cancel(self, booking: Booking, *, key: str) -> Deed:
        """Call a parcel off; TOO_LATE once it was collected."""
        return await self._deed(booking.awb, "cancel", {})

    async def ndr_action(self, awb: str, action: NdrAction, *, key: str) -> Deed:
        """Instruct after a failed delivery."""
        asked: dict[str, Any] = {"do": _DO[action.kind]}
        if action.on is not None:
            asked["day"] = action.on.isoformat()
        if action.address is not None:
            asked["line"], asked["pincode"] = action.address.line, action.address.pincode
        return await self._deed(awb, "instructions", asked)

    async def _deed(self, awb: str | None, what: str, body: JsonObject) -> Deed:
        answer = await self._http.post(f"/v1/shipments/{awb}/{what}", body)
        if isinstance(answer, Answer) and answer.ok:
            return Deed(state=DeedState.DONE)
        failed = _TONGUE.not_done(answer)
        state = _TOO_LATE.get(failed.failure_code or "", failed.state)
        return Deed(
            state=state, failure_class=failed.failure_class, failure_code=failed.failure_code
        )

    async def action(self, ref: str) -> Deed:
        """swift's instructions are done at once."""
        return Deed(state=DeedState.DONE, ref=ref)

    async def find(self, *, merchant_ref: str) -> Booking:
        """Look a parcel up by our reference."""
        answer = await self._http.get("/v1/shipments", {"reference": merchant_ref})
        if isinstance(answer, Answer) and answer.ok:
            try:
                found = [_booking(one) for one in answer.body["items"]]
            except MALFORMED:
                return _TONGUE.not_found(UNREADABLE, merchant_ref)
            none = Booking(state=BookingState.NOT_FOUND, merchant_ref=merchant_ref)
            return found[0] if found else none
        return _TONGUE.not_found(answer, merchant_ref)

    async def track(self, awb: str) -> Tracking:
        """Every scan of a parcel."""
        answer = await self._http.get(f"/v1/shipments/{awb}/scans")
        if isinstance(answer, Answer) and answer.ok:
            try:
                return Tracking(scans=tuple(_scan(awb, one) for one in answer.body["scans"]))
            except MALFORMED:
                answer = UNREADABLE
        failure = _TONGUE.failure(answer)
        return Tracking(failure_class=failure.failure_class, failure_code=failure.code)

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[Scan]:
        """As `webhook`, with the secrets valid now."""
        return self.webhook(raw, headers, now, self._secrets)

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[Scan]:
        """Check `Swift-Signature: t=…,v1=…` and read the scan; raises WebhookError."""
        signed_at, given = _signature(webhooks.header_of(headers, "Swift-Signature"))
        webhooks.check_signature(f"{signed_at}.".encode() + raw, [given], secrets)
        if abs(now.timestamp() - signed_at) > webhooks.TOLERANCE.total_seconds():
            raise webhooks.StaleSignature("signed too long ago or ahead: check both clocks")
        body = webhooks.json_object(raw)
        try:
            return [_scan(webhooks.text_of(body["awb"]), body["scan"])]
        except MALFORMED as error:
            raise webhooks.UnreadableEvent(f"not a scan of swift's known form: {error}") from error


def _wanted(parcel: Parcel, kind: str) -> dict[str, Any]:
    sides = {"from": parcel.origin, "to": parcel.destination}
    places = {
        f"{side}_{what}": getattr(address, what)
        for side, address in sides.items()
        for what in ("name", "phone", "line", "city", "state", "pincode")
    }
    size = [parcel.length_mm, parcel.breadth_mm, parcel.height_mm]
    money = {"cash": parcel.collect.paise, "value": parcel.value.paise}
    what = {"grams": parcel.grams, "mm": size, "contents": parcel.contents}
    return {"reference": parcel.merchant_ref, "kind": kind, **places, **what, **money}


def _quote(rate: JsonObject) -> Quote:
    return Quote(carrier="swift", promised_days=rate["days"], cost=Money(rate["paise"]))


def _booking(shown: JsonObject) -> Booking:
    called_off = STATUSES.get(shown["status"]) is S.CANCELLED
    return Booking(
        state=BookingState.CANCELLED if called_off else BookingState.BOOKED,
        merchant_ref=shown["reference"],
        awb=webhooks.text_of(shown["awb"]),
        courier="swift",
    )


def _scan(awb: str, shown: JsonObject) -> Scan:
    status = webhooks.text_of(shown["status"])
    at = datetime.fromtimestamp(webhooks.whole(shown["at_ms"]) / 1000, UTC)
    return Scan(
        awb=awb,
        status=STATUSES.get(status, S.UNMAPPED),
        at=at,
        carrier_status_id=status,
        reason=str(shown.get("reason") or ""),
    )


def _signature(header: str) -> tuple[int, str]:
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    signed_at = parts.get("t", "")
    if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= 12):
        raise webhooks.BadSignature("Swift-Signature is not of the form t=<seconds>,v1=<hex>")
    return int(signed_at), parts.get("v1", "")
