"""Small sagas, each about one rule of the engine."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow

from saga import NothingToUndo, Refused, RolledBack, Saga, SagaWorkflow, StepFailed, Verdict
from tests.saga.contracts import (
    DO,
    DO_LOCALLY,
    DO_ONCE,
    FIND,
    RECORD,
    UNDO,
    UNDO_LOCALLY,
    Receipt,
    SceneScript,
    defects,
)

SOON = timedelta(seconds=0.1)
LONG = timedelta(seconds=90)
OPTIONS = ("ACCEPT", "REJECT")


@workflow.defn(name="SceneSaga")
class SceneSaga(SagaWorkflow):
    """Plays the scene that its input names; hears words by signal."""

    kind = "scene"
    recorder = RECORD

    @workflow.init
    def __init__(self, script: SceneScript) -> None:
        super().__init__()
        self.heard: list[str] = []

    @workflow.run
    async def run(self, script: SceneScript) -> Any:
        """Return what the scene came to."""
        try:
            async with self.saga as saga:
                saga.about(script.run, "customer")
                answer = await _SCENES[script.scene](self, saga, script)
        except RolledBack as ended:
            raise await self.drained(ended) from None
        return await self.drained(answer)

    @workflow.signal
    def hear(self, word: str) -> None:
        """Hear a word."""
        self.heard.append(word)


Scene = Callable[[SceneSaga, Saga, SceneScript], Awaitable[Any]]


async def _step(saga: Saga, script: SceneScript, name: str, **more: Any) -> Receipt:
    receipt: Receipt = await saga.step(name, DO, script.order(name), undo=UNDO, **more)
    return receipt


async def _pivot(saga: Saga, script: SceneScript, name: str) -> None:
    await saga.pivot(name, DO_ONCE, script.order(name), inquire=FIND, ladder=script.ladder)


async def _together(_: SceneSaga, saga: Saga, script: SceneScript) -> list[str]:
    await _step(saga, script, "first")
    asks = {"inquire": FIND, "ladder": script.ladder}
    left, right = await saga.together(
        _step(saga, script, "left", **asks), _step(saga, script, "right", **asks)
    )
    if script.word == "rest":
        await _step(saga, script, "last")
    return [left.step, right.step]


async def _together_with_a_bug(_: SceneSaga, saga: Saga, script: SceneScript) -> list[str]:
    async def buggy() -> str:
        if script.run in defects:
            raise ValueError("a bug beside a step")
        return "mended"

    left, right = await saga.together(_step(saga, script, "left"), buggy())
    return [left.step, right]


async def _ask(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    await _step(saga, script, "reserve")
    answer = await saga.decide(
        "review",
        "RISK_HOLD",
        "score 71",
        options=OPTIONS,
        timeout=SOON if script.word == "soon" else LONG,
    )
    if answer is None:
        return "nobody answered"
    if answer.action == "REJECT":
        raise Refused("REJECTED", answer.note)
    return f"{answer.actor}: {answer.action}"


async def _wait(me: SceneSaga, saga: Saga, script: SceneScript) -> bool:
    await _step(saga, script, "reserve")
    if script.word == "after the pivot":
        await _pivot(saga, script, "capture")
    timeout = SOON if script.word == "soon" else LONG
    return await saga.wait("the parcel", lambda: "arrived" in me.heard, timeout)


async def _rounds(me: SceneSaga, saga: Saga, script: SceneScript) -> int:
    rounds = 0
    with saga.waiting("the customer"):
        while "paid" not in me.heard:
            rounds += 1
            await saga.until(lambda: "paid" in me.heard, timedelta(seconds=0.05))
    return rounds


async def _swallow_sleep(me: SceneSaga, saga: Saga, script: SceneScript) -> str:
    await _step(saga, script, "reserve")
    with suppress(BaseException):
        await asyncio.sleep(LONG.total_seconds())
    me.heard.append("swallowed")
    if script.word != "ends here":
        await _step(saga, script, "book")
    return "went on"


async def _swallow_step(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    with suppress(Exception):
        await _step(saga, script, "reserve")
    await _step(saga, script, "book")
    return "went on"


async def _bug(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    await _step(saga, script, "reserve")
    if script.run in defects:
        raise ValueError("a bug in the body")
    await _step(saga, script, "book")
    return "mended"


async def _second_pivot(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await _pivot(saga, script, "capture")
    await _pivot(saga, script, "capture again")


async def _second_point_of_no_return(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await _pivot(saga, script, "capture")
    saga.go_forward("shipped")


async def _step_after_pivot(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await _pivot(saga, script, "capture")
    await _step(saga, script, "reserve")


async def _must_before_pivot(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await saga.must("commit", DO, script.order("commit"))


async def _same_name(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await _step(saga, script, "reserve")
    await _step(saga, script, "reserve")


async def _refused_after_pivot(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await _step(saga, script, "reserve")
    await _pivot(saga, script, "capture")
    raise Refused("TOO_LATE", "a no that comes too late")


async def _undo_of_nothing(_: SceneSaga, saga: Saga, script: SceneScript) -> None:
    await saga.step("look", DO, script.order("look"), undo=NothingToUndo("it only reads"))
    await saga.undo_now("look", "GOING_ELSEWHERE", "another way")


async def _failover(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    await _step(saga, script, "reserve")
    for provider in ("alpha", "beta"):
        name = f"authorise via {provider}"
        try:
            receipt = await _step(saga, script, name, scope=provider)
        except StepFailed as failed:
            await saga.undo_now(name, "GOING_ELSEWHERE", failed.code)
        else:
            await _pivot(saga, script, "capture")
            return receipt.step
    raise Refused("NO_PROVIDER", "nobody takes the money")


async def _resend(_: SceneSaga, saga: Saga, script: SceneScript) -> int:
    receipt = await _step(
        saga, script, "authorise", inquire=FIND, resend=True, scope="alpha", ladder=script.ladder
    )
    return receipt.number


async def _money(_: SceneSaga, saga: Saga, script: SceneScript) -> int:
    receipt = await _step(
        saga,
        script,
        "authorise",
        inquire=FIND,
        money=True,
        ladder=script.ladder,
        park_as="AUTHORISATION_UNKNOWN",
    )
    if script.word == "refuse":
        raise Refused("CHANGED", "not wanted after all")
    return receipt.number


async def _reads(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    found = await saga.look("look", FIND, script.order("look"))
    saga.note("look", "LOOKED", "nothing there")
    nothing = await saga.look("look in vain", DO_ONCE, script.order("look in vain"))
    assert found is not None
    assert nothing is None
    return Verdict(found.verdict)


async def _forward(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    await _step(saga, script, "reserve")
    saga.go_forward("the parcel has left")
    await saga.must("confirm", DO, script.order("confirm"))
    return "confirmed"


async def _three_local(_: SceneSaga, saga: Saga, script: SceneScript) -> str:
    for name in ("one", "two", "three"):
        await saga.step(name, DO_LOCALLY, script.order(name), undo=UNDO_LOCALLY)
    raise Refused("NO", "the rules say no")


_SCENES: dict[str, Scene] = {
    "together": _together,
    "together with a bug": _together_with_a_bug,
    "ask": _ask,
    "wait": _wait,
    "rounds": _rounds,
    "swallow sleep": _swallow_sleep,
    "swallow step": _swallow_step,
    "bug": _bug,
    "second pivot": _second_pivot,
    "second point of no return": _second_point_of_no_return,
    "step after pivot": _step_after_pivot,
    "must before pivot": _must_before_pivot,
    "same name": _same_name,
    "refused after pivot": _refused_after_pivot,
    "undo of nothing": _undo_of_nothing,
    "failover": _failover,
    "resend": _resend,
    "money": _money,
    "reads": _reads,
    "forward": _forward,
    "three local": _three_local,
}
