"""The common body of a carrier; each carrier adds its manners."""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carriers import journeys
from sandbox.carriers.books import Parcel, ParcelBooks, Scan
from sandbox.carriers.faults import STALE, CarrierFaults
from sandbox.carriers.journeys import Step
from sandbox.carriers.yard import Yard
from sandbox.psp.app import LONGEST_BODY, Handler
from sandbox.psp.books import Books, now_ms
from sandbox.psp.edge import Answer, BadField, Edge, Fields
from sandbox.psp.faults import BadFaults
from sandbox.psp.webhooks import Delivery, Target, Webhooks

DAY_MS = 1000
LONGEST_DAY_MS = 24 * 3600 * 1000
PAISE = 100
IST = timezone(timedelta(hours=5, minutes=30))

log = logging.getLogger("sandbox.carriers")


@dataclass(frozen=True, slots=True)
class AnyAnswer(Answer):
    """An answer whose JSON need not be an object."""

    body: Any


class CarrierWebhooks(Webhooks):
    """The PSPs' queue; with `exact_200` no other success stops a webhook from coming again."""

    exact_200 = False

    async def _post(self, delivery: Delivery) -> int:
        status = await super()._post(delivery)
        return 0 if self.exact_200 and status != 200 else status


class Carrier(ABC):
    """One carrier: books, yard, faults, webhooks and clock behind its own way of speaking."""

    name: ClassVar[str]
    resolution_ms: ClassVar[int] = 1
    exact_200: ClassVar[bool] = False
    webhook_spread_ms: ClassVar[tuple[int, int]] = (5, 60)
    # by what the PIN code begins with: where it does not go, and where it takes no cash
    unserved: ClassVar[tuple[str, ...]] = ()
    no_cash: ClassVar[tuple[str, ...]] = ()
    base_paise: ClassVar[int] = 42_00

    def __init__(self, *, data: Path, target: Target | None, api_key: str) -> None:
        self.api_key = api_key
        self.books = Books(data / f"{self.name}.sqlite3")
        self.parcels = ParcelBooks(self.books, DAY_MS)
        self.faults = CarrierFaults(self.books)
        self.webhooks = CarrierWebhooks(
            self.books, self.faults, target, self.sign, self.webhook_spread_ms
        )
        self.webhooks.exact_200 = self.exact_200
        self.yard = Yard(self.parcels, self.faults, self._tell, self.resolution_ms)
        self.edge = Edge(self.faults, self.webhooks, self.refusal)
        self._clock_woken = asyncio.Event()
        self.parcels.on_planned = self._clock_woken.set

    @abstractmethod
    def api(self) -> list[Route]:
        """The carrier's own routes."""

    @abstractmethod
    def event(self, parcel: Parcel, scan: Scan, event_id: str) -> Mapping[str, Any]:
        """The webhook that tells of a scan."""

    @abstractmethod
    def sign(self, body: bytes, at: int, event_id: str, secret: str) -> Mapping[str, str]:
        """The webhook's headers; `at` in epoch seconds."""

    @abstractmethod
    def authentic(self, request: Request) -> bool:
        """Whether a request carries the merchant's credentials."""

    @abstractmethod
    def refusal(self, fault: str) -> Answer:
        """How this carrier words an error that comes from no deed; also "unauthenticated"."""

    @abstractmethod
    def bad_request(self, error: BadField) -> Answer:
        """How this carrier words a field that cannot be used."""

    def _tell(self, parcel: Parcel, scan: Scan) -> None:
        event_id = f"evt_{secrets.token_hex(10)}"
        claim = Scan(at=scan.at + self.resolution_ms, step=Step.DELIVERED, reason=None)
        self.webhooks.queue(
            event_id,
            orjson.dumps(self.event(parcel, scan, event_id)),
            parcel.merchant_ref,
            orjson.dumps(self.event(parcel, claim, f"forged_{event_id}")),
        )

    def guarded(self, handler: Handler) -> Handler:
        """The handler, for requests with the merchant's credentials only."""

        async def guard(request: Request) -> Response:
            if not self.authentic(request):
                return self.refusal("unauthenticated").response()
            return await handler(request)

        return guard

    def seen(self, merchant_ref: str, fault: str) -> list[Parcel]:
        """The parcels that a look-up shows, which may be behind."""
        behind = self.faults.settings.stale_ms if fault == STALE else 0
        return self.parcels.parcels(merchant_ref, before=now_ms() - behind)

    def fare(
        self, origin: str, destination: str, *, cash: bool, grams: int
    ) -> tuple[int, int] | None:
        """Days to the door and paise for it, or nothing where it does not go."""
        closed = self.unserved + (self.no_cash if cash else ())
        if any(code.startswith(closed) for code in (origin, destination) if closed):
            return None
        near = 1 if origin[:3] == destination[:3] else 3 if origin[0] == destination[0] else 5
        slabs = max(1, -(-grams // 500))
        return near, self.base_paise + near * 4_00 + (slabs - 1) * 28_00 + (35_00 if cash else 0)

    def asgi(self) -> Starlette:
        """The application: the carrier's routes and the sandbox's controls."""
        controls = [
            Route("/healthz", self._health),
            Route("/_sandbox/faults", self._set_faults, methods=["GET", "POST"]),
            Route("/_sandbox/time", self._set_time, methods=["POST"]),
            Route("/_sandbox/lifecycle", self._give_lifecycle, methods=["POST"]),
            Route("/_sandbox/scan", self._scan_now, methods=["POST"]),
            Route("/_sandbox/books", self._show_books),
            Route("/_sandbox/quiesce", self._quiesce, methods=["POST"]),
        ]
        return Starlette(
            routes=[*self.api(), *controls],
            exception_handlers={BadField: self._on_bad_field},
            lifespan=self._lifespan,
            max_body_size=LONGEST_BODY,
        )

    async def _on_bad_field(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, BadField):
            raise error
        if request.url.path.startswith("/_sandbox/"):
            return Answer(400, {"error": error.message}).response()
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
        """What happens to parcels by itself."""
        while True:
            self._clock_woken.clear()
            with self.books.transaction():
                self.yard.on_clock(now_ms())
            await self.webhooks.deliver_early()
            due = self.parcels.next_due()
            wait = 60.0 if due is None else max(0.0, (due - now_ms()) / 1000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._clock_woken.wait(), wait)

    async def _health(self, request: Request) -> Response:
        return Answer(200, {"status": "ok", "carrier": self.name}).response()

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

    async def _set_time(self, request: Request) -> Response:
        day_ms = (await Fields.of(request)).whole("day_ms", most=LONGEST_DAY_MS)
        with self.books.transaction():
            self.parcels.set_day_ms(day_ms)
        return Answer(200, {"day_ms": day_ms}).response()

    async def _give_lifecycle(self, request: Request) -> Response:
        """What parcels of a reference will go through, in days after their pickup is asked for."""
        fields = await Fields.of(request)
        merchant_ref = fields.text("merchant_ref")
        try:
            steps = journeys.given((await request.json()).get("steps", ()))
        except (TypeError, ValueError) as error:
            raise BadField("steps", f"steps must be [days, step, reason] rows: {error}") from error
        with self.books.transaction():
            self.parcels.give_lifecycle(merchant_ref, steps)
        return Answer(200, {"steps": len(steps)}).response()

    async def _scan_now(self, request: Request) -> Response:
        """Scan a parcel by hand, however little sense that makes."""
        fields = await Fields.of(request)
        step = Step(fields.one_of("step", tuple(Step)))
        with self.books.transaction():
            found = self.parcels.parcels(fields.text("merchant_ref"))
            for parcel in found:
                self.yard.say(parcel, step, fields.text_or_none("reason"))
        await self.webhooks.deliver_early()
        return Answer(200, {"scanned": len(found)}).response()

    async def _show_books(self, request: Request) -> Response:
        rows = [
            {
                "merchant_ref": parcel.merchant_ref,
                "awb": parcel.awb,
                "reverse": parcel.reverse,
                "collect": parcel.collect,
                "state": parcel.state,
                "steps": [scan.step for scan in self.parcels.scans(parcel.id)],
            }
            for parcel in self.parcels.parcels(request.query_params.get("merchant_ref"))
        ]
        return Answer(200, {"carrier": self.name, "parcels": rows}).response()

    async def _quiesce(self, request: Request) -> Response:
        pending = {"webhooks": self.webhooks.pending(), "steps": self.parcels.planned()}
        return Answer(200, {**pending, "pending": sum(pending.values())}).response()


def fingerprint_of(body: object) -> str:
    """What two requests for the same parcel have in common."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def json_of(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request; BadField says what is wrong."""
    return json_in(await request.body())


def json_in(raw: bytes | str) -> Mapping[str, Any]:
    """A JSON object; BadField says what is wrong."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadField("body", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadField("body", "the body must be a JSON object")
    return body


def text_in(body: Mapping[str, Any], name: str) -> str:
    """A text that must be there."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 300:
        raise BadField(name, f"{name} must be 1 to 300 characters of text")
    return value


def pincode_in(body: Mapping[str, Any], name: str) -> str:
    """Six digits that must be there."""
    value = str(body.get(name))
    if not (len(value) == 6 and value.isascii() and value.isdigit() and value[0] != "0"):
        raise BadField(name, f"{name} {value!r} is not a PIN code of six digits")
    return value


def number_in(body: Mapping[str, Any], name: str) -> Decimal:
    """A number from 0 up, as text or as a JSON number; 0 where it is left out."""
    try:
        value = Decimal(str(body.get(name, 0)))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise BadField(name, f"{name} must be a number from 0 up, not {body.get(name)!r}")
    return value


def days_until(body: Mapping[str, Any], name: str) -> float:
    """How many days away an Indian day is; one where none is named."""
    if body.get(name) is None:
        return 1.0
    try:
        day = date.fromisoformat(text_in(body, name))
    except ValueError as error:
        raise BadField(name, f"{name} {body[name]!r} is not a day as YYYY-MM-DD") from error
    return float((day - datetime.now(IST).date()).days)


def _stop_server_on_bug(work: "asyncio.Task[None]") -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.critical("the sandbox stops: its background work failed", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
