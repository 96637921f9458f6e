"""The projection of sagas: late and doubled batches, lists, timelines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import NotFound, constraint_of
from db.repositories import sagas
from db.repositories.sagas import SagaEventRecord, SagaFilter, SagaProgress
from db.session import Database
from db.vocabulary import SagaState
from tests.integration.db import shop

START = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)


def event(seq: int, kind: str = "STEP_DONE", **more: Any) -> SagaEventRecord:
    at = START + timedelta(seconds=seq)
    return SagaEventRecord(seq=seq, at=at, step="reserve stock", kind=kind, **more)


async def record(
    db: Database, *events: SagaEventRecord, saga_id: str = "checkout:o1", **more: Any
) -> None:
    told: dict[str, Any] = {"state": SagaState.RUNNING, "kind": "checkout", **more}
    async with db.unit_of_work() as session:
        await sagas.record(session, SagaProgress(saga_id=saga_id, events=events, **told))


async def test_a_saga_follows_its_events(db: Database) -> None:
    await record(db, event(1, "SAGA_STARTED"), event(2), order_id="o1", customer_id="asha")
    parked = {"state": SagaState.PARKED, "parked_step": "capture", "parked_code": "UNKNOWN_OUTCOME"}
    await record(db, event(3, "PARKED", code="UNKNOWN_OUTCOME", detail="no answer"), **parked)
    async with db.reading() as session:
        saga = await sagas.get(session, "checkout:o1")
    assert (saga.state, saga.parked_step) == (SagaState.PARKED, "capture")
    assert (saga.order_id, saga.customer_id, saga.kind) == ("o1", "asha", "checkout")
    assert (saga.started_at, saga.updated_at) == (event(1).at, event(3).at)
    assert (saga.events, saga.ended_at) == (3, None)

    done = SagaState.COMPLETED
    await record(db, event(4, "RESOLVED", actor="meera"), event(5, "SAGA_COMPLETED"), state=done)
    async with db.reading() as session:
        saga = await sagas.get(session, "checkout:o1")
        told = await sagas.timeline(session, "checkout:o1", after=2)
        assert await sagas.timeline(session, "checkout:o1", after=1, limit=1) == (event(2),)
        with pytest.raises(NotFound):
            await sagas.get(session, "checkout:o2")
    assert (saga.state, saga.ended_at, saga.parked_step) == (done, event(5).at, None)
    assert told == (
        event(3, "PARKED", code="UNKNOWN_OUTCOME", detail="no answer"),
        event(4, "RESOLVED", actor="meera"),
        event(5, "SAGA_COMPLETED"),
    )


async def test_late_and_doubled_batches_change_nothing_back(db: Database) -> None:
    first = (event(1, "SAGA_STARTED"), event(2))
    last = (event(3), event(4, "SAGA_COMPENSATED"))
    await record(db, *last, state=SagaState.COMPENSATED)
    await record(db, *first)
    await record(db, *first, order_id="o1")
    await record(db, *last, state=SagaState.COMPENSATED)
    async with db.reading() as session:
        saga = await sagas.get(session, "checkout:o1")
        told = await sagas.timeline(session, "checkout:o1")
    assert told == (*first, *last)
    assert (saga.state, saga.events) == (SagaState.COMPENSATED, 4)
    assert (saga.started_at, saga.ended_at) == (event(1).at, event(4).at)


async def test_a_parked_saga_without_a_code_is_still_shown(db: Database) -> None:
    await record(db, event(1, "PARKED"), state=SagaState.PARKED)
    async with db.reading() as session:
        assert (await sagas.get(session, "checkout:o1")).parked_code == "UNKNOWN"


async def test_lists_filter_and_page_newest_first(db: Database) -> None:
    for number in range(6):
        at = START + timedelta(minutes=number)
        await record(
            db,
            SagaEventRecord(seq=1, at=at, step="", kind="SAGA_STARTED"),
            saga_id=f"checkout:o{number}",
            customer_id="asha" if number % 2 else "ravi",
            order_id=f"o{number}",
            kind="checkout" if number < 5 else "payment",
        )

    async def ids(wanted: SagaFilter, **page: Any) -> tuple[list[str], str | None]:
        async with db.reading() as session:
            found = await sagas.list_sagas(session, wanted, **page)
            return [saga.id[-2:] for saga in found.items], found.next

    assert await ids(SagaFilter()) == (["o5", "o4", "o3", "o2", "o1", "o0"], None)
    assert (await ids(SagaFilter(customer_id="asha")))[0] == ["o5", "o3", "o1"]
    assert (await ids(SagaFilter(kind="payment")))[0] == ["o5"]
    assert (await ids(SagaFilter(order_id="o2")))[0] == ["o2"]
    assert (await ids(SagaFilter(state=SagaState.PARKED)))[0] == []
    ages = SagaFilter(
        started_after=START + timedelta(minutes=1), started_before=START + timedelta(minutes=3)
    )
    assert (await ids(ages))[0] == ["o2", "o1"]
    page, cursor = await ids(SagaFilter(customer_id="asha"), limit=2)
    assert page == ["o5", "o3"]
    assert await ids(SagaFilter(customer_id="asha"), limit=2, after=cursor) == (["o1"], None)
    async with db.reading() as session:
        assert await sagas.counts(session) == {
            ("checkout", SagaState.RUNNING): 5,
            ("payment", SagaState.RUNNING): 1,
        }


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE saga_events SET kind = 'X'", "saga_events_append_only"),
        ("DELETE FROM saga_events", "saga_events_append_only"),
        ("TRUNCATE saga_events", "saga_events_append_only"),
        ("UPDATE sagas SET state = 'PARKED'", "ck_sagas_parked"),
        ("UPDATE sagas SET state = 'COMPLETED'", "ck_sagas_ended"),
        ("UPDATE sagas SET state = 'FAILED'", "ck_sagas_state"),
        ("INSERT INTO saga_events VALUES ('none', 1, now(), '', '')", "fk_saga_events_saga_id"),
    ],
)
async def test_the_database_refuses(db: Database, statement: str, constraint: str) -> None:
    await record(db, event(1, "SAGA_STARTED"))
    with pytest.raises(DBAPIError) as refusal:
        await shop.run(db, statement)
    assert constraint_of(refusal.value) == constraint
    async with db.reading() as session:
        assert (await sagas.get(session, "checkout:o1")).state is SagaState.RUNNING
        assert await sagas.timeline(session, "checkout:o1") == (event(1, "SAGA_STARTED"),)
