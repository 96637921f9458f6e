"""Parked steps: what people may answer, and what comes of it."""

import pytest

from saga import Action, EventKind, SagaState
from tests.saga.contracts import FOREVER, Mode, Plan, Receipt
from tests.saga.driver import answer, look, resolve, until_parked
from tests.saga.ledger import KEPT, NEVER, UNDONE
from tests.saga.stage import Stage, completed, refusal, rolled_back

UNSURE = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)
LOST = Plan(do=Mode.UNKNOWN_BEFORE, unsure=True)
BROKEN_UNDO = Plan(undo_fails=FOREVER)
REFUSED = Plan(do=Mode.FAILS)
BY_HAND = Receipt(step="capture", number=7).model_dump()


def _kinds(stage: Stage, step: str) -> list[str]:
    return [event.kind for event in stage.events() if event.step == step]


async def test_a_parked_step_says_what_it_needs(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": UNSURE})
    view = await until_parked(handle, "authorise")
    (parked,) = view.parked
    assert parked.model_dump() == {
        "step": "authorise",
        "code": "AUTHORISATION_UNKNOWN",
        "doing": "do",
        "message": "READ_TIMEOUT: no answer was read",
        "actions": ["RETRY", "MARK_DONE", "SKIP"],
        "money": True,
        "first_approval": "",
    }
    assert (view.state, view.to_undo) == (SagaState.PARKED, ["authorise"])
    recorded = stage.ledger.batches(stage.run)[-1]
    assert (recorded.state, recorded.parked_step, recorded.parked_code) == (
        SagaState.PARKED,
        "authorise",
        "AUTHORISATION_UNKNOWN",
    )
    await resolve(handle, "authorise", Action.MARK_DONE)
    await completed(handle)
    assert stage.ledger.batches(stage.run)[-1].parked_step == ""


async def test_answers_that_fit_nothing_are_refused_and_change_nothing(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": UNSURE})
    before = await until_parked(handle, "authorise")
    assert await refusal(handle, "capture", "RETRY") == (
        "NOT_PARKED",
        "'capture' is not parked; parked steps: authorise",
    )
    assert await refusal(handle, "authorise", "REFUND") == (
        "ACTION_NOT_ALLOWED",
        "'REFUND' does not fit 'authorise'; choose one of RETRY, MARK_DONE, SKIP",
    )
    said = ("NOTE_MISSING", "say who resolves the step, and why in a note")
    assert await refusal(handle, "authorise", "RETRY", note="  ") == said
    assert await refusal(handle, "authorise", "RETRY", actor="") == said
    for result in (None, {"step": "authorise"}, "done"):
        code, sentence = await refusal(handle, "authorise", "MARK_DONE", result=result)
        assert code == "RESULT_NEEDED"
        assert sentence.startswith("marking 'authorise' as done needs its result (")
    after = await look(handle)
    assert (after.events, after.parked) == (before.events, before.parked)
    await resolve(handle, "authorise", Action.MARK_DONE)
    await completed(handle)


async def test_nothing_can_be_answered_while_nothing_is_parked(stage: Stage) -> None:
    handle = await stage.scene("wait")
    assert await refusal(handle, "reserve", "SKIP") == (
        "NOT_PARKED",
        "'reserve' is not parked; parked steps: none",
    )
    await handle.signal("hear", "arrived")
    await completed(handle)


async def test_marked_done_by_hand_the_body_goes_on_with_the_given_result(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": UNSURE})
    await until_parked(handle, "authorise")
    by_hand = Receipt(step="authorise", number=41).model_dump()
    resolved = await answer(handle, "authorise", "MARK_DONE", result=by_hand)
    assert (resolved.accepted, resolved.message) == (True, "MARK_DONE accepted")
    assert (await completed(handle)).answer == 41
    assert stage.effects() == {"authorise": KEPT}


async def test_skipping_a_money_step_takes_two_people(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": LOST})
    await until_parked(handle, "authorise")
    first = await answer(handle, "authorise", "SKIP", actor="agent-1")
    assert (first.accepted, first.message) == (False, "noted; a second person must agree")
    view = await look(handle)
    assert (view.state, view.parked[0].first_approval) == (SagaState.PARKED, "agent-1")
    assert await refusal(handle, "authorise", "SKIP", actor="agent-1") == (
        "SECOND_PERSON_NEEDED",
        "agent-1 has asked for this already; another person must agree",
    )
    assert (await answer(handle, "authorise", "SKIP", actor="agent-2")).accepted
    end = await rolled_back(handle)
    assert end.failure is not None
    assert end.failure.details == ("MARKED_NOT_DONE", "authorise")
    told = [(e.kind, e.actor) for e in end.view.events if e.actor]
    assert told == [(EventKind.FIRST_APPROVAL, "agent-1"), (EventKind.RESOLVED, "agent-2")]
    assert stage.effects() == {"authorise": NEVER}


async def test_skipping_a_step_without_money_takes_one(stage: Stage) -> None:
    handle = await stage.matrix(book=LOST)
    await until_parked(handle, "book")
    assert (await answer(handle, "book", "SKIP")).accepted
    await rolled_back(handle)
    assert stage.effects() == {"reserve": UNDONE, "book": NEVER}


async def test_a_first_approval_does_not_stop_another_answer(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": LOST})
    await until_parked(handle, "authorise")
    await answer(handle, "authorise", "SKIP", actor="agent-1")
    stage.ledger.allow(stage.run, "inquiry works")
    assert (await answer(handle, "authorise", "RETRY", actor="agent-1")).accepted
    await rolled_back(handle)
    assert stage.ledger.calls(stage.run)["authorise", "inquire"] == 3


async def test_skipping_the_undo_of_money_takes_two_people(stage: Stage) -> None:
    handle = await stage.scene("money", "refuse", plans={"authorise": BROKEN_UNDO})
    (parked,) = (await until_parked(handle, "authorise")).parked
    assert (parked.code, parked.doing, parked.money) == ("UNDO_FAILED", "undo", True)
    assert parked.message == "RuntimeError: the undo is broken"
    assert not (await answer(handle, "authorise", "SKIP", actor="agent-1")).accepted
    assert (await refusal(handle, "authorise", "SKIP", actor="agent-1"))[0] == (
        "SECOND_PERSON_NEEDED"
    )
    assert (await answer(handle, "authorise", "SKIP", actor="agent-2")).accepted
    await rolled_back(handle)
    assert stage.effects() == {"authorise": KEPT}


async def test_retry_of_an_unknown_outcome_asks_again_and_never_sends_again(stage: Stage) -> None:
    handle = await stage.scene("money", plans={"authorise": UNSURE})
    await until_parked(handle, "authorise")
    await resolve(handle, "authorise", Action.RETRY)
    await until_parked(handle, "authorise")
    assert stage.ledger.calls(stage.run) == {("authorise", "do"): 1, ("authorise", "inquire"): 4}
    stage.ledger.allow(stage.run, "inquiry works")
    await resolve(handle, "authorise", Action.RETRY)
    await completed(handle)
    assert stage.ledger.calls(stage.run) == {("authorise", "do"): 1, ("authorise", "inquire"): 5}
    assert _kinds(stage, "authorise") == [
        "STEP_STARTED",
        "STEP_UNKNOWN",
        "STEP_INQUIRED",
        "STEP_INQUIRED",
        "PARKED",
        "RESOLVED",
        "STEP_INQUIRED",
        "STEP_INQUIRED",
        "PARKED",
        "RESOLVED",
        "STEP_INQUIRED",
        "STEP_DONE",
    ]


async def test_retry_of_an_undo_that_still_fails_parks_again(stage: Stage) -> None:
    handle = await stage.matrix(book=BROKEN_UNDO, capture=REFUSED)
    await until_parked(handle, "book")
    await resolve(handle, "book", Action.RETRY)
    await until_parked(handle, "book")
    assert stage.ledger.calls(stage.run)["book", "undo"] == 6
    stage.ledger.allow(stage.run, "undo works")
    await resolve(handle, "book", Action.RETRY)
    await rolled_back(handle)
    assert stage.effects() == dict.fromkeys(("reserve", "book", "delegate"), UNDONE)
    assert stage.ledger.calls(stage.run)["book", "undo"] == 7


async def test_an_undo_that_fails_does_not_hide_the_older_ones(stage: Stage) -> None:
    plans = dict.fromkeys(("reserve", "delegate"), BROKEN_UNDO)
    handle = await stage.matrix(**plans, capture=REFUSED)
    view = await until_parked(handle, "reserve")
    assert [at.step for at in view.parked] == ["delegate", "reserve"]
    assert view.to_undo == ["delegate", "reserve"]
    assert stage.effects() == {"reserve": KEPT, "book": UNDONE, "delegate": KEPT}
    await resolve(handle, "reserve", Action.MARK_DONE)
    assert (await until_parked(handle, "delegate")).to_undo == ["delegate"]
    stage.ledger.allow(stage.run, "undo works")
    await resolve(handle, "delegate", Action.RETRY)
    end = await rolled_back(handle)
    assert (end.view.to_undo, end.view.parked) == ([], [])
    assert stage.effects() == {"reserve": KEPT, "book": UNDONE, "delegate": UNDONE}


@pytest.mark.parametrize(
    ("given", "number"),
    [(None, None), (Receipt(step="commit", number=5).model_dump(), 5)],
)
async def test_a_must_is_marked_done_with_or_without_its_result(
    stage: Stage, given: object, number: int | None
) -> None:
    handle = await stage.matrix(commit=REFUSED)
    await until_parked(handle, "commit")
    code, sentence = await refusal(handle, "commit", "MARK_DONE", result={"number": "five"})
    assert code == "RESULT_NEEDED"
    assert "step: Field required" in sentence
    await answer(handle, "commit", "MARK_DONE", result=given)
    committed = (await completed(handle)).answer[4]
    assert (committed and committed.number) == number
    assert _kinds(stage, "commit")[-2:] == ["RESOLVED", "STEP_DONE"]


async def test_a_skipped_must_is_not_called_done(stage: Stage) -> None:
    handle = await stage.matrix(commit=REFUSED)
    await until_parked(handle, "commit")
    await answer(handle, "commit", "SKIP", result={"number": "five"})
    assert (await completed(handle)).answer[4] is None
    assert _kinds(stage, "commit") == ["STEP_STARTED", "STEP_FAILED", "PARKED", "RESOLVED"]
    assert "commit" not in stage.effects()


async def test_the_pivot_is_money_and_is_skipped_by_two(stage: Stage) -> None:
    handle = await stage.matrix(capture=LOST)
    (parked,) = (await until_parked(handle, "capture")).parked
    assert parked.money
    assert not (await answer(handle, "capture", "SKIP", actor="agent-1")).accepted
    assert (await answer(handle, "capture", "MARK_DONE", result=BY_HAND)).accepted
    assert (await completed(handle)).answer[3].number == 7
    assert stage.undone() == []
