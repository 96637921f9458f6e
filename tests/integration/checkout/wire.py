"""The wire between us and a PSP: it writes down every call, and fails those it is told to fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PATIENCE_S = 60


class Fault(StrEnum):
    """What the wire does to a call.

    HOLD keeps the request until it is let go; HOLD_ANSWER lets it act and keeps the answer.
    """

    DROP_BEFORE = "DROP_BEFORE"
    DROP_AFTER = "DROP_AFTER"
    HOLD = "HOLD"
    HOLD_ANSWER = "HOLD_ANSWER"
    REFUSE = "REFUSE"


@dataclass
class Rule:
    """A fault for the next `times` calls of an operation on one reference.

    `met` is set when a call meets it; `go` lets go what it holds. `answer` is what REFUSE says.
    """

    operation: str
    merchant_ref: str
    fault: Fault
    times: int = 1
    answer: tuple[int, Mapping[str, Any]] = (400, {})
    met: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it went by: which payment of ours it was about, and under which key.

    `at` is the monotonic clock's time in seconds.
    """

    operation: str
    merchant_ref: str
    key: str
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Request:
    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    def header(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name:
                return value.strip()
        return ""

    def raw(self) -> bytes:
        """The request for a connection of its own."""
        lines = self.head.decode("latin-1").rstrip("\r\n").split("\r\n")
        kept = [line for line in lines if not line.lower().startswith("connection:")]
        return "\r\n".join([*kept, "Connection: close", "", ""]).encode("latin-1") + self.body


class Wire:
    """A relay on a port of its own in front of one PSP."""

    def __init__(self, psp: str, port: int) -> None:
        self.psp = psp
        self.calls: list[Call] = []
        self._port = port
        self._rules: list[Rule] = []
        self._refs: dict[str, str] = {}
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def open(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for rule in self._rules:
            rule.go.set()

    def fail(
        self,
        operation: str,
        merchant_ref: str,
        fault: Fault,
        *,
        times: int = 1,
        answer: tuple[int, Mapping[str, Any]] = (400, {}),
    ) -> Rule:
        """Have the next calls of an operation on a payment meet a fault."""
        rule = Rule(operation, merchant_ref, fault, times, answer)
        self._rules.append(rule)
        return rule

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = _Request(head, b"")
            length = int(request.header("content-length") or 0)
            await self._pass(_Request(head, await reader.readexactly(length)), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone, as a timed-out caller does
        finally:
            writer.close()

    async def _pass(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        call = self._read(request)
        self.calls.append(call)
        rule = self._rule_for(call)
        fault = rule.fault if rule else None
        if rule:
            rule.met.set()
        if fault is Fault.DROP_BEFORE:
            return
        if rule and fault is Fault.REFUSE:
            writer.write(_response(*rule.answer))
            await writer.drain()
            return
        if rule and fault is Fault.HOLD:
            await asyncio.wait_for(rule.go.wait(), _PATIENCE_S)
        answer = await self._forward(request)
        self._learn(call.merchant_ref, answer)
        if fault is Fault.DROP_AFTER:
            return
        if rule and fault is Fault.HOLD_ANSWER:
            await asyncio.wait_for(rule.go.wait(), _PATIENCE_S)
        writer.write(answer)
        await writer.drain()

    async def _forward(self, request: _Request) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request.raw())
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    def _rule_for(self, call: Call) -> Rule | None:
        for rule in self._rules:
            fits = (rule.operation, rule.merchant_ref) == (call.operation, call.merchant_ref)
            if fits and rule.times > 0:
                rule.times -= 1
                return rule
        return None

    def _read(self, request: _Request) -> Call:
        url = urlsplit(request.target)
        parts = url.path.strip("/").split("/")[1:]
        told: dict[str, Any] = json.loads(request.body) if request.body else {}
        told |= {name: values[0] for name, values in parse_qs(url.query).items()}
        operation = _operation(request.method, parts)
        ours = told.get("merchant_ref") or told.get("receipt") or ""
        theirs = parts[1] if len(parts) > 1 and operation != "void-by-ref" else told.get("payment")
        if operation == "refund":
            # a refund has a reference of its own, by which it is looked up later
            self._refs[ours] = self._refs.get(str(theirs), "")
        ref = self._refs.get(theirs, "") if theirs else self._refs.get(ours, ours)
        key = request.header("idempotency-key") or request.header("x-refund-idempotency")
        return Call(operation, ref, key)

    def _learn(self, merchant_ref: str, answer: bytes) -> None:
        """Remember whose payment the PSP's ids in an answer name."""
        try:
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
        except json.JSONDecodeError:
            return
        rows = [body, *body.get("data", []), *body.get("items", [])]
        for row in rows:
            if isinstance(row.get("id"), str) and row["id"].startswith("pay_"):
                self._refs[row["id"]] = row.get("merchant_ref") or row.get("receipt")
        failed = body.get("error", {}).get("metadata", {}).get("payment_id")
        if failed:
            self._refs[failed] = merchant_ref


def _operation(method: str, parts: Sequence[str]) -> str:
    """What a request to `/v1/<parts>` asks for, in words that both PSPs share."""
    if parts[0] == "refunds":
        return "find_refund" if method == "GET" else "refund"
    if method == "GET":
        return "find"
    if len(parts) == 1:
        return "authorise"
    return {"cancel": "void"}.get(parts[-1], parts[-1])


def _response(status: int, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = [
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {len(content)}",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + content
