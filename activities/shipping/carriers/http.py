"""HTTP to a carrier, and the reading of its answers: what differs between carriers is data.

The transport, its limits and which of its errors means what are those of the PSPs' calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from activities.payments.psp.http import (
    BY_STATUS,
    UNREADABLE,
    Answer,
    JsonObject,
    PSPHttp,
    Trouble,
    psp_client,
    trouble_of,
)
from activities.shipping.carriers.port import Booking, BookingState, Deed, DeedState
from domain.errors import DomainError
from domain.money import Money
from domain.payments import FailureClass

# What a reader raises where a body is not what the carrier documents.
MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    IndexError,
    DomainError,
)
UNDECIDED = frozenset({FailureClass.UNKNOWN, FailureClass.IN_PROGRESS})

carrier_client = psp_client


class CarrierHttp(PSPHttp):
    """HTTP to one carrier; a body that is no JSON object is under `value`."""

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


def _read(response: httpx.Response) -> Answer | Trouble:
    if response.is_success and not response.content:
        return Answer(response.status_code)  # a 204 says all there is to say
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        # A success that cannot be read is no success; an error still has its status.
        return UNREADABLE if response.is_success else Answer(response.status_code)
    return Answer(response.status_code, body if isinstance(body, dict) else {"value": body})


@dataclass(frozen=True, slots=True)
class Tongue:
    """How a carrier words its refusals: `read_code` finds the code, `codes` has their classes."""

    codes: Mapping[str, FailureClass]
    read_code: Callable[[JsonObject], str | None]

    def failure(self, answer: Answer | Trouble) -> Trouble:
        """The class of what is no success: by its code, else its status, else UNKNOWN."""
        if isinstance(answer, Trouble):
            return answer
        try:
            code = self.read_code(answer.body)
        except MALFORMED:
            code = None
        if code is not None and code in self.codes:
            return Trouble(self.codes[code], code)
        by_status = BY_STATUS.get(answer.status, FailureClass.UNKNOWN)
        return Trouble(by_status, code or f"http_{answer.status}")

    def not_booked(self, answer: Answer | Trouble, merchant_ref: str) -> Booking:
        """A booking that failed: REFUSED where that is sure."""
        failure = self.failure(answer)
        undecided = failure.failure_class in UNDECIDED
        return Booking(
            state=BookingState.UNKNOWN if undecided else BookingState.REFUSED,
            merchant_ref=merchant_ref,
            failure_class=failure.failure_class,
            failure_code=failure.code,
        )

    def not_found(self, answer: Answer | Trouble, merchant_ref: str) -> Booking:
        """A look-up that failed, which says nothing of the booking."""
        failure = self.failure(answer)
        return Booking(
            state=BookingState.UNKNOWN,
            merchant_ref=merchant_ref,
            failure_class=failure.failure_class,
            failure_code=failure.code,
        )

    def not_done(self, answer: Answer | Trouble) -> Deed:
        """A deed that failed: REFUSED where that is sure."""
        failure = self.failure(answer)
        undecided = failure.failure_class in UNDECIDED
        return Deed(
            state=DeedState.UNKNOWN if undecided else DeedState.REFUSED,
            failure_class=failure.failure_class,
            failure_code=failure.code,
        )


def refused(code: str) -> Deed:
    """A deed that the carrier has no call for, or that lacks something: nothing was sent."""
    return Deed(
        state=DeedState.REFUSED, failure_class=FailureClass.INVALID_REQUEST, failure_code=code
    )


def rupees(money: Money) -> str:
    """An amount as carriers want it, in rupees with two places."""
    return f"{money.paise // 100}.{money.paise % 100:02d}"
