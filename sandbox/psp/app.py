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
from sandbox.psp.desk import APPROVE, DECLINE, LATE, Desk, Order
from sandbox.psp.edge import Answer, BadField, Edge, Fields
from sandbox.psp.faults import BadFaults, Faults
from sandbox.psp.instruments import INSTRUMENTS, METHODS
from sandbox.psp.pages import CustomerPages, safe_return_url
from sandbox.psp.profiles import EDGE_FAULTS, OUTCOME_FAULTS, WEBHOOK_FAULTS
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
    without_faults: ClassVar[frozenset[str]] = frozenset()
    webhook_spread_ms: ClassVar[tuple[int, int]]

    def __init__(self, *, data: Path, target: Target | None, api_key: str) -> None:
        self.api_key = api_key
        self.books = Books(data / f"{self.name}.sqlite3")
        manners = EDGE_FAULTS | OUTCOME_FAULTS | WEBHOOK_FAULTS
        self.faults = Faults(self.books, manners - self.without_faults)
        self.webhooks = Webhooks(self.books, self.faults, target, self.sign, self.webhook_spread_ms)
        self.desk = Desk(
            self.books,
            self.faults,
            self._emit,
            captures_at_once=self.captures_at_once,
            authorises_late=self.authorises_late,
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
        event = self.event(kind, payment, refund, event_id)
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
            Route("/_sandbox/books", self._show_books),
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
