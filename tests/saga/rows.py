"""The matrix: step x failure mode x undo outcome, each with what must be true at its end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from saga import Action, SagaState
from tests.saga.contracts import DO_ATTEMPTS, FOREVER, UNDO_ATTEMPTS, Mode, Plan
from tests.saga.ledger import KEPT, NEVER, UNDONE

STEPS = ("reserve", "book", "delegate", "capture", "commit", "confirm")
COMPENSATABLE = STEPS[:3]
PIVOT = STEPS[3]
MUSTS = STEPS[4:]
LADDER = (0.01, 0.02)
_TIMES_OUT = 1.0

DONE, BACK = SagaState.COMPLETED, SagaState.COMPENSATED
NOTE = "looked it up at the other side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How one step goes wrong, and what follows from it for that step.

    `answers` are what people say at the parked step, `sent` and `asked` the calls that arrive,
    `happened` whether the effect stands when the step is over, and `code` why it rolled back.
    """

    name: str
    do: Mode
    happened: bool
    ends: SagaState
    code: str = ""
    asks: bool = True
    unsure: bool = False
    answers: tuple[Action, ...] = ()
    heals: str = ""
    cancel: str = ""
    sent: int = 1
    asked: int = 0
    patience: float = 20


@dataclass(frozen=True, slots=True)
class UndoOutcome:
    """How the newest undo goes. `answer` is what a person says once it is parked."""

    name: str
    fails: int = 0
    answer: Action | None = None

    @property
    def calls(self) -> int:
        """How often the undo is sent."""
        again = 1 if self.answer is Action.RETRY else 0
        return min(self.fails, UNDO_ATTEMPTS - 1) + 1 + again


UNDO_OUTCOMES = (
    UndoOutcome("undo succeeds"),
    UndoOutcome("undo fails within its budget", UNDO_ATTEMPTS - 1),
    UndoOutcome("undo parked, RETRY", FOREVER, Action.RETRY),
    UndoOutcome("undo parked, MARK_DONE", FOREVER, Action.MARK_DONE),
    UndoOutcome("undo parked, SKIP", FOREVER, Action.SKIP),
)

_PARKED = {"unsure": True, "asked": len(LADDER)}
_ASKED_AGAIN = {"unsure": True, "asked": len(LADDER) + 1, "heals": "inquiry works"}

FAILS = Failure(name="fails before", do=Mode.FAILS, happened=False, ends=BACK, code="NO_STOCK")
BUG_AFTER = Failure(
    name="fails after",
    do=Mode.BUG_AFTER,
    happened=True,
    ends=BACK,
    code="ValueError",
    asks=False,
    sent=DO_ATTEMPTS,
)
BUG_BEFORE = replace(BUG_AFTER, name="bug before", do=Mode.BUG_BEFORE, happened=False)
TIMES_OUT = Failure(
    name="times out after",
    do=Mode.TIMES_OUT_AFTER,
    happened=True,
    ends=BACK,
    code="TIMEOUT_START_TO_CLOSE",
    asks=False,
    sent=DO_ATTEMPTS,
    patience=_TIMES_OUT,
)
DID_NOT_HAPPEN = Failure(
    name="unknown, did not happen",
    do=Mode.UNKNOWN_BEFORE,
    happened=False,
    ends=BACK,
    code="DID_NOT_HAPPEN",
    asked=1,
)
HAPPENED = Failure(
    name="unknown, happened", do=Mode.UNKNOWN_AFTER, happened=True, ends=DONE, asked=1
)
STILL_UNKNOWN = (
    Failure(
        name="still unknown after, RETRY",
        do=Mode.UNKNOWN_AFTER,
        happened=True,
        ends=DONE,
        answers=(Action.RETRY,),
        **_ASKED_AGAIN,  # type: ignore[arg-type]
    ),
    Failure(
        name="still unknown before, RETRY",
        do=Mode.UNKNOWN_BEFORE,
        happened=False,
        ends=BACK,
        code="DID_NOT_HAPPEN",
        answers=(Action.RETRY,),
        **_ASKED_AGAIN,  # type: ignore[arg-type]
    ),
    Failure(
        name="still unknown, MARK_DONE",
        do=Mode.UNKNOWN_AFTER,
        happened=True,
        ends=DONE,
        answers=(Action.MARK_DONE,),
        **_PARKED,  # type: ignore[arg-type]
    ),
    Failure(
        name="still unknown, SKIP",
        do=Mode.UNKNOWN_BEFORE,
        happened=False,
        ends=BACK,
        code="MARKED_NOT_DONE",
        answers=(Action.SKIP,),
        **_PARKED,  # type: ignore[arg-type]
    ),
)
CANCELLED = tuple(
    Failure(
        name=f"cancelled, {how}",
        do=Mode.WAITS,
        happened=True,
        ends=BACK,
        code="CANCELLED",
        cancel=how,
    )
    for how in ("natively", "by update")
)
CANCELLED_IN_VAIN = tuple(
    replace(failure, name=f"{failure.name}, too late", ends=DONE, code="") for failure in CANCELLED
)
CANCELLED_AND_FAILED = tuple(
    replace(
        failure,
        name=f"{failure.name}, fails",
        do=Mode.WAITS_THEN_FAILS,
        happened=False,
        code="NO_STOCK",
    )
    for failure in CANCELLED
)
MUST_FAILS = tuple(
    Failure(
        name=f"fails before, {answer}",
        do=Mode.FAILS,
        happened=answer is Action.RETRY,
        ends=DONE,
        answers=(answer,),
        heals="do works" if answer is Action.RETRY else "",
        sent=2 if answer is Action.RETRY else 1,
    )
    for answer in Action
)
MUST_LATE = tuple(
    replace(
        failure,
        name=f"{name}, {failure.answers[0]}",
        do=do,
        happened=True,
        sent=failure.sent - 1 + sent,
    )
    for name, do, sent in (
        ("fails after", Mode.BUG_AFTER, DO_ATTEMPTS),
        ("unknown after", Mode.UNKNOWN_AFTER, 1),
    )
    for failure in MUST_FAILS
)
FLAKY = Failure(
    name="fails within its budget", do=Mode.FLAKY, happened=True, ends=DONE, sent=DO_ATTEMPTS
)


@dataclass(frozen=True, slots=True)
class Row:
    """One saga of the matrix."""

    step: str
    failure: Failure
    undo: UndoOutcome = UNDO_OUTCOMES[0]

    @property
    def name(self) -> str:
        """What pytest calls it."""
        undo = f" - {self.undo.name}" if self.failure.ends is BACK else ""
        return f"{self.step}: {self.failure.name}{undo}"

    @property
    def registered(self) -> tuple[str, ...]:
        """The steps whose undo is registered when this one goes wrong, oldest first."""
        return COMPENSATABLE[: STEPS.index(self.step) + 1]

    @property
    def victim(self) -> str:
        """The step whose undo is scripted: the newest, so that it could hide the others."""
        return self.registered[-1]

    def plans(self) -> dict[str, Plan]:
        """The script of this row."""
        failing = Plan(do=self.failure.do, asks=self.failure.asks, unsure=self.failure.unsure)
        plans = {self.step: failing}
        # A saga that completes must not even try an undo: there they would all fail.
        victims = (self.victim,) if self.failure.ends is BACK else COMPENSATABLE
        fails = self.undo.fails if self.failure.ends is BACK else FOREVER
        for step in victims:
            plan = plans.get(step, Plan())
            plans[step] = plan.model_copy(update={"undo_fails": fails})
        return plans

    def effects(self) -> dict[str, str]:
        """The state of every effect at the end, nothing else having happened."""
        if self.failure.ends is DONE:
            return {step: KEPT for step in STEPS if step != self.step or self.failure.happened}
        effects = dict.fromkeys(self.registered, UNDONE)
        if self.step in effects and not self.failure.happened:
            effects[self.step] = NEVER
        if self.undo.answer in (Action.MARK_DONE, Action.SKIP):
            self._leave(effects)
        return effects

    def calls(self) -> Counter[tuple[str, str]]:
        """Every call that arrives in the outside world."""
        last = len(STEPS) if self.failure.ends is DONE else STEPS.index(self.step) + 1
        calls = Counter({(_sender(step), "do"): 1 for step in STEPS[:last]})
        calls[_sender(self.step), "do"] = self._sent()
        calls[self.step, "inquire"] = self.failure.asked
        if self.failure.ends is BACK:
            calls.update({(step, "undo"): 1 for step in self.registered})
            calls[self.victim, "undo"] = self.undo.calls
            calls["inner", "undo"] = int(self._child_rolls_back())
        return +calls

    def _sent(self) -> int:
        if self.step == "delegate" and self.failure.do is Mode.UNKNOWN_BEFORE:
            return 0
        return self.failure.sent

    def _child_rolls_back(self) -> bool:
        """Whether the delegated saga undoes its own step before its parent hears of it."""
        lost = self.failure.do in (Mode.UNKNOWN_BEFORE, Mode.UNKNOWN_AFTER)
        return self.step == "delegate" and not lost

    def _leave(self, effects: dict[str, str]) -> None:
        """Nobody undid the victim's effect, unless its own saga had done so already."""
        if self.victim == self.step and self._child_rolls_back():
            return
        if self.victim == self.step and not self.failure.happened:
            del effects[self.victim]
        else:
            effects[self.victim] = KEPT


def _sender(step: str) -> str:
    return "inner" if step == "delegate" else step


def _once(failure: Failure) -> Failure:
    """The same failure of the pivot, which is sent once and always asks."""
    return replace(failure, sent=1, asks=True)


def matrix() -> Iterator[Row]:
    """Every row."""
    rolls_back = (FAILS, BUG_AFTER, DID_NOT_HAPPEN, *STILL_UNKNOWN, *CANCELLED)
    for step in COMPENSATABLE:
        yield from _rows(step, rolls_back, UNDO_OUTCOMES)
        yield from _rows(step, (HAPPENED, BUG_BEFORE, *CANCELLED_AND_FAILED), UNDO_OUTCOMES[:1])
    for step in COMPENSATABLE[:2]:
        yield Row(step, TIMES_OUT)
    late = (replace(BUG_AFTER, ends=DONE, code="", asked=1), replace(TIMES_OUT, ends=DONE, asked=1))
    bug = replace(BUG_BEFORE, code="DID_NOT_HAPPEN", asked=1)
    pivot_rolls_back = (FAILS, _once(bug), DID_NOT_HAPPEN, *STILL_UNKNOWN, *CANCELLED_AND_FAILED)
    yield from _rows(PIVOT, pivot_rolls_back, UNDO_OUTCOMES)
    yield from _rows(PIVOT, (HAPPENED, *map(_once, late), *CANCELLED_IN_VAIN), UNDO_OUTCOMES[:1])
    for step in MUSTS:
        must = (*MUST_FAILS, *MUST_LATE, FLAKY, *CANCELLED_IN_VAIN)
        yield from _rows(step, must, UNDO_OUTCOMES[:1])


def _rows(
    step: str, failures: tuple[Failure, ...], undos: tuple[UndoOutcome, ...]
) -> Iterator[Row]:
    for failure in failures:
        for undo in undos if failure.ends is BACK else undos[:1]:
            yield Row(step, failure, undo)
