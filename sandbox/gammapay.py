"""gammapay: wallet and UPI, taken at once; OAuth tokens; the merchant's order id is the key."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.psp import desk
from sandbox.psp.app import MOST, Psp
from sandbox.psp.books import Payment, Refund, Status
from sandbox.psp.desk import Refused
from sandbox.psp.edge import Answer, BadField, Fields
from sandbox.psp.instruments import UPI_METHODS
from sandbox.psp.profiles import AUTHORISE, FIND, FIND_REFUND, REFUND, VOID
from sandbox.psp.upi import deep_link

TOKEN_S = 600
METHODS = UPI_METHODS | {"wallet"}
STATES = {
    Status.REQUIRES_ACTION: "PENDING",
    Status.PROCESSING: "PENDING",
    Status.CAPTURED: "COMPLETED",
    Status.VOIDED: "CANCELLED",
    Status.FAILED: "FAILED",
    Status.EXPIRED: "EXPIRED",
}
EVENTS = {
    "captured": "order.completed",
    "failed": "order.failed",
    "voided": "order.cancelled",
    "expired": "order.expired",
    "refunded": "refund.completed",
}
ERRORS = {
    desk.FUNDS: "INSUFFICIENT_BALANCE",
    desk.LOST_CARD: "ACCOUNT_CLOSED",
    desk.FRAUD: "RISK_REJECTED",
    desk.AUTHENTICATION: "PIN_REQUIRED",
    desk.TECHNICAL: "BANK_DOWN",
    desk.CUSTOMER_DECLINED: "CUSTOMER_DECLINED",
    desk.CUSTOMER_LEFT: "CUSTOMER_LEFT",
    desk.TIMED_OUT: "ORDER_EXPIRED",
}
# code -> (HTTP status, what is wrong and what to do)
REFUSALS: dict[str, tuple[int, str]] = {
    "INVALID_CLIENT": (401, "The client id or secret is wrong."),
    "TOKEN_REFUSED": (401, "The access token is missing or over: get a new one."),
    "NOT_FOUND": (404, "There is nothing under this id."),
    "ORDER_PAID": (409, "The order is paid: refund it instead."),
    "ORDER_CANCELLED": (409, "This order id was cancelled before use: take a new one."),
    "ORDER_UNPAID": (409, "The order is not paid, so there is nothing to refund."),
    "ORDER_DIFFERS": (409, "This order id was used for something else."),
    "REFUND_DIFFERS": (409, "This refund id was used for something else."),
    "TOO_MUCH": (400, "The amount is more than what is left to refund."),
    "INTERNAL_ERROR": (500, "Something went wrong."),
    "TOO_MANY_REQUESTS": (429, "Too many requests: wait and try again."),
    "SERVICE_DOWN": (503, "The bank cannot be reached. Nothing was done: try again."),
}
WORDS = {
    "http_500_before": "INTERNAL_ERROR",
    "http_500_after": "INTERNAL_ERROR",
    "rate_limited": "TOO_MANY_REQUESTS",
    "gateway_down": "SERVICE_DOWN",
    "unauthenticated": "TOKEN_REFUSED",
    "already_captured": "ORDER_PAID",
    "merchant_ref_voided": "ORDER_CANCELLED",
    "not_captured": "ORDER_UNPAID",
    "amount_too_large": "TOO_MUCH",
}


def refuse(code: str, order: Mapping[str, Any] | None = None) -> Answer:
    """An error in gammapay's words, with the order it is about where there is one."""
    status, message = REFUSALS[code]
    return Answer(status, {**(order or {}), "error": {"code": code, "message": message}})


class GammaPay(Psp):
    """See the module. Tokens live in memory: a restart ends them all."""

    name = "gammapay"
    captures_at_once = METHODS
    without_faults = frozenset({"stale_listing"})
    webhook_spread_ms = (5, 30)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._tokens: dict[str, float] = {}
        # What every webhook carries, whatever it says: a hash of `user:password`.
        secret = given["target"].secret if given["target"] else ""
        self._callback = hashlib.sha256(secret.encode()).hexdigest()

    def api(self) -> list[Route]:
        """The routes of /v1."""
        return [
            Route("/v1/token", self._token, methods=["POST"]),
            Route("/v1/pay", self.guarded(self._pay), methods=["POST"]),
            Route("/v1/orders", self.guarded(self._list)),
            Route("/v1/orders/{id}/cancel", self.guarded(self._cancel), methods=["POST"]),
            Route("/v1/refunds", self.guarded(self._refund), methods=["POST"]),
            Route("/v1/refunds", self.guarded(self._list_refunds)),
        ]

    async def _token(self, request: Request) -> Response:
        """A token for the client's credentials (RFC 6749)."""
        form = parse_qs((await request.body()).decode())
        client = ":".join(form.get(name, [""])[0] for name in ("client_id", "client_secret"))
        wanted = self.api_key if ":" in self.api_key else f"{self.name}:{self.api_key}"
        if not hmac.compare_digest(client.encode(), wanted.encode()):
            return refuse("INVALID_CLIENT").response()
        token, now = secrets.token_urlsafe(24), time.monotonic()
        self._tokens = {each: until for each, until in self._tokens.items() if until > now}
        self._tokens[token] = now + TOKEN_S
        return Answer(200, {"access_token": token, "expires_in": TOKEN_S}).response()

    def authentic(self, request: Request) -> bool:
        """`Authorization: Bearer <access token>`, while it lasts."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._tokens.get(token, 0.0) > time.monotonic()

    def snapshot(self, payment: Payment, base: str | None = None) -> dict[str, Any]:
        """An order as gammapay shows it; with `base`, where the customer has to go too."""
        shown: dict[str, Any] = {"payment_id": payment.id, "order_id": payment.merchant_ref}
        shown |= {"state": STATES[payment.status], "updated_ms": payment.updated_at}
        shown |= {"amount": payment.amount, "currency": payment.currency}
        shown |= {"paid": payment.captured, "refunded": payment.refunded}
        if payment.error is not None:
            shown["reason"] = ERRORS[payment.error]
        if base is not None and payment.status is Status.REQUIRES_ACTION:
            upi = payment.method in UPI_METHODS
            shown["pay"] = {"url": f"{base}pay/{payment.id}", "until_ms": payment.expires_at}
            shown["pay"] |= {"kind": payment.method.upper() if upi else "REDIRECT"}
            shown["pay"] |= {"link": deep_link(self.name, payment)} if upi else {}
        return shown

    def event(
        self, kind: str, payment: Payment, refund: Refund | None, event_id: str
    ) -> Mapping[str, Any] | None:
        """The event with the order as it then was; it has no id of its own."""
        about = {"refund": _shown_refund(refund)} if refund else {}
        told = {"event": EVENTS.get(kind), "order": self.snapshot(payment)}
        return {**told, **about} if kind in EVENTS else None

    def false_event(self, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """The claim that this order was paid in full."""
        claim = {"state": "COMPLETED", "paid": payment.amount}
        return {"event": "order.completed", "order": {**self.snapshot(payment), **claim}}

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """The static token, for a forger too: whoever saw one webhook can send any other."""
        return {"Authorization": self._callback}

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return refuse(WORDS[fault])

    def bad_request(self, error: BadField) -> Answer:
        """400 with what is wrong."""
        return Answer(400, {"error": {"code": "BAD_REQUEST", "message": error.message}})

    def _try(self, base: str, deed: Callable[[], Payment]) -> Answer:
        try:
            with self.books.transaction():
                return Answer(200, self.snapshot(deed(), base))
        except Refused as refused:
            about = refused.payment
            return refuse(WORDS[refused.code], self.snapshot(about, base) if about else None)

    async def _pay(self, request: Request) -> Response:
        order = self.order(await Fields.of(request), "order_id")
        if order.method not in METHODS:
            raise BadField("method", f"method {order.method!r} is not one of {sorted(METHODS)}")
        base, asked = str(request.base_url), (order.amount, order.currency, order.method)

        def act(fault: str) -> Answer:
            for first in self.books.payments(order.merchant_ref):
                same = asked == (first.amount, first.currency, first.method)
                about = self.snapshot(first, base)
                return Answer(200, about) if same else refuse("ORDER_DIFFERS", about)
            return self._try(base, lambda: self.desk.authorise(order, fault))

        return await self.edge.call(AUTHORISE, order.merchant_ref, act, order.instrument)

    def _order(self, named: str) -> tuple[str, Payment | None]:
        """An order, which goes by the merchant's id and by the payment's alike."""
        found = self.books.payment(named) or next(iter(self.books.payments(named)), None)
        return (found.merchant_ref if found else named), found

    async def _list(self, request: Request) -> Response:
        named = request.query_params.get("order_id") or request.query_params.get("payment_id") or ""

        def act(fault: str) -> Answer:
            found, base = self._order(named)[1], str(request.base_url)
            return Answer(200, {"items": [self.snapshot(found, base)] if found else []})

        return await self.edge.call(FIND, self._order(named)[0], act)

    async def _cancel(self, request: Request) -> Response:
        named: str = request.path_params["id"]

        def act(fault: str) -> Answer:
            order_id, found = self._order(named)
            if found is not None:
                ended = found.status in (Status.FAILED, Status.EXPIRED)
                return self._try("", lambda: found if ended else self.desk.void(found))
            with self.books.transaction():
                self.books.bury(order_id)  # a request to pay it that is on its way is refused
            return Answer(200, {"order_id": order_id, "payment_id": None, "state": "CANCELLED"})

        return await self.edge.call(VOID, self._order(named)[0], act)

    async def _refund(self, request: Request) -> Response:
        fields = await Fields.of(request)
        amount, refund_id = fields.whole("amount", most=MOST), fields.text("refund_id")
        payment = self.books.payment(fields.text("payment_id"))
        if payment is None:
            return refuse("NOT_FOUND").response()

        def act(fault: str) -> Answer:
            for first in self.books.refunds(refund_id):
                same = (first.payment, first.amount) == (payment.id, amount)
                return Answer(200, _shown_refund(first)) if same else refuse("REFUND_DIFFERS")
            try:
                with self.books.transaction():
                    now = self.books.payment(payment.id) or payment
                    return Answer(200, _shown_refund(self.desk.refund(now, amount, refund_id)))
            except Refused as refused:
                return refuse(WORDS[refused.code])

        return await self.edge.call(REFUND, payment.merchant_ref, act)

    async def _list_refunds(self, request: Request) -> Response:
        named = request.query_params.get("refund_id", "")

        def act(fault: str) -> Answer:
            return Answer(200, {"items": [_shown_refund(one) for one in self.books.refunds(named)]})

        return await self.edge.call(FIND_REFUND, named, act)


def _shown_refund(refund: Refund) -> dict[str, Any]:
    shown = {"refund_id": refund.merchant_ref, "id": refund.id, "state": "COMPLETED"}
    return {**shown, "amount": refund.amount, "created_ms": refund.created_at}
