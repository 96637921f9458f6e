"""The steps of the reconciliation saga. Each may run twice: the second time changes nothing."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from temporalio import activity

from activities.payments.provider import ask_again
from activities.payments.psp import PSP, SettlementsUnavailable
from activities.reconciliation.compare import compare
from db.repositories import sagas, settlements
from db.session import Database
from domain.payments import FailureClass
from domain.settlements import SettlementLine
from saga import Call, StepFailed, implements
from workflows.contracts import reconciliation as contract
from workflows.contracts.ids import RECONCILIATION
from workflows.contracts.reconciliation import (
    DayRead,
    DaysToRead,
    ReadDay,
    Reconciled,
    ReconcileDay,
)

STORED_AT_ONCE = 200
# A lost connection is not a report that is late.
QUICK_TRIES = 5


class ReconciliationActivities:
    """Settlement reports of the PSPs by name, and our books."""

    def __init__(self, database: Database, psps: Mapping[str, PSP]) -> None:
        self._database = database
        self._psps = psps

    @implements(contract.DAYS)
    async def days(self, request: ReconcileDay, call: Call) -> DaysToRead:
        """Find the days that were missed, may still change, or are asked for."""
        async with self._database.unit_of_work() as session:
            await sagas.begin(session, call.saga_id, kind=RECONCILIATION)
            due = await settlements.days_due(session, request.psp, request.day)
        return DaysToRead(days=list(due))

    @implements(contract.READ)
    async def read(self, request: ReadDay, call: Call) -> DayRead:
        """Store and book a day's lines. Raises StepFailed when waiting would be in vain."""
        psp = self._psps.get(request.psp)
        if psp is None:
            code = f"{FailureClass.CONFIG}/no_such_psp"
            raise StepFailed(code, f"{request.psp} is not configured")
        # What is added while we read is missed by this reading, and due again.
        began = datetime.now(UTC)
        lines = new = changed = 0
        try:
            async for batch in _batches(psp.settlements(request.day)):
                async with self._database.unit_of_work() as session:
                    stored = await settlements.store(session, psp.name, batch)
                lines, new, changed = (
                    lines + len(batch), new + stored.new, changed + stored.changed,
                )  # fmt: skip
                activity.heartbeat(lines)
        except SettlementsUnavailable as unavailable:
            if unavailable.later and activity.info().attempt < QUICK_TRIES:
                raise ask_again(psp.name, unavailable.code) from unavailable
            if request.last_try or not unavailable.later:
                raise StepFailed(unavailable.code, str(unavailable)) from unavailable
            return DayRead(ready=False, code=unavailable.code)
        async with self._database.unit_of_work() as session:
            await settlements.day_read(session, psp.name, request.day, lines=lines, at=began)
        return DayRead(ready=True, lines=lines, new=new, changed=changed)

    @implements(contract.COMPARE)
    async def compare(self, request: ReconcileDay, call: Call) -> Reconciled:
        """Compare what is new or differs, and open, follow or close its cases."""
        async with self._database.unit_of_work() as session:
            compared = await compare(session, request.psp, request.day)
        return Reconciled(
            psp=request.psp,
            day=request.day,
            found=dict(compared.found),
            opened=compared.opened,
            closed=compared.closed,
        )


async def _batches(lines: AsyncIterator[SettlementLine]) -> AsyncIterator[list[SettlementLine]]:
    batch: list[SettlementLine] = []
    async for line in lines:
        batch.append(line)
        if len(batch) == STORED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
