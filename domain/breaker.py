"""A circuit breaker for each PSP and method: pure, on results that are counted elsewhere.

The pattern is M. Nygard's (Release It!). A customer's decline is the PSP at work; only technical
failures open the breaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from domain.outcomes import Outcome
from domain.states import check, transition_table


class BreakerState(StrEnum):
    """CLOSED lets everything pass, OPEN is asked last, HALF_OPEN is tried with a trickle."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


_B = BreakerState
TRANSITIONS: Mapping[BreakerState, frozenset[BreakerState]] = transition_table(
    BreakerState,
    {_B.CLOSED: {_B.OPEN}, _B.OPEN: {_B.HALF_OPEN}, _B.HALF_OPEN: {_B.CLOSED, _B.OPEN}},
)


def check_transition(old: BreakerState, new: BreakerState) -> None:
    """Raise IllegalTransition unless a breaker may go from `old` to `new`."""
    check("a breaker", TRANSITIONS, old, new)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker moves, and what a success rate is worth; times in seconds.

    It opens when `open_at_percent` of at least `minimum` results within `window` were technical
    failures, is half open after `pause`, and closes after `closing_successes` in a row.
    `probe_percent` of the orders reach a half-open PSP in its own turn. A success rate over
    `rate_window` counts from `rate_minimum` results on, and a PSP `trailing_points` percentage
    points behind the best is asked after the others. Results are counted in slots of `slot`.
    """

    window: int = 120
    minimum: int = 10
    open_at_percent: int = 50
    pause: int = 30
    closing_successes: int = 5
    probe_percent: int = 10
    rate_window: int = 600
    rate_minimum: int = 50
    trailing_points: int = 10
    slot: int = 10

    def slot_of(self, at: datetime) -> int:
        """The number of the slot that a moment falls into."""
        return int(at.timestamp()) // self.slot

    def first_slot(self, now: datetime, seconds: int) -> int:
        """The oldest slot that counts towards the last so many seconds."""
        return self.slot_of(now) - max(1, seconds // self.slot) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many results there were of each kind; `other` says nothing but that the PSP answered."""

    approved: int = 0
    declined: int = 0
    technical: int = 0
    other: int = 0

    def __add__(self, more: Tally) -> Tally:
        return Tally(
            approved=self.approved + more.approved,
            declined=self.declined + more.declined,
            technical=self.technical + more.technical,
            other=self.other + more.other,
        )

    @property
    def results(self) -> int:
        """All of them."""
        return self.approved + self.declined + self.technical + self.other

    @property
    def decided(self) -> int:
        """Those that a success rate is about."""
        return self.approved + self.declined + self.technical

    @property
    def success(self) -> int | None:
        """Approved of those decided, in whole percent; None without any."""
        return self.approved * 100 // self.decided if self.decided else None


# The name under which a Tally counts each outcome.
COUNTED_AS: Mapping[Outcome, str] = {
    outcome: {
        Outcome.APPROVED: "approved",
        Outcome.DECLINED: "declined",
        Outcome.TECHNICAL: "technical",
        Outcome.UNKNOWN: "technical",
    }.get(outcome, "other")
    for outcome in Outcome
}
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A breaker as it stands since `since`; `good` and `bad` count results while half open."""

    state: BreakerState = BreakerState.CLOSED
    since: datetime = _EPOCH
    good: int = 0
    bad: int = 0

    def at(self, now: datetime, policy: BreakerPolicy) -> Breaker:
        """As it is to be read now: one that is open turns half open by time alone."""
        half = self.since + timedelta(seconds=policy.pause)
        if self.state is BreakerState.OPEN and now >= half:
            return Breaker(state=BreakerState.HALF_OPEN, since=half)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of one PSP and method: its breaker, and its results within both windows.

    `recent` are the results that the breaker judges by: none from before its last move.
    """

    breaker: Breaker = field(default_factory=Breaker)
    recent: Tally = Tally()
    rate: Tally = Tally()


def health_of(
    breaker: Breaker, slots: Mapping[int, Tally], policy: BreakerPolicy, now: datetime
) -> Health:
    """Fold counted slots into the health that they tell of."""
    of_rate = policy.first_slot(now, policy.rate_window)
    # what opened a breaker must not open it again the moment it has closed
    of_breaker = max(policy.first_slot(now, policy.window), policy.slot_of(breaker.since) + 1)
    return Health(
        breaker=breaker,
        recent=sum((one for slot, one in slots.items() if slot >= of_breaker), Tally()),
        rate=sum((one for slot, one in slots.items() if slot >= of_rate), Tally()),
    )


def due(health: Health, policy: BreakerPolicy, now: datetime) -> BreakerState:
    """The state that a breaker should be in; its present one when nothing is due."""
    breaker, recent = health.breaker, health.recent
    if breaker.state is BreakerState.CLOSED:
        enough = recent.results >= policy.minimum
        failing = recent.technical * 100 >= policy.open_at_percent * recent.results
        return BreakerState.OPEN if enough and failing else BreakerState.CLOSED
    if breaker.state is BreakerState.OPEN:
        return breaker.at(now, policy).state
    if breaker.bad:
        return BreakerState.OPEN
    closing = breaker.good >= policy.closing_successes
    return BreakerState.CLOSED if closing else BreakerState.HALF_OPEN
