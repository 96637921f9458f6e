"""From a saga's record, or its own word, to what support reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api.schemas.sagas import ParkedView, SagaSummary, SagaView, TimelineEvent
from db.repositories.sagas import SagaEventRecord, SagaRecord
from db.vocabulary import SagaState
from saga import Event, EventKind, ParkedStep, TimelineView


def live_view(record: SagaRecord, told: TimelineView) -> SagaView:
    """What a running saga tells of itself, with what the projection knows besides."""
    summary = SagaSummary.model_validate(record).model_dump()
    first = told.parked[0] if told.parked else None
    summary |= {
        "state": SagaState(told.state.value),
        "waiting_on": told.waiting_on,
        "parked_step": first.step if first else None,
        "parked_code": first.code if first else None,
        "events": len(told.events),
    }
    return SagaView(
        **summary,
        source="live",
        parked=[_parked(step) for step in told.parked],
        to_undo=told.to_undo,
        pivot_passed=told.pivot_passed,
        timeline=_in_words(told.events),
    )


def stored_view(record: SagaRecord, events: Sequence[SagaEventRecord]) -> SagaView:
    """What the projection knows of a saga; what it would undo, only the saga can tell."""
    passed = any(event.kind == EventKind.PIVOT_PASSED for event in events)
    return SagaView(
        **SagaSummary.model_validate(record).model_dump(),
        source="projection",
        parked=_parked_as_stored(record, events),
        to_undo=[],
        pivot_passed=passed,
        timeline=_in_words(_event(event) for event in events),
    )


def _parked_as_stored(record: SagaRecord, events: Sequence[SagaEventRecord]) -> list[ParkedView]:
    if not record.parked_step:
        return []
    why = [
        event.detail
        for event in events
        if event.kind == EventKind.PARKED and event.step == record.parked_step
    ]
    step = ParkedStep(
        step=record.parked_step,
        code=record.parked_code or "UNKNOWN",
        doing="",
        message=why[-1] if why else "",
        # which fit, only the saga knows
        actions=[],
    )
    return [_parked(step)]


def _parked(step: ParkedStep) -> ParkedView:
    return ParkedView(**step.model_dump(), runbook=f"runbooks/{step.code}.md")


def _event(stored: SagaEventRecord) -> Event:
    return Event(
        seq=stored.seq,
        at=stored.at,
        step=stored.step,
        kind=EventKind(stored.kind),
        code=stored.code,
        detail=stored.detail,
        actor=stored.actor,
    )


def _in_words(events: Iterable[Event]) -> list[TimelineEvent]:
    return [
        TimelineEvent(**event.model_dump(mode="python"), words=event.words()) for event in events
    ]
