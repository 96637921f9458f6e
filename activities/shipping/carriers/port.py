"""What every carrier is to us: one interface, and results in which a business failure is a value.

An adapter is stateless: it makes the calls of one deed, classifies the answer and gives it back. It
does not retry, choose another carrier or touch a database, and it raises for no HTTP outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol

import httpx

from domain.carriers import Quote
from domain.money import Money
from domain.payments import FailureClass
from domain.scans import Scan


class BookingState(StrEnum):
    """What is known of a booking. INCOMPLETE: the carrier has it without an AWB; book it again."""

    BOOKED = "BOOKED"
    INCOMPLETE = "INCOMPLETE"
    CANCELLED = "CANCELLED"
    REFUSED = "REFUSED"
    NOT_FOUND = "NOT_FOUND"
    UNKNOWN = "UNKNOWN"


class DeedState(StrEnum):
    """What became of a request about a parcel.

    PENDING: taken, its outcome comes later. TOO_LATE: the parcel has gone on, nothing was done.
    RETURNING: not cancelled, but on its way back (RTO).
    """

    DONE = "DONE"
    PENDING = "PENDING"
    TOO_LATE = "TOO_LATE"
    RETURNING = "RETURNING"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class NdrKind(StrEnum):
    """What the customer chose after a failed delivery."""

    REATTEMPT = "REATTEMPT"
    DEFER = "DEFER"
    EDIT_ADDRESS = "EDIT_ADDRESS"
    RETURN = "RETURN"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierCapabilities:
    """What a carrier can do, as data.

    `keyed`: the same booking sent again (same merchant_ref, and same AWB where `reserves`) makes no
    second parcel. `reserves`: AWBs are had beforehand, and `book` needs one. `grace`: how long
    after sending "not found" proves nothing. `later_actions`: an NDR action is PENDING until
    `action` tells. `actions`: the NDR actions there are. `signed_webhooks`: the signature covers
    the body; without one, ask `track` before acting on a scan. `exact_200`: a webhook answered
    with any other status comes again.
    """

    keyed: bool
    reserves: bool
    grace: timedelta
    later_actions: bool
    actions: frozenset[NdrKind]
    signed_webhooks: bool
    exact_200: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a parcel is fetched or brought; its `repr` tells no more than the PIN code.

    `site`: the name that a place of ours has at the carrier. `email`: for carriers that insist.
    """

    name: str = field(repr=False)
    phone: str = field(repr=False)
    line: str = field(repr=False)
    city: str = field(repr=False)
    state: str = field(repr=False)
    pincode: str
    site: str | None = None
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is to be carried; `merchant_ref` is the shipment's own id, new for each booking.

    Grams and millimetres. `collect` is the cash due at the door, nothing for a prepaid order;
    `value` is what the contents are worth. For a reverse pickup `origin` is the customer.
    """

    merchant_ref: str
    origin: Address
    destination: Address
    grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    value: Money
    collect: Money
    contents: str
    ordered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NdrAction:
    """The customer's choice: `on` for DEFER (an Indian day), `address` for EDIT_ADDRESS."""

    kind: NdrKind
    on: date | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Set where a call did not do what was asked."""

    failure_class: FailureClass | None = None
    failure_code: str | None = None

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call may or may not have had its effect: look before anything else."""
        return self.failure_class is FailureClass.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes(Failure):
    """What a carrier offers between two PIN codes: nothing, without a failure, is "not served"."""

    offers: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation(Failure):
    """An AWB had beforehand; none, without a failure, where the carrier has no such thing."""

    awb: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking(Failure):
    """What one call told about a booking; `ref` is the carrier's own id where it has one."""

    state: BookingState
    merchant_ref: str | None = None
    awb: str | None = None
    ref: str | None = None
    courier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed(Failure):
    """What became of a pickup, a cancellation or an NDR action; `ref` names it for later."""

    state: DeedState
    ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking(Failure):
    """All the scans of a parcel that the carrier shows now, oldest first."""

    scans: tuple[Scan, ...] = ()


class Carrier(Protocol):
    """A carrier. `key` is the idempotency key of the saga's call (uuid5 text)."""

    @property
    def name(self) -> str:
        """As in webhook addresses and shipments."""

    @property
    def caps(self) -> CarrierCapabilities:
        """What it can do."""

    async def serviceable(
        self, origin: str, destination: str, *, cod: bool, grams: int, reverse: bool = False
    ) -> Quotes:
        """What it offers between two PIN codes."""

    async def reserve(self) -> Reservation:
        """An AWB beforehand: it is the key of the booking that uses it."""

    async def book(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Have a parcel carried; a booking made already under its merchant_ref is that booking."""

    async def reverse(self, parcel: Parcel, *, key: str, awb: str | None = None) -> Booking:
        """Have a parcel fetched from the customer and brought back."""

    async def pickup(self, booking: Booking, site: str, on: date, *, key: str) -> Deed:
        """Have booked parcels fetched at a site of ours; asked for already is DONE."""

    async def cancel(self, booking: Booking, *, key: str) -> Deed:
        """Call a booking off; DONE too where it was off already, else TOO_LATE or RETURNING."""

    async def ndr_action(self, awb: str, action: NdrAction, *, key: str) -> Deed:
        """Tell what to do after a failed delivery; PENDING where `action` tells the outcome."""

    async def action(self, ref: str) -> Deed:
        """What became of an NDR action that was PENDING."""

    async def find(self, *, merchant_ref: str) -> Booking:
        """Look a booking up by our reference; NOT_FOUND is a value, and proves nothing at once."""

    async def track(self, awb: str) -> Tracking:
        """Every scan of a parcel."""

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[Scan]:
        """Check and read a webhook; raises BadSignature or UnreadableEvent."""


class Adapter(Carrier, Protocol):
    """What the table of carriers needs of a carrier's class, which knows its `caps` unopened."""

    caps: ClassVar[CarrierCapabilities]

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        """The carrier over a client that its owner closes; `secrets` vouch for its webhooks."""

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[Scan]:
        """Check and read a webhook with the secrets valid now; raises a WebhookError."""
