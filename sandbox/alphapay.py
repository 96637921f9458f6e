"""alphapay: idempotency keys on every POST, separate capture, signed and time-stamped webhooks."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.psp import desk
from sandbox.psp.app import MOST, Psp
from sandbox.psp.books import Payment, Refund, Status
from sandbox.psp.desk import Refused
from sandbox.psp.disputes import Dispute
from sandbox.psp.edge import Act, Answer, BadField, Fields
from sandbox.psp.instruments import UPI_METHODS
from sandbox.psp.keys import KeyInUse, KeyMismatch, Keys, fingerprint, key_of
from sandbox.psp.profiles import AUTHORISE, CAPTURE, FIND, FIND_REFUND, REFUND, VOID
from sandbox.psp.settlements import Fees
from sandbox.psp.upi import deep_link
from sandbox.settlement_pages import alphapay_page

EVENTS = {
    "authorised": "payment.authorised",
    "captured": "payment.captured",
    "failed": "payment.failed",
    "voided": "payment.voided",
    "expired": "payment.expired",
    "refunded": "refund.succeeded",
}

ERRORS: dict[str, tuple[str, str]] = {
    desk.FUNDS: ("insufficient_funds", "The account holds too little for this payment."),
    desk.LOST_CARD: ("lost_card", "The card was reported lost."),
    desk.FRAUD: ("suspected_fraud", "The payment looks fraudulent."),
    desk.AUTHENTICATION: ("authentication_required", "The customer must authenticate."),
    desk.TECHNICAL: ("bank_unavailable", "The bank did not answer; nothing was held."),
    desk.CUSTOMER_DECLINED: ("customer_declined", "The customer declined."),
    desk.CUSTOMER_LEFT: ("customer_cancelled", "The customer went back without paying."),
    desk.TIMED_OUT: ("payment_expired", "The customer did not act in time."),
}

# code -> (HTTP status, what is wrong and what to do)
REFUSALS: dict[str, tuple[int, str]] = {
    "already_captured": (409, "The payment is captured: refund it instead."),
    "not_authorised": (409, "No money is held on the payment, so none can be captured."),
    "not_captured": (409, "The payment is not captured, so there is nothing to refund: void it."),
    "amount_too_large": (400, "The amount is more than what is left: ask for that or less."),
    "payment_disputed": (409, "The customer's bank is asked: wait for its decision."),
    "merchant_ref_voided": (409, "This merchant_ref was voided before use: take a new one."),
    "no_such_payment": (404, "There is no payment with this id."),
    "unauthenticated": (401, "The bearer key is missing or wrong."),
    "in_progress": (409, "A request with this Idempotency-Key is still running: ask again."),
    "idempotency_mismatch": (409, "This Idempotency-Key was used with other parameters."),
    "internal_error": (500, "Something went wrong."),
    "rate_limited": (429, "Too many requests: wait and try again."),
    "gateway_down": (503, "The bank cannot be reached. Nothing was done: try again."),
}

EDGE_CODES = {
    "http_500_before": "internal_error",
    "http_500_after": "internal_error",
    "rate_limited": "rate_limited",
    "gateway_down": "gateway_down",
    "unauthenticated": "unauthenticated",
}


def refuse(code: str, payment: Mapping[str, Any] | None = None) -> Answer:
    """An error in alphapay's words, with the payment it is about where there is one."""
    status, message = REFUSALS[code]
    return Answer(status, {**(payment or {}), "error": {"code": code, "message": message}})


class AlphaPay(Psp):
    """See the module; paths and fields are listed in sandbox/README.md."""

    name = "alphapay"
    webhook_spread_ms = (5, 30)
    has_disputes = True
    fees: ClassVar[Fees] = {"upi_intent": (0, 0), "upi_qr": (0, 0), "*": (200, 0)}
    without_faults = frozenset({"stale_listing"})

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._keys = Keys(self.books)

    def api(self) -> list[Route]:
        """The routes of /v1."""
        post = {
            "/v1/payments": self._create,
            "/v1/payments/void-by-ref": self._void_by_ref,
            "/v1/payments/{id}/capture": self._capture,
            "/v1/payments/{id}/void": self._void,
            "/v1/refunds": self._refund,
        }
        get = {
            "/v1/payments": self._list,
            "/v1/payments/{id}": self._read,
            "/v1/refunds": self._list_refunds,
            "/v1/downtimes": self._list_downtimes,
            "/v1/settlements": self._list_settlements,
        }
        return [
            *(
                Route(path, self.guarded(handler), methods=["POST"])
                for path, handler in post.items()
            ),
            *(Route(path, self.guarded(handler)) for path, handler in get.items()),
        ]

    def snapshot(self, payment: Payment, base: str | None = None) -> dict[str, Any]:
        """A payment as alphapay shows it; with `base`, what the customer has to do too."""
        shown: dict[str, Any] = {
            "id": payment.id,
            "status": payment.status,
            "amount": payment.amount,
            "currency": payment.currency,
            "captured": payment.captured,
            "refunded": payment.refunded,
            "merchant_ref": payment.merchant_ref,
            "method": payment.method,
            "created": payment.created_at,
            "updated": payment.updated_at,
        }
        if payment.error is not None:
            code, message = ERRORS[payment.error]
            shown["error"] = {"code": code, "message": message}
        if base is not None and payment.status is Status.REQUIRES_ACTION:
            shown["next_action"] = self._next_action(payment, base)
        return shown

    def _next_action(self, payment: Payment, base: str) -> dict[str, Any]:
        page = f"{base}pay/{payment.id}"
        if payment.method not in UPI_METHODS:
            return {"type": "redirect", "url": page, "expires_at": payment.expires_at}
        link = deep_link(self.name, payment)
        upi = {"type": payment.method, "deep_link": link, "qr": link, "url": page}
        return {**upi, "expires_at": payment.expires_at}

    def _shown_refund(self, refund: Refund) -> dict[str, Any]:
        return {
            "id": refund.id,
            "status": "succeeded",
            "payment": refund.payment,
            "amount": refund.amount,
            "merchant_ref": refund.merchant_ref,
            "created": refund.created_at,
        }

    def event(
        self, kind: str, payment: Payment, refund: Refund | None, event_id: str
    ) -> Mapping[str, Any] | None:
        """The event with a snapshot of the payment as it then was."""
        data = {"payment": self.snapshot(payment)}
        if refund is not None:
            data["refund"] = self._shown_refund(refund)
        return {
            "id": event_id,
            "type": EVENTS[kind],
            "created": payment.updated_at,
            "data": data,
        }

    def dispute_event(self, dispute: Dispute, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """The dispute with a snapshot of its payment."""
        shown = {"id": dispute.id, "amount": dispute.amount, "reason": dispute.reason}
        return {
            "id": event_id,
            "type": f"dispute.{dispute.outcome}",
            "created": dispute.updated_at,
            "data": {"payment": self.snapshot(payment), "dispute": shown},
        }

    def false_event(self, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """The claim that this payment was captured in full."""
        claimed = {**self.snapshot(payment), "status": "captured", "captured": payment.amount}
        return {
            "id": event_id,
            "type": "payment.captured",
            "created": payment.updated_at,
            "data": {"payment": claimed},
        }

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """`AlphaPay-Signature: t=…,v1=…` over the time, a dot and the raw body."""
        signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return {"AlphaPay-Signature": f"t={at},v1={signed}"}

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return refuse(EDGE_CODES[fault])

    def bad_request(self, error: BadField) -> Answer:
        """400 with the field's name."""
        what = {"code": "invalid_request", "field": error.name, "message": error.message}
        return Answer(400, {"error": what})

    def authentic(self, request: Request) -> bool:
        """`Authorization: Bearer <key>`."""
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.api_key}".encode())

    async def _post(
        self, request: Request, operation: str, merchant_ref: str, act: Act, instrument: str = ""
    ) -> Response:
        """One POST, under its idempotency key where it has one."""
        key = key_of(request)
        if key is None:
            return await self.edge.call(operation, merchant_ref, act, instrument)
        used_for = await fingerprint(request)

        def act_once(fault: str) -> Answer:
            try:
                return self._keys.once(key, used_for, lambda: act(fault))
            except KeyMismatch:
                return refuse("idempotency_mismatch")

        try:
            with self._keys.hold(key):
                return await self.edge.call(operation, merchant_ref, act_once, instrument)
        except KeyInUse:
            return refuse("in_progress").response()

    def _try(self, base: str, deed: Callable[[], Payment]) -> Answer:
        """The payment after a deed, or the refusal."""
        try:
            with self.books.transaction():
                return Answer(200, self.snapshot(deed(), base))
        except Refused as refused:
            about = self.snapshot(refused.payment, base) if refused.payment else None
            return refuse(refused.code, about)

    async def _create(self, request: Request) -> Response:
        order = self.order(await Fields.of(request), "merchant_ref")
        base = str(request.base_url)

        def act(fault: str) -> Answer:
            answer = self._try(base, lambda: self.desk.authorise(order, fault))
            declined = answer.body.get("status") == Status.FAILED
            return Answer(402, answer.body) if declined else answer

        return await self._post(request, AUTHORISE, order.merchant_ref, act, order.instrument)

    async def _on_payment(
        self, request: Request, operation: str, deed: Callable[[Payment], Payment]
    ) -> Response:
        """A POST to one payment, which is read again once the call's turn comes."""
        ref = request.path_params["id"]
        known = self.books.payment(ref)
        if known is None:
            return refuse("no_such_payment").response()
        base = str(request.base_url)

        def act(fault: str) -> Answer:
            return self._try(base, lambda: deed(self.books.payment(ref) or known))

        return await self._post(request, operation, known.merchant_ref, act)

    async def _capture(self, request: Request) -> Response:
        amount = (await Fields.of(request)).whole("amount", most=MOST)
        return await self._on_payment(
            request, CAPTURE, lambda payment: self.desk.capture(payment, amount)
        )

    async def _void(self, request: Request) -> Response:
        await Fields.of(request)
        return await self._on_payment(request, VOID, self._void_deed)

    def _void_deed(self, payment: Payment) -> Payment:
        # A payment that ended without money stays as it ended: nothing is held on it.
        ended = payment.status in (Status.FAILED, Status.EXPIRED)
        return payment if ended else self.desk.void(payment)

    async def _void_by_ref(self, request: Request) -> Response:
        merchant_ref = (await Fields.of(request)).text("merchant_ref")
        base = str(request.base_url)
        return await self._post(
            request, VOID, merchant_ref, lambda fault: self._void_all(merchant_ref, base)
        )

    def _void_all(self, merchant_ref: str, base: str) -> Answer:
        """Void what there is under a reference, and let nothing come under it any more."""
        with self.books.transaction():
            self.books.bury(merchant_ref)
            answers = [
                self._try(base, partial(self._void_deed, payment))
                for payment in self.books.payments(merchant_ref)
            ]
        if not answers:
            nothing = {"id": None, "status": "voided", "merchant_ref": merchant_ref}
            return Answer(200, nothing)
        refused = [answer for answer in answers if answer.status != 200]
        return (refused or answers)[0]

    async def _refund(self, request: Request) -> Response:
        fields = await Fields.of(request)
        amount, merchant_ref = fields.whole("amount", most=MOST), fields.text("merchant_ref")
        ref = fields.text("payment")
        known = self.books.payment(ref)
        if known is None:
            return refuse("no_such_payment").response()

        def act(fault: str) -> Answer:
            payment = self.books.payment(ref) or known
            try:
                with self.books.transaction():
                    refund = self.desk.refund(payment, amount, merchant_ref)
            except Refused as refused:
                return refuse(refused.code, self.snapshot(payment))
            return Answer(200, self._shown_refund(refund))

        return await self._post(request, REFUND, known.merchant_ref, act)

    async def _read(self, request: Request) -> Response:
        ref, base = request.path_params["id"], str(request.base_url)
        known = self.books.payment(ref)
        if known is None:
            return refuse("no_such_payment").response()
        return await self.edge.call(
            FIND,
            known.merchant_ref,
            lambda fault: Answer(200, self.snapshot(self.books.payment(ref) or known, base)),
        )

    async def _list(self, request: Request) -> Response:
        def rows(merchant_ref: str, base: str) -> list[dict[str, Any]]:
            return [self.snapshot(one, base) for one in self.books.payments(merchant_ref)]

        return await self._listing(request, FIND, rows)

    async def _list_refunds(self, request: Request) -> Response:
        def rows(merchant_ref: str, base: str) -> list[dict[str, Any]]:
            return [self._shown_refund(one) for one in self.books.refunds(merchant_ref)]

        return await self._listing(request, FIND_REFUND, rows)

    async def _list_settlements(self, request: Request) -> Response:
        after = request.query_params.get("after")
        return await self.settlement_report(
            request, lambda lines: alphapay_page(self.settlements, lines, after)
        )

    async def _list_downtimes(self, request: Request) -> Response:
        rows = [
            {
                "id": f"down_{number}",
                "method": one.method,
                "bank": one.bank,
                "severity": one.severity,
                "begins": one.begins,
                "ends": one.ends,
            }
            for number, one in self.downtimes.announced()
        ]
        return Answer(200, {"data": rows}).response()

    async def _listing(
        self,
        request: Request,
        operation: str,
        rows: Callable[[str, str], list[dict[str, Any]]],
    ) -> Response:
        merchant_ref = request.query_params.get("merchant_ref")
        if not merchant_ref:
            raise BadField("merchant_ref", "name the merchant_ref to look up, as in ?merchant_ref=")
        base = str(request.base_url)
        return await self.edge.call(
            operation, merchant_ref, lambda fault: Answer(200, {"data": rows(merchant_ref, base)})
        )
