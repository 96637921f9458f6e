"""The worker processes: sagas with their database steps, and calls to other companies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.orders.activities import OrderActivities
from activities.payments.attempts import AttemptActivities
from activities.payments.health import LiveHealth, follow_downtimes
from activities.payments.provider import Providers
from activities.payments.refunding import RefundActivities
from activities.payments.settling import PaymentActivities
from activities.reconciliation.activities import ReconciliationActivities
from activities.risk.activities import RiskActivities
from activities.sagas.activities import SagaActivities
from activities.stock.activities import StockActivities
from workers import connections
from workers.config import Lifetime, WorkerConfig
from workers.schedules import ensure_schedules
from workflows.checkout import CheckoutSaga
from workflows.contracts.ids import PAYMENTS, SAGAS, UPKEEP, checkout_id
from workflows.late_payment import LatePaymentWatch
from workflows.payment import PaymentSaga
from workflows.reconciliation import ReconciliationDue, ReconciliationSaga
from workflows.refund import RefundSaga
from workflows.sweep import SweepReservations

WORKFLOWS: Sequence[type] = (
    CheckoutSaga,
    PaymentSaga,
    LatePaymentWatch,
    RefundSaga,
    ReconciliationSaga,
    ReconciliationDue,
    SweepReservations,
)
_GRACE = timedelta(seconds=5)
_STICKY = timedelta(seconds=1)
_PASSED_THROUGH = (
    "saga",
    "domain",
    "workflows.contracts",
    "pydantic",
    "pydantic_core",
    "annotated_types",
)


async def run_workflows(config: WorkerConfig, life: Lifetime) -> None:
    """Run sagas, and in the same process their steps that are one database transaction each."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connections.database(config, "workflows"))
        redis = await stack.enter_async_context(connections.redis(config))
        psps = await stack.enter_async_context(connections.providers(config))
        client = await connections.temporal_client(config)
        await ensure_schedules(client, config)
        orders = OrderActivities(database)
        stock = StockActivities(database, _saga_is_open(client))
        health = LiveHealth(connections.payment_health(config, redis))
        payments = PaymentActivities(Providers(database, psps), config.routes, health)
        refunds = RefundActivities(Providers(database, psps))
        worker = Worker(
            client,
            task_queue=SAGAS,
            workflows=WORKFLOWS,
            activities=[
                orders.open,
                orders.cancel,
                orders.mark,
                orders.confirm,
                stock.reserve,
                stock.release,
                stock.commit,
                payments.open,
                payments.abandon,
                refunds.reserve,
                refunds.release,
                refunds.close,
                RiskActivities(database, redis).score,
                SagaActivities(database).record,
            ],
            workflow_runner=workflow_runner(config.sandboxed),
            max_concurrent_workflow_tasks=config.at_once,
            max_concurrent_local_activities=config.at_once,
            max_cached_workflows=1000,
            # A killed worker's sagas are another's after this, not after the default's 10 s.
            sticky_queue_schedule_to_start_timeout=_STICKY,
            graceful_shutdown_timeout=_GRACE,
        )
        await _run([worker], life)


async def run_activities(config: WorkerConfig, life: Lifetime) -> None:
    """Run what talks to PSPs, and upkeep."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connections.database(config, "activities"))
        redis = await stack.enter_async_context(connections.redis(config))
        psps = await stack.enter_async_context(connections.providers(config))
        client = await connections.temporal_client(config)
        providers = Providers(database, psps)
        store = connections.payment_health(config, redis)
        attempts = AttemptActivities(providers, LiveHealth(store), config.shop_url)
        payments = PaymentActivities(providers, config.routes)
        refunds = RefundActivities(providers)
        reconciliation = ReconciliationActivities(database, psps)
        outward = Worker(
            client,
            task_queue=PAYMENTS,
            activities=[
                attempts.authorise,
                attempts.find,
                attempts.look,
                attempts.void,
                attempts.return_late,
                payments.capture,
                payments.find_capture,
                payments.find_payment,
                payments.give_back,
                refunds.send,
                refunds.look,
                refunds.book,
                reconciliation.read,
            ],
            max_concurrent_activities=config.at_once,
            graceful_shutdown_timeout=_GRACE,
        )
        upkeep = Worker(
            client,
            task_queue=UPKEEP,
            activities=[
                StockActivities(database, _saga_is_open(client)).sweep,
                reconciliation.days,
                reconciliation.compare,
            ],
            max_concurrent_activities=4,
            graceful_shutdown_timeout=_GRACE,
        )
        if store is not None:
            feeds = follow_downtimes(psps, store, config.downtimes_every)
            await stack.enter_async_context(_beside(feeds))
        await _run([outward, upkeep], life)


def workflow_runner(sandboxed: bool) -> WorkflowRunner:
    """Temporal's sandbox, with what is ours and pure passed through; or none, for speed."""
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


async def _run(workers: Sequence[Worker], life: Lifetime) -> None:
    async with AsyncExitStack() as running:
        for worker in workers:
            await running.enter_async_context(worker)
        life.ready()
        await life.stop.wait()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep at something that does not end by itself, while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _saga_is_open(client: Client) -> Callable[[str], Any]:
    async def is_open(order_id: str) -> bool:
        try:
            found = await client.get_workflow_handle(checkout_id(order_id)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status is WorkflowExecutionStatus.RUNNING

    return is_open
