"""A simulator of Razorpay's documented API: its fields, states and quirks, with books of its own.

Paid like the real one: orders and charges of saved cards, payment links with a page, capture of
exactly what is held, refunds with or without a key, late authorisation after a failure, the return
of what nobody captures, settlement lines, downtimes, disputes, webhooks in any order.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import razorpay_words as words
from sandbox.psp.app import Psp
from sandbox.psp.books import Payment, Refund, Status, now_ms
from sandbox.psp.disputes import Dispute, Outcome
from sandbox.psp.edge import Answer, BadField
from sandbox.razorpay_asks import Asks
from sandbox.razorpay_books import Ledger, Link, RazorpayDesk
from sandbox.razorpay_lists import Lists
from sandbox.razorpay_page import LinkPages

EVENTS = {
    "authorised": "payment.authorized",
    "captured": "payment.captured",
    "failed": "payment.failed",
    "expired": "payment.failed",
    "refunded": "refund.processed",
}
DISPUTE_EVENTS = {Outcome.OPENED: "created", Outcome.WON: "won", Outcome.LOST: "lost"}


class Razorpay(Psp):
    """See the module; what it takes and shows is in razorpay_asks and razorpay_lists."""

    name = "razorpay"
    authorises_late = True
    has_disputes = True
    webhook_spread_ms = (5, 400)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.ledger = Ledger(self.books)
        desk = RazorpayDesk(
            self.books,
            self.faults,
            self._emit,
            captures_at_once=frozenset(),
            authorises_late=True,
            disputed=self.disputes.is_open,
        )
        desk.ledger = self.ledger
        self.desk = desk
        self._razorpay_desk = desk
        self._pages = LinkPages(self.books, desk, self.ledger, self.webhooks)

    def api(self) -> list[Route]:
        """The routes of /v1, the links' pages, and a control that lets an authorisation lapse."""
        asks = Asks(
            self.edge,
            self.books,
            self._razorpay_desk,
            self.ledger,
            link_shown=self.link_shown,
            on_cancelled=self._tell_link,
        )
        lists = Lists(
            self.edge,
            self.books,
            self.faults,
            self.ledger,
            link_shown=self.link_shown,
            downtimes=self.downtimes,
        )
        return [
            *(Route(path, self.guarded(does), methods=["POST"]) for path, does in asks.paths()),
            *(Route(path, self.guarded(does)) for path, does in lists.paths()),
            *self._pages.routes(),
            Route("/_sandbox/lapse/{id}", self._lapse, methods=["POST"]),
        ]

    def link_shown(self, link: Link, base: str) -> dict[str, Any]:
        """A payment link as it now stands."""
        order = self.ledger.order_for(link)
        payments = self.ledger.payments_on(order)
        return words.shown_link(link, self._pages.status(link), order, payments, base)

    def event(
        self, kind: str, payment: Payment, refund: Refund | None, event_id: str
    ) -> Mapping[str, Any] | None:
        """The event with the payment as it then was; its id travels in a header."""
        if kind not in EVENTS:
            return None
        told = {"payment": self._shown(payment)}
        if refund is not None:
            told = {"refund": words.shown_refund(refund), **told}
        return words.event(EVENTS[kind], payment.updated_at, **told)

    def dispute_event(
        self, dispute: Dispute, payment: Payment, event_id: str
    ) -> Mapping[str, Any] | None:
        """The event of a dispute that was opened, won or lost."""
        told = {"payment": self._shown(payment), "dispute": words.shown_dispute(dispute)}
        name = f"payment.dispute.{DISPUTE_EVENTS[dispute.outcome]}"
        return words.event(name, dispute.updated_at, **told)

    def false_event(self, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """The claim that this payment was captured in full."""
        claim = {"status": "captured", "captured": True, "amount_refunded": 0}
        false = {**self._shown(payment), **claim}
        return words.event("payment.captured", payment.updated_at, payment=false)

    def _shown(self, payment: Payment) -> dict[str, Any]:
        return words.shown_payment(payment, self.ledger.order_of(payment.id))

    def _emit(self, kind: str, payment: Payment, refund: Refund | None) -> None:
        super()._emit(kind, payment, refund)
        link = self.ledger.link(self.ledger.order_of(payment.id).link or "")
        if kind == "captured" and link is not None:
            self._tell_link("payment_link.paid", link, payment)

    def _tell_link(self, name: str, link: Link, payment: Payment | None = None) -> None:
        order = self.ledger.order_for(link)
        told = {"payment_link": self.link_shown(link, "https://rzp.sandbox/")}
        if payment is not None and order is not None:
            shown = words.shown_order(order, self.ledger.payments_on(order))
            told |= {"order": shown, "payment": self._shown(payment)}
        body = words.event(name, now_ms(), **told)
        false = {**body, "event": "payment_link.paid"}
        self.webhooks.queue(
            f"evt_{secrets.token_hex(10)}",
            orjson.dumps(body),
            link.reference_id,
            orjson.dumps(false),
        )

    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """A signature over the raw body alone, and the event's id, which is not signed."""
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-Razorpay-Signature": signed, "x-razorpay-event-id": event_id}

    def refusal(self, fault: str) -> Answer:
        """An edge fault as one of the REFUSALS."""
        return words.refuse(fault)

    def bad_request(self, error: BadField) -> Answer:
        """400 with the field's name."""
        return words.bad_field(error.name, error.message)

    def authentic(self, request: Request) -> bool:
        """Basic auth with `<key id>:<key secret>`."""
        wanted = b"Basic " + base64.b64encode(self.api_key.encode())
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted)

    async def _lapse(self, request: Request) -> Response:
        """The end of the time to capture, brought forward."""
        with self.books.transaction():
            payment = self.books.payment(request.path_params["id"])
            if payment is None or payment.status is not Status.AUTHORISED:
                return Answer(409, {"error": "only an authorised payment can lapse"}).response()
            payment = self._razorpay_desk.lapse(payment)
        await self.webhooks.deliver_early()
        return Answer(200, {"id": payment.id, "status": payment.status}).response()
