"""The page behind a payment link: where a customer pays, gives up, or meets a silent bank."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.psp.books import Books, Payment, now_ms
from sandbox.psp.desk import Refused
from sandbox.psp.edge import Answer
from sandbox.psp.pages import STYLE
from sandbox.psp.webhooks import Webhooks
from sandbox.razorpay_books import Ask, Ledger, Link, RazorpayDesk

# What the customer may do -> the instrument that does it, and the button's words.
CHOICES = {
    "approve": ("tok_ok", "Pay"),
    "pending": ("tok_pending", "Pay, with a slow bank"),
    "decline": ("tok_declined_funds", "Pay, without money"),
    "technical": ("tok_technical", "Pay, with a bank that does not answer"),
    "cancel": ("tok_3ds", "Go back without paying"),
}


class LinkPages:
    """`/l/{id}` and its buttons; unsigned, as a browser's requests are."""

    def __init__(
        self, books: Books, desk: RazorpayDesk, ledger: Ledger, webhooks: Webhooks
    ) -> None:
        self._books = books
        self._desk = desk
        self._ledger = ledger
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        """The pages' routes."""
        return [
            Route("/l/{id}", self.show),
            Route("/l/{id}/{choice}", self.choose, methods=["POST"]),
        ]

    def status(self, link: Link) -> str:
        """Where a link stands: paid whatever came later, else closed, else open."""
        if any(one.captured for one in self._tries(link)):
            return "paid"
        if link.cancelled_at is not None:
            return "cancelled"
        return "expired" if now_ms() >= link.expire_by else "created"

    def _tries(self, link: Link) -> list[Payment]:
        return self._ledger.payments_on(self._ledger.order_for(link))

    async def show(self, request: Request) -> Response:
        """The page on which the customer decides, or sees what was decided."""
        link = self._ledger.link(request.path_params["id"])
        if link is None:
            return HTMLResponse("There is no such payment link.", 404)
        status = self.status(link)
        forms = "".join(
            f'<form class="{choice}" method="post" action="/l/{escape(link.id)}/{choice}">'
            f"<button>{escape(label)}</button></form>"
            for choice, (_, label) in CHOICES.items()
        )
        rupees, paise = divmod(link.amount, 100)
        body = forms if status == "created" else f'<p role="status"><strong>{status}</strong></p>'
        return HTMLResponse(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Razorpay, simulated</title><style>{STYLE}</style></head><body><main>"
            f'<h1>Razorpay, simulated: {escape(link.method)}</h1><div class="card">'
            f'<div class="amount">{escape(link.currency)} {rupees}.{paise:02d}</div>{body}'
            '<p class="note">A sandbox: no real money moves.</p></div></main></body></html>',
            headers={"cache-control": "no-store"},
        )

    async def choose(self, request: Request) -> Response:
        """Try to pay; browsers are led back to the page, programs get JSON."""
        choice = request.path_params["choice"]
        link = self._ledger.link(request.path_params["id"])
        if link is None or choice not in CHOICES:
            return Answer(404, {"error": "no such link or choice"}).response()
        try:
            with self._books.transaction():
                payment = self._try(link, choice)
        except Refused as refused:
            return Answer(409, {"error": refused.code}).response()
        await self._webhooks.deliver_early()
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/l/{link.id}", 303)
        return Answer(200, {"id": payment.id, "status": payment.status}).response()

    def _try(self, link: Link, choice: str) -> Payment:
        if self.status(link) != "created":
            raise Refused("link_closed")
        order = self._ledger.order_for(link) or self._ledger.open_for(link)
        ask = Ask(
            amount=link.amount,
            currency=link.currency,
            method=link.method,
            instrument=CHOICES[choice][0],
            merchant_ref=link.reference_id,
            expires_in=600,
            return_url=link.callback_url,
            order_id=order.id,
        )
        payment = self._desk.authorise(ask, "none")
        return self._desk.by_customer(payment, "cancel") if choice == "cancel" else payment
