"""Settlements held against our ledger, as support and finance read them. Amounts in paise."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Asked, Line, Paise, Told
from db.vocabulary import CaseEventKind
from domain.cases import CaseState, Outcome


class DifferenceView(Told):
    """The differences of one kind on one day, and what to do about them."""

    outcome: Outcome
    cases: int
    open: int
    paise: Paise


class DayView(Told):
    """One day of one provider; `matched_share` is of its lines, null where it has none.

    The amounts are of lines that were paid out; `held` lines are counted, and not summed.
    """

    provider: str
    day: date
    currency: str
    read_at: datetime | None
    lines: int
    held: int
    matched: int
    matched_share: float | None
    gross_paise: Paise
    fee_paise: Paise
    tax_paise: Paise
    net_paise: Paise
    differences: list[DifferenceView]


class CaseView(Told):
    """A difference. `difference_paise` is what we miss, negative where we got too much.

    `present`: it was still there when last looked at. `first_approval`: who asked for a write-off.
    """

    id: str
    provider: str
    subject: str
    outcome: Outcome
    state: CaseState
    present: bool
    ours_paise: Paise
    settled_paise: Paise
    fee_due_paise: Paise
    fee_taken_paise: Paise
    difference_paise: Paise
    currency: str
    day: date
    payment_ref: str
    merchant_ref: str
    owner: str
    first_approval: str | None
    written_off_paise: Paise
    opened_at: datetime
    state_at: datetime
    next_step: str


class CaseEventView(Told):
    """What happened to a case; the actor is a user's id, or `reconciliation`."""

    at: datetime
    actor: str
    kind: CaseEventKind
    note: str


class CaseStory(CaseView):
    """A case with all that happened to it, oldest first."""

    events: list[CaseEventView]


class CaseResolution(Asked):
    """What was decided. WRITTEN_OFF takes two people: the first one's request leaves it open."""

    state: Annotated[
        Literal["EXPLAINED", "CORRECTED", "WRITTEN_OFF"], Field(examples=["EXPLAINED"])
    ]
    note: Annotated[Line, Field(max_length=500)]


class CaseNote(Asked):
    """Something to know about a case; `take` makes the caller its owner."""

    note: Annotated[Line, Field(max_length=500)]
    take: bool = False
