"""The edge of a PSP: what a call meets on its way in and out, faults included."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.psp.faults import Faults
from sandbox.psp.server import drop_connection
from sandbox.psp.webhooks import Webhooks

DROPPED_BEFORE = frozenset({"timeout_before"})
ANSWERED_BEFORE = frozenset({"http_500_before", "rate_limited", "gateway_down"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the PSP says: an HTTP status and a JSON body."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """It as an HTTP response."""
        return Response(
            orjson.dumps(self.body), self.status, dict(self.headers), "application/json"
        )


class Dropped(Response):
    """No answer at all: the connection closes, or is reset where `reset` is true."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        drop_connection(scope, reset=self._reset)
        while (await receive())["type"] != "http.disconnect":
            pass


class BadField(ValueError):
    """A request field that cannot be used: its name, and a sentence with the remedy."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class Fields:
    """The JSON object of a request, read field by field; BadField says what is wrong."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body

    @classmethod
    async def of(cls, request: Request) -> "Fields":
        """Read the body of a request."""
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise BadField("body", f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadField("body", "the body must be a JSON object")
        return cls(body)

    def text(self, name: str, *, longest: int = 64) -> str:
        """A text that must be there."""
        value = self._body.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= longest:
            raise BadField(name, f"{name} must be 1 to {longest} characters of text")
        return value

    def text_or_none(self, name: str, *, longest: int = 500) -> str | None:
        """A text that may be left out."""
        return None if self._body.get(name) is None else self.text(name, longest=longest)

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """A text out of a list."""
        value = self._body.get(name)
        if value not in choices:
            raise BadField(name, f"{name} {value!r} is not one of {', '.join(choices)}")
        return str(value)

    def whole(self, name: str, *, most: int, default: int | None = None) -> int:
        """A whole number from 1 up."""
        value = self._body.get(name, default)
        if type(value) is not int or not 1 <= value <= most:
            raise BadField(name, f"{name} must be a whole number from 1 to {most}, not {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false when left out."""
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise BadField(name, f"{name} must be true or false, not {value!r}")
        return value


# The fault decided for a call -> what was done and is to be said
Act = Callable[[str], Answer]


class Edge:
    """Takes one call through delay, fault, deed and early webhooks."""

    def __init__(
        self, faults: Faults, webhooks: Webhooks, refusal: Callable[[str], Answer]
    ) -> None:
        self._faults = faults
        self._webhooks = webhooks
        self._refusal = refusal

    async def call(
        self, operation: str, merchant_ref: str, act: Act, instrument: str | None = None
    ) -> Response:
        """Do it, unless a fault keeps it from being done, and answer, unless one keeps that."""
        fault = self._faults.decide(operation, merchant_ref, instrument)
        settings = self._faults.settings
        wait = settings.delay_ms + (settings.slow_ms if fault == "slow" else 0)
        if wait:
            await asyncio.sleep(wait / 1000)
        if fault in DROPPED_BEFORE:
            return Dropped()
        if fault in ANSWERED_BEFORE:
            return self._refusal(fault).response()
        answer = act(fault)
        await self._webhooks.deliver_early()
        return self._spoilt(fault) or answer.response()

    def _spoilt(self, fault: str) -> Response | None:
        """What goes out in place of the true answer."""
        if fault == "timeout_after":
            return Dropped()
        if fault == "connection_reset":
            return Dropped(reset=True)
        if fault == "http_500_after":
            return self._refusal(fault).response()
        if fault == "unreadable_body":
            return Response(b'{"id": "pay_', 200, media_type="application/json")
        return None
