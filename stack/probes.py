"""Asking a server whether it serves; each answers within a second or raises.

A probe returns when the part is well, and raises OSError, TimeoutError or ProbeFailed when not.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

Probe = Callable[[], Awaitable[None]]

PATIENCE_S: Final = 2.0
SIGN_OF_LIFE_S: Final = 15.0


class ProbeFailed(Exception):
    """The server answered, and not with what a healthy one says."""


def tcp(host: str, port: int) -> Probe:
    """Well when a connection is accepted."""

    async def probe() -> None:
        await _exchange(host, port, b"", 0)

    return probe


def postgres(host: str, port: int) -> Probe:
    """Well when the server asks who we are: while it recovers it answers with an error."""
    parameters = b"user\0probe\0database\0postgres\0\0"
    startup = struct.pack("!ii", 8 + len(parameters), 196608) + parameters

    async def probe() -> None:
        answer = await _exchange(host, port, startup, 1)
        if answer != b"R":
            raise ProbeFailed("it is still starting")

    return probe


def valkey(host: str, port: int) -> Probe:
    """Well when it answers PING: while it loads its file it answers with an error."""

    async def probe() -> None:
        answer = await _exchange(host, port, b"PING\r\n", 7)
        if answer != b"+PONG\r\n":
            raise ProbeFailed("it is still loading")

    return probe


def mongo(host: str, port: int) -> Probe:
    """Well when it answers the `ping` command of the Mongo wire protocol."""
    fields = b"\x10ping\0\x01\0\0\0" + b"\x02$db\0\x06\0\0\0admin\0" + b"\0"
    body = struct.pack("<iB", 0, 0) + struct.pack("<i", 4 + len(fields)) + fields
    message = struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body

    async def probe() -> None:
        await _exchange(host, port, message, 16)

    return probe


def http(url: str, *, containing: tuple[str, ...] = ()) -> Probe:
    """Well when a GET answers 200 and its body has every one of the given words."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()

    async def probe() -> None:
        answer = await _exchange(host, port, request, None)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0].split(b" ")[1:2]
        if status != [b"200"]:
            raise ProbeFailed(f"it answers {b' '.join(status).decode() or 'nothing'}")
        if any(word.encode() not in body for word in containing):
            raise ProbeFailed("it is still setting up")

    return probe


def alive(sign: Path, *, patience_s: float = SIGN_OF_LIFE_S) -> Probe:
    """Well when the process touched its sign of life lately, which a stuck event loop does not."""

    async def probe() -> None:
        age = _age_s(sign)
        if age > patience_s:
            raise ProbeFailed(f"no sign of life for {age:.0f} s")

    return probe


def _age_s(file: Path) -> float:
    return time.time() - file.stat().st_mtime


async def _exchange(host: str, port: int, sent: bytes, wanted: int | None) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(sent)
            await writer.drain()
            return await (reader.read(-1) if wanted is None else reader.readexactly(wanted))
        except asyncio.IncompleteReadError:
            raise ProbeFailed("it hung up") from None
        finally:
            writer.transport.abort()
