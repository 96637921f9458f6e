"""What a reader sees: the timeline, its words, Temporal's own attributes."""

from datetime import UTC, datetime

import pytest

from saga import (
    ORDER_ID,
    SAGA_KIND,
    SAGA_STATE,
    Action,
    Event,
    EventKind,
    SagaState,
    search_attributes,
)
from tests.saga.contracts import FOREVER, Mode, Plan
from tests.saga.driver import Handle, look, resolve, until_parked
from tests.saga.stage import Stage, completed, rolled_back

WAITS = Plan(do=Mode.WAITS)


async def _attributes(handle: Handle) -> tuple[str | None, str | None, str | None]:
    shown = (await handle.describe()).typed_search_attributes
    return shown.get(SAGA_KIND), shown.get(SAGA_STATE), shown.get(ORDER_ID)


async def test_the_timeline_of_a_saga_that_sells(stage: Stage) -> None:
    end = await completed(await stage.matrix())
    assert end.kinds == [
        "SAGA_STARTED",
        "STEP_STARTED reserve",
        "STEP_DONE reserve",
        "STEP_STARTED book",
        "STEP_DONE book",
        "STEP_STARTED delegate",
        "STEP_DONE delegate",
        "STEP_STARTED capture",
        "STEP_DONE capture",
        "PIVOT_PASSED capture",
        "STEP_STARTED commit",
        "STEP_DONE commit",
        "STEP_STARTED confirm",
        "STEP_DONE confirm",
        "SAGA_COMPLETED",
    ]
    assert (end.view.saga_id, end.view.kind, end.view.subject) == (stage.run, "matrix", stage.run)
    assert all(event.at.tzinfo is not None for event in end.view.events)
    assert [e.at for e in end.view.events] == sorted(e.at for e in end.view.events)


async def test_the_timeline_of_a_saga_that_rolls_back(stage: Stage) -> None:
    handle = await stage.matrix(book=Plan(undo_fails=FOREVER), capture=Plan(do=Mode.FAILS))
    await until_parked(handle, "book")
    stage.ledger.allow(stage.run, "undo works")
    await resolve(handle, "book", Action.RETRY)
    end = await rolled_back(handle)
    assert end.kinds[7:] == [
        "STEP_STARTED capture",
        "STEP_FAILED capture",
        "COMPENSATING capture",
        "UNDO_STARTED delegate",
        "UNDONE delegate",
        "UNDO_STARTED book",
        "UNDO_FAILED book",
        "UNDO_STARTED reserve",
        "UNDONE reserve",
        "PARKED book",
        "RESOLVED book",
        "UNDO_STARTED book",
        "UNDONE book",
        "SAGA_COMPENSATED",
    ]


async def test_the_timeline_of_an_unknown_pivot(stage: Stage) -> None:
    handle = await stage.matrix(capture=Plan(do=Mode.UNKNOWN_AFTER))
    end = await completed(handle)
    assert end.kinds[7:12] == [
        "STEP_STARTED capture",
        "STEP_UNKNOWN capture",
        "STEP_INQUIRED capture",
        "STEP_DONE capture",
        "PIVOT_PASSED capture",
    ]


async def test_the_view_of_a_saga_under_way(stage: Stage) -> None:
    handle = await stage.matrix(book=WAITS)
    await stage.ledger.until_called(stage.run, "book")
    view = await look(handle)
    assert (view.state, view.pivot_passed, view.parked) == (SagaState.RUNNING, False, [])
    # The undo of what is in flight is registered already.
    assert view.to_undo == ["book", "reserve"]
    assert [event.kind for event in view.events][-1] is EventKind.STEP_STARTED
    stage.ledger.allow(stage.run, "go")
    end = await completed(handle)
    assert (end.view.pivot_passed, end.view.to_undo) == (True, [])


async def test_search_attributes_follow_the_state(stage: Stage) -> None:
    handle = await stage.matrix(delegate=WAITS, confirm=Plan(do=Mode.FAILS))
    await stage.ledger.until_called(stage.run, "inner")
    assert await _attributes(handle) == ("matrix", "RUNNING", stage.run)
    child = stage.client.get_workflow_handle(f"delegated:{stage.run}")
    assert await _attributes(child) == ("delegated", "RUNNING", stage.run)
    stage.ledger.allow(stage.run, "go")
    await until_parked(handle, "confirm")
    assert await _attributes(handle) == ("matrix", "PARKED", stage.run)
    assert await _attributes(child) == ("delegated", "COMPLETED", stage.run)
    stage.ledger.allow(stage.run, "do works")
    await resolve(handle, "confirm", Action.RETRY)
    await completed(handle)
    assert await _attributes(handle) == ("matrix", "COMPLETED", stage.run)


async def test_a_rolled_back_saga_says_so(stage: Stage) -> None:
    handle = await stage.matrix(reserve=Plan(do=Mode.FAILS))
    await rolled_back(handle)
    assert await _attributes(handle) == ("matrix", "COMPENSATED", stage.run)


def test_there_are_three_attributes_and_no_more() -> None:
    pairs = search_attributes("checkout", "01J").search_attributes
    assert {pair.key.name: pair.value for pair in pairs} == {
        "SagaKind": "checkout",
        "SagaState": "RUNNING",
        "OrderId": "01J",
    }


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_a_sentence(kind: EventKind) -> None:
    event = Event(seq=1, at=datetime.now(UTC), step="book", kind=kind, code="X", detail="y")
    sentence = event.words()
    assert sentence.endswith(" (X: y)")
    assert "{" not in sentence
    assert sentence[0].isupper() or sentence.startswith("someone")


def test_a_sentence_names_who_and_what() -> None:
    at = datetime.now(UTC)
    kind = EventKind.RESOLVED
    event = Event(seq=9, at=at, step="capture", kind=kind, code="SKIP", actor="agent-1")
    assert event.words() == "agent-1 resolved capture (SKIP)"
    assert Event(seq=1, at=at, step="", kind=EventKind.SAGA_STARTED).words() == "Started"


def test_only_two_states_are_ends() -> None:
    assert {state for state in SagaState if state.ended} == {
        SagaState.COMPLETED,
        SagaState.COMPENSATED,
    }
