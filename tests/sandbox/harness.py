"""Real sandbox servers as child processes, and a shop that takes their webhooks."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "test-id:test-key"
SECRET = "test-webhook-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sandbox:
    """One PSP in a process of its own."""

    psp: str
    data: Path
    webhook_url: str | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth(self) -> dict[str, Any]:
        if self.psp == "alphapay":
            return {"headers": {"authorization": f"Bearer {API_KEY}"}}
        return {"auth": httpx.BasicAuth(*API_KEY.split(":"))}

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=5, trust_env=False, **self.auth)

    def start(self) -> "Sandbox":
        command = [sys.executable, "-m", "sandbox", self.psp, "--port", str(self.port)]
        command += ["--data", str(self.data)]
        if self.webhook_url:
            command += ["--webhook-url", self.webhook_url]
        secrets = {"SANDBOX_API_KEY": API_KEY, "SANDBOX_WEBHOOK_SECRET": SECRET}
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **secrets}, stdout=log, stderr=log
            )
        self._wait_until_healthy()
        return self

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.data / "log").read_text()
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"{self.psp} was not healthy in 20 s")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    async def faults(self, **wanted: Any) -> None:
        async with self.client() as client:
            answer = await client.post("/_sandbox/faults", json=wanted)
        assert answer.status_code == 200, answer.text

    async def books(self, merchant_ref: str) -> list[dict[str, Any]]:
        """The PSP's own rows under one merchant reference."""
        async with self.client() as client:
            rows = (await client.get("/_sandbox/books")).json()["payments"]
        return [row for row in rows if row["merchant_ref"] == merchant_ref]

    async def lapse(self, merchant_ref: str) -> None:
        """Let an authorisation lapse, as it would after some days."""
        async with self.client() as client:
            answer = await client.post("/_sandbox/lapse", json={"merchant_ref": merchant_ref})
        assert answer.json() == {"lapsed": 1}

    async def dispute(self, merchant_ref: str, amount: int) -> str:
        """Have the customer's bank dispute a captured payment; the dispute's id."""
        async with self.client() as client:
            wanted = {"merchant_ref": merchant_ref, "amount": amount}
            answer = await client.post("/_sandbox/disputes", json=wanted)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def close_dispute(self, ref: str, outcome: str) -> None:
        async with self.client() as client:
            answer = await client.post(f"/_sandbox/disputes/{ref}", json={"outcome": outcome})
        assert answer.status_code == 200, answer.text

    async def customer(self, ref: str, choice: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as browser:
            return await browser.post(f"/pay/{ref}/{choice}")


@dataclass(frozen=True)
class Received:
    headers: Mapping[str, str]
    body: bytes
    at: float


class Shop:
    """Takes webhooks; answers 200 unless told otherwise."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 200
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def open(self) -> "Shop":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(headers, body, time.monotonic()))
        answer = f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def about(self, merchant_ref: str) -> list[Received]:
        return [one for one in self.received if merchant_ref.encode() in one.body]

    async def until(
        self, merchant_ref: str, enough: Callable[[list[Received]], bool], within_s: float = 6
    ) -> list[Received]:
        """What came about a reference, once it is enough."""
        deadline = time.monotonic() + within_s
        while not enough(self.about(merchant_ref)):
            assert time.monotonic() < deadline, self.about(merchant_ref)
            await asyncio.sleep(0.01)
        return self.about(merchant_ref)
