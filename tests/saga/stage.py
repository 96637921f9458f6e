"""One saga in play: started, watched and asked about in the words of the tests."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from saga import CancelVerdict, Event, SagaState
from tests.saga.contracts import Plan, SceneScript, Script
from tests.saga.driver import Ended, Handle, answer, ended, start
from tests.saga.ledger import Ledger
from tests.saga.sagas import MatrixSaga
from tests.saga.scenes import SceneSaga

_TASK = timedelta(seconds=2)


class Stage:
    """Plays one saga under an ID of its own."""

    def __init__(self, client: Client, ledger: Ledger, run: str) -> None:
        self.client = client
        self.ledger = ledger
        self.run = run

    async def scene(
        self, scene: str, word: str = "", *, plans: dict[str, Plan] | None = None, **script: Any
    ) -> Handle:
        """Start a small saga. After a failed task it is tried again soon."""
        played = self.script(scene, word, plans, **script)
        return await start(self.client, SceneSaga.run, self.run, played, task_timeout=_TASK)

    def script(
        self, scene: str, word: str = "", plans: dict[str, Plan] | None = None, **script: Any
    ) -> SceneScript:
        """The input of a small saga."""
        return SceneScript(run=self.run, scene=scene, word=word, plans=plans or {}, **script)

    async def matrix(self, **plans: Plan) -> Handle:
        """Start the saga of the matrix."""
        return await start(self.client, MatrixSaga.run, self.run, Script(run=self.run, plans=plans))

    def effects(self) -> dict[str, str]:
        """What stands in the outside world."""
        return self.ledger.effects(self.run)

    def undone(self) -> list[str]:
        """The undos that were sent, in order."""
        return self.ledger.order_of(self.run, "undo")

    def events(self) -> list[Event]:
        """The projected timeline."""
        return self.ledger.recorded(self.run)


async def rolled_back(handle: Handle, verdict: CancelVerdict | None = None) -> Ended:
    """Wait for an end with everything undone."""
    end = await ended(handle, verdict)
    assert end.view.state is SagaState.COMPENSATED
    assert end.failure is not None
    assert end.failure.type == "saga.RolledBack"
    return end


async def completed(handle: Handle) -> Ended:
    """Wait for a completed saga."""
    end = await ended(handle)
    assert end.view.state is SagaState.COMPLETED
    assert end.failure is None
    return end


async def refusal(handle: Handle, step: str, action: str, **more: Any) -> tuple[str, str]:
    """Give an answer that must be refused; returns the code and the sentence."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await answer(handle, step, action, **more)
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    return str(cause.type), cause.message


async def failed_task(handle: Handle) -> str:
    """Wait for the workflow's first failed task and return its message."""
    while True:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                return event.workflow_task_failed_event_attributes.failure.message
        shown = await handle.describe()
        assert shown.status is WorkflowExecutionStatus.RUNNING, "ended without a failed task"
        await asyncio.sleep(0.05)
