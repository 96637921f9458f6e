"""Steps that stopped and ask a person, and the answers people may give."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from saga.log import SagaLog
from saga.timeline import EventKind, ParkedStep


class Action(StrEnum):
    """What a person may do with a parked step."""

    RETRY = "RETRY"
    MARK_DONE = "MARK_DONE"
    SKIP = "SKIP"


class Resolution(BaseModel):
    """A person's answer. `result` is the action's output where it is marked as done by hand."""

    model_config = ConfigDict(frozen=True)

    step: str
    action: str
    actor: str
    note: str
    result: Any = None


class Resolved(BaseModel):
    """What became of a resolution."""

    model_config = ConfigDict(frozen=True)

    accepted: bool
    message: str


class Parking:
    """The parked steps of one saga.

    SKIP on a money step takes two people: the first asks, a second and different one agrees.
    """

    def __init__(self, log: SagaLog) -> None:
        self._log = log
        self._steps: dict[str, ParkedStep] = {}
        self._answers: dict[str, Resolution] = {}
        self._needs: dict[str, Any] = {}
        log.watch_parking(self.steps)

    def steps(self) -> list[ParkedStep]:
        """Return the steps that wait, oldest first."""
        return list(self._steps.values())

    def put(self, parked: ParkedStep, needs: Any = None) -> None:
        """Park a step. `needs` is the action whose output may come with MARK_DONE.

        It has to come where the body goes on with it: for a step or a pivot.
        """
        self._steps[parked.step] = parked
        self._needs[parked.step] = needs
        self._log.add(EventKind.PARKED, parked.step, parked.code, parked.message)
        self._log.show()

    async def answer(self, *steps: str) -> Resolution:
        """Wait for a person's answer to one of these parked steps and take it off the list."""
        await workflow.wait_condition(lambda: any(step in self._answers for step in steps))
        step = next(step for step in steps if step in self._answers)
        del self._steps[step]
        self._log.show()
        return self._answers.pop(step)

    def has_answer(self, step: str) -> bool:
        """Tell whether somebody has answered for this step."""
        return step in self._answers

    def withdraw(self, step: str) -> None:
        """Take back a question that no longer needs an answer."""
        self._steps.pop(step, None)
        self._answers.pop(step, None)

    def check(self, resolution: Resolution) -> None:
        """Refuse an answer that fits no parked step; raises ApplicationError."""
        parked = self._steps.get(resolution.step)
        if parked is None or resolution.step in self._answers:
            waiting = ", ".join(self._steps) or "none"
            raise _refusal(
                "NOT_PARKED", f"'{resolution.step}' is not parked; parked steps: {waiting}"
            )
        if resolution.action not in parked.actions:
            raise _refusal(
                "ACTION_NOT_ALLOWED",
                f"'{resolution.action}' does not fit '{parked.step}'; "
                f"choose one of {', '.join(parked.actions)}",
            )
        if not resolution.actor.strip() or not resolution.note.strip():
            raise _refusal("NOTE_MISSING", "say who resolves the step, and why in a note")
        if resolution.action == Action.MARK_DONE:
            self._check_result(parked, resolution)
        if self._needs_second(parked, resolution) and parked.first_approval == resolution.actor:
            raise _refusal(
                "SECOND_PERSON_NEEDED",
                f"{resolution.actor} has asked for this already; another person must agree",
            )

    def resolve(self, resolution: Resolution) -> Resolved:
        """Take a checked answer, or note the first of two people."""
        parked = self._steps[resolution.step]
        if self._needs_second(parked, resolution) and not parked.first_approval:
            self._steps[parked.step] = parked.model_copy(
                update={"first_approval": resolution.actor}
            )
            self._log.add(
                EventKind.FIRST_APPROVAL,
                parked.step,
                resolution.action,
                resolution.note,
                resolution.actor,
            )
            return Resolved(accepted=False, message="noted; a second person must agree")
        self._answers[parked.step] = resolution
        self._log.add(
            EventKind.RESOLVED, parked.step, resolution.action, resolution.note, resolution.actor
        )
        return Resolved(accepted=True, message=f"{resolution.action} accepted")

    @staticmethod
    def typed(action: Any, result: Any) -> Any:
        """Read a result that a person gave as the action's own output type."""
        if result is None or action.returns is type(None):
            return None
        return TypeAdapter(action.returns).validate_python(result)

    def _check_result(self, parked: ParkedStep, resolution: Resolution) -> None:
        action = self._needs.get(resolution.step)
        if action is None or action.returns is type(None):
            return
        if resolution.result is None and parked.doing != "do":
            return
        try:
            TypeAdapter(action.returns).validate_python(resolution.result)
        except ValidationError as error:
            fields = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'result'}: {e['msg']}" for e in error.errors()
            )
            raise _refusal(
                "RESULT_NEEDED",
                f"marking '{resolution.step}' as done needs its result ({fields})",
            ) from error

    @staticmethod
    def _needs_second(parked: ParkedStep, resolution: Resolution) -> bool:
        return parked.money and resolution.action == Action.SKIP


def _refusal(code: str, message: str) -> ApplicationError:
    return ApplicationError(message, code, type=code, non_retryable=True)
