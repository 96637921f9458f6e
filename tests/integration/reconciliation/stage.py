"""Real PostgreSQL and Temporal, the saga with its real steps, and a PSP whose report we write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, cast

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleSpec,
    WorkflowHandle,
)

from activities.payments.psp import PSP, SettlementsUnavailable
from activities.reconciliation.activities import ReconciliationActivities
from activities.sagas.activities import SagaActivities
from db import migrate
from db.session import Database
from domain.settlements import SettlementLine
from saga import Call, Resolution, Resolved, StepFailed, TimelineView, implements
from tests.integration.db import postgres, shop
from tests.integration.db.conftest import _EMPTY
from tests.integration.db.settled import PSP as NAME
from tests.integration.db.settled import TODAY
from tests.support.temporal import dev_server, worker
from workflows.contracts import reconciliation as contract
from workflows.contracts.ids import PAYMENTS, RECONCILIATION_DUE, SAGAS, UPKEEP, reconciliation_id
from workflows.contracts.reconciliation import (
    DueRound,
    Reconciled,
    ReconcileDay,
    ReconciliationTimings,
)
from workflows.reconciliation import ReconciliationDue, ReconciliationSaga

PATIENCE_S = 60
# Too short for a person to be asked by accident, and for a test to wait long.
TIMINGS = ReconciliationTimings(report=(0.2, 0.2))
YESTERDAY = TODAY - timedelta(days=1)


class FakePSP:
    """A PSP of which only the settlement report can be read."""

    name = NAME

    def __init__(self) -> None:
        self.days: dict[date, list[SettlementLine]] = {}
        self.troubles: deque[SettlementsUnavailable] = deque()
        self.asked: list[date] = []

    def report(self, day: date, *lines: SettlementLine) -> None:
        self.days.setdefault(day, []).extend(lines)

    def fail(self, times: int, *, later: bool = True) -> None:
        """Have the next calls find no report."""
        trouble = SettlementsUnavailable(NAME, "not_ready", later=later)
        self.troubles.extend([trouble] * times)

    async def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        self.asked.append(day)
        lines = self.days.get(day, [])
        for line in lines[:1]:
            yield line
        # a report may break off in its midst
        if self.troubles:
            raise self.troubles.popleft()
        for line in lines[1:]:
            yield line


class Breakable(ReconciliationActivities):
    """The real steps, whose comparison can be made to be refused."""

    broken = False

    @implements(contract.COMPARE)
    async def compare(self, request: ReconcileDay, call: Call) -> Reconciled:
        if self.broken:
            raise StepFailed("BROKEN", "the test says so")
        return await super().compare(request, call)


@dataclass
class Stage:
    """The running servers, and one saga's story after the other."""

    client: Client
    url: str
    db: Database
    psp: FakePSP
    steps: Breakable
    stories: dict[str, str] = field(default_factory=dict)

    async def start(
        self, name: str = "", *, day: date = TODAY, timings: ReconciliationTimings = TIMINGS
    ) -> WorkflowHandle[Any, Reconciled]:
        """Start a saga over a day; under `name` its history may be kept."""
        handle = await self.client.start_workflow(
            contract.WORKFLOW,
            ReconcileDay(psp=NAME, day=day, timings=timings),
            id=reconciliation_id(NAME, day, name),
            task_queue=SAGAS,
            result_type=Reconciled,
        )
        self.stories[f"{contract.WORKFLOW}.{name}"] = handle.id
        return handle

    async def run(self, name: str = "", **how: Any) -> Reconciled:
        """Run a saga to its end."""
        return await self.ended(await self.start(name, **how))

    async def ended(self, handle: WorkflowHandle[Any, Reconciled]) -> Reconciled:
        return await asyncio.wait_for(handle.result(), PATIENCE_S)

    async def view(self, handle: WorkflowHandle[Any, Any]) -> TimelineView:
        return await handle.query("timeline", result_type=TimelineView)

    async def until(
        self, handle: WorkflowHandle[Any, Any], reached: Callable[[TimelineView], bool]
    ) -> TimelineView:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if reached(view := await self.view(handle)):
                    return view
                await asyncio.sleep(0.05)

    async def resolve(self, handle: WorkflowHandle[Any, Any], action: str) -> Resolved:
        (parked,) = (await self.view(handle)).parked
        return await handle.execute_update(
            "resolve",
            Resolution(step=parked.step, action=action, actor="asha", note="looked"),
            result_type=Resolved,
        )

    async def due(self, name: str, round_: DueRound) -> str:
        """Have a schedule start a round at once; answers with the id of the saga it started."""
        handle = await self.client.create_schedule(
            f"{RECONCILIATION_DUE}:{name}",
            Schedule(
                action=ScheduleActionStartWorkflow(
                    RECONCILIATION_DUE, round_, id=f"{RECONCILIATION_DUE}:{name}", task_queue=SAGAS
                ),
                spec=ScheduleSpec(),
            ),
            trigger_immediately=True,
        )
        try:
            started = await self._started_by(handle)
            self.stories[f"{RECONCILIATION_DUE}.{name}"] = started
            return await self.client.get_workflow_handle(started, result_type=str).result()
        finally:
            await handle.delete()

    async def _started_by(self, schedule: ScheduleHandle) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if done := (await schedule.describe()).info.recent_actions:
                    return str(cast("Any", done[0].action).workflow_id)
                await asyncio.sleep(0.05)

    async def empty(self) -> None:
        """Nothing in our books, nothing in the PSP's report, no saga of a day remembered."""
        await shop.run(self.db, _EMPTY)
        await shop.open_shop(self.db)
        self.psp.days.clear()
        self.psp.troubles.clear()
        self.psp.asked.clear()
        self.steps.broken = False


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Start everything on free ports of 127.0.0.1; leave nothing behind."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        await migrate.upgrade(server.url())
        db = Database(server.url(), pool_size=10)
        stack.push_async_callback(db.close)
        client = await stack.enter_async_context(dev_server())
        psp = FakePSP()
        steps = Breakable(db, {NAME: cast("PSP", psp)})
        workflows = [ReconciliationSaga, ReconciliationDue]
        record = SagaActivities(db).record
        for queue, flows, does in (
            (SAGAS, workflows, [record]),
            (PAYMENTS, [], [steps.read]),
            (UPKEEP, [], [steps.days, steps.compare]),
        ):
            await stack.enter_async_context(worker(client, queue, flows, does))
        yield Stage(client, server.url(), db, psp, steps)
