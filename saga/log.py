"""The saga's own record: its state, its timeline, and their way out of the workflow."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import FailureError

from saga.calls import send
from saga.refs import ActivityRef
from saga.timeline import Event, EventKind, ParkedStep, Recording, SagaState

SAGA_KIND = SearchAttributeKey.for_keyword("SagaKind")
SAGA_STATE = SearchAttributeKey.for_keyword("SagaState")
ORDER_ID = SearchAttributeKey.for_keyword("OrderId")

_LAST_CHANCES = 200
_PAUSE = timedelta(seconds=3)


class SagaLog:
    """Append-only events and the present state; records both, and never fails the saga.

    `recorder` is the activity that projects a batch into a database. It must accept the same
    batch twice: a flush whose answer was lost is sent again.
    """

    def __init__(self, kind: str, recorder: ActivityRef[Recording, None] | None) -> None:
        self.kind = kind
        self.state = SagaState.RUNNING
        self._beneath = SagaState.RUNNING
        self.subject = ""
        self.owner = ""
        self.waiting_on = ""
        self.events: list[Event] = []
        self._recorder = recorder
        self._recorded = 0
        self._flushing: asyncio.Task[None] | None = None
        self._parked: Callable[[], list[ParkedStep]] = list

    def watch_parking(self, parked: Callable[[], list[ParkedStep]]) -> None:
        """Let the record name the step that waits for a person."""
        self._parked = parked

    def add(
        self, kind: EventKind, step: str = "", code: str = "", detail: str = "", actor: str = ""
    ) -> None:
        """Append one event."""
        self.events.append(
            Event(
                seq=len(self.events) + 1,
                at=workflow.now(),
                step=step,
                kind=kind,
                code=code,
                detail=detail,
                actor=actor,
            )
        )

    def enter(self, state: SagaState, waiting_on: str = "") -> None:
        """Change the state, show it in Temporal and start recording it."""
        self._beneath = state
        self.waiting_on = waiting_on
        self.show()

    def show(self) -> None:
        """Show the present state: PARKED for as long as any step waits for a person."""
        state = SagaState.PARKED if self._asks_a_person() else self._beneath
        if state is not self.state:
            workflow.upsert_search_attributes([SAGA_STATE.value_set(state.value)])
        self.state = state
        workflow.set_current_details(self._details())
        if not state.ended:
            self._record_soon()

    async def close(self) -> None:
        """Record what is left. Gives up after some minutes rather than hold the saga for ever."""
        for _ in range(_LAST_CHANCES):
            if self._flushing is not None:
                await self._flushing
            if self._recorder is None or self._recorded == len(self.events):
                return
            if not await self._flush():
                await asyncio.sleep(_PAUSE.total_seconds())

    def _record_soon(self) -> None:
        if self._recorder is None or (self._flushing and not self._flushing.done()):
            return
        self._flushing = asyncio.create_task(self._flush_all())

    async def _flush_all(self) -> None:
        while self._recorded < len(self.events):
            if not await self._flush():
                return

    async def _flush(self) -> bool:
        assert self._recorder is not None  # noqa: S101 - callers have checked
        upto = len(self.events)
        parked = self._parked()
        batch = Recording(
            saga_id=workflow.info().workflow_id,
            kind=self.kind,
            state=self.state,
            subject=self.subject,
            owner=self.owner,
            waiting_on=self.waiting_on,
            parked_step=parked[0].step if parked else "",
            parked_code=parked[0].code if parked else "",
            events=self.events[self._recorded :],
        )
        try:
            await send(self._recorder, batch, step="record", summary="timeline")
        except FailureError as error:
            workflow.logger.warning("saga timeline not recorded yet: %s", error)
            return False
        self._recorded = upto
        return True

    def _asks_a_person(self) -> bool:
        # A decision is part of the plan: the saga waits for it, and can be cancelled.
        return any(at.doing != "decide" for at in self._parked())

    def _details(self) -> str:
        parked = "".join(
            f"\n\n**Parked** at *{at.step}*: `{at.code}` — {at.message}" for at in self._parked()
        )
        waiting = f", waiting on {self.waiting_on}" if self.waiting_on else ""
        lines = "\n".join(f"1. {event.words()}" for event in self.events[-20:])
        return f"**{self.kind}** is {self.state}{waiting}{parked}\n\n{lines}"


def search_attributes(kind: str, order_id: str) -> TypedSearchAttributes:
    """Return the three attributes every saga is started with. IDs only: they are not encrypted."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SAGA_KIND, kind),
            SearchAttributePair(SAGA_STATE, SagaState.RUNNING.value),
            SearchAttributePair(ORDER_ID, order_id),
        ]
    )
