"""End the reservations that outlived their saga, on a schedule."""

from temporalio import workflow

from workflows.contracts import stock
from workflows.contracts.base import Nothing
from workflows.contracts.ids import SWEEP


@workflow.defn(name=SWEEP)
class SweepReservations:
    """One round of the sweeper. It moves no stock that a live saga holds."""

    @workflow.run
    async def run(self) -> stock.Swept:
        """Return how many reservations were ended."""
        ref = stock.SWEEP
        swept: stock.Swept = await workflow.execute_activity(
            ref.name,
            Nothing(),
            task_queue=ref.task_queue,
            result_type=stock.Swept,
            start_to_close_timeout=ref.start_to_close,
            schedule_to_close_timeout=ref.schedule_to_close,
            retry_policy=ref.retry,
        )
        return swept
