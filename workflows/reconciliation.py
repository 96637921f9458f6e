"""Reconciliation: what a PSP says it settled, held against our ledger every day."""

from datetime import date, datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.settlements import business_day
from saga import Saga, SagaWorkflow, search_attributes
from workflows.contracts import reconciliation as contract
from workflows.contracts.ids import RECONCILIATION, RECONCILIATION_DUE, reconciliation_id
from workflows.contracts.reconciliation import DueRound, ReadDay, Reconciled, ReconcileDay
from workflows.contracts.sagas import RECORD

# When a schedule meant to start us, which a late start does not change.
_MEANT_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name=contract.WORKFLOW)
class ReconciliationSaga(SagaWorkflow):
    """Read a PSP's reports of the days that are due, then compare and open cases.

    All of it only adds facts that are so, hence there is nothing to undo.
    """

    kind = RECONCILIATION
    recorder = RECORD

    @workflow.init
    def __init__(self, request: ReconcileDay) -> None:
        super().__init__()
        self._request = request

    @workflow.run
    async def run(self, request: ReconcileDay) -> Reconciled:
        """Return what was found; empty where a person said to go on without comparing."""
        async with self.saga as saga:
            saga.go_forward("what a provider settled is a fact")
            due = await saga.must(
                "find the days to read", contract.DAYS, request, park_as="RECONCILIATION_STOPPED"
            )
            for day in due.days if due is not None else [request.day]:
                await self._read(saga, day)
                # A fortnight of long reports is told as it goes.
                saga.log.show()
            compared = await saga.must(
                "compare with our ledger",
                contract.COMPARE,
                request,
                park_as="RECONCILIATION_STOPPED",
            )
        return await self.drained(compared or Reconciled(psp=request.psp, day=request.day))

    async def _read(self, saga: Saga, day: date) -> None:
        """Read a day's report; one that is not there yet is waited for, then asked after."""
        waits = self._request.timings.report
        for number, pause in enumerate((*waits, None), 1):
            name = f"read the settlements of {day}" + (f", try {number}" if number > 1 else "")
            read = await saga.must(
                name,
                contract.READ,
                ReadDay(psp=self._request.psp, day=day, last_try=pause is None),
                scope=self._request.psp,
                park_as="SETTLEMENTS_UNAVAILABLE",
            )
            if pause is None or read is None or read.ready:
                return
            saga.note(name, read.code, "the report is not to be had yet")
            await saga.wait(
                f"the settlement report of {day}", lambda: False, timedelta(seconds=pause)
            )


@workflow.defn(name=RECONCILIATION_DUE)
class ReconciliationDue:
    """What a schedule starts: a saga under its own name, for the day that the time meant.

    A saga that waits for a person must not keep the next round from starting, as it would if the
    schedule had started it.
    """

    @workflow.run
    async def run(self, due: DueRound) -> str:
        """Return the id of the saga, started now or before."""
        meant = workflow.info().typed_search_attributes.get(_MEANT_FOR) or workflow.now()
        day, again = _round(meant, of_today=due.of_today)
        saga_id = reconciliation_id(due.psp, day, again)
        try:
            await workflow.start_child_workflow(
                contract.WORKFLOW,
                ReconcileDay(psp=due.psp, day=day, timings=due.timings),
                id=saga_id,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                search_attributes=search_attributes(RECONCILIATION, ""),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s was started before", saga_id)
        return saga_id


def _round(meant: datetime, *, of_today: bool) -> tuple[date, str]:
    """The day of a round, and what tells rounds of one day apart."""
    today = business_day(meant)
    if of_today:
        return today, f"{meant:%H%M%S}"
    return today - timedelta(days=1), ""
