"""Other ways through a saga: failover, sending again, reading, refusing."""

from saga import EventKind, key_for
from tests.saga.contracts import FOREVER, Mode, Plan, Receipt
from tests.saga.driver import answer, until_parked
from tests.saga.ledger import KEPT, NEVER, UNDONE
from tests.saga.stage import Stage, completed, rolled_back

ALPHA, BETA = "authorise via alpha", "authorise via beta"
REFUSED = Plan(do=Mode.FAILS)


async def test_failover_undoes_the_first_before_it_asks_the_second(stage: Stage) -> None:
    end = await completed(await stage.scene("failover", plans={ALPHA: REFUSED}))
    assert end.answer == BETA
    kinds = [e.kind for e in end.view.events if e.step in (ALPHA, BETA)]
    assert kinds == [
        EventKind.STEP_STARTED,
        EventKind.STEP_FAILED,
        EventKind.UNDO_STARTED,
        EventKind.UNDONE,
        EventKind.STEP_STARTED,
        EventKind.STEP_DONE,
    ]
    assert stage.effects() == {"reserve": KEPT, ALPHA: NEVER, BETA: KEPT, "capture": KEPT}


async def test_scopes_have_keys_of_their_own(stage: Stage) -> None:
    await completed(await stage.scene("failover", plans={ALPHA: REFUSED}))
    keys = stage.ledger.keys(stage.run)
    for name, scope in ((ALPHA, "alpha"), (BETA, "beta")):
        do = key_for(stage.run, name, "do", scope)
        assert keys[name, "do"] == {(do, do)}
    undo = key_for(stage.run, ALPHA, "undo", "alpha")
    assert keys[ALPHA, "undo"] == {(undo, key_for(stage.run, ALPHA, "do", "alpha"))}


async def test_what_undo_now_undid_is_not_undone_again(stage: Stage) -> None:
    end = await rolled_back(await stage.scene("failover", plans={ALPHA: REFUSED, BETA: REFUSED}))
    assert end.failure is not None
    assert end.failure.details == ("NO_PROVIDER", "")
    assert stage.undone() == [ALPHA, BETA, "reserve"]
    assert stage.effects() == {"reserve": UNDONE, ALPHA: NEVER, BETA: NEVER}


async def test_undo_now_parks_and_the_second_is_not_asked_before(stage: Stage) -> None:
    plan = Plan(do=Mode.FAILS, undo_fails=FOREVER)
    handle = await stage.scene("failover", plans={ALPHA: plan})
    view = await until_parked(handle, ALPHA)
    assert view.to_undo == [ALPHA, "reserve"]
    assert stage.ledger.calls(stage.run)[BETA, "do"] == 0
    stage.ledger.allow(stage.run, "undo works")
    await answer(handle, ALPHA, "RETRY")
    assert (await completed(handle)).answer == BETA
    assert stage.effects() == {"reserve": KEPT, ALPHA: NEVER, BETA: KEPT, "capture": KEPT}


async def test_a_lost_answer_is_sent_again_under_the_same_key(stage: Stage) -> None:
    end = await completed(await stage.scene("resend", plans={"authorise": Plan(do=Mode.LOST_ONCE)}))
    assert stage.ledger.calls(stage.run) == {("authorise", "do"): 2}
    key = key_for(stage.run, "authorise", "do", "alpha")
    assert stage.ledger.keys(stage.run) == {("authorise", "do"): {(key, key)}}
    assert stage.effects() == {"authorise": KEPT}
    assert end.kinds == [
        "SAGA_STARTED",
        "STEP_STARTED authorise",
        "STEP_UNKNOWN authorise",
        "STEP_RESENT authorise",
        "STEP_STARTED authorise",
        "STEP_DONE authorise",
        "SAGA_COMPLETED",
    ]


async def test_still_unknown_after_sending_again_is_asked_about(stage: Stage) -> None:
    plans = {"authorise": Plan(do=Mode.UNKNOWN_AFTER)}
    await completed(await stage.scene("resend", plans=plans))
    assert stage.ledger.calls(stage.run) == {("authorise", "do"): 2, ("authorise", "inquire"): 1}
    assert stage.effects() == {"authorise": KEPT}


async def test_an_unknown_outcome_without_an_inquiry_is_not_called_a_failure(stage: Stage) -> None:
    end = await rolled_back(await stage.matrix(book=Plan(do=Mode.UNKNOWN_AFTER, asks=False)))
    assert [kind for kind in end.kinds if kind.endswith("book")] == [
        "STEP_STARTED book",
        "STEP_UNKNOWN book",
        "COMPENSATING book",
        "UNDO_STARTED book",
        "UNDONE book",
    ]
    assert stage.effects() == {"reserve": UNDONE, "book": UNDONE}


async def test_a_refusal_undoes_everything_newest_first(stage: Stage) -> None:
    end = await rolled_back(await stage.scene("three local"))
    assert end.failure is not None
    assert (end.failure.details, end.failure.message) == (("NO", ""), "the rules say no")
    assert stage.undone() == ["three", "two", "one"]
    assert stage.effects() == dict.fromkeys(("one", "two", "three"), UNDONE)


async def test_an_undo_is_told_the_output_and_the_reason(stage: Stage) -> None:
    await rolled_back(await stage.matrix(capture=REFUSED))
    why = ("NO_STOCK", "nothing left")
    number = len(stage.run)
    assert stage.ledger.told(stage.run) == {
        step: (repr(Receipt(step=step, number=number)), *why)
        for step in ("reserve", "book", "delegate")
    }


async def test_an_undo_without_an_answer_is_told_none(stage: Stage) -> None:
    await rolled_back(await stage.matrix(book=Plan(do=Mode.UNKNOWN_AFTER, asks=False)))
    reserved = repr(Receipt(step="reserve", number=len(stage.run)))
    why = ("READ_TIMEOUT", "no answer was read")
    assert stage.ledger.told(stage.run) == {"reserve": (reserved, *why), "book": ("None", *why)}


async def test_an_undo_is_told_what_a_person_gave_as_the_output(stage: Stage) -> None:
    plan = Plan(do=Mode.UNKNOWN_AFTER, unsure=True)
    handle = await stage.scene("money", "refuse", plans={"authorise": plan})
    await until_parked(handle, "authorise")
    by_hand = Receipt(step="authorise", number=41)
    await answer(handle, "authorise", "MARK_DONE", result=by_hand.model_dump())
    await rolled_back(handle)
    assert stage.ledger.told(stage.run) == {
        "authorise": (repr(by_hand), "CHANGED", "not wanted after all")
    }


async def test_a_look_leaves_no_trace_and_fails_nothing(stage: Stage) -> None:
    end = await completed(
        await stage.scene("reads", plans={"look in vain": Plan(do=Mode.BUG_BEFORE)})
    )
    assert end.answer == "DID_NOT_HAPPEN"
    assert end.kinds == ["SAGA_STARTED", "NOTED look", "SAGA_COMPLETED"]
    assert stage.effects() == {}
