"""How an action can end, and the errors that say so.

StepFailed        raised by an activity: it did not happen, and never will under this key
OutcomeUnknown    raised by an activity: it was sent, and no trustworthy answer came
Refused           raised by a workflow's body: a business "no"; rolls the saga back
CancelRequested   inside a saga: somebody asked for it to stop; rolls it back
RolledBack        what leaves `async with Saga(...)` once everything was undone
SagaMisuse        a bug in the workflow's code: fails the workflow task, undoes nothing
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic

from pydantic import BaseModel, ConfigDict
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from saga.refs import Out

# Part of business: no alarm, no traceback in the logs, and no retry.
_EXPECTED: dict[str, Any] = {
    "non_retryable": True,
    "category": ApplicationErrorCategory.BENIGN,
}
_STEP_FAILED = "saga.StepFailed"
_OUTCOME_UNKNOWN = "saga.OutcomeUnknown"
_ROLLED_BACK = "saga.RolledBack"


class StepFailed(ApplicationError):
    """The action definitely did not take effect. `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str, step: str = "") -> None:
        super().__init__(message, code, step, type=_STEP_FAILED, **_EXPECTED)
        self.code = code
        self.step = step


class OutcomeUnknown(ApplicationError):
    """The action was sent and may or may not have taken effect."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code, type=_OUTCOME_UNKNOWN, **_EXPECTED)
        self.code = code


class Refused(Exception):
    """The saga's own rules say no; everything done so far is undone."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class CancelRequested(Exception):
    """Somebody asked the saga to stop before its pivot."""


class RolledBack(ApplicationError):
    """Everything was undone. As a workflow's failure it tells a parent saga: it did not happen."""

    def __init__(self, code: str, message: str, step: str = "") -> None:
        super().__init__(message, code, step, type=_ROLLED_BACK, **_EXPECTED)
        self.code = code
        self.step = step


class SagaMisuse(RuntimeError):
    """The workflow's code breaks a rule of the engine."""


class Verdict(StrEnum):
    """What asking the other side about an unknown outcome can bring."""

    HAPPENED = "HAPPENED"
    DID_NOT_HAPPEN = "DID_NOT_HAPPEN"
    STILL_UNKNOWN = "STILL_UNKNOWN"


class Inquiry(BaseModel, Generic[Out]):
    """The answer to an inquiry: a verdict, with the action's output where it happened."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    output: Out | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Done(Generic[Out]):
    """It took effect, and this is its answer."""

    value: Out


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not take effect; where that is not `proven`, the step's undo makes it so."""

    code: str
    message: str
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody here can say."""

    code: str
    message: str


def classify(error: BaseException) -> Failed | Unknown:
    """Sort a failed activity or child workflow: proof that it did not happen, or unknown.

    Only an explicit StepFailed, or a child that says it rolled back, is proof. A timeout, a
    cancelled attempt or an error nobody classified is not: it may have happened.
    """
    if isinstance(error, WorkflowAlreadyStartedError):
        return Unknown("ALREADY_STARTED", "a workflow with this ID exists already")
    cause = error.cause if isinstance(error, ActivityError | ChildWorkflowError) else error
    if isinstance(cause, ApplicationError):
        code = str(cause.details[0]) if cause.details else (cause.type or "ERROR")
        if cause.type in (_STEP_FAILED, _ROLLED_BACK):
            return Failed(code, cause.message)
        if cause.type == _OUTCOME_UNKNOWN:
            return Unknown(code, cause.message)
        return Unknown(cause.type or "ERROR", cause.message)
    if isinstance(cause, TemporalTimeoutError):
        kind = cause.type.name if cause.type is not None else "TIMEOUT"
        return Unknown(f"TIMEOUT_{kind}", "no answer in time")
    return Unknown(type(cause).__name__.upper(), "the attempt was cut off")


def is_failure(error: BaseException) -> bool:
    """Tell whether an error starts compensation: a Temporal failure, never a bug."""
    return isinstance(error, FailureError)


AnyOutcome = Done[Any] | Failed | Unknown
