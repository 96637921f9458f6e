"""A client of the public edge that does not give up easily, as a good one does not."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

CONNECT_S: Final = 2.0
ANSWER_S: Final = 20.0
PATIENCE_S: Final = 150.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
CONNECTIONS: Final = 200
AGAIN: Final = frozenset({429, 502, 503, 504})
IN_FLIGHT: Final = "ORDER_IN_FLIGHT"


class GaveUp(Exception):
    """No answer that can be worked with came in time; the text says what came last."""


@dataclass(slots=True)
class Edge:
    """Calls that are sent again, with growing pauses, until they are answered.

    `retries` counts why. What is sent again is safe to send again: reads, and orders under a key.
    `calm` says that no part is being killed, so that even the least difference is a complaint.
    """

    url: str
    http: httpx.AsyncClient
    random: Random
    calm: bool = True
    retries: Counter[str] = field(default_factory=Counter)
    patience_s: float = PATIENCE_S

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One call, as often as it takes; raises GaveUp."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience_s
        pause, last = FIRST_PAUSE_S, "nothing"
        while loop.time() < deadline:
            try:
                answer = await self.http.request(
                    method, self.url + path, json=json, params=params, headers=headers
                )
            except httpx.TransportError as error:
                last = type(error).__name__
                wait = pause
            else:
                again = _again(answer)
                if again is None:
                    return answer
                last = again
                wait = min(float(answer.headers.get("Retry-After", pause)), LONGEST_PAUSE_S)
            self.retries[last] += 1
            await asyncio.sleep(wait * self.random.uniform(0.6, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE_S)
        raise GaveUp(f"{method} {path}: no answer in {self.patience_s:.0f} s, last {last}")


def _again(answer: httpx.Response) -> str | None:
    """Why a call is to be sent again, or None where its answer stands."""
    if answer.status_code in AGAIN:
        return f"HTTP {answer.status_code}"
    if answer.status_code == 409 and code_of(answer) == IN_FLIGHT:
        return IN_FLIGHT
    return None


def code_of(answer: httpx.Response) -> str:
    """The stable code of a problem; empty where the answer is none."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    return str(body.get("code", "")) if isinstance(body, dict) else ""


def client() -> httpx.AsyncClient:
    """The HTTP client of a whole crowd."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S, pool=ANSWER_S),
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        trust_env=False,
    )
