"""End the reservations that outlived their saga, on a schedule."""

from temporalio import workflow

from saga import send
from workflows.contracts import stock
from workflows.contracts.base import Nothing
from workflows.contracts.ids import SWEEP


@workflow.defn(name=SWEEP)
class SweepReservations:
    """One round of the sweeper. It moves no stock that a live saga holds."""

    @workflow.run
    async def run(self) -> stock.Swept:
        """Return how many reservations were ended."""
        return await send(stock.SWEEP, Nothing(), step="sweep")
