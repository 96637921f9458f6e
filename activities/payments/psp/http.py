"""One HTTP call to a PSP: what came back, or which failure class it is that nothing did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from domain.payments import FailureClass

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 3.0
KEEP_ALIVE_S = 15.0
CONNECTIONS = 64

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `body` is empty where an error's body could not be read."""

    status: int
    body: JsonObject = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the PSP says that it did what was asked."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """No answer that can be trusted: what that means, and a code for support."""

    failure_class: FailureClass
    code: str


# The first row that fits; nothing left the machine in the NOT_SENT rows.
_TRANSPORT: tuple[tuple[type[Exception], FailureClass, str], ...] = (
    (httpx.ConnectTimeout, FailureClass.NOT_SENT, "connect_timeout"),
    (httpx.ConnectError, FailureClass.NOT_SENT, "connect_failed"),
    (httpx.PoolTimeout, FailureClass.NOT_SENT, "no_free_connection"),
    (httpx.UnsupportedProtocol, FailureClass.CONFIG, "bad_address"),
    (httpx.InvalidURL, FailureClass.CONFIG, "bad_address"),
    (httpx.LocalProtocolError, FailureClass.CONFIG, "bad_request_header"),
    (httpx.ReadTimeout, FailureClass.UNKNOWN, "read_timeout"),
    (httpx.WriteTimeout, FailureClass.UNKNOWN, "write_timeout"),
    (httpx.HTTPError, FailureClass.UNKNOWN, "connection_lost"),
)
UNREADABLE = Trouble(FailureClass.UNKNOWN, "unreadable_body")

# An error whose code is not in the PSP's own table; any other status is UNKNOWN.
BY_STATUS: Mapping[int, FailureClass] = {
    401: FailureClass.CONFIG,
    403: FailureClass.CONFIG,
    429: FailureClass.REJECTED_TRANSIENT,
}


def psp_client(
    *, connect_timeout_s: float = CONNECT_TIMEOUT_S, read_timeout_s: float = READ_TIMEOUT_S
) -> httpx.AsyncClient:
    """A client with a limit on everything: seconds to connect, to read, and open connections."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s, pool=connect_timeout_s),
        limits=httpx.Limits(
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
        ),
        # Proxies and netrc of the machine must not decide where money calls go.
        trust_env=False,
        follow_redirects=False,
    )


class PSPHttp:
    """HTTP to one PSP, answered in JSON, on a client that its owner closes.

    `headers` go with every call.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        auth: httpx.Auth,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._headers = dict(headers or {})

    async def post(
        self, path: str, body: JsonObject, headers: Mapping[str, str] | None = None
    ) -> Answer | Trouble:
        """Send once."""
        all_headers = {"content-type": "application/json", **(headers or {})}
        return await self._send("POST", path, content=orjson.dumps(body), headers=all_headers)

    async def post_form(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer | Trouble:
        """Send once, form-encoded: a nested field is named `outer[inner]`."""
        return await self._send("POST", path, data=form, headers=headers)

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer | Trouble:
        """Ask once."""
        return await self._send("GET", path, params=params)

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any
    ) -> Answer | Trouble:
        url = f"{self._base_url}{path}"
        sent = {**self._headers, **(headers or {})}
        try:
            response = await self._client.request(
                method, url, auth=self._auth, headers=sent, **given
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return trouble_of(error)
        return _read(response)


def trouble_of(error: Exception) -> Trouble:
    """What an error of the network means: whether anything left us, and a code for support."""
    for kind, failure_class, code in _TRANSPORT:
        if isinstance(error, kind):
            return Trouble(failure_class, code)
    return Trouble(FailureClass.UNKNOWN, "connection_lost")


def _read(response: httpx.Response) -> Answer | Trouble:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        return Answer(response.status_code, body)
    # A success that cannot be read is no success; an error still has its status.
    return UNREADABLE if response.is_success else Answer(response.status_code)


class BearerAuth(httpx.Auth):
    """`Authorization: Bearer <key>`."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Any:
        """Add the header."""
        request.headers["authorization"] = self._header
        yield request
