"""The undo stack: what a saga would have to take back, newest first."""

import asyncio
from dataclasses import dataclass
from typing import Any

from temporalio.exceptions import FailureError

from saga.calls import send
from saga.log import SagaLog
from saga.outcomes import SagaMisuse, classify
from saga.parking import Action, Parking
from saga.refs import ActivityRef, Undo
from saga.timeline import EventKind, ParkedStep


@dataclass(slots=True)
class PlannedUndo:
    """One registered undo. `output` stays None until the action's answer is seen."""

    step: str
    ref: ActivityRef[Any, None]
    argument: Any
    scope: str
    money: bool
    output: Any = None


class UndoStack:
    """Registered undos, run newest first; one that fails never hides the others."""

    def __init__(self, log: SagaLog, parking: Parking) -> None:
        self._log = log
        self._parking = parking
        self._planned: list[PlannedUndo] = []

    def plan(self, undo: PlannedUndo) -> None:
        """Register an undo, before its action is sent."""
        self._planned.append(undo)

    def steps(self) -> list[str]:
        """Return the steps that would be undone, in the order in which they would be."""
        return [undo.step for undo in reversed(self._planned)]

    def freeze(self) -> None:
        """Forget everything: the pivot is passed, the saga only goes forward."""
        self._planned.clear()

    async def run_all(self, code: str, message: str) -> None:
        """Undo everything. What fails within its budget is parked after the rest was tried."""
        left = []
        for undo in reversed(self._planned):
            failure = await self._run(undo, code, message)
            if failure:
                left.append((undo, failure))
        for undo, failure in left:
            self._park(undo, *failure)
        await self._finish_parked({undo.step: undo for undo, _ in left}, code, message)

    async def run_one(self, step: str, code: str, message: str) -> None:
        """Undo one step now, for a saga that goes on another way. Parks until it is undone."""
        undo = next((undo for undo in self._planned if undo.step == step), None)
        if undo is None:
            raise SagaMisuse(f"'{step}' has no undo to run; those that have: {self.steps()}")
        failure = await self._run(undo, code, message)
        if failure:
            self._park(undo, *failure)
            await self._finish_parked({step: undo}, code, message)

    async def _finish_parked(self, left: dict[str, PlannedUndo], code: str, message: str) -> None:
        while left:
            resolution = await self._parking.answer(*left)
            step = resolution.step
            undo = left[step]
            if resolution.action != Action.RETRY:
                del left[step]
                self._planned.remove(undo)
                continue
            failure = await self._run(undo, code, message)
            if failure:
                self._park(undo, *failure)
            else:
                del left[step]

    async def _run(self, undo: PlannedUndo, code: str, message: str) -> tuple[str, str] | None:
        self._log.add(EventKind.UNDO_STARTED, undo.step)
        try:
            await send(
                undo.ref,
                Undo(input=undo.argument, output=undo.output, code=code, message=message),
                step=undo.step,
                doing="undo",
                scope=undo.scope,
                summary=f"undo: {undo.step}",
            )
        except (FailureError, asyncio.CancelledError) as error:
            outcome = classify(error)
            self._log.add(EventKind.UNDO_FAILED, undo.step, outcome.code, outcome.message)
            return outcome.code, outcome.message
        self._planned.remove(undo)
        self._log.add(EventKind.UNDONE, undo.step)
        return None

    def _park(self, undo: PlannedUndo, code: str, message: str) -> None:
        self._parking.put(
            ParkedStep(
                step=undo.step,
                code="UNDO_FAILED",
                doing="undo",
                message=f"{code}: {message}",
                actions=[Action.RETRY, Action.MARK_DONE, Action.SKIP],
                money=undo.money,
            )
        )
