"""The engine, over Temporal: updates, queries and signals, and what their failures mean."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio.client import (
    Client,
    RetryConfig,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from api.engine import (
    EngineUnreachable,
    HistoryPage,
    ResolutionRefused,
    SagaEnded,
    SagaUnknown,
)
from api.history import page_of_history
from saga import (
    CancelRequest,
    CancelVerdict,
    Resolution,
    Resolved,
    TimelineView,
    search_attributes,
)
from workflows.contracts.checkout import PLACE, PSP_EVENT, WORKFLOW, CheckoutAnswer, PlaceOrder
from workflows.contracts.ids import (
    CHECKOUT,
    REFUND,
    SAGAS,
    checkout_id,
    payment_id,
    refund_id,
)
from workflows.contracts.payments import PSPEvent
from workflows.contracts.refunds import ANSWER, RefundAnswer, RequestRefund
from workflows.contracts.refunds import WORKFLOW as REFUND_WORKFLOW

# the default goes on for 10 s; a caller with a key does better to come back
_RETRY: Final = RetryConfig(max_elapsed_time_millis=2500, max_retries=8)
_SHORT: Final = timedelta(seconds=1)
_LONG: Final = timedelta(seconds=5)
_TURN: Final = timedelta(seconds=5)
_OVER: Final = "workflow execution already completed"
# a lazy client that cannot connect says so with a RuntimeError
_LOST: Final = (RPCError, RuntimeError)
_CUT: Final = "AcceptedUpdateCompletedWorkflow"
T = TypeVar("T")


async def connect(address: str, namespace: str) -> Client:
    """A client that connects when it is first used, so that the edge starts without the engine."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=pydantic_data_converter,
        retry_config=_RETRY,
        grpc_compression=GrpcCompression.NONE,
        lazy=True,
    )


@dataclass(frozen=True, slots=True)
class _Opening:
    """A saga that is started by whoever first asks it for an answer."""

    workflow: str
    request: Any
    saga_id: str
    kind: str
    order_id: str

    def operation(self) -> WithStartWorkflowOperation[Any, Any]:
        """The start that goes with the first update."""
        return WithStartWorkflowOperation(
            self.workflow,
            self.request,
            id=self.saga_id,
            task_queue=SAGAS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=search_attributes(self.kind, self.order_id),
            # how long a killed worker's turn is waited for; its steps are short and may run again
            task_timeout=_TURN,
        )


class TemporalEngine:
    """Implements `api.engine.Engine`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def place(self, order: PlaceOrder, within: float) -> CheckoutAnswer | None:
        """Update-with-start: one round trip opens the saga and brings its first answer."""
        order_id = order.order.order_id
        opening = _Opening(WORKFLOW, order, checkout_id(order_id), CHECKOUT, order_id)
        # the same id for every retry: the second one hears the first one's answer
        return await self._open(opening, PLACE, f"place-{order_id}", CheckoutAnswer, within)

    async def placed(self, order_id: str) -> CheckoutAnswer | None:
        """Read the result of the ended saga; None when it ended without one."""
        return await self._result(checkout_id(order_id), CheckoutAnswer)

    async def refund(self, request: RequestRefund, within: float) -> RefundAnswer | None:
        """Update-with-start, as for an order."""
        saga_id = refund_id(request.refund_id)
        opening = _Opening(REFUND_WORKFLOW, request, saga_id, REFUND, request.order_id)
        update_id = f"answer-{request.refund_id}"
        return await self._open(opening, ANSWER, update_id, RefundAnswer, within)

    async def refunded(self, refund: str) -> RefundAnswer | None:
        """Read the result of the ended saga."""
        return await self._result(refund_id(refund), RefundAnswer)

    async def _open(
        self, opening: _Opening, update: str, update_id: str, answers: type[T], within: float
    ) -> T | None:
        start = opening.operation()
        try:
            async with asyncio.timeout(within):
                answer: T = await self._client.execute_update_with_start_workflow(
                    update, start_workflow_operation=start, id=update_id, result_type=answers
                )
                return answer
        except (WorkflowAlreadyStartedError, WorkflowUpdateFailedError) as error:
            await self._must_run(opening.saga_id, error)
            return None
        except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError, *_LOST) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                await self._must_run(opening.saga_id, error)
                return None
            if await self._runs(start, opening.saga_id):
                return None
            raise EngineUnreachable from error

    async def _result(self, saga_id: str, answers: type[T]) -> T | None:
        handle = self._client.get_workflow_handle(saga_id, result_type=answers)
        try:
            async with asyncio.timeout(_SHORT.total_seconds()):
                answer: T = await handle.result()
                return answer
        except WorkflowFailureError:
            return None
        except (TimeoutError, *_LOST) as error:
            # no answer in time is no answer: the saga may well run, and sell
            raise EngineUnreachable from error

    async def _must_run(self, saga_id: str, error: BaseException) -> None:
        """Tell a saga whose update was lost while it goes on from one that is over.

        A server that restarts forgets updates that no worker has accepted, and answers "not
        found" for them although the saga was started. Raises SagaEnded, EngineUnreachable.
        """
        try:
            found = await self._saga(saga_id).describe(rpc_timeout=_SHORT)
        except _LOST as lost:
            raise EngineUnreachable from lost
        if found.status is not WorkflowExecutionStatus.RUNNING:
            raise SagaEnded from error

    async def cancel(
        self, order_id: str, request: CancelRequest, within: float
    ) -> CancelVerdict | None:
        """Send the update `cancel` and wait for its verdict."""
        handle = self._saga(checkout_id(order_id))
        try:
            async with asyncio.timeout(within):
                return CancelVerdict(
                    await handle.execute_update("cancel", request, result_type=CancelVerdict)
                )
        except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            if not await self._reachable():
                raise EngineUnreachable from error
            return None
        except WorkflowUpdateFailedError as error:
            raise SagaEnded from error
        except _LOST as error:
            raise _meaning(error) from error

    async def timeline(self, saga_id: str, within: float) -> TimelineView:
        """Send the query `timeline`; an ended saga answers too, while its history is kept."""
        patience = timedelta(seconds=within)
        try:
            async with asyncio.timeout(within):
                view: TimelineView = await self._saga(saga_id).query(
                    "timeline", result_type=TimelineView, rpc_timeout=patience
                )
                return view
        except (TimeoutError, WorkflowQueryFailedError) as error:
            raise EngineUnreachable from error
        except _LOST as error:
            raise _meaning(error) from error

    async def resolve(self, saga_id: str, resolution: Resolution) -> Resolved:
        """Send the update `resolve`."""
        try:
            async with asyncio.timeout(_LONG.total_seconds()):
                resolved: Resolved = await self._saga(saga_id).execute_update(
                    "resolve", resolution, result_type=Resolved
                )
                return resolved
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type != _CUT:
                raise ResolutionRefused(cause.type or "NOT_PARKED", cause.message) from error
            raise SagaEnded from error
        except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            raise EngineUnreachable from error
        except _LOST as error:
            raise _meaning(error) from error

    async def history(self, saga_id: str, size: int, token: bytes) -> HistoryPage:
        """Read a page of Temporal's events."""
        try:
            return await page_of_history(self._client, saga_id, size, token, _LONG)
        except _LOST as error:
            raise _meaning(error) from error

    async def tell_payment(self, order_id: str, event: PSPEvent) -> None:
        """Send the signal; one to a saga that has ended is refused, and raises SagaUnknown."""
        try:
            await self._saga(payment_id(order_id)).signal(PSP_EVENT, event, rpc_timeout=_LONG)
        except _LOST as error:
            known = _meaning(error)
            raise SagaUnknown if isinstance(known, SagaEnded) else known from error

    async def check(self) -> None:
        """Ask the server for its health."""
        if not await self._reachable():
            raise EngineUnreachable

    def _saga(self, saga_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(saga_id)

    async def _reachable(self) -> bool:
        try:
            return await self._client.service_client.check_health(timeout=_SHORT)
        except _LOST:
            return False

    async def _runs(self, start: WithStartWorkflowOperation[Any, Any], saga_id: str) -> bool:
        """Whether the saga was started: by what the call heard, else by asking."""
        if await _heard(start):
            return True
        try:
            await self._saga(saga_id).describe(rpc_timeout=_SHORT)
        except _LOST:
            return False
        return True


async def _heard(start: WithStartWorkflowOperation[Any, Any]) -> bool:
    """Whether the server said that the saga runs, before the answer to the update failed."""
    # waited for, not awaited: it can hold a cancellation that is not ours
    handle = asyncio.ensure_future(start.workflow_handle())
    _, pending = await asyncio.wait([handle], timeout=0.05)
    for each in pending:
        each.cancel()
    return handle.done() and not handle.cancelled() and handle.exception() is None


def _meaning(error: RPCError | RuntimeError) -> EngineUnreachable | SagaEnded | SagaUnknown:
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        return SagaEnded() if _OVER in str(error) else SagaUnknown()
    return EngineUnreachable(str(error))
