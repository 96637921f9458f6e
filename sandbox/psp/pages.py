"""What the customer sees and does: the bank's or UPI app's page, and its three buttons."""

from html import escape
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.psp.books import Books, Payment, Status
from sandbox.psp.desk import Desk, Refused
from sandbox.psp.edge import Answer
from sandbox.psp.instruments import UPI_METHODS
from sandbox.psp.webhooks import Webhooks

CHOICES = {"approve": "Approve", "decline": "Decline", "cancel": "Go back without paying"}
SAID = {
    Status.PROCESSING: "The bank is working on it.",
    Status.AUTHORISED: "Approved. The shop can now take the money.",
    Status.PARTIALLY_CAPTURED: "Paid in part.",
    Status.CAPTURED: "Paid.",
    Status.VOIDED: "Called off. No money was taken.",
    Status.FAILED: "Not paid.",
    Status.EXPIRED: "Too late: the time to pay is over. No money was taken.",
}
STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;margin:0;background:#f3f4f6;color:#111827}
main{max-width:26rem;margin:0 auto;padding:1.5rem 1rem}
h1{font-size:1.125rem;margin:0 0 1rem}
.card{background:#fff;border:1px solid #d1d5db;border-radius:.5rem;padding:1.25rem}
.amount{font-size:2rem;font-weight:600;margin:.25rem 0 1rem}
dl{margin:0 0 1rem;display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}
dt{color:#4b5563}dd{margin:0;overflow-wrap:anywhere}
form{margin:.5rem 0 0}
button{width:100%;min-height:3rem;font:inherit;font-weight:600;border-radius:.375rem;
border:1px solid #6b7280;background:#fff;color:#111827;cursor:pointer}
button:focus-visible,a:focus-visible{outline:3px solid #1d4ed8;outline-offset:2px}
.approve button{background:#166534;border-color:#166534;color:#fff}
.note{color:#4b5563;font-size:.875rem;margin-top:1rem}
"""


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f'<body><main><h1>{escape(title)}</h1><div class="card">{body}</div></main></body></html>',
        status,
        {"cache-control": "no-store"},
    )


def _amount(payment: Payment) -> str:
    major, minor = divmod(payment.amount, 100)
    head, tail = str(major)[:-3], str(major)[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    grouped = ",".join([*reversed(pairs), tail])
    sign = "₹" if payment.currency == "INR" else escape(payment.currency)
    return f"{sign} {grouped}.{minor:02d}"


def safe_return_url(url: str) -> bool:
    """Whether a browser may be sent there: an http(s) address with a host."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _details(payment: Payment) -> str:
    return (
        f'<div class="amount">{_amount(payment)}</div><dl><dt>Reference</dt>'
        f"<dd>{escape(payment.merchant_ref)}</dd><dt>Payment</dt><dd>{escape(payment.id)}</dd></dl>"
    )


def _buttons(payment: Payment) -> str:
    forms = (
        f'<form class="{choice}" method="post" action="/pay/{escape(payment.id)}/{choice}">'
        f"<button>{label}</button></form>"
        for choice, label in CHOICES.items()
    )
    return "".join(forms)


def _back(payment: Payment) -> str:
    if not payment.return_url:
        return ""
    return f'<p><a href="{escape(payment.return_url)}">Back to the shop</a></p>'


def _show(psp: str, payment: Payment) -> HTMLResponse:
    what = "pay by UPI" if payment.method in UPI_METHODS else "confirm it is you"
    title = f"{psp}: {what}"
    note = '<p class="note">A sandbox: no real money moves.</p>'
    if payment.status is Status.REQUIRES_ACTION:
        return _page(title, _details(payment) + _buttons(payment) + note)
    said = f'<p role="status"><strong>{SAID[payment.status]}</strong></p>'
    return _page(title, _details(payment) + said + _back(payment) + note)


class CustomerPages:
    """`/pay/{id}` and its buttons; unsigned, as a browser's requests are."""

    def __init__(self, psp: str, books: Books, desk: Desk, webhooks: Webhooks) -> None:
        self._psp = psp
        self._books = books
        self._desk = desk
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        """The pages' routes."""
        return [
            Route("/pay/{id}", self.show),
            Route("/pay/{id}/{choice}", self.choose, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page on which the customer decides, or sees what was decided."""
        payment = self._books.payment(request.path_params["id"])
        if payment is None:
            return _page(self._psp, "<p>There is no such payment.</p>", 404)
        return _show(self._psp, payment)

    async def choose(self, request: Request) -> Response:
        """Approve, decline or cancel; browsers are led back to the page, programs get JSON."""
        choice = request.path_params["choice"]
        payment = self._books.payment(request.path_params["id"])
        if payment is None or choice not in CHOICES:
            return Answer(404, {"error": "no such payment or choice"}).response()
        status = 200
        with self._books.transaction():
            try:
                payment = self._desk.by_customer(payment, choice)
            except Refused as refused:
                status, payment = 409, refused.payment or payment
        await self._webhooks.deliver_early()
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/pay/{payment.id}", 303)
        return Answer(status, {"id": payment.id, "status": payment.status}).response()
