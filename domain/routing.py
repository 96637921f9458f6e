"""Which PSPs are asked for a payment, in which order, and why: rules first, then live health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from hashlib import sha256

from domain.breaker import BreakerPolicy, BreakerState, Health
from domain.payments import PaymentMethod


class Severity(StrEnum):
    """How bad a PSP says its downtime is: HIGH fails most payments, LOW few."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """A PSP's own word that it is down, from `begins` until `ends` (UTC; None: not known).

    No `methods` means all of them; with a `bank` only payments through that bank are concerned.
    """

    psp: str
    methods: frozenset[PaymentMethod] = frozenset()
    bank: str = ""
    begins: datetime
    ends: datetime | None = None
    severity: Severity = Severity.HIGH

    def holds(self, now: datetime) -> bool:
        """Whether it has begun and not ended."""
        return self.begins <= now and (self.ends is None or now < self.ends)

    def concerns(self, asked: RouteRequest) -> bool:
        """Whether it is about such a payment."""
        return (not self.methods or asked.method in self.methods) and (
            not self.bank or self.bank.casefold() == asked.bank.casefold()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """What is known of a payment before anybody is asked; `bin` and `bank` are '' if unknown."""

    order_id: str
    method: PaymentMethod
    amount_paise: int
    bin: str = ""
    bank: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which payments a rule is about: what is left empty holds for all; amounts in paise.

    `max_paise` is still included. `bins` are the first digits of cards.
    """

    methods: frozenset[PaymentMethod] = frozenset()
    min_paise: int = 0
    max_paise: int | None = None
    bins: tuple[str, ...] = ()
    banks: frozenset[str] = frozenset()

    def holds(self, asked: RouteRequest) -> bool:
        """Whether it holds for a payment; what is not known of the payment fits no list."""
        return (
            (not self.methods or asked.method in self.methods)
            and self.min_paise <= asked.amount_paise
            and (self.max_paise is None or asked.amount_paise <= self.max_paise)
            and (not self.bins or asked.bin.startswith(self.bins))
            and (not self.banks or asked.bank.casefold() in {one.casefold() for one in self.banks})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """PSPs for the payments that it is about: by share of the volume, or in a fixed order.

    `shares` are parts of any whole. Raises ValueError unless exactly one of both is given.
    """

    name: str
    when: Condition = Condition()
    shares: Mapping[str, int] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.shares) == bool(self.order):
            raise ValueError(f"rule {self.name!r}: give either shares or an order")
        if any(share < 1 for share in self.shares.values()):
            raise ValueError(f"rule {self.name!r}: a share is a whole number from 1 up")

    @property
    def psps(self) -> tuple[str, ...]:
        """Those it names, as it names them."""
        return self.order or tuple(self.shares)


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """Rules, of which the first that fits decides; after them comes an even share over all."""

    rules: tuple[Rule, ...] = ()

    def choose(self, asked: RouteRequest, able: Sequence[str]) -> Rule:
        """The rule for a payment, cut down to the PSPs that are able to take it.

        A rule none of whose PSPs can is passed over: a payment is not lost to a rule.
        """
        for rule in self.rules:
            if rule.when.holds(asked) and set(rule.psps) & set(able):
                shares = {psp: share for psp, share in rule.shares.items() if psp in able}
                order = tuple(psp for psp in rule.order if psp in able)
                return Rule(name=rule.name, when=rule.when, shares=shares, order=order)
        return Rule(name="", shares=dict.fromkeys(able, 1))


EVEN = RoutingRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """What is known now: the health of PSPs for the method asked for, and downtimes.

    Without a `policy` nothing is known, and routing goes by the rules alone.
    """

    now: datetime
    policy: BreakerPolicy | None = None
    health: Mapping[str, Health] = field(default_factory=dict)
    downtimes: tuple[Downtime, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """One PSP of a route, and why it stands where it does."""

    psp: str
    reason: str


class _Standing(IntEnum):
    """How early a PSP may be asked; GONE only where nobody else is left."""

    FIT = 0
    TRAILING = 1
    DOUBTFUL = 2
    DOWN = 3
    GONE = 4


@dataclass(frozen=True, slots=True)
class _Judged:
    psp: str
    standing: _Standing
    why: str


def plan(
    rules: RoutingRules,
    asked: RouteRequest,
    offers: Mapping[str, frozenset[PaymentMethod]],
    live: LiveView,
) -> tuple[Stop, ...]:
    """The PSPs to ask in turn; empty only where none of `offers` has the method.

    The same arguments give the same route: shares are drawn from a hash of the order's id. An
    open breaker puts a PSP last; the PSP's own word that it is down, on top of that, drops it.
    """
    able = [psp for psp, methods in offers.items() if asked.method in methods]
    if not able:
        return ()
    rule = rules.choose(asked, able)
    best = _best_rate(rule.psps, live)
    judged = [_judge(psp, asked, live, best) for psp in _in_turn(rule, asked.order_id, live)]
    kept = [one for one in judged if one.standing is not _Standing.GONE] or judged
    ordered = sorted(kept, key=lambda one: one.standing)
    return tuple(
        Stop(one.psp, f"{_choice(place, len(ordered), asked, rule, one.psp)}; {one.why}")
        for place, one in enumerate(ordered, 1)
    )


def _in_turn(rule: Rule, order_id: str, live: LiveView) -> list[str]:
    """A fixed order as it is; by shares one that is drawn, then the others, the best first."""
    names = list(rule.psps)
    if rule.order:
        return names
    at = _number(order_id) % sum(rule.shares.values())
    first = 0
    while at >= rule.shares[names[first]]:
        at -= rule.shares[names[first]]
        first += 1
    # in turn from the drawn one on, so that equals share what others leave
    rest = names[first + 1 :] + names[:first]
    return [names[first], *sorted(rest, key=lambda psp: -_rate_or_full(psp, live))]


def _judge(psp: str, asked: RouteRequest, live: LiveView, best: int | None) -> _Judged:
    if live.policy is None:
        return _Judged(psp, _Standing.FIT, "health unknown")
    health = live.health.get(psp, Health())
    breaker = health.breaker.at(live.now, live.policy)
    said = [_success_text(health, live.policy)]
    standing = _Standing.FIT
    rate = _rate(psp, live)
    if rate is not None and best is not None and best - rate >= live.policy.trailing_points:
        standing = _Standing.TRAILING
        said.append(f"behind the best, which has {best} %")
    if breaker.state is BreakerState.CLOSED:
        said.append("breaker closed")
    elif breaker.state is BreakerState.OPEN:
        standing = _Standing.DOWN
        said.append(f"put last: breaker open since {breaker.since:%H:%M:%S} UTC")
    elif _number(f"probe:{asked.order_id}") % 100 < live.policy.probe_percent:
        said.append("breaker half open: this order tries it")
    else:
        standing = _Standing.DOUBTFUL
        said.append("put back: breaker half open")
    return _with_downtime(_Judged(psp, standing, "; ".join(said)), asked, live)


def _with_downtime(judged: _Judged, asked: RouteRequest, live: LiveView) -> _Judged:
    told = [
        one
        for one in live.downtimes
        if one.psp == judged.psp and one.holds(live.now) and one.concerns(asked)
    ]
    if not told:
        return judged
    worst = min(told, key=lambda one: list(Severity).index(one.severity))
    why = f"{judged.why}; says itself that it is down ({worst.severity.lower()} severity)"
    if worst.severity is Severity.HIGH:
        # its word alone may be stale; with an open breaker it is believed
        down = judged.standing is _Standing.DOWN
        return _Judged(judged.psp, _Standing.GONE if down else _Standing.DOWN, why)
    if worst.severity is Severity.MEDIUM:
        return _Judged(judged.psp, max(judged.standing, _Standing.DOUBTFUL), why)
    return _Judged(judged.psp, judged.standing, why)


def _choice(place: int, of: int, asked: RouteRequest, rule: Rule, psp: str) -> str:
    choice = f"choice {place} of {of} for {asked.method}"
    if not rule.name:
        return f"{choice}, by even share"
    if rule.order:
        return f"{choice}, rule '{rule.name}': place {rule.order.index(psp) + 1}"
    percent = rule.shares[psp] * 100 // sum(rule.shares.values())
    return f"{choice}, rule '{rule.name}': {percent} % share"


def _success_text(health: Health, policy: BreakerPolicy) -> str:
    minutes, seconds = divmod(policy.rate_window, 60)
    span = f"{minutes} min" if not seconds else f"{policy.rate_window} s"
    if health.rate.decided < policy.rate_minimum:
        return f"{health.rate.decided} results in {span}, too few to judge"
    return f"success {health.rate.success} % of {health.rate.decided} in {span}"


def _rate(psp: str, live: LiveView) -> int | None:
    """The success rate in percent, where there are enough results for one."""
    if live.policy is None or psp not in live.health:
        return None
    rate = live.health[psp].rate
    return rate.success if rate.decided >= live.policy.rate_minimum else None


def _rate_or_full(psp: str, live: LiveView) -> int:
    rate = _rate(psp, live)
    return 100 if rate is None else rate


def _best_rate(psps: Sequence[str], live: LiveView) -> int | None:
    return max((rate for psp in psps if (rate := _rate(psp, live)) is not None), default=None)


def _number(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4])
