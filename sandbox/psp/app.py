"""The common body of a PSP; each PSP adds its manners."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.psp.books import Books, Payment, Refund, now_ms
from sandbox.psp.desk import APPROVE, DECLINE, HOLDING, LATE, Desk, Order
from sandbox.psp.disputes import BadDispute, Dispute, Disputes
from sandbox.psp.downtimes import BadDowntimes, Downtimes
from sandbox.psp.edge import Answer, BadField, Edge, Fields
from sandbox.psp.faults import BadFaults, Faults
from sandbox.psp.instruments import INSTRUMENTS, METHODS
from sandbox.psp.pages import CustomerPages, safe_return_url
from sandbox.psp.profiles import EDGE_FAULTS, OUTCOME_FAULTS, SETTLEMENTS, WEBHOOK_FAULTS
from sandbox.psp.settlements import BadDiscrepancies, Fees, Line, Settlements, day_of
from sandbox.psp.webhooks import Target, Webhooks

MOST = 10_00_00_000_00  # ten crore rupees, in paise
EXPIRES_IN_S = 900
LONGEST_BODY = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger("sandbox.psp")


class Psp(ABC):
    """One PSP: books, desk, faults, webhooks and clock behind its own way of speaking."""

    name: ClassVar[str]
    captures_at_once: ClassVar[frozenset[str]] = frozenset()
    authorises_late: ClassVar[bool] = False
    has_disputes: ClassVar[bool] = False
    without_faults: ClassVar[frozenset[str]] = frozenset()
    webhook_spread_ms: ClassVar[tuple[int, int]]
    fees: ClassVar[Fees] = {"*": (200, 0)}

    def __init__(self, *, data: Path, target: Target | None, api_key: str) -> None:
        self.api_key = api_key
        self.books = Books(data / f"{self.name}.sqlite3")
        manners = EDGE_FAULTS | OUTCOME_FAULTS | WEBHOOK_FAULTS
        self.faults = Faults(self.books, manners - self.without_faults)
        self.downtimes = Downtimes(self.books)
        self.webhooks = Webhooks(self.books, self.faults, target, self.sign, self.webhook_spread_ms)
        self.disputes = Disputes(self.books, self._tell_dispute)
        self.settlements = Settlements(self.name, self.books, self.fees)
        self.desk = Desk(
            self.books,
            self.faults,
            self._emit,
            captures_at_once=self.captures_at_once,
            authorises_late=self.authorises_late,
            disputed=self.disputes.is_open,
        )
        self.edge = Edge(self.faults, self.webhooks, self.refusal)
        self._clock_woken = asyncio.Event()
        self.books.on_timer_set = self._clock_woken.set

    @abstractmethod
    def api(self) -> list[Route]:
        """The PSP's own routes."""

    @abstractmethod
    def event(
        self, kind: str, payment: Payment, refund: Refund | None, event_id: str
    ) -> Mapping[str, Any] | None:
        """The webhook that tells of a deed, or nothing where this PSP does not tell it."""

    def dispute_event(
        self, dispute: Dispute, payment: Payment, event_id: str
    ) -> Mapping[str, Any] | None:
        """The webhook that tells of a dispute; a PSP without disputes tells none."""
        return None

    @abstractmethod
    def false_event(self, payment: Payment, event_id: str) -> Mapping[str, Any]:
        """What a forger would send: that this payment was captured."""

    @abstractmethod
    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """The webhook's headers; `at` in epoch seconds."""

    @abstractmethod
    def authentic(self, request: Request) -> bool:
        """Whether a request carries the merchant's credentials."""

    @abstractmethod
    def refusal(self, fault: str) -> Answer:
        """How this PSP words an error that comes from no deed; also "unauthenticated"."""

    @abstractmethod
    def bad_request(self, error: BadField) -> Answer:
        """How this PSP words a field that cannot be used."""

    def _emit(self, kind: str, payment: Payment, refund: Refund | None) -> None:
        event_id = f"evt_{secrets.token_hex(10)}"
        self._queue(event_id, self.event(kind, payment, refund, event_id), payment)

    def _tell_dispute(self, dispute: Dispute, payment: Payment) -> None:
        event_id = f"evt_{secrets.token_hex(10)}"
        self._queue(event_id, self.dispute_event(dispute, payment, event_id), payment)

    def _queue(self, event_id: str, event: Mapping[str, Any] | None, payment: Payment) -> None:
        if event is not None:
            forgery = self.false_event(payment, f"forged_{event_id}")
            self.webhooks.queue(
                event_id, orjson.dumps(event), payment.merchant_ref, orjson.dumps(forgery)
            )

    def guarded(self, handler: Handler) -> Handler:
        """The handler, for requests with the merchant's credentials only."""

        async def guard(request: Request) -> Response:
            if not self.authentic(request):
                return self.refusal("unauthenticated").response()
            return await handler(request)

        return guard

    def order(self, fields: Fields, ref_name: str) -> Order:
        """Read what a merchant asks to be paid; BadField says what is wrong."""
        instrument = fields.one_of("instrument", tuple(INSTRUMENTS))
        return_url = fields.text_or_none("return_url")
        if return_url is not None and not safe_return_url(return_url):
            raise BadField("return_url", f"return_url {return_url!r} is not an http(s) address")
        return Order(
            amount=fields.whole("amount", most=MOST),
            currency=fields.text("currency", longest=3),
            method=fields.one_of("method", METHODS),
            instrument=instrument,
            merchant_ref=fields.text(ref_name),
            expires_in=fields.whole("expires_in", most=86_400, default=EXPIRES_IN_S),
            return_url=return_url,
            challenge=fields.flag("challenge"),
        )

    def asgi(self) -> Starlette:
        """The application: the PSP's routes, the customer's pages, and the sandbox's controls."""
        pages = CustomerPages(self.name, self.books, self.desk, self.webhooks)
        controls = [
            Route("/healthz", self._health),
            Route("/_sandbox/faults", self._set_faults, methods=["GET", "POST"]),
            Route("/_sandbox/downtimes", self._announce, methods=["POST"]),
            Route("/_sandbox/settlements", self._distort_settlements, methods=["POST"]),
            Route("/_sandbox/books", self._show_books),
            Route("/_sandbox/lapse", self._lapse, methods=["POST"]),
            *(
                Route(path, self._dispute, methods=["POST"])
                for path in ("/_sandbox/disputes", "/_sandbox/disputes/{id}")
                if self.has_disputes
            ),
            Route("/_sandbox/quiesce", self._quiesce, methods=["POST"]),
        ]
        return Starlette(
            routes=[*self.api(), *pages.routes(), *controls],
            exception_handlers={BadField: self._on_bad_field},
            lifespan=self._lifespan,
            max_body_size=LONGEST_BODY,
        )

    async def _on_bad_field(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, BadField):
            raise error
        return self.bad_request(error).response()

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(self._work())
        work.add_done_callback(_stop_server_on_bug)
        try:
            yield
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            await self.webhooks.close()
            self.books.close()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.webhooks.run())
            group.create_task(self._clock())

    async def _clock(self) -> None:
        """What happens to payments by itself: approvals, expiries, late authorisations."""
        while True:
            self._clock_woken.clear()
            for payment, kind in self.books.due_timers(now_ms()):
                with self.books.transaction():
                    self.desk.on_timer(payment, kind)
                await self.webhooks.deliver_early()
            due = self.books.next_timer()
            wait = 60.0 if due is None else max(0.0, (due - now_ms()) / 1000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._clock_woken.wait(), wait)

    async def _health(self, request: Request) -> Response:
        return Answer(200, {"status": "ok", "psp": self.name}).response()

    async def _set_faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                wanted = orjson.loads(await request.body())
                if not isinstance(wanted, dict):
                    raise BadFaults("the body must be a JSON object")
                self.faults.configure(wanted)
            except (BadFaults, orjson.JSONDecodeError) as error:
                return Answer(400, {"error": str(error)}).response()
        return Answer(200, self.faults.describe()).response()

    async def _announce(self, request: Request) -> Response:
        try:
            wanted = orjson.loads(await request.body())
            if not isinstance(wanted, dict):
                raise BadDowntimes("the body must be a JSON object")
            self.downtimes.announce(wanted)
        except (BadDowntimes, orjson.JSONDecodeError) as error:
            return Answer(400, {"error": str(error)}).response()
        return Answer(200, {"downtimes": len(self.downtimes.announced())}).response()

    async def _dispute(self, request: Request) -> Response:
        try:
            wanted = orjson.loads(await request.body())
            if not isinstance(wanted, dict):
                raise BadDispute("the body must be a JSON object")
            with self.books.transaction():
                ref = request.path_params.get("id")
                dispute = (
                    self.disputes.close(ref, str(wanted.get("outcome")))
                    if ref
                    else self.disputes.open(wanted)
                )
        except (BadDispute, orjson.JSONDecodeError) as error:
            return Answer(400, {"error": str(error)}).response()
        await self.webhooks.deliver_early()
        shown = {"id": dispute.id, "amount": dispute.amount, "outcome": dispute.outcome}
        return Answer(200, shown).response()

    async def settlement_report(
        self, request: Request, show: Callable[[list[Line]], Mapping[str, Any]]
    ) -> Response:
        """The report of `?day=`, as `show` words it; its faults are those of `settlements`."""
        day = day_of(request.query_params.get("day"))
        if day is None:
            raise BadField("day", "name the day as YYYY-MM-DD, as in ?day=2026-11-22")
        return await self.edge.call(
            SETTLEMENTS, str(day), lambda _: Answer(200, show(self.settlements.of_day(day)))
        )

    async def _distort_settlements(self, request: Request) -> Response:
        try:
            wanted = orjson.loads(await request.body())
            if not isinstance(wanted, dict):
                raise BadDiscrepancies("the body must be a JSON object")
            self.settlements.distort(wanted)
        except (BadDiscrepancies, orjson.JSONDecodeError) as error:
            return Answer(400, {"error": str(error)}).response()
        return Answer(200, wanted).response()

    async def _lapse(self, request: Request) -> Response:
        """Let authorisations lapse now that would lapse after days."""
        merchant_ref = (await Fields.of(request)).text("merchant_ref")
        with self.books.transaction():
            held = [one for one in self.books.payments(merchant_ref) if one.status in HOLDING]
            for payment in held:
                self.desk.void(payment)
        return Answer(200, {"lapsed": len(held)}).response()

    async def _show_books(self, request: Request) -> Response:
        counts = self.books.movement_counts()
        rows = [
            {
                "id": payment.id,
                "merchant_ref": payment.merchant_ref,
                "method": payment.method,
                "status": payment.status,
                "currency": payment.currency,
                "amount": payment.amount,
                "authorised": payment.authorised,
                "captured": payment.captured,
                "refunded": payment.refunded,
                "charged_back": payment.charged_back,
                "movements": counts.get(payment.id, 0),
            }
            for payment in self.books.payments()
        ]
        return Answer(200, {"psp": self.name, "payments": rows}).response()

    async def _quiesce(self, request: Request) -> Response:
        timers = self.books.timer_counts()
        pending = {
            "webhooks": self.webhooks.pending(),
            "late_authorisations": timers.get(LATE, 0),
            "customers": timers.get(APPROVE, 0) + timers.get(DECLINE, 0),
        }
        return Answer(200, {**pending, "pending": sum(pending.values())}).response()


def _stop_server_on_bug(work: "asyncio.Task[None]") -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.critical("the sandbox stops: its background work failed", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
