"""The reconciliation saga from end to end: what it reads, finds, waits for, and asks."""

from __future__ import annotations

from datetime import timedelta

from db.repositories import sagas
from db.vocabulary import SagaState
from saga import EventKind
from saga import SagaState as EngineState
from tests.integration.db import settled, shop
from tests.integration.db.settled import PRICE, TODAY, line, paid
from tests.integration.reconciliation.stage import NAME, YESTERDAY, Stage
from workflows.contracts.ids import reconciliation_id
from workflows.contracts.reconciliation import DueRound, ReconciliationTimings


async def test_a_day_is_read_compared_and_booked(stage: Stage) -> None:
    first, second = await paid(stage.db), await paid(stage.db)
    stage.psp.report(TODAY, first.line(), second.line(gross=PRICE - 100), line("alone"))
    done = await stage.run("settled")
    assert done.found == {"MATCHED": 1, "AMOUNT_DIFFERS": 1, "MISSING_HERE": 1}
    assert (done.psp, done.day, done.opened, done.closed) == (NAME, TODAY, 2, 0)
    assert await settled.cases(stage.db) == {
        second.key: ("AMOUNT_DIFFERS", "OPEN", 100),
        "line:alone": ("MISSING_HERE", "OPEN", -PRICE),
    }
    assert (await settled.balances(stage.db))[f"psp:{NAME}"] == 100 - PRICE
    # a new shop reads the last fortnight, and the day itself last
    assert stage.psp.asked == [TODAY - timedelta(days=days) for days in range(13, -1, -1)]
    async with stage.db.reading() as session:
        record = await sagas.get(session, reconciliation_id(NAME, TODAY, "settled"))
    assert (record.kind, record.state) == ("reconciliation", SagaState.COMPLETED)


async def test_a_second_round_changes_nothing(stage: Stage) -> None:
    made = await paid(stage.db)
    stage.psp.report(TODAY, made.line(gross=PRICE - 100))
    assert (await stage.run("again-1")).opened == 1
    books, cases = await settled.balances(stage.db), await settled.cases(stage.db)
    stage.psp.asked.clear()
    done = await stage.run("again-2")
    assert (done.found, done.opened, done.closed) == ({"AMOUNT_DIFFERS": 1}, 0, 0)
    assert (await settled.balances(stage.db), await settled.cases(stage.db)) == (books, cases)
    assert stage.psp.asked == [TODAY - timedelta(days=days) for days in (2, 1, 0)]
    assert await shop.rows(stage.db, "SELECT max(revision) FROM settlement_lines") == [(1,)]


async def test_the_next_days_line_closes_the_case(stage: Stage) -> None:
    made = await paid(stage.db)
    late = TODAY + timedelta(days=3)
    assert (await stage.run("late-1", day=late)).found == {"MISSING_THERE": 1}
    stage.psp.report(late + timedelta(days=1), made.line(settled_on=late + timedelta(days=1)))
    done = await stage.run("late-2", day=late + timedelta(days=1))
    assert (done.found, done.closed) == ({"MATCHED": 1}, 1)
    assert await settled.cases(stage.db) == {made.key: ("MISSING_THERE", "CORRECTED", PRICE)}


async def test_a_report_that_breaks_off_is_read_again_to_its_end(stage: Stage) -> None:
    first, second = await paid(stage.db), await paid(stage.db)
    stage.psp.report(TODAY, first.line(), second.line())
    stage.psp.fail(3)
    done = await stage.run("broken-off")
    assert done.found == {"MATCHED": 2}
    assert len(stage.psp.asked) == 14 + 3


async def test_a_report_that_is_late_is_waited_for(stage: Stage) -> None:
    made = await paid(stage.db)
    stage.psp.report(TODAY, made.line())
    await stage.run("waited-before", day=YESTERDAY)
    stage.psp.fail(5)
    handle = await stage.start("waited", timings=ReconciliationTimings(report=(1.0, 1.0)))
    waiting = await stage.until(handle, lambda view: view.state is EngineState.WAITING)
    assert waiting.waiting_on.startswith("the settlement report of ")
    assert (await stage.ended(handle)).found == {"MATCHED": 1}
    told = [event for event in (await stage.view(handle)).events if event.kind is EventKind.NOTED]
    assert [(event.code, event.detail) for event in told] == [
        ("not_ready", "the report is not to be had yet")
    ]


async def test_a_report_that_never_comes_asks_a_person(stage: Stage) -> None:
    made = await paid(stage.db)
    stage.psp.report(TODAY, made.line())
    await stage.run("parked-before", day=YESTERDAY)
    # all tries of all looks, over the first of the three days that are due
    stage.psp.fail(3 * 5)
    handle = await stage.start("parked")
    view = await stage.until(handle, lambda view: bool(view.parked))
    (parked,) = view.parked
    assert (parked.code, parked.money) == ("SETTLEMENTS_UNAVAILABLE", False)
    assert parked.message == f"not_ready: {NAME} does not show its settlements: not_ready"
    assert view.state is EngineState.PARKED
    assert (await stage.resolve(handle, "RETRY")).accepted
    assert (await stage.ended(handle)).found == {"MATCHED": 1}


async def test_a_report_that_waiting_does_not_mend_is_asked_after_at_once(stage: Stage) -> None:
    made = await paid(stage.db)
    await stage.run("skipped-before", day=YESTERDAY)
    stage.psp.report(TODAY, made.line())
    stage.psp.fail(1, later=False)
    handle = await stage.start("skipped", timings=ReconciliationTimings())
    view = await stage.until(handle, lambda view: bool(view.parked))
    assert view.parked[0].code == "SETTLEMENTS_UNAVAILABLE"
    # a person imported the file, or goes on without that day: the others are read all the same
    assert (await stage.resolve(handle, "SKIP")).accepted
    assert (await stage.ended(handle)).found == {"MATCHED": 1}
    due = [TODAY - timedelta(days=days) for days in (2, 1, 0)]
    assert stage.psp.asked[-3:] == due
    days = await shop.rows(
        stage.db, "SELECT count(*) FROM settlement_days WHERE day = :d", d=due[0]
    )
    assert days == [(1,)]


async def test_a_comparison_that_fails_asks_a_person(stage: Stage) -> None:
    made = await paid(stage.db)
    stage.psp.report(TODAY, made.line())
    stage.steps.broken = True
    handle = await stage.start("stopped")
    view = await stage.until(handle, lambda view: bool(view.parked))
    assert (view.parked[0].step, view.parked[0].code) == (
        "compare with our ledger",
        "RECONCILIATION_STOPPED",
    )
    stage.steps.broken = False
    await stage.resolve(handle, "RETRY")
    assert (await stage.ended(handle)).found == {"MATCHED": 1}


async def test_the_schedule_starts_the_day_before_once(stage: Stage) -> None:
    made = await paid(stage.db)
    stage.psp.report(YESTERDAY, made.line(settled_on=YESTERDAY))
    started = await stage.due("morning", DueRound(psp=NAME))
    assert started == reconciliation_id(NAME, YESTERDAY)
    saga = stage.client.get_workflow_handle(started)
    assert (await saga.result())["found"] == {"MATCHED": 1}
    asked = len(stage.psp.asked)
    assert await stage.due("morning-again", DueRound(psp=NAME)) == started
    assert len(stage.psp.asked) == asked


async def test_the_schedule_of_the_present_day_starts_each_round(stage: Stage) -> None:
    rounds = [
        await stage.due(name, DueRound(psp=NAME, of_today=True)) for name in ("today-1", "today-2")
    ]
    for saga_id in rounds:
        await stage.client.get_workflow_handle(saga_id).result()
        assert saga_id.startswith(f"{reconciliation_id(NAME, TODAY)}:")
    assert stage.psp.asked.count(TODAY) == len(set(rounds))
