"""The saga of the matrix: every kind of step once, in the order of a checkout."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from saga import ActivityRef, Inquiry, RolledBack, Saga, SagaWorkflow
from tests.saga.contracts import (
    DELEGATE,
    DO,
    DO_LOCALLY,
    DO_ONCE,
    FIND,
    FIND_DELEGATED,
    RECORD,
    UNDO,
    UNDO_DELEGATED,
    UNDO_LOCALLY,
    Mode,
    Order,
    Receipt,
    Script,
    patient,
)


@workflow.defn(name="MatrixSaga")
class MatrixSaga(SagaWorkflow):
    """Reserve (local), book (regular), delegate (child), capture (pivot), commit, confirm."""

    kind = "matrix"
    recorder = RECORD

    @workflow.run
    async def run(self, script: Script) -> list[Receipt | None]:
        """Return each step's answer."""
        try:
            async with self.saga as saga:
                answers = await _play(saga, script)
        except RolledBack as ended:
            raise await self.drained(ended) from None
        return await self.drained(answers)


async def _play(saga: Saga, script: Script) -> list[Receipt | None]:
    saga.about(script.run, "customer")
    reserved: Receipt = await saga.step(
        "reserve",
        patient(DO_LOCALLY, script),
        script.order("reserve"),
        undo=UNDO_LOCALLY,
        inquire=_asks(script, "reserve", FIND),
        ladder=script.ladder,
    )
    booked: Receipt = await saga.step(
        "book",
        patient(DO, script),
        script.order("book"),
        undo=patient(UNDO, script),
        inquire=_asks(script, "book", FIND),
        ladder=script.ladder,
    )
    delegated = await saga.step(
        "delegate",
        DELEGATE,
        script.order("delegate"),
        undo=patient(UNDO_DELEGATED, script),
        inquire=_asks(script, "delegate", FIND_DELEGATED),
        ladder=script.ladder,
    )
    captured: Receipt = await saga.pivot(
        "capture",
        patient(DO_ONCE, script),
        script.order("capture"),
        inquire=FIND,
        ladder=script.ladder,
    )
    committed = await saga.must("commit", patient(DO_LOCALLY, script), script.order("commit"))
    confirmed = await saga.must("confirm", patient(DO, script), script.order("confirm"))
    return [reserved, booked, delegated, captured, committed, confirmed]


def _asks(
    script: Script, step: str, inquiry: ActivityRef[Order, Inquiry[Receipt]]
) -> ActivityRef[Order, Inquiry[Receipt]] | None:
    return inquiry if script.plan(step).asks else None


@workflow.defn(name="DelegatedSaga")
class DelegatedSaga(SagaWorkflow):
    """One step done for another saga; the script says how its end looks from outside."""

    kind = "delegated"

    @workflow.run
    async def run(self, order: Order) -> Receipt:
        """Return the step's answer, or fail in a way that proves nothing."""
        if order.plan.do is Mode.UNKNOWN_BEFORE:
            raise ApplicationError("no answer was read", "READ_TIMEOUT", type="READ_TIMEOUT")
        lost = order.plan.do is Mode.UNKNOWN_AFTER
        inner = order.plan.model_copy(update={"do": Mode.OK}) if lost else order.plan
        try:
            receipt: Any = await self._do(order.model_copy(update={"plan": inner}))
        except RolledBack as ended:
            raise await self.drained(ended) from None
        if lost:
            raise ApplicationError("no answer was read", "READ_TIMEOUT", type="READ_TIMEOUT")
        return await self.drained(receipt)

    async def _do(self, order: Order) -> Any:
        async with self.saga as saga:
            return await saga.step("inner", patient(DO, order), order, undo=UNDO)
