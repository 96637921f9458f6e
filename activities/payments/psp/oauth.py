"""HTTP to a PSP whose API takes an OAuth access token, got with a client's id and secret."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx

from activities.payments.psp.http import UNREADABLE, Answer, PSPHttp, Trouble
from domain.payments import FailureClass

# A token is renewed when so much of its life is left, so that none ends on its way.
SPARE = 0.1
# What a client that may have no token is told (RFC 6749, 5.2).
_REFUSED_US = (400, 401, 403)


class OAuthHttp(PSPHttp):
    """Calls under a token (RFC 6749, client credentials), kept until shortly before its end.

    `api_key` is `<client id>:<secret>`, or the secret alone for the client `name`; `path` is where
    tokens are given. Without a token nothing is sent: CONFIG where the PSP refuses us one, else
    NOT_SENT.
    """

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, api_key: str, *, name: str, path: str
    ) -> None:
        super().__init__(client, base_url, httpx.Auth())
        given_name, colon, secret = api_key.partition(":")
        self._credentials = {
            "grant_type": "client_credentials",
            "client_id": given_name if colon else name,
            "client_secret": secret if colon else api_key,
        }
        self._tokens = PSPHttp(client, base_url, httpx.Auth())
        self._path = path
        self._turn = asyncio.Lock()
        self._token, self._until = "", 0.0

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any
    ) -> Answer | Trouble:
        """Send; what its token had refused at the door was not acted on, and is sent once more."""
        token = await self._fresh()
        if isinstance(token, Trouble):
            return token
        answer = await super()._send(method, path, _bearing(token, headers), **given)
        if isinstance(answer, Trouble) or answer.status != 401:
            return answer
        token = await self._fresh(refused=token)
        if isinstance(token, Trouble):
            return token
        return await super()._send(method, path, _bearing(token, headers), **given)

    async def _fresh(self, *, refused: str = "") -> str | Trouble:
        """A token that lasts and is not the refused one, or why there is none.

        One call at a time asks for it; those that waited find what it got.
        """
        async with self._turn:
            now = time.monotonic()
            if self._token != refused and now < self._until:
                return self._token
            answer = await self._tokens.post_form(self._path, self._credentials)
            if isinstance(answer, Trouble):
                return _none(answer.code)
            if not answer.ok:
                return _none(f"http_{answer.status}", refused_us=answer.status in _REFUSED_US)
            try:
                token, lasts = str(answer.body["access_token"]), float(answer.body["expires_in"])
            except (KeyError, TypeError, ValueError):
                return _none(UNREADABLE.code)
            self._token, self._until = token, now + (1 - SPARE) * lasts
            return token


def _bearing(token: str, headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return {**(headers or {}), "authorization": f"Bearer {token}"}


def _none(code: str, *, refused_us: bool = False) -> Trouble:
    return Trouble(FailureClass.CONFIG if refused_us else FailureClass.NOT_SENT, f"token/{code}")
