"""Perform one action until its outcome is known: send, send again, ask, or ask a person."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saga.calls import ChildCall, send, settled
from saga.log import SagaLog, search_attributes
from saga.outcomes import AnyOutcome, Done, Failed, Inquiry, Unknown, Verdict, classify, is_failure
from saga.parking import Action, Parking, Resolution
from saga.refs import ActivityRef, WorkflowRef
from saga.timeline import EventKind, ParkedStep


@dataclass(frozen=True, slots=True)
class Attempt:
    """One action of a saga, with what to do when nobody knows how it ended."""

    name: str
    action: Any
    argument: Any
    scope: str
    inquire: ActivityRef[Any, Any] | None
    resend: bool
    ladder: tuple[float, ...]
    park_as: str
    money: bool = False


class Attempts:
    """Turns actions into outcomes; holds the children that a cancellation must reach."""

    def __init__(self, log: SagaLog, parking: Parking, on_cancel: Callable[[], None]) -> None:
        self._log = log
        self._parking = parking
        self._on_cancel = on_cancel
        self._children: list[ChildCall] = []

    def cancel_children(self) -> None:
        """Ask the children in flight to roll back."""
        for child in self._children:
            child.cancel()

    async def decide(self, attempt: Attempt) -> Done[Any] | Failed:
        """Perform the action and find out whether it took effect.

        Without an inquiry an unknown outcome counts as failed: the step's undo settles it.
        """
        outcome = await self._perform(attempt)
        if not isinstance(outcome, Unknown):
            return outcome
        if attempt.inquire is None:
            return Failed(outcome.code, outcome.message, proven=False)
        return await self._settle(attempt, attempt.inquire, outcome)

    async def insist(self, attempt: Attempt) -> Done[Any] | None:
        """Perform the action until it is done, or a person says so; None if one skips it."""
        while True:
            outcome = await self._perform(attempt)
            if isinstance(outcome, Done):
                return outcome
            failed = isinstance(outcome, Failed)
            kind = EventKind.STEP_FAILED if failed else EventKind.STEP_UNKNOWN
            self._log.add(kind, attempt.name, outcome.code, outcome.message)
            resolution = await self._ask(attempt, "must", outcome)
            if resolution.action == Action.MARK_DONE:
                return Done(self._parking.typed(attempt.action, resolution.result))
            if resolution.action == Action.SKIP:
                return None

    async def look(self, what: str, action: ActivityRef[Any, Any], argument: Any) -> AnyOutcome:
        """Call something that only reads."""
        return await self._try(send(action, argument, step=what, doing="look"))

    async def _perform(self, attempt: Attempt) -> AnyOutcome:
        self._log.add(EventKind.STEP_STARTED, attempt.name, detail=attempt.scope)
        if isinstance(attempt.action, WorkflowRef):
            return await self._perform_child(attempt)
        return await self._try(
            send(attempt.action, attempt.argument, step=attempt.name, scope=attempt.scope)
        )

    async def _perform_child(self, attempt: Attempt) -> AnyOutcome:
        child = ChildCall(attempt.action, attempt.argument, attempt.name)
        attributes = search_attributes(attempt.action.kind, self._log.subject)
        self._children.append(child)
        try:
            return await self._try(child.run(attributes))
        finally:
            self._children.remove(child)

    async def _try(self, work: Any) -> AnyOutcome:
        try:
            return Done(await self._shielded(work))
        except asyncio.CancelledError:
            return Unknown("CANCELLED", "the attempt was cut off")
        except Exception as error:
            if not is_failure(error):
                raise
            return classify(error)

    async def _settle(
        self, attempt: Attempt, inquire: ActivityRef[Any, Any], unknown: Unknown
    ) -> Done[Any] | Failed:
        self._log.add(EventKind.STEP_UNKNOWN, attempt.name, unknown.code, unknown.message)
        if attempt.resend:
            self._log.add(EventKind.STEP_RESENT, attempt.name)
            outcome = await self._perform(attempt)
            if not isinstance(outcome, Unknown):
                return outcome
        while True:
            for pause in attempt.ladder:
                await self._shielded(asyncio.sleep(pause))
                found = await self._inquire(attempt, inquire)
                if not isinstance(found, Unknown):
                    return found
            resolution = await self._ask(attempt, "do", unknown)
            if resolution.action == Action.MARK_DONE:
                return Done(self._parking.typed(attempt.action, resolution.result))
            if resolution.action == Action.SKIP:
                # The note is for colleagues, and stands in the timeline; this reaches customers.
                return Failed("MARKED_NOT_DONE", "it did not take effect")

    async def _inquire(self, attempt: Attempt, inquire: ActivityRef[Any, Any]) -> AnyOutcome:
        asked = await self._try(
            send(
                inquire,
                attempt.argument,
                step=attempt.name,
                doing="inquire",
                scope=attempt.scope,
                summary=f"ask: {attempt.name}",
            )
        )
        if not isinstance(asked, Done):
            self._log.add(EventKind.STEP_INQUIRED, attempt.name, asked.code, asked.message)
            return Unknown(asked.code, asked.message)
        answer: Inquiry[Any] = asked.value
        self._log.add(EventKind.STEP_INQUIRED, attempt.name, answer.verdict, answer.message)
        if answer.verdict is Verdict.HAPPENED:
            return Done(answer.output)
        if answer.verdict is Verdict.DID_NOT_HAPPEN:
            return Failed(answer.code or "DID_NOT_HAPPEN", answer.message)
        return Unknown(answer.code, answer.message)

    async def _ask(self, attempt: Attempt, doing: str, outcome: Failed | Unknown) -> Resolution:
        parked = ParkedStep(
            step=attempt.name,
            code=attempt.park_as,
            doing=doing,
            message=f"{outcome.code}: {outcome.message}",
            actions=[Action.RETRY, Action.MARK_DONE, Action.SKIP],
            money=attempt.money,
        )
        self._parking.put(parked, needs=attempt.action)
        resolution: Resolution = await self._shielded(self._parking.answer(attempt.name))
        return resolution

    async def _shielded(self, work: Any) -> Any:
        return await settled(asyncio.ensure_future(work), self._on_cancel)
