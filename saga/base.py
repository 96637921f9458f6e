"""The base of every business workflow: its saga, and the handlers that people reach it by."""

from enum import StrEnum
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict
from temporalio import workflow

from saga.parking import Resolution, Resolved
from saga.refs import ActivityRef
from saga.saga import Saga
from saga.timeline import Recording, SagaState, TimelineView

R = TypeVar("R")


class CancelRequest(BaseModel):
    """Who asks a saga to stop, and why."""

    model_config = ConfigDict(frozen=True)

    actor: str
    reason: str = ""


class CancelVerdict(StrEnum):
    """What a request to cancel came to. CANCELLING: an undo is parked and waits for a person."""

    CANCELLED = "CANCELLED"
    CANCELLING = "CANCELLING"
    TOO_LATE = "TOO_LATE"


class SagaWorkflow:
    """Gives a workflow its `timeline` query and its `resolve` and `cancel` updates.

    A subclass sets `kind` and, to be listed from a database, `recorder`; its `run` enters
    `self.saga` and returns through `drained`.
    """

    kind: ClassVar[str]
    recorder: ClassVar[ActivityRef[Recording, None] | None] = None

    def __init__(self) -> None:
        self.saga = Saga(self.kind, recorder=self.recorder)

    @workflow.query(name="timeline")
    def timeline(self) -> TimelineView:
        """Return the state, what is parked, what would be undone, and every event."""
        return self.saga.view()

    @workflow.update(name="resolve")
    def resolve(self, resolution: Resolution) -> Resolved:
        """Take a person's answer to a parked step."""
        return self.saga.parking.resolve(resolution)

    @resolve.validator
    def _check_resolution(self, resolution: Resolution) -> None:
        self.saga.parking.check(resolution)

    @workflow.update(name="cancel")
    async def cancel(self, request: CancelRequest) -> CancelVerdict:
        """Stop and undo if the pivot is not passed; answers when that is decided."""
        saga = self.saga
        saga.request_cancel(request.actor, request.reason)
        await workflow.wait_condition(
            lambda: saga.pivot_passed or saga.log.state.ended or saga.log.state is SagaState.PARKED
        )
        if saga.log.state is SagaState.COMPENSATED:
            return CancelVerdict.CANCELLED
        if saga.pivot_passed or saga.log.state is SagaState.COMPLETED:
            return CancelVerdict.TOO_LATE
        return CancelVerdict.CANCELLING

    async def drained(self, result: R) -> R:
        """Return `result` once every handler has answered: a run that ends drops the others."""
        await self.saga.shielded(workflow.wait_condition(workflow.all_handlers_finished))
        return result
