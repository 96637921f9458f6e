"""betapay: no keys on payments, UPI captured at once, late authorisation, unordered webhooks."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.betapay_words import BAD, ERRORS, REFUSALS
from sandbox.psp.app import MOST, Psp
from sandbox.psp.books import Payment, Refund, Status, now_ms
from sandbox.psp.desk import Refused
from sandbox.psp.edge import Answer, BadField, Fields
from sandbox.psp.instruments import UPI_METHODS
from sandbox.psp.keys import KeyInUse, KeyMismatch, Keys, fingerprint
from sandbox.psp.profiles import AUTHORISE, CAPTURE, FIND, FIND_REFUND, REFUND, VOID
from sandbox.psp.settlements import Fees
from sandbox.psp.upi import deep_link
from sandbox.settlement_pages import betapay_page

DEFAULT_KEY_ID = "betapay"
REFUND_KEY = "X-Refund-Idempotency"
SHORTEST_KEY, LONGEST_KEY = 10, 64

STATUSES = {
    Status.REQUIRES_ACTION: "created",
    Status.PROCESSING: "created",
    Status.AUTHORISED: "authorized",
    Status.PARTIALLY_CAPTURED: "captured",
    Status.CAPTURED: "captured",
    Status.VOIDED: "cancelled",
    Status.FAILED: "failed",
    Status.EXPIRED: "expired",
}
# A cancellation is told by no event.
EVENTS = {
    "authorised": "payment.authorized",
    "captured": "payment.captured",
    "failed": "payment.failed",
    "expired": "payment.failed",
    "refunded": "refund.processed",
}


def refuse(code: str) -> Answer:
    """A refusal in betapay's words."""
    words = REFUSALS[code]
    return Answer(words.status, {"error": words.shown()})


class BetaPay(Psp):
    """See the module; paths and fields are listed in sandbox/README.md."""

    name = "betapay"
    captures_at_once = UPI_METHODS
    authorises_late = True
    webhook_spread_ms = (5, 400)
    fees: ClassVar[Fees] = {
        "upi_intent": (0, 0),
        "upi_qr": (0, 0),
        "netbanking": (0, 15_00),
        "*": (175, 3_00),
    }

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._keys = Keys(self.books)

    def api(self) -> list[Route]:
        """The routes of /v1."""
        post = {
            "/v1/payments": self._create,
            "/v1/payments/{id}/capture": self._capture,
            "/v1/payments/{id}/cancel": self._cancel,
            "/v1/payments/{id}/refund": self._refund,
        }
        get = {
            "/v1/payments": self._list,
            "/v1/payments/downtimes": self._list_downtimes,
            "/v1/payments/{id}": self._read,
            "/v1/refunds": self._list_refunds,
            "/v1/settlements": self._list_settlements,
        }
        return [
            *(Route(path, self.guarded(does), methods=["POST"]) for path, does in post.items()),
            *(Route(path, self.guarded(does)) for path, does in get.items()),
        ]

    def snapshot(self, payment: Payment, base: str | None = None) -> dict[str, Any]:
        """A payment as betapay shows it; with `base`, what the customer has to do too."""
        given_back = 0 < payment.captured == payment.refunded
        shown: dict[str, Any] = {
            "id": payment.id,
            "entity": "payment",
            "status": "refunded" if given_back else STATUSES[payment.status],
            "amount": payment.amount,
            "currency": payment.currency,
            "amount_captured": payment.captured,
            "amount_refunded": payment.refunded,
            "receipt": payment.merchant_ref,
            "method": payment.method,
            "created_at": payment.created_at // 1000,
            "updated_at": payment.updated_at // 1000,
        }
        if payment.error is not None:
            shown["error"] = ERRORS[payment.error].shown()
        if base is not None and payment.status is Status.REQUIRES_ACTION:
            shown["next"] = self._next(payment, base)
        return shown

    def _next(self, payment: Payment, base: str) -> list[dict[str, Any]]:
        page = {"action": "redirect", "url": f"{base}pay/{payment.id}"}
        expires = {"expire_by": payment.expires_at // 1000}
        if payment.method not in UPI_METHODS:
            return [{**page, **expires}]
        return [{"action": "upi", "intent_url": deep_link(self.name, payment), **expires}, page]

    def _shown_refund(self, refund: Refund) -> dict[str, Any]:
        return {
            "id": refund.id,
            "entity": "refund",
            "status": "processed",
            "payment_id": refund.payment,
            "amount": refund.amount,
            "receipt": refund.merchant_ref,
            "created_at": refund.created_at // 1000,
        }

    def event(
        self, kind: str, payment: Payment, refund: Refund | None, event_id: str
    ) -> Mapping[str, Any] | None:
        """The event with the payment as it then was; its id travels in a header."""
        if kind not in EVENTS:
            return None
        payload: dict[str, Any] = {"payment": {"entity": self.snapshot(payment)}}
        if refund is not None:
            payload["refund"] = {"entity": self._shown_refund(refund)}
        return {
            "entity": "event",
            "event": EVENTS[kind],
            "created_at": payment.updated_at // 1000,
            "payload": payload,
        }

    def false_event(self, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """The claim that this payment was captured in full."""
        claim = {"status": "captured", "amount_captured": payment.amount}
        return {
            "entity": "event",
            "event": "payment.captured",
            "created_at": payment.updated_at // 1000,
            "payload": {"payment": {"entity": {**self.snapshot(payment), **claim}}},
        }

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """A signature over the raw body alone, and the event's id, which is not signed."""
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-BetaPay-Signature": signed, "X-BetaPay-Event-Id": event_id}

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return refuse(fault)

    def bad_request(self, error: BadField) -> Answer:
        """400 with the field's name as the reason."""
        what = {
            "code": BAD,
            "description": error.message,
            "source": "business",
            "step": "request",
            "reason": "invalid_field",
            "field": error.name,
        }
        return Answer(400, {"error": what})

    def authentic(self, request: Request) -> bool:
        """Basic auth; the key is `<key id>:<key secret>`, or the secret of the key id betapay."""
        key = self.api_key if ":" in self.api_key else f"{DEFAULT_KEY_ID}:{self.api_key}"
        wanted = base64.b64encode(key.encode())
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, b"Basic " + wanted)

    def _try(self, base: str, deed: Callable[[], Payment]) -> Answer:
        """The payment after a deed, or the refusal."""
        try:
            with self.books.transaction():
                return Answer(200, self.snapshot(deed(), base))
        except Refused as refused:
            return refuse(refused.code)

    async def _create(self, request: Request) -> Response:
        order = self.order(await Fields.of(request), "receipt")
        base = str(request.base_url)

        def act(fault: str) -> Answer:
            with self.books.transaction():
                payment = self.desk.authorise(order, fault)
            if payment.error is None:
                return Answer(200, self.snapshot(payment, base))
            # The payment is kept; the error alone is shown, with the payment's id in it.
            words = ERRORS[payment.error]
            about = {"metadata": {"payment_id": payment.id}}
            return Answer(words.status, {"error": {**words.shown(), **about}})

        return await self.edge.call(AUTHORISE, order.merchant_ref, act, order.instrument)

    async def _on_payment(
        self, request: Request, operation: str, deed: Callable[[Payment], Payment]
    ) -> Response:
        """A call on one payment, which is read again once the call's turn comes."""
        ref, base = request.path_params["id"], str(request.base_url)
        known = self.books.payment(ref)
        if known is None:
            return refuse("no_such_payment").response()
        return await self.edge.call(
            operation,
            known.merchant_ref,
            lambda fault: self._try(base, lambda: deed(self.books.payment(ref) or known)),
        )

    async def _capture(self, request: Request) -> Response:
        amount = (await Fields.of(request)).whole("amount", most=MOST)

        def capture(payment: Payment) -> Payment:
            if payment.status is Status.AUTHORISED and amount != payment.authorised:
                raise Refused("amount_differs", payment)
            return self.desk.capture(payment, amount)

        return await self._on_payment(request, CAPTURE, capture)

    async def _cancel(self, request: Request) -> Response:
        def cancel(payment: Payment) -> Payment:
            if payment.status is Status.EXPIRED:
                return payment
            try:
                # A failed payment is cancelled too: it could still be authorised late.
                return self.desk.void(payment)
            except Refused as refused:
                raise Refused("cannot_cancel", payment) from refused

        return await self._on_payment(request, VOID, cancel)

    async def _read(self, request: Request) -> Response:
        return await self._on_payment(request, FIND, lambda payment: payment)

    async def _refund(self, request: Request) -> Response:
        fields = await Fields.of(request)
        amount, receipt = fields.whole("amount", most=MOST), fields.text("receipt")
        ref = request.path_params["id"]
        known = self.books.payment(ref)
        if known is None:
            return refuse("no_such_payment").response()

        def act(fault: str) -> Answer:
            try:
                with self.books.transaction():
                    payment = self.books.payment(ref) or known
                    refund = self.desk.refund(payment, amount, receipt)
            except Refused as refused:
                return refuse(refused.code)
            return Answer(200, self._shown_refund(refund))

        return await self._refund_once(request, known.merchant_ref, act)

    async def _refund_once(
        self, request: Request, merchant_ref: str, act: Callable[[str], Answer]
    ) -> Response:
        """A refund under its key, where it has one."""
        key = request.headers.get(REFUND_KEY)
        if key is None:
            return await self.edge.call(REFUND, merchant_ref, act)
        if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
            asked = f"{REFUND_KEY} must be {SHORTEST_KEY} to {LONGEST_KEY} characters"
            raise BadField(REFUND_KEY, asked)
        used_for = await fingerprint(request)

        def act_once(fault: str) -> Answer:
            try:
                return self._keys.once(key, used_for, lambda: act(fault))
            except KeyMismatch:
                return refuse("key_mismatch")

        try:
            with self._keys.hold(key):
                return await self.edge.call(REFUND, merchant_ref, act_once)
        except KeyInUse:
            return refuse("in_progress").response()

    async def _list(self, request: Request) -> Response:
        def items(receipt: str, fault: str) -> list[dict[str, Any]]:
            stale = self.faults.settings.stale_ms if fault == "stale_listing" else 0
            seen = self.books.payments(receipt, before=now_ms() - stale)
            return [self.snapshot(one, str(request.base_url)) for one in seen]

        return await self._listing(request, FIND, items)

    async def _list_refunds(self, request: Request) -> Response:
        def items(receipt: str, fault: str) -> list[dict[str, Any]]:
            return [self._shown_refund(one) for one in self.books.refunds(receipt)]

        return await self._listing(request, FIND_REFUND, items)

    async def _list_settlements(self, request: Request) -> Response:
        skip = request.query_params.get("skip", "0")
        if not (skip.isascii() and skip.isdigit()) or len(skip) > 9:
            raise BadField("skip", f"skip must be a whole number from 0 up, not {skip!r}")
        return await self.settlement_report(
            request, lambda lines: betapay_page(self.settlements, lines, int(skip))
        )

    async def _list_downtimes(self, request: Request) -> Response:
        rows = [
            {
                "id": f"down_{number}",
                "entity": "payment.downtime",
                "method": one.method,
                "begin": one.begins // 1000,
                "end": None if one.ends is None else one.ends // 1000,
                "status": "started" if one.begins <= now_ms() else "scheduled",
                "severity": one.severity,
                "instrument": {} if one.bank is None else {"bank": one.bank},
            }
            for number, one in self.downtimes.announced()
        ]
        answer = {"entity": "collection", "count": len(rows), "items": rows}
        return Answer(200, answer).response()

    async def _listing(
        self,
        request: Request,
        operation: str,
        items: Callable[[str, str], list[dict[str, Any]]],
    ) -> Response:
        receipt = request.query_params.get("receipt")
        if not receipt:
            raise BadField("receipt", "name the receipt to look up, as in ?receipt=")

        def act(fault: str) -> Answer:
            found = items(receipt, fault)
            return Answer(200, {"entity": "collection", "count": len(found), "items": found})

        return await self.edge.call(operation, receipt, act)
