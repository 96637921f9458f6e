"""Days of settlements: which are to be read, and how they are reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from db.errors import BadCursor
from db.repositories import settlement_report, settlements
from db.session import Database
from domain.cases import Outcome
from tests.integration.db.settled import (
    FEE,
    NET,
    PRICE,
    PSP,
    TAX,
    TODAY,
    compared,
    paid,
    stored,
)


async def test_the_days_that_are_due(shop_db: Database) -> None:
    async def due() -> list[int]:
        async with shop_db.reading() as session:
            days = await settlements.days_due(session, PSP, TODAY)
        return [(TODAY - day).days for day in days]

    assert await due() == list(range(13, -1, -1))
    now = datetime.now(UTC)
    async with shop_db.unit_of_work() as session:
        for days in range(14):
            day = TODAY - timedelta(days=days)
            await settlements.day_read(session, PSP, day, lines=0, at=now)
    assert await due() == [2, 1, 0]
    # one that was read while it could still change is read again
    async with shop_db.unit_of_work() as session:
        late, then = TODAY - timedelta(days=6), now - timedelta(days=5)
        await settlements.day_read(session, PSP, late, lines=0, at=then)
    assert await due() == [6, 2, 1, 0]


async def test_a_days_report(shop_db: Database) -> None:
    made = [await paid(shop_db) for _ in range(3)]
    own = {"settlement_id": "setl_1", "utr": "UTR1"}
    await stored(
        shop_db,
        made[0].line(**own),
        made[1].line(gross=PRICE - 100, **own),
        made[2].line(on_hold=True),
    )
    async with shop_db.unit_of_work() as session:
        await settlements.day_read(session, PSP, TODAY, lines=3, at=datetime.now(UTC))
    await compared(shop_db)
    pending = await paid(shop_db)
    await compared(shop_db)
    async with shop_db.reading() as session:
        (day,) = (await settlement_report.list_days(session)).items
        (payout,) = await settlement_report.payouts(session, TODAY)
        (age,) = await settlement_report.ageing(session, datetime.now(UTC))
        (owed,) = await settlement_report.owed(session, provider=PSP)
        elsewhere = await settlement_report.list_days(session, provider="betapay")
    assert (day.provider, day.day, day.lines, day.held, day.matched) == (PSP, TODAY, 3, 1, 1)
    assert day.matched_share == pytest.approx(1 / 3)
    assert (day.gross_paise, day.fee_paise, day.tax_paise, day.net_paise) == (
        2 * PRICE - 100, 2 * FEE, 2 * TAX, 2 * NET - 100,
    )  # fmt: skip
    assert [(one.outcome, one.cases, one.open, one.paise) for one in day.differences] == [
        (Outcome.AMOUNT_DIFFERS, 1, 1, 100),
        (Outcome.ON_HOLD, 1, 1, PRICE),
    ]
    assert (payout.settlement_id, payout.utr, payout.lines, payout.net_paise) == (
        "setl_1", "UTR1", 2, 2 * NET - 100,
    )  # fmt: skip
    assert (age.up_to_1, age.up_to_7, age.older, age.paise) == (2, 0, 0, 100 + PRICE)
    assert (owed.movements, owed.paise) == (1, PRICE)
    assert elsewhere.items == ()
    assert pending.order_id


async def test_days_come_in_pages(shop_db: Database) -> None:
    now = datetime.now(UTC)
    async with shop_db.unit_of_work() as session:
        for provider in ("alphapay", "betapay"):
            for days in range(2):
                day = TODAY - timedelta(days=days)
                await settlements.day_read(session, provider, day, lines=0, at=now)
    seen: list[tuple[str, int]] = []
    cursor: str | None = None
    async with shop_db.reading() as session:
        for _ in range(2):
            page = await settlement_report.list_days(session, after=cursor, limit=3)
            seen += [(each.provider, (TODAY - each.day).days) for each in page.items]
            cursor = page.next
        with pytest.raises(BadCursor):
            await settlement_report.list_days(session, after="WyJ4IiwieSJd")
    assert seen == [("betapay", 0), ("alphapay", 0), ("betapay", 1), ("alphapay", 1)]
    assert cursor is None
