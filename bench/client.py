"""The least HTTP/1.1 client that a load needs: a heavier one would measure itself."""

import asyncio
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from bench.errors import CannotMeasure

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class BadAnswer(CannotMeasure):
    """The server closed the connection, or answered in a way that this client does not read."""


class Connection(asyncio.Protocol):
    """A kept-alive connection that carries one request at a time; reads answers with a length."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""

    async def __aenter__(self) -> Self:
        """Connect; raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._host, self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.close()

    async def post(self, path: str, headers: bytes, body: bytes) -> tuple[int, bytes]:
        """Send a JSON body; the status and body of the answer. `headers` are whole lines.

        Raises BadAnswer.
        """
        if self._transport is None or self._transport.is_closing():
            raise BadAnswer("the connection is closed")
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + headers + length.encode() + body)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Not every loop's transports derive from asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand the answer over once all of it is here."""
        self._received += data
        head_end = self._received.find(_HEAD_ENDS)
        if head_end < 0 or self._answer is None or self._answer.done():
            return
        try:
            status, length = _read_head(self._received[:head_end])
        except (BadAnswer, ValueError) as error:
            self._answer.set_exception(BadAnswer(str(error)))
            return
        body = self._received[head_end + len(_HEAD_ENDS) :]
        if len(body) >= length:
            self._answer.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer waits in vain."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BadAnswer(f"the connection was closed: {exc}"))


def _read_head(head: bytes) -> tuple[int, int]:
    at = head.lower().find(_LENGTH)
    if at < 0:
        raise BadAnswer("the answer has no Content-Length")
    value = head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]
    return int(head[9:12]), int(value)
