"""The outermost layer, as plain ASGI: request ids, size limit, headers, access log, last resort."""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Sequence
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.config import MAX_BODY_BYTES
from api.outages import is_outage
from api.problems import Problem
from db.ids import new_ulid

log = structlog.get_logger("api")

_OWN_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # answers are about one person; no proxy may keep them
    "Cache-Control": "no-store",
}
_TLS_ONLY: Final = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
_DRAIN_BYTES: Final = 32 * 1024 * 1024
_DRAIN_SECONDS: Final = 5.0


class Edge:
    """Wraps the application; `trusted_hosts` refuses other Host headers (none: takes any)."""

    def __init__(self, app: ASGIApp, *, production: bool, trusted_hosts: Sequence[str]) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if production:
            self._headers.update([_TLS_ONLY])
        self._hosts = frozenset(host.lower() for host in trusted_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, self._headers)
        try:
            await self._serve(scope, receive, exchange)
        except Exception as error:
            await self._rescue(error, scope, receive, exchange)
        finally:
            exchange.log()

    async def _serve(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        headers = Headers(scope=scope)
        if self._hosts and _host(headers) not in self._hosts:
            await exchange.problem(Problem("INVALID_HOST"), scope, receive)
            return
        if _declared_bytes(headers) > MAX_BODY_BYTES:
            await _drain(receive)
            await exchange.problem(Problem("BODY_TOO_LARGE"), scope, receive)
            return
        await self._app(scope, _bounded(receive), exchange.send)

    async def _rescue(
        self, error: Exception, scope: Scope, receive: Receive, exchange: _Exchange
    ) -> None:
        outage = is_outage(error)
        if outage:
            log.warning("dependency unreachable", request=exchange.id, error=type(error).__name__)
        else:
            log.error("request failed", request=exchange.id, **_told(error))
        if exchange.started:
            raise error
        problem = Problem("TEMPORARILY_UNAVAILABLE" if outage else "INTERNAL")
        await exchange.problem(problem, scope, receive)


class _Exchange:
    """One request's id, its answer on the way out, and its line in the access log."""

    def __init__(self, scope: Scope, send: Send, headers: dict[str, str]) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.id = given if _OWN_ID.fullmatch(given) else new_ulid()
        self.started = False
        self._scope = scope
        self._send = send
        self._headers = headers
        self._status = 0
        self._since = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        """Pass a message on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.started = True
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self.id
        await self._send(message)

    async def problem(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Answer with a problem."""
        await problem.response(self.id)(scope, receive, self.send)

    def log(self) -> None:
        """Write the access log: the route's template, never the path, the query or a body."""
        route = self._scope.get("route")
        state: dict[str, Any] = self._scope["state"]
        log.info(
            "request",
            method=self._scope["method"],
            route=getattr(route, "path", "unmatched"),
            status=self._status,
            ms=round((time.perf_counter() - self._since) * 1000, 1),
            request=self.id,
            user=state.get("user_id"),
        )


def _told(error: Exception) -> dict[str, Any]:
    """An error for the log: where it happened, and the first line of what it says.

    The other lines hold the values at hand (a statement's parameters, a model's input), and so
    would a traceback with local variables: what customers sent has no place in a log.
    """
    return {
        "error": type(error).__name__,
        "says": str(error).partition("\n")[0][:200],
        "at": "".join(traceback.format_tb(error.__traceback__)),
    }


def _host(headers: Headers) -> str:
    host = headers.get("host", "").lower()
    return host.rpartition(":")[0] if re.search(r":\d+$", host) else host


def _declared_bytes(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if re.fullmatch(r"[0-9]{1,18}", declared) else 0


def _bounded(receive: Receive) -> Receive:
    """Count the bytes of a body that did not declare its length, and stop at the limit."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            if message.get("more_body"):
                await _drain(receive)
            # an HTTPException, as the framework hides any other error of a body it reads
            raise HTTPException(413)
        return message

    return bounded


async def _drain(receive: Receive) -> None:
    """Read a refused body, so that its sender sees the answer instead of a reset connection."""
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
