"""Sagas as support reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Asked, Line, Plain, Told
from db.vocabulary import SagaState


class SagaSummary(Told):
    """A saga in a list."""

    id: str
    kind: str
    state: SagaState
    order_id: str | None
    customer_id: str | None
    waiting_on: str
    parked_step: str | None
    parked_code: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    events: int


class TimelineEvent(Told):
    """One thing that happened, in codes and in words."""

    seq: int
    at: datetime
    step: str
    kind: str
    code: str
    detail: str
    actor: str
    words: str


class ParkedView(Told):
    """A step that waits for a person: what may be done, and the page that helps to decide.

    `actions` is empty where the saga could not be asked; it refuses those that do not fit.
    """

    step: str
    code: str
    doing: str
    message: str
    actions: list[str]
    money: bool
    first_approval: str
    runbook: str


class SagaView(SagaSummary):
    """A saga with its timeline; `source` says whether the saga itself told it, or the database."""

    source: Literal["live", "projection"]
    parked: list[ParkedView]
    to_undo: list[str]
    pivot_passed: bool | None
    timeline: list[TimelineEvent]


class HistoryView(Told):
    """Some of Temporal's events, payloads decoded; `next` leads to the page after them."""

    items: list[dict[str, Any]]
    next: str | None


class ResolutionBody(Asked):
    """An answer for a parked step; `result` is the action's output where it is marked as done."""

    step: Annotated[str, Field(min_length=1, max_length=200), Plain]
    action: Annotated[str, Field(pattern=r"^[A-Z_]{1,40}$", examples=["RETRY"])]
    note: Annotated[Line, Field(max_length=500)]
    result: Any = None


class ResolvedView(Told):
    """What became of it; not accepted means that a second person must agree."""

    accepted: bool
    message: str
