"""What becomes of a difference between a provider's settlement and our ledger.

A difference is a case. It is looked at anew when its facts change, and closes by itself when they
agree; writing one off takes two people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.errors import DomainError
from domain.money import Money
from domain.states import check, transition_table

# How long a correction that somebody announced may take to show.
CORRECTION_DUE = timedelta(days=7)


class Outcome(StrEnum):
    """How a line or a movement compares.

    PENDING is ours and still within the grace; all but MATCHED and PENDING are differences.
    """

    MATCHED = "MATCHED"
    PENDING = "PENDING"
    MISSING_HERE = "MISSING_HERE"
    MISSING_THERE = "MISSING_THERE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    FEE_DIFFERS = "FEE_DIFFERS"
    DUPLICATE = "DUPLICATE"
    ON_HOLD = "ON_HOLD"

    @property
    def differs(self) -> bool:
        """Whether somebody has to look at it."""
        return self not in (Outcome.MATCHED, Outcome.PENDING)


DIFFERENCES = tuple(one for one in Outcome if one.differs)


class CaseState(StrEnum):
    """Where the case of a difference is."""

    OPEN = "OPEN"
    EXPLAINED = "EXPLAINED"
    CORRECTED = "CORRECTED"
    WRITTEN_OFF = "WRITTEN_OFF"


_C = CaseState
# A difference that vanishes is CORRECTED whatever was thought of it; one that changes is OPEN.
TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = transition_table(
    CaseState,
    {
        _C.OPEN: {_C.EXPLAINED, _C.CORRECTED, _C.WRITTEN_OFF},
        _C.EXPLAINED: {_C.OPEN, _C.CORRECTED},
        _C.CORRECTED: {_C.OPEN},
        _C.WRITTEN_OFF: {_C.OPEN, _C.CORRECTED},
    },
)


def check_transition(old: CaseState, new: CaseState) -> None:
    """Raise IllegalTransition unless a case may go from `old` to `new`."""
    check("a reconciliation case", TRANSITIONS, old, new)


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do about a difference, and whose it is until somebody takes it."""

    owner: str
    words: str


NEXT_STEPS: Mapping[Outcome, NextStep] = MappingProxyType(
    {
        Outcome.MISSING_HERE: NextStep(
            "payments",
            "Look the payment up at the provider. If it is an order's, have its saga look at it "
            "again; if it is nobody's, refund it there.",
        ),
        Outcome.MISSING_THERE: NextStep(
            "finance",
            "Ask the provider, with its reference of the payment, when it will be paid out; if it "
            "says that it never took the money, correct our books.",
        ),
        Outcome.AMOUNT_DIFFERS: NextStep(
            "finance",
            "Hold the provider's lines against the payment's timeline; claim what is missing, or "
            "book what we did not know.",
        ),
        Outcome.FEE_DIFFERS: NextStep(
            "finance",
            "Hold the fee against the contract; claim it back, or bring the table of fees up to "
            "date.",
        ),
        Outcome.DUPLICATE: NextStep(
            "finance",
            "Tell the provider that it paid this twice; it takes the second one back.",
        ),
        Outcome.ON_HOLD: NextStep(
            "finance", "Ask the provider why it holds this back, and give it what it needs."
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a case is about; it is looked at anew when any of this changes. Amounts in paise.

    `settled` is what of their lines is paid out. The fees are with their tax, `fee_due` as agreed.
    """

    outcome: Outcome
    ours: int = 0
    settled: int = 0
    fee_due: int = 0
    fee_taken: int = 0

    @property
    def difference(self) -> int:
        """What we miss, in paise; negative where we got too much."""
        if self.outcome is Outcome.FEE_DIFFERS:
            return self.fee_taken - self.fee_due
        return self.ours - self.settled

    @property
    def unsettled(self) -> int:
        """What of this remains on the provider's account in our ledger, in paise."""
        return self.ours - self.settled

    def words(self, currency: str) -> str:
        """The facts in one line."""
        if self.outcome is Outcome.FEE_DIFFERS:
            agreed, taken = Money(self.fee_due, currency), Money(self.fee_taken, currency)
            return f"{self.outcome}: agreed {agreed}, taken {taken}"
        ours, settled = Money(self.ours, currency), Money(self.settled, currency)
        return f"{self.outcome}: ours {ours}, settled {settled}"


class SecondPersonNeeded(DomainError):
    """The person who asked for a write-off cannot agree to it too."""

    def __init__(self, actor: str) -> None:
        super().__init__(
            "SECOND_PERSON_NEEDED", f"{actor} asked for this write-off: another person must agree"
        )


def second_agrees(first: str | None, actor: str) -> bool:
    """Whether a write-off that `first` asked for (None: nobody yet) has its two people now.

    Raises SecondPersonNeeded when the same person asks again.
    """
    if first == actor:
        raise SecondPersonNeeded(actor)
    return first is not None


def follow(
    state: CaseState, before: Facts | None, now: Facts | None, since: timedelta
) -> CaseState:
    """Where a case goes when its difference is looked at again; None: there is no difference.

    `since` is how long the case has been in its state.
    """
    if now is None:
        return state if before is None else CaseState.CORRECTED
    if now != before:
        return CaseState.OPEN
    overdue = state is CaseState.CORRECTED and since > CORRECTION_DUE
    return CaseState.OPEN if overdue else state
