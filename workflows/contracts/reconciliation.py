"""Holding what a PSP settled against our ledger, a day at a time."""

from datetime import date, timedelta
from typing import Any

from pydantic import Field
from temporalio.common import RetryPolicy

from saga import activity_ref
from workflows.contracts.base import Contract
from workflows.contracts.ids import PAYMENTS, UPKEEP

WORKFLOW = "ReconciliationSaga"


class ReconciliationTimings(Contract):
    """How long to wait, in seconds, between looks for a report that is not there yet.

    Then a person is asked. The usual waits end the same afternoon.
    """

    report: tuple[float, ...] = (300, 900, 3600, 7200, 14400)


class ReconcileDay(Contract):
    """Read what a PSP settled up to an Indian day, and compare it as on that day."""

    psp: str
    day: date
    timings: ReconciliationTimings = ReconciliationTimings()


class DueRound(Contract):
    """A scheduled round over one PSP.

    `of_today`: the present day, again and again; else the day before, once it is over.
    """

    psp: str
    of_today: bool = False
    timings: ReconciliationTimings = ReconciliationTimings()


class DaysToRead(Contract):
    """The days whose reports are to be read, oldest first."""

    days: list[date]


class ReadDay(Contract):
    """Read one day's report; on the `last_try` it has to be there."""

    psp: str
    day: date
    last_try: bool = False


class DayRead(Contract):
    """What a report had; when not `ready` it was not to be had, for the reason `code`."""

    ready: bool
    code: str = ""
    lines: int = 0
    new: int = 0
    changed: int = 0


class Reconciled(Contract):
    """What was compared: findings by outcome, and what became of the cases of differences."""

    psp: str
    day: date
    found: dict[str, int] = Field(default_factory=dict)
    opened: int = 0
    closed: int = 0


_PATIENT = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=10),
)
# The sum of a saga's silence: support takes one that says nothing for longer as stuck.
_BUDGET: dict[str, Any] = {"schedule_to_close": timedelta(minutes=3), "retry": _PATIENT}

DAYS = activity_ref(
    "reconciliation.days",
    ReconcileDay,
    DaysToRead,
    task_queue=UPKEEP,
    start_to_close=timedelta(seconds=10),
    **_BUDGET,
)
# Lines are stored as they are read, so that a heartbeat is soon, and a lost worker is noticed.
READ = activity_ref(
    "reconciliation.read",
    ReadDay,
    DayRead,
    task_queue=PAYMENTS,
    start_to_close=timedelta(minutes=2),
    heartbeat=timedelta(seconds=10),
    **_BUDGET,
)
# A comparison of twenty thousand lines takes three seconds; one that takes ten times as long has
# lost its worker.
COMPARE = activity_ref(
    "reconciliation.compare",
    ReconcileDay,
    Reconciled,
    task_queue=UPKEEP,
    start_to_close=timedelta(seconds=30),
    **_BUDGET,
)
