"""Activities that do what the script of their step says."""

import asyncio
from collections.abc import Callable
from typing import Any

from saga import (
    Call,
    EventKind,
    Inquiry,
    OutcomeUnknown,
    Recording,
    StepFailed,
    Undo,
    Verdict,
    implements,
)
from tests.saga.contracts import (
    DO,
    DO_ATTEMPTS,
    FIND,
    FIND_DELEGATED,
    RECORD,
    UNDO,
    UNDO_DELEGATED,
    Mode,
    Order,
    Receipt,
)
from tests.saga.ledger import EVERY_RUN, Ledger, eventually

_LONG = 3600
# Longer than the part of a 2 s workflow task after which the SDK sends a heartbeat.
_SLOW = 2
_EFFECT_FIRST = (
    Mode.UNKNOWN_AFTER,
    Mode.TIMES_OUT_AFTER,
    Mode.BUG_AFTER,
    Mode.LOST_ONCE,
    Mode.HANGS_AFTER,
)


class Activities:
    """The scripted activities over one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def all(self) -> list[Callable[..., Any]]:
        """Everything a worker has to register."""
        return [
            self.do,
            self.undo,
            self.undo_delegated,
            self.find,
            self.find_delegated,
            self.record,
        ]

    @implements(DO)
    async def do(self, order: Order, call: Call) -> Receipt:
        """Take effect, or not, and answer, or not."""
        calls = self._ledger.called(order.run, "do", call)
        mode = Mode.OK if self._ledger.allows(order.run, "do works") else order.plan.do
        if mode in _EFFECT_FIRST:
            self._take_effect(order, call)
        await self._before_answering(mode, order, calls)
        self._take_effect(order, call)
        return Receipt(step=order.step, number=len(order.run))

    @implements(UNDO)
    async def undo(self, undo: Undo[Order, Receipt], call: Call) -> None:
        """Take back what the action's own key did."""
        await self._undo(undo, call, call.do_key)

    @implements(UNDO_DELEGATED)
    async def undo_delegated(self, undo: Undo[Order, Receipt], call: Call) -> None:
        """Take back what another saga did for this step, under a key of its own."""
        order = undo.input
        await self._undo(undo, call, self._ledger.key_of(order.run, order.step) or call.do_key)

    @implements(FIND)
    async def find(self, order: Order, call: Call) -> Inquiry[Receipt]:
        """Say what became of the action, by the action's key."""
        return self._find(order, call, call.do_key)

    @implements(FIND_DELEGATED)
    async def find_delegated(self, order: Order, call: Call) -> Inquiry[Receipt]:
        """Say what became of what another saga was to do."""
        return self._find(order, call, self._ledger.key_of(order.run, order.step) or "none")

    @implements(RECORD)
    async def record(self, batch: Recording, call: Call) -> None:
        """Project a batch. Scripted per saga: lost before or after it was stored, until healed."""
        run = batch.saga_id
        self._ledger.called(run, "record", call)
        healed = self._ledger.allows(run, "recorder works")
        if self._ledger.allows(run, "recorder down") and not healed:
            raise ConnectionError("the database is down")
        parked = any(event.kind is EventKind.PARKED for event in batch.events)
        if parked and self._ledger.allows(run, "recorder slow"):
            await asyncio.sleep(_SLOW)
        self._ledger.record(batch)
        if self._ledger.allows(run, "answers lost") and not healed:
            raise ConnectionError("the answer was lost")

    def _take_effect(self, order: Order, call: Call) -> None:
        if not self._ledger.do(order.run, order.step, call.key):
            raise StepFailed("UNDONE_BEFORE", "an undo came first")

    async def _before_answering(self, mode: Mode, order: Order, calls: int) -> None:
        match mode:
            case Mode.FAILS:
                raise StepFailed("NO_STOCK", "nothing left")
            case Mode.UNKNOWN_BEFORE | Mode.UNKNOWN_AFTER:
                raise OutcomeUnknown("READ_TIMEOUT", "no answer was read")
            case Mode.BUG_BEFORE | Mode.BUG_AFTER:
                raise ValueError("a bug in the activity")
            case Mode.TIMES_OUT_AFTER:
                await asyncio.sleep(order.patience * 1.5)
            case Mode.FLAKY:
                if calls < DO_ATTEMPTS:
                    raise ConnectionError("try again")
            case Mode.LOST_ONCE:
                if calls == 1:
                    raise OutcomeUnknown("READ_TIMEOUT", "no answer was read")
            case Mode.WAITS | Mode.WAITS_THEN_FAILS:
                await self._gate(order.run)
                if mode is Mode.WAITS_THEN_FAILS:
                    raise StepFailed("NO_STOCK", "nothing left")
            case Mode.HANGS_BEFORE | Mode.HANGS_AFTER:
                await self._hang()
            case Mode.OK:
                pass

    async def _undo(self, undo: Undo[Order, Receipt], call: Call, do_key: str) -> None:
        order = undo.input
        calls = self._ledger.called(order.run, "undo", call)
        self._ledger.tell(order.run, call, undo.output, undo.code, undo.message)
        healed = self._ledger.allows(order.run, "undo works")
        # Only the saga that the script is about fails its undos, not one it delegates to.
        if calls <= order.plan.undo_fails and not healed and call.step == order.step:
            raise RuntimeError("the undo is broken")
        mode = order.plan.undo
        if mode is Mode.HANGS_AFTER:
            self._ledger.undo(order.run, order.step, do_key)
        if mode is Mode.WAITS:
            await self._gate(order.run)
        if mode in (Mode.HANGS_BEFORE, Mode.HANGS_AFTER):
            await self._hang()
        self._ledger.undo(order.run, order.step, do_key)

    def _find(self, order: Order, call: Call, do_key: str) -> Inquiry[Receipt]:
        self._ledger.called(order.run, "inquire", call)
        if order.plan.unsure and not self._ledger.allows(order.run, "inquiry works"):
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, code="NOT_YET", message="ask later")
        if not self._ledger.happened(do_key):
            return Inquiry(verdict=Verdict.DID_NOT_HAPPEN)
        receipt = Receipt(step=order.step, number=len(order.run))
        return Inquiry(verdict=Verdict.HAPPENED, output=receipt)

    async def _hang(self) -> None:
        if not self._ledger.allows(EVERY_RUN, "revived"):
            await asyncio.sleep(_LONG)

    async def _gate(self, run: str) -> None:
        await eventually(lambda: self._ledger.allows(run, "go"), f"the gate of {run}")
