"""Which carrier takes a parcel: what each would really cost, counting what tends to go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from domain.errors import InvalidMoney
from domain.money import BASIS_POINTS, Money, Rounding, divide
from domain.shipping import ShippingError

PREFIX_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a carrier offers for a parcel from one PIN code to another.

    `promised_days` are working days from pickup to the door, `cost` is freight with tax.
    `max_grams` and `cash_limit` None: no limit. Raises ShippingError QUOTE_INVALID.
    """

    carrier: str
    promised_days: int
    cost: Money
    serviceable: bool = True
    takes_cash: bool = True
    cash_limit: Money | None = None
    max_grams: int | None = None

    def __post_init__(self) -> None:
        if self.promised_days < 0 or self.cost.is_negative:
            raise ShippingError(
                "QUOTE_INVALID",
                f"{self.carrier} offers {self.promised_days} days for {self.cost}: neither may "
                "be below zero",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a carrier's parcels of one payment kind to a PIN prefix ended.

    `late` counts deliveries after the promised day and is part of `delivered`. Raises
    ShippingError RECORD_INVALID.
    """

    delivered: int = 0
    returned: int = 0
    late: int = 0

    def __post_init__(self) -> None:
        if min(self.delivered, self.returned, self.late) < 0 or self.late > self.delivered:
            raise ShippingError(
                "RECORD_INVALID",
                f"{self.delivered} delivered, {self.late} of them late, and {self.returned} "
                "returned: counts are not negative, and only what is delivered can be late",
            )

    @property
    def ended(self) -> int:
        """Parcels that reached an end."""
        return self.delivered + self.returned


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelToSend:
    """What a carrier is chosen for; `cash` is what is collected at the door, None if prepaid."""

    pincode: str
    grams: int
    cash: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePolicy:
    """What a day, a late delivery and a return are worth, and how far a short record is trusted.

    A return costs the freight a second time and `return_cost`. Where few parcels have ended,
    `prior_weight` imagined ones of the usual kind are added to the record. Raises InvalidMoney
    or ShippingError POLICY_INVALID.
    """

    day_cost: Money
    late_cost: Money
    return_cost: Money
    prior_weight: int = 20
    usual_late_bp: int = 1_000

    def __post_init__(self) -> None:
        if min(self.day_cost, self.late_cost, self.return_cost).is_negative:
            raise InvalidMoney("a day, a delay and a return cost nothing or more, never less")
        if self.prior_weight < 1:
            raise ShippingError("POLICY_INVALID", "prior_weight is at least 1")


# returned cash parcels by promised days, in basis points; what is prepaid hardly comes back
USUAL_CASH_RETURNS: tuple[tuple[int, int], ...] = ((2, 2_200), (5, 2_700))
SLOWEST_CASH_RETURNS = 3_500
USUAL_PREPAID_RETURNS = 200
POLICY = ChoicePolicy(day_cost=Money(8_00), late_cost=Money(40_00), return_cost=Money(60_00))
NO_RECORDS: Mapping[str, Record] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Stop:
    """A carrier to ask in turn, what it is expected to cost, and the reason in words."""

    quote: Quote
    expected: Money
    reason: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A carrier that cannot take the parcel, and why in words."""

    carrier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """The carriers to ask, best first, and those that cannot; no stops: nobody can."""

    stops: tuple[Stop, ...]
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True, slots=True)
class _Shares:
    returned_bp: int
    late_bp: int


def prefix_of(pincode: str) -> str:
    """The part of a PIN code (its sorting district) by which records are kept."""
    return pincode[:PREFIX_DIGITS]


def rank(
    quotes: Sequence[Quote],
    records: Mapping[str, Record],
    parcel: ParcelToSend,
    policy: ChoicePolicy = POLICY,
) -> Ranking:
    """Order the carriers by expected cost; the order of `quotes` changes nothing.

    `records` are those for the parcel's PIN prefix and payment kind, by carrier. Equal costs go
    by days, then name. Raises ShippingError QUOTED_TWICE.
    """
    names = sorted(quote.carrier for quote in quotes)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ShippingError("QUOTED_TWICE", f"two quotes of {', '.join(twice)}: choose one each")
    reasons = {quote.carrier: _obstacle(quote, parcel) for quote in quotes}
    able = [quote for quote in quotes if not reasons[quote.carrier]]
    judged = [_judge(quote, records.get(quote.carrier, Record()), parcel, policy) for quote in able]
    ordered = sorted(judged, key=_merit)
    return Ranking(
        tuple(
            Stop(s.quote, s.expected, f"choice {place} of {len(ordered)}: {s.reason}")
            for place, s in enumerate(ordered, 1)
        ),
        tuple(PassedOver(name, reasons[name]) for name in names if reasons[name]),
    )


def _obstacle(quote: Quote, parcel: ParcelToSend) -> str:
    """Why a carrier cannot take the parcel; '' if it can."""
    if not quote.serviceable:
        return f"does not serve {parcel.pincode}"
    if quote.max_grams is not None and parcel.grams > quote.max_grams:
        return f"takes up to {quote.max_grams} g, and it weighs {parcel.grams} g"
    if parcel.cash is None:
        return ""
    if not quote.takes_cash:
        return f"collects no cash in {parcel.pincode}"
    if quote.cash_limit is not None and parcel.cash > quote.cash_limit:
        return f"collects up to {quote.cash_limit}, and {parcel.cash} is due"
    return ""


def _judge(quote: Quote, record: Record, parcel: ParcelToSend, policy: ChoicePolicy) -> Stop:
    shares = _shares(quote, record, parcel, policy)
    returns = (quote.cost + policy.return_cost).percent(shares.returned_bp)
    delays = policy.late_cost.percent(shares.late_bp)
    expected = quote.cost + policy.day_cost * quote.promised_days + returns + delays
    days = "1 day" if quote.promised_days == 1 else f"{quote.promised_days} days"
    reason = (
        f"{quote.cost}, {days}, {_percent(shares.returned_bp)} come back and "
        f"{_percent(shares.late_bp)} come late ({record.ended} parcels to "
        f"{prefix_of(parcel.pincode)}); {expected} in all"
    )
    return Stop(quote, expected, reason)


def _shares(quote: Quote, record: Record, parcel: ParcelToSend, policy: ChoicePolicy) -> _Shares:
    """The record's shares in basis points, drawn towards the usual ones while it is short."""
    usual_returns = usual_returns_bp(quote.promised_days, cash=parcel.cash is not None)
    return _Shares(
        _blend(record.returned, record.ended, usual_returns, policy.prior_weight),
        _blend(record.late, record.delivered, policy.usual_late_bp, policy.prior_weight),
    )


def usual_returns_bp(promised_days: int, *, cash: bool) -> int:
    """The share of parcels (basis points) that usually comes back."""
    if not cash:
        return USUAL_PREPAID_RETURNS
    fitting = (share for days, share in USUAL_CASH_RETURNS if promised_days <= days)
    return next(fitting, SLOWEST_CASH_RETURNS)


def _blend(count: int, of: int, usual_bp: int, weight: int) -> int:
    return divide(count * BASIS_POINTS + usual_bp * weight, of + weight, Rounding.HALF_UP)


def _merit(stop: Stop) -> tuple[int, int, str]:
    return stop.expected.paise, stop.quote.promised_days, stop.quote.carrier


def _percent(basis_points: int) -> str:
    tenths = divide(basis_points, 10, Rounding.HALF_UP)
    return f"{tenths // 10}.{tenths % 10} %"
