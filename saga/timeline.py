"""What a saga did, as people read it: append-only events, and the view served by its query."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class SagaState(StrEnum):
    """Where a saga is. COMPLETED and COMPENSATED are ends."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPENSATING = "COMPENSATING"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (SagaState.COMPLETED, SagaState.COMPENSATED)


class EventKind(StrEnum):
    """The kinds of timeline events."""

    SAGA_STARTED = "SAGA_STARTED"
    STEP_STARTED = "STEP_STARTED"
    STEP_DONE = "STEP_DONE"
    STEP_FAILED = "STEP_FAILED"
    STEP_UNKNOWN = "STEP_UNKNOWN"
    STEP_RESENT = "STEP_RESENT"
    STEP_INQUIRED = "STEP_INQUIRED"
    PIVOT_PASSED = "PIVOT_PASSED"
    WAITING = "WAITING"
    RESUMED = "RESUMED"
    NOTED = "NOTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCEL_TOO_LATE = "CANCEL_TOO_LATE"
    COMPENSATING = "COMPENSATING"
    UNDO_STARTED = "UNDO_STARTED"
    UNDONE = "UNDONE"
    UNDO_FAILED = "UNDO_FAILED"
    PARKED = "PARKED"
    FIRST_APPROVAL = "FIRST_APPROVAL"
    RESOLVED = "RESOLVED"
    SAGA_COMPLETED = "SAGA_COMPLETED"
    SAGA_COMPENSATED = "SAGA_COMPENSATED"


class Event(BaseModel):
    """One thing that happened. `seq` starts at 1 and has no gaps; `at` is UTC."""

    model_config = ConfigDict(frozen=True)

    seq: int
    at: datetime
    step: str
    kind: EventKind
    code: str = ""
    detail: str = ""
    actor: str = ""

    def words(self) -> str:
        """Say it in a sentence that a support agent understands."""
        sentence = _WORDS[self.kind].format(step=self.step, actor=self.actor or "someone")
        told = ": ".join(part for part in (self.code, self.detail) if part)
        return f"{sentence} ({told})" if told else sentence


_WORDS: dict[EventKind, str] = {
    EventKind.SAGA_STARTED: "Started",
    EventKind.STEP_STARTED: "Began to {step}",
    EventKind.STEP_DONE: "Done: {step}",
    EventKind.STEP_FAILED: "Failed to {step}; it did not take effect",
    EventKind.STEP_UNKNOWN: "No trustworthy answer to {step}; it may have taken effect",
    EventKind.STEP_RESENT: "Sent {step} again under the same key",
    EventKind.STEP_INQUIRED: "Asked the other side what became of {step}",
    EventKind.PIVOT_PASSED: "Passed the point of no return: {step}",
    EventKind.WAITING: "Waiting: {step}",
    EventKind.RESUMED: "Going on after: {step}",
    EventKind.NOTED: "Note on {step}",
    EventKind.CANCEL_REQUESTED: "{actor} asked to cancel",
    EventKind.CANCEL_TOO_LATE: "{actor} asked to cancel, after the point of no return",
    EventKind.COMPENSATING: "Undoing everything done so far",
    EventKind.UNDO_STARTED: "Began to undo {step}",
    EventKind.UNDONE: "Undone: {step}",
    EventKind.UNDO_FAILED: "Could not undo {step}",
    EventKind.PARKED: "Stopped at {step} and asks a person",
    EventKind.FIRST_APPROVAL: "{actor} asked to skip {step}; a second person must agree",
    EventKind.RESOLVED: "{actor} resolved {step}",
    EventKind.SAGA_COMPLETED: "Completed",
    EventKind.SAGA_COMPENSATED: "Ended with everything undone",
}


class Recording(BaseModel):
    """A batch of new events with the state they lead to, for the projection in a database."""

    model_config = ConfigDict(frozen=True)

    saga_id: str
    kind: str
    state: SagaState
    subject: str = ""
    owner: str = ""
    waiting_on: str = ""
    parked_step: str = ""
    parked_code: str = ""
    events: list[Event]


class ParkedStep(BaseModel):
    """A step that waits for a person, and what that person may safely do."""

    model_config = ConfigDict(frozen=True)

    step: str
    code: str
    doing: str
    message: str = ""
    actions: list[str]
    money: bool = False
    first_approval: str = ""


class TimelineView(BaseModel):
    """The answer to the `timeline` query."""

    model_config = ConfigDict(frozen=True)

    saga_id: str
    kind: str
    state: SagaState
    subject: str = ""
    waiting_on: str = ""
    parked: list[ParkedStep]
    to_undo: list[str]
    pivot_passed: bool
    events: list[Event]
