"""The tests' own business: six scripted steps, and the references by which sagas call them."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from temporalio.common import RetryPolicy

from saga import ActivityRef, Inquiry, Recording, Undo, WorkflowRef, activity_ref

QUEUE = "saga-tests"
FOREVER = 1_000_000
UNDO_ATTEMPTS = 3
DO_ATTEMPTS = 3


class Mode(StrEnum):
    """What a step's activity does with its effect, and how it answers."""

    OK = "OK"
    FAILS = "FAILS"
    UNKNOWN_BEFORE = "UNKNOWN_BEFORE"
    UNKNOWN_AFTER = "UNKNOWN_AFTER"
    TIMES_OUT_AFTER = "TIMES_OUT_AFTER"
    BUG_BEFORE = "BUG_BEFORE"
    BUG_AFTER = "BUG_AFTER"
    FLAKY = "FLAKY"
    LOST_ONCE = "LOST_ONCE"
    WAITS = "WAITS"
    WAITS_THEN_FAILS = "WAITS_THEN_FAILS"
    HANGS_BEFORE = "HANGS_BEFORE"
    HANGS_AFTER = "HANGS_AFTER"


class Contract(BaseModel):
    """A value that crosses a process boundary."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(Contract):
    """The script of one step. `undo_fails` counts the attempts that fail until it is healed."""

    do: Mode = Mode.OK
    asks: bool = True
    unsure: bool = False
    undo: Mode = Mode.OK
    undo_fails: int = 0


class Order(Contract):
    """The input of every scripted activity."""

    run: str
    step: str
    plan: Plan = Plan()
    patience: float = 20


class Receipt(Contract):
    """The output of every scripted action."""

    step: str
    number: int


class Script(Contract):
    """The input of a scripted saga. `patience`: seconds one attempt may take."""

    run: str
    plans: dict[str, Plan] = {}
    patience: float = 20
    ladder: tuple[float, ...] = (0.01, 0.02)

    def plan(self, step: str) -> Plan:
        """The script of one step."""
        return self.plans.get(step, Plan())

    def order(self, step: str) -> Order:
        """The input of one step."""
        return Order(run=self.run, step=step, plan=self.plan(step), patience=self.patience)


class SceneScript(Script):
    """The input of a small saga. `word` chooses among the variants of a scene."""

    scene: str
    word: str = ""


def _retry(attempts: int) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(milliseconds=10),
        backoff_coefficient=1.0,
        maximum_attempts=attempts,
    )


_BUDGET: dict[str, Any] = {
    "start_to_close": timedelta(seconds=20),
    "schedule_to_close": timedelta(seconds=60),
}
_SENT: dict[str, Any] = {**_BUDGET, "retry": _retry(DO_ATTEMPTS)}
_UNDONE: dict[str, Any] = {**_BUDGET, "retry": _retry(UNDO_ATTEMPTS)}
_ONCE: dict[str, Any] = {**_BUDGET, "retry": _retry(1), "task_queue": QUEUE}

DO = activity_ref("test.do", Order, Receipt, task_queue=QUEUE, **_SENT)
DO_LOCALLY = activity_ref("test.do", Order, Receipt, local=True, **_SENT)
DO_ONCE = activity_ref("test.do", Order, Receipt, **_ONCE)
UNDO = activity_ref("test.undo", Undo[Order, Receipt], None, task_queue=QUEUE, **_UNDONE)
UNDO_LOCALLY = activity_ref("test.undo", Undo[Order, Receipt], None, local=True, **_UNDONE)
UNDO_DELEGATED = activity_ref(
    "test.undo_delegated", Undo[Order, Receipt], None, task_queue=QUEUE, **_UNDONE
)
FIND = activity_ref("test.find", Order, Inquiry[Receipt], task_queue=QUEUE, **_SENT)
FIND_DELEGATED = activity_ref(
    "test.find_delegated", Order, Inquiry[Receipt], task_queue=QUEUE, **_SENT
)
RECORD = activity_ref(
    "test.record",
    Recording,
    None,
    local=True,
    start_to_close=timedelta(seconds=5),
    schedule_to_close=timedelta(seconds=5),
    retry=_retry(2),
)


def delegated_id(order: Order) -> str:
    """The ID of the saga that a step hands an order to."""
    return f"delegated:{order.run}"


DELEGATE: WorkflowRef[Order, Receipt] = WorkflowRef(
    name="DelegatedSaga", takes=Order, returns=Receipt, id_of=delegated_id, kind="delegated"
)


def patient(ref: ActivityRef[Any, Any], script: Script | Order) -> ActivityRef[Any, Any]:
    """The same reference, with the script's bound on one attempt."""
    return replace(ref, start_to_close=timedelta(seconds=script.patience))


# The runs whose body has a defect, which a test plants and mends while the workflow hangs.
defects: set[str] = set()
