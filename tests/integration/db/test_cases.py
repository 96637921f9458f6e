"""Cases in a real database: they follow the facts, and people close them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from db.errors import BadCursor, NotFound
from db.repositories import cases
from db.repositories.cases import CaseFilter, CaseRecord
from db.session import Database
from domain.cases import CaseState, Outcome, SecondPersonNeeded
from domain.errors import IllegalTransition
from tests.integration.db import settled, shop
from tests.integration.db.settled import (
    LATER,
    PRICE,
    PSP,
    SETTLED,
    TODAY,
    compared,
    line,
    only_case,
    paid,
    stored,
)


async def resolve(db: Database, state: CaseState, actor: str = "asha") -> CaseRecord:
    case = await only_case(db)
    async with db.unit_of_work() as session:
        return await cases.resolve(session, case.id, state, actor, "because")


async def test_explained_until_the_facts_change(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(gross=PRICE - 100))
    await compared(shop_db)
    assert (await resolve(shop_db, CaseState.EXPLAINED)).state is CaseState.EXPLAINED
    assert (await compared(shop_db)).opened == 0
    assert (await only_case(shop_db)).state is CaseState.EXPLAINED
    with pytest.raises(IllegalTransition):
        await resolve(shop_db, CaseState.WRITTEN_OFF)
    await stored(shop_db, made.line(gross=PRICE - 300))
    assert (await compared(shop_db)).opened == 1
    case = await only_case(shop_db)
    assert (case.state, case.difference_paise) == (CaseState.OPEN, 300)
    assert await settled.story(shop_db, made.key) == [
        ("reconciliation", "OPENED"),
        ("asha", "EXPLAINED"),
        ("reconciliation", "REOPENED"),
    ]


async def test_a_correction_that_does_not_show_is_asked_after(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(gross=PRICE - 100))
    await compared(shop_db)
    await resolve(shop_db, CaseState.CORRECTED)
    await compared(shop_db)
    assert (await only_case(shop_db)).state is CaseState.CORRECTED
    await shop.run(
        shop_db, "UPDATE reconciliation_cases SET state_at = state_at - interval '8 days'"
    )
    assert (await compared(shop_db)).opened == 1
    assert (await only_case(shop_db)).state is CaseState.OPEN


async def test_written_off_by_two_and_put_back_when_it_comes(shop_db: Database) -> None:
    made = await paid(shop_db)
    await compared(shop_db, LATER)
    asked = await resolve(shop_db, CaseState.WRITTEN_OFF)
    assert (asked.state, asked.first_approval) == (CaseState.OPEN, "asha")
    with pytest.raises(SecondPersonNeeded):
        await resolve(shop_db, CaseState.WRITTEN_OFF)
    assert await settled.balances(shop_db) == {f"psp:{PSP}": PRICE}
    gone = await resolve(shop_db, CaseState.WRITTEN_OFF, "rohan")
    assert (gone.state, gone.first_approval) == (CaseState.WRITTEN_OFF, None)
    assert await settled.balances(shop_db) == {f"written-off:{PSP}": PRICE}
    await compared(shop_db, LATER)
    assert await settled.balances(shop_db) == {f"written-off:{PSP}": PRICE}
    await stored(shop_db, made.line(settled_on=LATER))
    await compared(shop_db, LATER)
    assert await settled.balances(shop_db) == SETTLED
    assert (await only_case(shop_db)).written_off_paise == 0
    assert await settled.story(shop_db, made.key) == [
        ("reconciliation", "OPENED"),
        ("asha", "WRITE_OFF_ASKED"),
        ("rohan", "WRITTEN_OFF"),
        ("reconciliation", "CORRECTED"),
    ]


async def test_a_request_to_write_off_lapses_with_the_facts(shop_db: Database) -> None:
    made = await paid(shop_db)
    await compared(shop_db, LATER)
    await resolve(shop_db, CaseState.WRITTEN_OFF)
    await stored(shop_db, made.line(gross=PRICE - 100))
    await compared(shop_db, LATER)
    again = await resolve(shop_db, CaseState.WRITTEN_OFF, "rohan")
    assert (again.state, again.first_approval) == (CaseState.OPEN, "rohan")


async def test_notes_and_owners(shop_db: Database) -> None:
    made = await paid(shop_db)
    await compared(shop_db, LATER)
    case = await only_case(shop_db)
    async with shop_db.unit_of_work() as session:
        await cases.note(session, case.id, "asha", "asked them")
        taken = await cases.note(session, case.id, "rohan", "mine now", take=True)
        told = await cases.events(session, case.id)
        with pytest.raises(NotFound):
            await cases.note(session, "nothing", "asha", "hello")
    assert taken.owner == "rohan"
    assert [(one.actor, one.kind, one.note) for one in told] == [
        ("reconciliation", "OPENED", "MISSING_THERE: ours ₹ 599.00, settled ₹ 0.00"),
        ("asha", "NOTED", "asked them"),
        ("rohan", "TAKEN", "mine now"),
    ]
    assert made.key == case.subject


async def test_cases_are_found_by_what_is_known_of_them(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(gross=PRICE - 1), line("alone", payment_ref="pay_x"))
    await compared(shop_db)

    async def found(**wanted: object) -> list[str]:
        async with shop_db.reading() as session:
            page = await cases.list_cases(session, CaseFilter(**wanted))  # type: ignore[arg-type]
        return sorted(case.subject for case in page.items)

    now = datetime.now(UTC)
    both = sorted([made.key, "line:alone"])
    assert await found() == await found(provider=PSP, state=CaseState.OPEN, day=TODAY) == both
    assert await found(outcome=Outcome.MISSING_HERE) == ["line:alone"]
    assert await found(owner="payments") == ["line:alone"]
    assert await found(provider="betapay") == await found(day=LATER) == []
    assert await found(opened_before=now - timedelta(days=1)) == []
    assert await found(opened_before=now + timedelta(days=1)) == both


async def test_cases_come_in_pages(shop_db: Database) -> None:
    await stored(shop_db, *(line(f"l{number}", payment_ref=f"p{number}") for number in range(3)))
    await compared(shop_db)
    seen: list[str] = []
    cursor: str | None = None
    async with shop_db.reading() as session:
        for _ in range(2):
            page = await cases.list_cases(session, CaseFilter(), after=cursor, limit=2)
            seen += [case.subject for case in page.items]
            cursor = page.next
        with pytest.raises(BadCursor):
            await cases.list_cases(session, CaseFilter(), after="%%")
    assert sorted(seen) == ["line:l0", "line:l1", "line:l2"]
    assert cursor is None
