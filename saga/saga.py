"""The saga: steps that can be undone, one point of no return, and what must follow it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar, overload

from temporalio import workflow

from saga.attempts import Attempt, Attempts
from saga.calls import settled
from saga.log import SagaLog
from saga.outcomes import (
    CancelRequested,
    Done,
    Failed,
    Inquiry,
    Refused,
    RolledBack,
    SagaMisuse,
    StepFailed,
    classify,
    is_failure,
)
from saga.parking import Parking, Resolution
from saga.refs import ActivityRef, In, NothingToUndo, Out, Undo, WorkflowRef
from saga.timeline import EventKind, ParkedStep, Recording, SagaState, TimelineView
from saga.undo import PlannedUndo, UndoStack

A = TypeVar("A")
B = TypeVar("B")

# Seconds between inquiries after an unknown outcome: quick at first, then patient.
DEFAULT_LADDER: tuple[float, ...] = (0.2, 0.5, 1, 2, 4, 8, 15, 30)


class Saga:
    """One run of a saga inside one workflow.

    Use it as `async with Saga(...) as saga:`. Leaving the block completes the saga, or undoes it
    and raises RolledBack. A bug in the block (any exception that is no Temporal failure, no
    refusal and no cancellation) undoes nothing and fails the workflow task.
    """

    def __init__(self, kind: str, *, recorder: ActivityRef[Recording, None] | None = None) -> None:
        self.log = SagaLog(kind, recorder)
        self.parking = Parking(self.log)
        self._undos = UndoStack(self.log, self.parking)
        self._attempts = Attempts(self.log, self.parking, self._cancelled_by_temporal)
        self._names: list[str] = []
        self._cancel_actor = ""
        self._cancel_reason = ""
        self._pivot = ""

    # -- what a workflow's body says ---------------------------------------------------------

    def about(self, subject: str, owner: str = "") -> None:
        """Name the order this saga is about and the customer it belongs to (IDs only)."""
        self.log.subject, self.log.owner = subject, owner

    async def step(
        self,
        name: str,
        action: ActivityRef[In, Out] | WorkflowRef[In, Out],
        argument: In,
        *,
        undo: ActivityRef[Undo[In, Out], None] | NothingToUndo,
        inquire: ActivityRef[In, Inquiry[Out]] | None = None,
        scope: str = "",
        money: bool = False,
        resend: bool = False,
        ladder: Sequence[float] = DEFAULT_LADDER,
        park_as: str = "OUTCOME_UNKNOWN",
    ) -> Out:
        """Do something that can be undone; raises StepFailed when it did not happen.

        The undo is registered before the action is sent. `resend` says that the receiver honours
        our key, so an unknown outcome may be settled by sending the same call again.
        Without `inquire` an unknown outcome counts as failed, and its undo settles it.
        """
        self._open_step(name)
        if self._pivot:
            raise SagaMisuse(f"'{name}' comes after the pivot '{self._pivot}': use must()")
        self._stop_if_cancelled()
        planned = None
        if not isinstance(undo, NothingToUndo):
            planned = PlannedUndo(name, undo, argument, scope, money)
            self._undos.plan(planned)
        attempt = Attempt(
            name, action, argument, scope, inquire, resend, tuple(ladder), park_as, money
        )
        value: Out = self._accept(name, await self._attempts.decide(attempt))
        if planned is not None:
            planned.output = value
        self._stop_if_cancelled()
        return value

    async def pivot(
        self,
        name: str,
        action: ActivityRef[In, Out],
        argument: In,
        *,
        inquire: ActivityRef[In, Inquiry[Out]],
        scope: str = "",
        resend: bool = False,
        ladder: Sequence[float] = DEFAULT_LADDER,
        park_as: str = "OUTCOME_UNKNOWN",
    ) -> Out:
        """Pass the point of no return; raises StepFailed when it provably did not happen.

        Once it is done the undo stack is frozen and the saga only goes forward.
        """
        self._open_step(name)
        if self._pivot:
            raise SagaMisuse(f"'{name}' would be a second pivot after '{self._pivot}'")
        self._stop_if_cancelled()
        attempt = Attempt(
            name, action, argument, scope, inquire, resend, tuple(ladder), park_as, money=True
        )
        value: Out = self._accept(name, await self._attempts.decide(attempt))
        self._pass(name)
        return value

    def go_forward(self, why: str) -> None:
        """Pass the point of no return without an action: only finishing is right from here on."""
        if self._pivot:
            raise SagaMisuse(f"'{why}' would be a second pivot after '{self._pivot}'")
        self._stop_if_cancelled()
        self._pass(why)

    async def must(
        self,
        name: str,
        action: ActivityRef[In, Out],
        argument: In,
        *,
        scope: str = "",
        money: bool = False,
        park_as: str = "MUST_FAILED",
    ) -> Out | None:
        """Do what has to follow the pivot: within its budget, or with a person's help.

        Returns None only when a person marked it as done without a result, or skipped it.
        """
        self._open_step(name)
        if not self._pivot:
            raise SagaMisuse(f"'{name}' must not come before the pivot: use step()")
        attempt = Attempt(name, action, argument, scope, None, False, (), park_as, money)
        outcome = await self._attempts.insist(attempt)
        if outcome is None:
            return None
        self.log.add(EventKind.STEP_DONE, name)
        return outcome.value  # type: ignore[no-any-return]

    async def undo_now(self, name: str, code: str, message: str) -> None:
        """Undo one earlier step at once, because the saga goes on another way."""
        await self.shielded(self._undos.run_one(name, code, message))
        self._stop_if_cancelled()

    async def wait(
        self, what: str, condition: Callable[[], bool], timeout: timedelta | None = None
    ) -> bool:
        """Wait for something outside; False when the time is up, CancelRequested if cancelled."""
        with self.waiting(what):
            return await self.until(condition, timeout)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show the saga as WAITING on something while the block runs."""
        self.log.add(EventKind.WAITING, what)
        self.log.enter(SagaState.WAITING, what)
        yield
        self.log.add(EventKind.RESUMED, what)
        self.log.enter(SagaState.RUNNING)

    async def until(self, condition: Callable[[], bool], timeout: timedelta | None = None) -> bool:
        """Wait without a word in the timeline, as one round of a longer wait."""
        met = await self._wait(condition, timeout)
        self._stop_if_cancelled()
        return met

    async def look(self, what: str, action: ActivityRef[In, Out], argument: In) -> Out | None:
        """Read something that changes nothing; None when no answer came within its budget."""
        outcome = await self._attempts.look(what, action, argument)
        self._stop_if_cancelled()
        return outcome.value if isinstance(outcome, Done) else None

    async def decide(
        self, name: str, code: str, message: str, *, options: Sequence[str], timeout: timedelta
    ) -> Resolution | None:
        """Ask a person to choose one of `options`; None when nobody did in time."""
        self._stop_if_cancelled()
        self.parking.put(
            ParkedStep(step=name, code=code, doing="decide", message=message, actions=list(options))
        )
        self.log.enter(SagaState.WAITING, f"a decision: {name}")
        answered = await self._wait(lambda: self.parking.has_answer(name), timeout)
        answer = await self.shielded(self.parking.answer(name)) if answered else None
        if answer is None:
            self.parking.withdraw(name)
            code = "CANCELLED" if self.cancel_requested else "TIME_UP"
            self.log.add(EventKind.RESUMED, name, code)
        self.log.enter(SagaState.RUNNING)
        self._stop_if_cancelled()
        return answer

    @overload
    async def together(self, first: Awaitable[A], second: Awaitable[B], /) -> tuple[A, B]: ...
    @overload
    async def together(self, *steps: Awaitable[A]) -> tuple[A, ...]: ...
    async def together(self, *steps: Awaitable[Any]) -> tuple[Any, ...]:
        """Run steps side by side. All of them end before the first failure is raised."""
        tasks = [asyncio.ensure_future(step) for step in steps]
        results: list[Any] = []
        errors: list[BaseException] = []
        for task in tasks:
            try:
                results.append(await settled(task, self._cancelled_by_temporal))
            except (Exception, asyncio.CancelledError) as error:
                errors.append(error)
        # A bug outranks a failure: it must fail the workflow task, not refund a customer.
        errors.sort(key=lambda error: _compensates(error))
        if errors:
            raise errors[0]
        return tuple(results)

    def note(self, step: str, code: str, detail: str = "") -> None:
        """Write something into the timeline that a reader will want to know."""
        self.log.add(EventKind.NOTED, step, code, detail)

    # -- what people ask from outside --------------------------------------------------------

    @property
    def pivot_passed(self) -> bool:
        """Whether the saga can only go forward."""
        return bool(self._pivot)

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked the saga to stop."""
        return bool(self._cancel_actor)

    def request_cancel(self, actor: str, reason: str = "") -> None:
        """Record a request to stop, and wake whatever can be interrupted."""
        if self._cancel_actor or self.log.state.ended:
            return
        self._cancel_actor, self._cancel_reason = actor, reason
        kind = EventKind.CANCEL_TOO_LATE if self._pivot else EventKind.CANCEL_REQUESTED
        self.log.add(kind, self._pivot, detail=reason, actor=actor)
        if not self._pivot:
            self._attempts.cancel_children()

    def view(self) -> TimelineView:
        """Return what the `timeline` query answers."""
        return TimelineView(
            saga_id=workflow.info().workflow_id,
            kind=self.log.kind,
            state=self.log.state,
            subject=self.log.subject,
            waiting_on=self.log.waiting_on,
            parked=self.parking.steps(),
            to_undo=self._undos.steps(),
            pivot_passed=self.pivot_passed,
            events=self.log.events,
        )

    # -- entering and leaving ----------------------------------------------------------------

    async def __aenter__(self) -> "Saga":
        """Start the saga."""
        # Not recorded yet: whoever is done in an instant is recorded once, at its end.
        self.log.add(EventKind.SAGA_STARTED)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Complete, or roll back and raise RolledBack."""
        self._notice_cancellation()
        if error is None and not self._pivot and self.cancel_requested:
            error = CancelRequested()
        if error is None:
            await self._end(EventKind.SAGA_COMPLETED, SagaState.COMPLETED)
            return
        if not _compensates(error):
            return
        if self._pivot:
            raise SagaMisuse(
                f"after the pivot '{self._pivot}' only must() and wait() may be awaited"
            ) from error
        if isinstance(error, asyncio.CancelledError):
            self._cancelled_by_temporal()
        ended = self._why(error)
        self.log.add(EventKind.COMPENSATING, ended.step, ended.code, ended.message)
        self.log.enter(SagaState.COMPENSATING)
        await self.shielded(self._undos.run_all(ended.code, ended.message))
        await self._end(EventKind.SAGA_COMPENSATED, SagaState.COMPENSATED, ended.code)
        raise ended from error

    async def _end(self, kind: EventKind, state: SagaState, code: str = "") -> None:
        self.log.add(kind, code=code)
        self.log.enter(state)
        await self.shielded(self.log.close())

    def _why(self, error: BaseException) -> RolledBack:
        if isinstance(error, StepFailed):
            return RolledBack(error.code, error.message, error.step)
        if isinstance(error, Refused):
            return RolledBack(error.code, error.message)
        if isinstance(error, CancelRequested | asyncio.CancelledError):
            reason = self._cancel_reason or "cancelled before the point of no return"
            return RolledBack("CANCELLED", reason)
        outcome = classify(error)
        return RolledBack(outcome.code, outcome.message)

    # -- machinery ---------------------------------------------------------------------------

    def _open_step(self, name: str) -> None:
        if name in self._names:
            raise SagaMisuse(f"two steps are called '{name}': their keys would be the same")
        self._names.append(name)

    def _pass(self, pivot: str) -> None:
        self._pivot = pivot
        self._undos.freeze()
        self.log.add(EventKind.PIVOT_PASSED, pivot)
        if self._cancel_actor:
            self.log.add(EventKind.CANCEL_TOO_LATE, pivot, actor=self._cancel_actor)

    def _stop_if_cancelled(self) -> None:
        self._notice_cancellation()
        if self._cancel_actor and not self._pivot:
            raise CancelRequested

    def _notice_cancellation(self) -> None:
        # A body that catches CancelledError at an await of its own hides it from the engine.
        if workflow.cancellation_reason() is not None:
            self._cancelled_by_temporal()

    def _cancelled_by_temporal(self) -> None:
        self.request_cancel("temporal", "the workflow was cancelled")

    async def shielded(self, work: Awaitable[A]) -> A:
        """Await something to its end; a cancellation meanwhile is recorded, not lost."""
        return await settled(asyncio.ensure_future(work), self._cancelled_by_temporal)

    async def _wait(self, condition: Callable[[], bool], timeout: timedelta | None) -> bool:
        def over() -> bool:
            return condition() or (self.cancel_requested and not self._pivot)

        with suppress(TimeoutError):
            await self.shielded(workflow.wait_condition(over, timeout=timeout))
        return condition()

    def _accept(self, name: str, outcome: Done[Any] | Failed) -> Any:
        if isinstance(outcome, Done):
            self.log.add(EventKind.STEP_DONE, name)
            return outcome.value
        kind = EventKind.STEP_FAILED if outcome.proven else EventKind.STEP_UNKNOWN
        self.log.add(kind, name, outcome.code, outcome.message)
        raise StepFailed(outcome.code, outcome.message, name)


def _compensates(error: BaseException) -> bool:
    """Only failures, refusals and cancellation undo anything; a bug must not."""
    return is_failure(error) or isinstance(
        error, Refused | CancelRequested | asyncio.CancelledError
    )
