"""What the simulated Razorpay shows: payments, orders, links, refunds, settlements, downtimes."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.psp.books import Books, Payment, Refund, now_ms
from sandbox.psp.downtimes import Downtimes
from sandbox.psp.edge import Answer, BadField, Edge
from sandbox.psp.faults import Faults
from sandbox.psp.instruments import UPI_METHODS
from sandbox.psp.profiles import FIND, FIND_REFUND
from sandbox.razorpay_books import Ledger, Link
from sandbox.razorpay_words import (
    collection,
    fee_of,
    refuse,
    shown_order,
    shown_payment,
    shown_refund,
)

Handler = Callable[[Request], Awaitable[Response]]
LinkShown = Callable[[Link, str], dict[str, Any]]

IST = timezone(timedelta(hours=5, minutes=30))
DEFAULT_COUNT, MOST_ROWS = 10, 100
MOST_LINES = 1000


def _number(request: Request, name: str, low: int, high: int, default: int | None = None) -> int:
    text = request.query_params.get(name, "" if default is None else str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadField(name, f"{name} must be a whole number from {low} to {high}")
    return int(text)


def _page(request: Request, rows: list[Any], most: int = MOST_ROWS) -> list[Any]:
    skip = _number(request, "skip", 0, 10**9, 0)
    return rows[skip : skip + _number(request, "count", 1, most, DEFAULT_COUNT)]


class Lists:
    """The GET routes of /v1."""

    def __init__(
        self,
        edge: Edge,
        books: Books,
        faults: Faults,
        ledger: Ledger,
        *,
        link_shown: LinkShown,
        downtimes: Downtimes,
    ) -> None:
        self._edge = edge
        self._books = books
        self._faults = faults
        self._ledger = ledger
        self._link_shown = link_shown
        self._announced = downtimes.announced

    def paths(self) -> list[tuple[str, Handler]]:
        """Each path with what answers it; the first that fits is taken."""
        return [
            ("/v1/orders", self._orders),
            ("/v1/orders/{id}/payments", self._tries),
            ("/v1/payment_links", self._links),
            ("/v1/payment_links/{id}", self._link),
            ("/v1/payments/downtimes", self._downtimes),
            ("/v1/payments/{id}", self._payment),
            ("/v1/payments/{id}/refunds", self._refunds),
            ("/v1/customers/{id}", self._customer),
            ("/v1/settlements/recon/combined", self._settlements),
        ]

    def _before(self, fault: str) -> int:
        """Until when a listing is up to date."""
        return now_ms() - (self._faults.settings.stale_ms if fault == "stale_listing" else 0)

    async def _orders(self, request: Request) -> Response:
        receipt = request.query_params.get("receipt", "")

        def act(fault: str) -> Answer:
            found = self._ledger.orders_containing(receipt, self._before(fault))
            page = _page(request, found)
            return collection([shown_order(one, self._ledger.payments_on(one)) for one in page])

        return await self._edge.call(FIND, receipt, act)

    async def _tries(self, request: Request) -> Response:
        order = self._ledger.order(request.path_params["id"])
        if order is None:
            return refuse("no_such_id").response()

        def act(fault: str) -> Answer:
            tries = self._ledger.payments_on(order)
            return collection([shown_payment(one, order) for one in tries])

        return await self._edge.call(FIND, order.receipt or order.id, act)

    async def _links(self, request: Request) -> Response:
        reference, base = request.query_params.get("reference_id", ""), str(request.base_url)

        def act(fault: str) -> Answer:
            found = self._ledger.link_with(reference, self._before(fault))
            shown = [] if found is None else [self._link_shown(found, base)]
            return Answer(200, {"payment_links": shown})

        return await self._edge.call(FIND, reference, act)

    async def _link(self, request: Request) -> Response:
        link, base = self._ledger.link(request.path_params["id"]), str(request.base_url)
        if link is None:
            return refuse("no_such_id").response()
        shown = self._link_shown
        return await self._edge.call(
            FIND,
            link.reference_id,
            lambda fault: Answer(200, shown(self._ledger.link(link.id) or link, base)),
        )

    async def _payment(self, request: Request) -> Response:
        ref = request.path_params["id"]
        known = self._books.payment(ref)
        if known is None:
            return refuse("no_such_id").response()

        def act(fault: str) -> Answer:
            payment = self._books.payment(ref) or known
            return Answer(200, shown_payment(payment, self._ledger.order_of(ref)))

        return await self._edge.call(FIND, known.merchant_ref, act)

    async def _refunds(self, request: Request) -> Response:
        known = self._books.payment(request.path_params["id"])
        if known is None:
            return refuse("no_such_id").response()

        def act(fault: str) -> Answer:
            page = _page(request, self._ledger.refunds_of(known.id))
            return collection([shown_refund(one) for one in page])

        return await self._edge.call(FIND_REFUND, known.merchant_ref, act)

    async def _customer(self, request: Request) -> Response:
        ref = request.path_params["id"]
        if not ref.startswith("cust_"):
            return refuse("no_such_id").response()
        who = {"name": "A customer", "email": "customer@example.com", "contact": "+919000090000"}
        shown = {"id": ref, "entity": "customer", **who, "notes": [], "created_at": 1}
        return Answer(200, shown).response()

    async def _downtimes(self, request: Request) -> Response:
        rows = [
            {
                "id": f"down_{number}",
                "entity": "payment.downtime",
                "method": "upi" if one.method in UPI_METHODS else one.method,
                "begin": one.begins // 1000,
                "end": None if one.ends is None else one.ends // 1000,
                "status": "started" if one.begins <= now_ms() else "scheduled",
                "scheduled": one.begins > now_ms(),
                "severity": one.severity,
                "instrument": {} if one.bank is None else {"bank": one.bank},
                "created_at": one.begins // 1000,
                "updated_at": one.begins // 1000,
            }
            for number, one in self._announced()
        ]
        return collection(rows).response()

    async def _settlements(self, request: Request) -> Response:
        """The lines of one Indian day, or month; the sandbox settles on the day itself."""
        year, month = _number(request, "year", 2000, 9999), _number(request, "month", 1, 12)
        whole_month = "day" not in request.query_params
        try:
            day = 1 if whole_month else _number(request, "day", 1, 31)
            start = datetime(year, month, day, tzinfo=IST)
        except ValueError as error:
            raise BadField("day", f"there is no such day: {error}") from error
        after = (start + timedelta(days=31)).replace(day=1)
        end = after if whole_month else start + timedelta(days=1)
        span = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
        taken = [
            (at, self._line(self._books.payment(ref), amount, at))
            for ref, amount, at in self._ledger.taken_between(*span)
        ]
        returned = [
            (one.created_at, self._line_back(one)) for one in self._ledger.returned_between(*span)
        ]
        lines = [line for _, line in sorted((*taken, *returned), key=lambda one: one[0])]
        return collection(_page(request, lines, MOST_LINES)).response()

    def _line(self, payment: Payment | None, amount: int, at: int) -> dict[str, Any]:
        if payment is None:
            raise LookupError("a movement without its payment")
        fee, tax = fee_of(amount)
        line = {**self._common(payment, at), "entity_id": payment.id, "type": "payment"}
        return {**line, "amount": amount, "debit": 0, "credit": amount - fee} | {
            "fee": fee,
            "tax": tax,
            "payment_id": None,
        }

    def _line_back(self, refund: Refund) -> dict[str, Any]:
        payment = self._books.payment(refund.payment)
        if payment is None:
            raise LookupError("a refund without its payment")
        line = {**self._common(payment, refund.created_at), "type": "refund"}
        return {**line, "entity_id": shown_refund(refund)["id"], "amount": refund.amount} | {
            "debit": refund.amount,
            "credit": 0,
            "fee": 0,
            "tax": 0,
            "payment_id": payment.id,
        }

    def _common(self, payment: Payment, at: int) -> dict[str, Any]:
        order = self._ledger.order_of(payment.id)
        settled = datetime.fromtimestamp(at / 1000, IST)
        return {
            "currency": payment.currency,
            "on_hold": False,
            "settled": True,
            "created_at": at // 1000,
            "settled_at": at // 1000,
            "settlement_id": f"setl_{settled:%Y%m%d}",
            "settlement_utr": f"utr{settled:%Y%m%d}",
            "description": None,
            "notes": order.notes or None,
            "order_id": order.id,
            "order_receipt": order.receipt,
            "method": "upi" if payment.method in UPI_METHODS else payment.method,
            "dispute_id": None,
        }
