"""What every PSP is to us: one interface, and results in which a business failure is a value.

An adapter is stateless: it makes one call, classifies the answer and gives it back. It does not
retry, choose another PSP or touch a database, and it raises for no HTTP outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import httpx

from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from domain.routing import Downtime
from domain.settlements import SettlementLine
from domain.webhooks import PaymentEvent


class RefundStatus(StrEnum):
    """Where a refund stands at the PSP."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    NOT_FOUND = "NOT_FOUND"


class ActionKind(StrEnum):
    """What the customer has to do."""

    REDIRECT = "REDIRECT"
    UPI_INTENT = "UPI_INTENT"
    UPI_QR = "UPI_QR"


@dataclass(frozen=True, slots=True, kw_only=True)
class PSPCapabilities:
    """What a PSP can do, as data.

    `keyed`: operations on which the PSP honours our key, so that a replay is safe.
    `captures_at_once`: methods whose money is taken on approval; undoing one is a refund.
    `void_prevents`: a confirmed void by our reference also refuses a payment that is still on
    its way. `grace`: how long after sending "not found" proves nothing.
    `late_success`: how long a failed payment may still be authorised; None: a failure is final.
    `settlements`: it has a settlement report that can be asked for; else it comes as a file.
    """

    methods: frozenset[PaymentMethod]
    keyed: frozenset[Operation]
    captures_at_once: frozenset[PaymentMethod]
    partial_capture: bool
    several_refunds: bool
    void_prevents: bool
    signed_webhooks: bool
    grace: timedelta
    late_success: timedelta | None
    settlements: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """What one attempt asks for; `merchant_ref` is the attempt's own id, new for each attempt.

    `challenge` asks for 3-D Secure (a step-up). `expires_in_s`: seconds the customer has.
    """

    merchant_ref: str
    amount: Money
    method: PaymentMethod
    instrument: str
    expires_in_s: int
    return_url: str | None = None
    challenge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """What the customer has to do, and until when (UTC); `qr` is the QR code's content."""

    kind: ActionKind
    url: str | None
    deep_link: str | None = None
    qr: str | None = None
    expires_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """It as plain JSON values, times in ISO 8601."""
        until = self.expires_at.isoformat() if self.expires_at else None
        return {**asdict(self), "kind": str(self.kind), "expires_at": until}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    """What one call told about a payment; amounts in minor units (paise), times in UTC.

    `state` is the payment's state as this answer tells it, UNKNOWN where it does not tell. FAILED
    without a `ref`: this call made no payment, which says nothing of an earlier one's effect.
    `found` is false where the PSP knows no such payment; within its grace that proves nothing.
    `failure_class` is set where the call did not do what was asked, or the payment has failed.
    `final` is false where a FAILED payment may still be authorised: void it before going elsewhere.
    `others` are further payments under the same reference that hold, or may yet take, money.
    """

    state: PaymentState
    found: bool = True
    ref: str | None = None
    merchant_ref: str | None = None
    amount: Money | None = None
    captured: int = 0
    refunded: int = 0
    next_action: NextAction | None = None
    failure_class: FailureClass | None = None
    failure_code: str | None = None
    occurred_at: datetime | None = None
    final: bool = True
    others: tuple[str, ...] = ()

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call may or may not have had its effect: inquire before anything else."""
        return self.failure_class is FailureClass.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundResult:
    """What one call told about a refund; amount in minor units (paise), time in UTC."""

    status: RefundStatus
    ref: str | None = None
    amount: int | None = None
    failure_class: FailureClass | None = None
    failure_code: str | None = None
    occurred_at: datetime | None = None


class SettlementsUnavailable(Exception):
    """A settlement report that is not to be had; `later`: asking again in a while may help."""

    def __init__(self, psp: str, code: str, *, later: bool) -> None:
        super().__init__(f"{psp} does not show its settlements: {code}")
        self.psp = psp
        self.code = code
        self.later = later


class PSP(Protocol):
    """A payment service provider. `key` is the idempotency key of the saga's call (uuid5 text)."""

    @property
    def name(self) -> str:
        """As in webhook addresses, attempts and routing tables."""

    @property
    def caps(self) -> PSPCapabilities:
        """What it can do."""

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Hold the money (or take it, where the method is captured at once)."""

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Take held money; a payment already captured for this amount is a success."""

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Let go of held money; CAPTURED with a failure class where it is too late for that."""

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Void all there is under our reference, for when no answer ever gave the PSP's own.

        VOIDED with `found` false: there is nothing, and where caps.void_prevents nothing can come.
        """

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give captured money back."""

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look a payment up by the PSP's reference, or by ours; not found is a value."""

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look up the refund of a payment by the key that it was asked with."""

    async def downtimes(self) -> tuple[Downtime, ...] | None:
        """What the PSP says is down, or soon will be: empty where it has no such feed.

        None where the feed could not be read, which says nothing.
        """

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """The lines of an Indian day's settlement report, as the PSP has them now, page by page.

        Raises SettlementsUnavailable, at any line, where the report is not to be had.
        """

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """Check and read a webhook; raises BadSignature or UnreadableEvent."""


class Adapter(PSP, Protocol):
    """What the table of providers needs of a PSP's class, which knows its `caps` unopened."""

    caps: ClassVar[PSPCapabilities]

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        """The PSP over a client that its owner closes; `secrets` sign its webhooks."""

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[PaymentEvent]:
        """Check and read a webhook with the secrets valid now; raises a WebhookError."""


NOT_FOUND = PaymentResult(state=PaymentState.UNKNOWN, found=False)

_S = PaymentState
# Which of several payments under one reference matters most: where the money is.
_ORDER_OF_WEIGHT: tuple[PaymentState, ...] = (
    _S.DISPUTED,
    _S.CAPTURED,
    _S.PARTIALLY_CAPTURED,
    _S.PARTIALLY_REFUNDED,
    _S.REFUND_PENDING,
    _S.AUTHORISED,
    _S.PENDING,
    _S.ACTION_REQUIRED,
    _S.CREATED,
    _S.VOIDING,
    _S.UNKNOWN,
    _S.REFUNDED,
    _S.VOIDED,
    _S.FAILED,
    _S.EXPIRED,
)
_WITHOUT_MONEY = frozenset({_S.REFUNDED, _S.VOIDED, _S.FAILED, _S.EXPIRED})


def weightiest(found: Iterable[PaymentResult]) -> PaymentResult:
    """Of the payments under one reference the one that matters most, with `others` filled in.

    NOT_FOUND when there is none.
    """
    ordered = sorted(found, key=lambda one: _ORDER_OF_WEIGHT.index(one.state))
    if not ordered:
        return NOT_FOUND
    first, *rest = ordered
    live = (one for one in rest if one.state not in _WITHOUT_MONEY or not one.final)
    return replace(first, others=tuple(one.ref for one in live if one.ref is not None))
