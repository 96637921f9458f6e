"""The schedules that must exist, made or brought up to date when a worker starts."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from workers.config import WorkerConfig
from workflows.contracts.ids import SAGAS, SWEEP


async def ensure_schedules(client: Client, config: WorkerConfig) -> None:
    """Have reservations swept. A round that was missed is not caught up: the next one does all."""
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(SWEEP, id=SWEEP, task_queue=SAGAS),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=timedelta(seconds=config.sweep_every))]
        ),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)
        ),
    )

    async def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=wanted)

    try:
        await client.create_schedule(SWEEP, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(SWEEP).update(replace)
