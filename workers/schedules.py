"""The schedules that must exist, made or brought up to date when a worker starts."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.payments.registry import PROVIDERS
from workers.config import WorkerConfig
from workflows.contracts.ids import RECONCILIATION_DUE, SAGAS, SWEEP
from workflows.contracts.reconciliation import DueRound

# 06:00 in India, when the reports of the day before are complete.
_MORNING = ScheduleCalendarSpec(hour=[ScheduleRange(0)], minute=[ScheduleRange(30)])
# A morning that was missed is made up for until the next one, which reads older days that were
# missed by itself: more would only start a crowd of rounds after a long outage.
_UNTIL_NEXT_MORNING = timedelta(hours=23)


async def ensure_schedules(client: Client, config: WorkerConfig) -> None:
    """Have reservations swept, and each PSP that has a settlement report reconciled."""
    await _ensure(client, SWEEP, _sweep(config))
    for name, provider in PROVIDERS.items():
        schedule_id = f"{RECONCILIATION_DUE}:{name}"
        if name in config.providers and provider.load().caps.settlements:
            await _ensure(client, schedule_id, _reconciliation(name, config))
        else:
            await _remove(client, schedule_id)


def _sweep(config: WorkerConfig) -> Schedule:
    """A round that was missed is not caught up: the next one does all."""
    return Schedule(
        action=ScheduleActionStartWorkflow(SWEEP, id=SWEEP, task_queue=SAGAS),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=timedelta(seconds=config.sweep_every))]
        ),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)
        ),
    )


def _reconciliation(psp: str, config: WorkerConfig) -> Schedule:
    """Each morning the day before; or, at a quicker pace, the present day again and again."""
    every = config.reconcile_every
    due = DueRound(psp=psp, of_today=every is not None, timings=config.reports)
    spec = (
        ScheduleSpec(calendars=[_MORNING])
        if every is None
        else ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=every))])
    )
    catch_up = _UNTIL_NEXT_MORNING if every is None else timedelta(seconds=10)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RECONCILIATION_DUE, due, id=f"{RECONCILIATION_DUE}:{psp}", task_queue=SAGAS
        ),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=catch_up),
    )


async def _ensure(client: Client, schedule_id: str, wanted: Schedule) -> None:
    async def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=wanted)

    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(replace)


async def _remove(client: Client, schedule_id: str) -> None:
    """A PSP that is configured no longer would only park a saga each morning."""
    try:
        await client.get_schedule_handle(schedule_id).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
