"""Where the PSPs' webhooks arrive: handed to the edge as they are, and counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Hook:
    """One delivery: the body, and what the edge made of it ("received", "duplicate")."""

    psp: str
    body: bytes
    status: int
    became: str


class Hooks:
    """Takes webhooks on a port of its own; those about a reference in `lost` never arrive."""

    def __init__(self) -> None:
        self.edge: httpx.AsyncClient | None = None
        self.came: list[Hook] = []
        self.lost: set[str] = set()
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None

    def url(self, psp: str) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1/payments/webhook/{psp}"

    async def open(self) -> Hooks:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()

    def about(self, merchant_ref: str, kind: str = "") -> list[Hook]:
        """The deliveries that concern a payment, of one kind if named."""
        wanted = (merchant_ref.encode(), kind.encode())
        return [hook for hook in self.came if all(part in hook.body for part in wanted)]

    async def until(self, merchant_ref: str, kind: str, times: int = 1) -> None:
        """Wait until the edge has answered so many."""
        async with self._news, asyncio.timeout(10):
            await self._news.wait_for(lambda: len(self.about(merchant_ref, kind)) >= times)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = (line.partition(": ") for line in lines[1:-2])
            headers = {name.lower(): value for name, _, value in fields}
            body = await reader.readexactly(int(headers["content-length"]))
            status = await self._take(lines[0].split(" ")[1], body, headers)
            answer = f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(answer.encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a sandbox that stops
        finally:
            writer.close()

    async def _take(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        if any(ref.encode() in body for ref in self.lost):
            return 200
        if self.edge is None:
            return 503
        for name in ("host", "content-length", "connection", "accept-encoding"):
            headers.pop(name, None)
        answer = await self.edge.post(path, content=body, headers=headers)
        async with self._news:
            became = answer.json().get("status", "") if answer.is_success else ""
            psp = path.rpartition("/")[2]
            self.came.append(Hook(psp, body, answer.status_code, became))
            self._news.notify_all()
        return answer.status_code
