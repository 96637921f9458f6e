"""Send an action to its activity or child workflow, under its key."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType

from saga.keys import key_for
from saga.refs import ActivityRef, Call, In, Out

T = TypeVar("T")


async def send(
    ref: ActivityRef[In, Out],
    argument: In,
    *,
    step: str,
    doing: str = "do",
    scope: str = "",
    summary: str = "",
) -> Out:
    """Run one activity to its end and return its answer; raises ActivityError.

    A cancelled workflow still waits for the attempt: an answer that comes while somebody cancels
    is the difference between "void it" and "nobody knows".
    """
    saga_id = workflow.info().workflow_id
    call = Call(
        key=key_for(saga_id, step, doing, scope),
        do_key=key_for(saga_id, step, "do", scope),
        saga_id=saga_id,
        step=step,
    )
    options: dict[str, Any] = {
        "args": [argument, call],
        "result_type": ref.returns,
        "start_to_close_timeout": ref.start_to_close,
        "schedule_to_close_timeout": ref.schedule_to_close,
        "retry_policy": ref.retry,
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "summary": summary or step,
    }
    if ref.local:
        answer = await workflow.execute_local_activity(ref.name, **options)
    else:
        answer = await workflow.execute_activity(
            ref.name, task_queue=ref.task_queue, heartbeat_timeout=ref.heartbeat, **options
        )
    return answer  # type: ignore[no-any-return]


class ChildCall:
    """A child workflow as an action, which can be asked to cancel while it runs."""

    def __init__(self, ref: Any, argument: Any, step: str) -> None:
        self._ref = ref
        self._argument = argument
        self._step = step
        self._handle: workflow.ChildWorkflowHandle[Any, Any] | None = None
        self._cancelled = False

    async def run(self, search_attributes: Any) -> Any:
        """Start the child and return its result; raises ChildWorkflowError."""
        self._handle = await workflow.start_child_workflow(
            self._ref.name,
            self._argument,
            id=self._ref.id_of(self._argument),
            task_queue=self._ref.task_queue,
            result_type=self._ref.returns,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            # A parent that an operator terminates must not take the child's undos with it.
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=search_attributes,
            static_summary=self._step,
        )
        if self._cancelled:
            self._handle.cancel()
        return await self._handle

    def cancel(self) -> None:
        """Ask the child to roll back; its answer is still awaited."""
        if not self._cancelled:
            self._cancelled = True
            if self._handle is not None:
                self._handle.cancel()


async def settled(task: "asyncio.Task[T]", on_cancel: Callable[[], None]) -> T:
    """Await `task` to its own end, however often we are cancelled meanwhile.

    Each cancellation that arrives is handed to `on_cancel` instead of being lost with the await.
    """
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                current.uncancel()
                on_cancel()
            if task.done():
                return task.result()
