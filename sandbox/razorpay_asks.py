"""What a merchant asks of the simulated Razorpay: orders, links, charges, capture, refunds."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.psp.app import MOST
from sandbox.psp.books import Books, Payment, now_ms
from sandbox.psp.desk import Refused
from sandbox.psp.edge import Answer, BadField, Edge, Fields
from sandbox.psp.instruments import INSTRUMENTS
from sandbox.psp.keys import KeyInUse, KeyMismatch, Keys, fingerprint
from sandbox.psp.profiles import AUTHORISE, CAPTURE, REFUND, VOID
from sandbox.razorpay_books import CAPTURE_WINDOW_MS, Ask, Ledger, Link, Order, RazorpayDesk
from sandbox.razorpay_words import refuse, shown_order, shown_payment, shown_refund

Handler = Callable[[Request], Awaitable[Response]]
LinkShown = Callable[[Link, str], dict[str, Any]]

REFUND_KEY, REFUND_KEY_FORM = "X-Refund-Idempotency", re.compile(r"[A-Za-z0-9_-]{10,}")
LONGEST_REFERENCE = 40
SOONEST_EXPIRY_MS = 15 * 60 * 1000
LONGEST_EXPIRY_MS = 180 * 24 * 3600 * 1000
LINK_METHODS = ("card", "netbanking", "upi", "wallet")

_ORDER = {"amount", "currency", "receipt", "unique_receipt", "notes", "payment", "payment_capture"}
_LINK = {"amount", "currency", "accept_partial", "upi_link", "reference_id", "description"} | {
    *("expire_by", "notify", "reminder_enable", "notes", "callback_url", "callback_method"),
    *("options", "customer"),
}
_CHARGE = {"amount", "currency", "order_id", "customer_id", "token", "email", "contact"} | {
    *("recurring", "notes", "description"),
}


async def _fields(request: Request, known: set[str]) -> tuple[Fields, Mapping[str, Any]]:
    """The body, checked for fields that Razorpay does not document."""
    fields = await Fields.of(request)
    body: Mapping[str, Any] = orjson.loads(await request.body())
    for name in body.keys() - known:
        raise BadField(name, f"{name} is/are not required and should not be sent")
    return fields, body


def _notes(body: Mapping[str, Any]) -> Mapping[str, Any]:
    notes = body.get("notes") or {}
    right = isinstance(notes, dict) and len(notes) <= 15
    if not right or not all(isinstance(one, str) and len(one) <= 255 for one in notes.values()):
        raise BadField("notes", "notes are at most 15 texts of at most 255 characters")
    return notes


class Asks:
    """The POST routes of /v1."""

    def __init__(
        self,
        edge: Edge,
        books: Books,
        desk: RazorpayDesk,
        ledger: Ledger,
        *,
        link_shown: LinkShown,
        on_cancelled: Callable[[str, Link], None],
    ) -> None:
        self._edge = edge
        self._books = books
        self._desk = desk
        self._ledger = ledger
        self._link_shown = link_shown
        self._on_cancelled = on_cancelled
        self._keys = Keys(books)

    def paths(self) -> list[tuple[str, Handler]]:
        """Each path with what answers it."""
        return [
            ("/v1/orders", self._order),
            ("/v1/payment_links", self._open_link),
            ("/v1/payment_links/{id}/cancel", self._cancel_link),
            ("/v1/payments/create/recurring", self._charge),
            ("/v1/payments/{id}/capture", self._capture),
            ("/v1/payments/{id}/refund", self._refund),
        ]

    async def _order(self, request: Request) -> Response:
        fields, body = await _fields(request, _ORDER)
        receipt = fields.text("receipt", longest=LONGEST_REFERENCE)
        settings = body.get("payment") or {}
        minutes = (settings.get("capture_options") or {}).get("manual_expiry_period")
        order = Order(
            id=f"order_{secrets.token_hex(7)}",
            receipt=receipt,
            amount=fields.whole("amount", most=MOST),
            currency=fields.text("currency", longest=3),
            notes=_notes(body),
            automatic=settings.get("capture") == "automatic" or fields.flag("payment_capture"),
            window_ms=minutes * 60_000 if minutes else CAPTURE_WINDOW_MS,
            created_at=now_ms(),
        )
        unique = fields.flag("unique_receipt")

        def act(fault: str) -> Answer:
            with self._books.transaction():
                # A second order is made all the same, unless uniqueness was asked for.
                there = self._ledger.order_with(receipt) if unique else None
                made = there or self._ledger.add_order(order)
            return Answer(200, shown_order(made, self._ledger.payments_on(made)))

        return await self._edge.call(AUTHORISE, receipt, act, "an order")

    async def _open_link(self, request: Request) -> Response:
        fields, body = await _fields(request, _LINK)
        now, base = now_ms(), str(request.base_url)
        expire_by = fields.whole("expire_by", most=(now + LONGEST_EXPIRY_MS) // 1000) * 1000
        if expire_by < now + SOONEST_EXPIRY_MS:
            raise BadField("expire_by", "timestamp must be atleast 15 minutes in future")
        upi_link = fields.flag("upi_link")
        offered = ((body.get("options") or {}).get("checkout") or {}).get("method") or {}
        first = next((one for one in LINK_METHODS if offered.get(one, True)), "card")
        link = Link(
            id=f"plink_{secrets.token_hex(7)}",
            reference_id=fields.text("reference_id", longest=LONGEST_REFERENCE),
            amount=fields.whole("amount", most=MOST),
            currency=fields.text("currency", longest=3),
            method="upi" if upi_link else first,
            upi_link=upi_link,
            notes=_notes(body),
            callback_url=fields.text_or_none("callback_url"),
            expire_by=expire_by,
            created_at=now,
        )

        def act(fault: str) -> Answer:
            with self._books.transaction():
                if self._ledger.link_with(link.reference_id) is not None:
                    return refuse("reference_used")
                self._ledger.add_link(link)
            return Answer(200, self._link_shown(link, base))

        return await self._edge.call(AUTHORISE, link.reference_id, act, "a link")

    async def _cancel_link(self, request: Request) -> Response:
        ref, base = request.path_params["id"], str(request.base_url)
        known = self._ledger.link(ref)
        if known is None:
            return refuse("no_such_id").response()

        def act(fault: str) -> Answer:
            with self._books.transaction():
                if self._link_shown(known, base)["status"] != "created":
                    return refuse("link_closed")
                self._ledger.cancel(known)
                closed = self._ledger.link(ref) or known
                self._on_cancelled("payment_link.cancelled", closed)
            return Answer(200, self._link_shown(closed, base))

        return await self._edge.call(VOID, known.reference_id, act)

    async def _charge(self, request: Request) -> Response:
        fields, _ = await _fields(request, _CHARGE)
        order = self._ledger.order(fields.text("order_id"))
        instrument = fields.text("token").replace("token_", "tok_", 1)
        if order is None or not fields.text("customer_id").startswith("cust_"):
            return refuse("no_such_id").response()
        if instrument not in INSTRUMENTS or not fields.flag("recurring"):
            raise BadField("token", "token and recurring must name a saved card to be charged")
        for name in ("email", "contact"):
            fields.text(name)
        if fields.whole("amount", most=MOST) != order.amount:
            return refuse("order_amount").response()
        ask = Ask(
            amount=order.amount,
            currency=fields.text("currency", longest=3),
            method="card",
            instrument=instrument,
            merchant_ref=order.receipt or order.id,
            expires_in=600,
            order_id=order.id,
        )

        def act(fault: str) -> Answer:
            return self._charged(order, ask, fault)

        return await self._edge.call(AUTHORISE, ask.merchant_ref, act, instrument)

    def _charged(self, order: Order, ask: Ask, fault: str) -> Answer:
        with self._books.transaction():
            if any(one.authorised for one in self._ledger.payments_on(order)):
                return refuse("order_paid")
            payment = self._desk.authorise(ask, fault)
            shown = shown_payment(payment, order)
        if payment.error is not None:
            about = {"payment_id": payment.id, "order_id": order.id}
            parts = ("code", "description", "source", "step", "reason")
            error = {part: shown[f"error_{part}"] for part in parts}
            return Answer(400, {"error": {**error, "metadata": about}})
        signed = hmac.new(b"sandbox", f"{order.id}|{payment.id}".encode(), hashlib.sha256)
        answer = {"razorpay_payment_id": payment.id, "razorpay_order_id": order.id}
        return Answer(200, {**answer, "razorpay_signature": signed.hexdigest()})

    async def _capture(self, request: Request) -> Response:
        fields, _ = await _fields(request, {"amount", "currency"})
        amount, ref = fields.whole("amount", most=MOST), request.path_params["id"]
        known = self._books.payment(ref)
        if known is None:
            return refuse("no_such_id").response()

        def act(fault: str) -> Answer:
            try:
                with self._books.transaction():
                    taken = self._desk.capture(self._books.payment(ref) or known, amount)
            except Refused as refused:
                return refuse(refused.code)
            return Answer(200, shown_payment(taken, self._ledger.order_of(ref)))

        return await self._edge.call(CAPTURE, known.merchant_ref, act)

    async def _refund(self, request: Request) -> Response:
        fields, body = await _fields(request, {"amount", "speed", "receipt", "notes"})
        ref = request.path_params["id"]
        known = self._books.payment(ref)
        if known is None:
            return refuse("no_such_id").response()
        amount = fields.whole("amount", most=MOST, default=known.captured or None)
        receipt = fields.text_or_none("receipt", longest=LONGEST_REFERENCE) or ""
        _notes(body)

        def act(fault: str) -> Answer:
            return self._refunded(known, amount, receipt)

        return await self._once(request, known, act)

    def _refunded(self, known: Payment, amount: int, receipt: str) -> Answer:
        try:
            with self._books.transaction():
                payment = self._books.payment(known.id) or known
                return Answer(200, shown_refund(self._desk.refund(payment, amount, receipt)))
        except Refused as refused:
            return refuse(refused.code)

    async def _once(
        self, request: Request, payment: Payment, act: Callable[[str], Answer]
    ) -> Response:
        """A refund under its key, where it has one."""
        key = request.headers.get(REFUND_KEY)
        if key is None:
            return await self._edge.call(REFUND, payment.merchant_ref, act)
        if not REFUND_KEY_FORM.fullmatch(key):
            asked = "The idempotency key must be at least 10 letters, digits, hyphens, underscores"
            raise BadField(REFUND_KEY, asked)
        used_for = await fingerprint(request)

        def act_once(fault: str) -> Answer:
            try:
                return self._keys.once(key, used_for, lambda: act(fault))
            except KeyMismatch:
                return refuse("key_differs")

        try:
            with self._keys.hold(key):
                return await self._edge.call(REFUND, payment.merchant_ref, act_once)
        except KeyInUse:
            return refuse("key_in_progress").response()
