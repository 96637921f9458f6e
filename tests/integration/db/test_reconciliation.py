"""Settlements in a real database: stored and booked once, compared, and cases that follow facts."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.errors import constraint_of
from db.session import Database
from domain.cases import CaseState, Outcome
from domain.settlements import LineKind
from stack.invariants import money
from tests.integration.db import settled, shop
from tests.integration.db.settled import (
    FEE,
    LATER,
    NET,
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


async def test_a_payment_is_settled(shop_db: Database) -> None:
    made = await paid(shop_db)
    assert await settled.balances(shop_db) == {f"psp:{PSP}": PRICE}
    told = await stored(shop_db, made.line())
    done = await compared(shop_db)
    assert (told.new, told.changed) == (1, 0)
    assert done.found == {"MATCHED": 1}
    assert await settled.balances(shop_db) == SETTLED
    assert await settled.cases(shop_db) == {}


async def test_a_day_twice_changes_nothing(shop_db: Database) -> None:
    made, other = await paid(shop_db), await paid(shop_db)
    lines = [made.line(), other.line(gross=PRICE - 1), line("alone", payment_ref="pay_x")]
    await stored(shop_db, *lines)
    first = await compared(shop_db)
    before = await everything(shop_db)
    again = await stored(shop_db, *lines[::-1])
    second = await compared(shop_db)
    assert (again.new, again.changed) == (0, 0)
    assert (first.opened, second.opened, second.closed) == (2, 0, 0)
    assert await everything(shop_db) == before


async def everything(db: Database) -> list[list[tuple[object, ...]]]:
    """All that reconciliation writes, but for when it last looked."""
    return [
        sorted(await shop.rows(db, f"SELECT * FROM {table}"), key=str)  # noqa: S608
        for table in (
            "settlement_lines", "settlement_matches", "reconciliation_cases",
            "reconciliation_case_events", "ledger_entries",
        )
    ]  # fmt: skip


async def test_two_at_once_are_one(shop_db: Database) -> None:
    made = await paid(shop_db)
    lines = [made.line(), line("alone", payment_ref="pay_x")]
    await asyncio.gather(*(stored(shop_db, *lines) for _ in range(4)))
    done = await asyncio.gather(*(compared(shop_db) for _ in range(4)))
    assert sorted(each.opened for each in done) == [0, 0, 0, 1]
    assert await shop.rows(shop_db, "SELECT count(*) FROM settlement_lines") == [(2,)]
    assert (await settled.balances(shop_db))[f"bank:{PSP}"] == 2 * NET


async def test_a_line_that_comes_later_closes_the_case_by_itself(shop_db: Database) -> None:
    made = await paid(shop_db)
    assert (await compared(shop_db)).found == {"PENDING": 1}
    assert (await compared(shop_db, LATER)).found == {"MISSING_THERE": 1}
    assert await settled.cases(shop_db) == {made.key: ("MISSING_THERE", "OPEN", PRICE)}
    await stored(shop_db, made.line(settled_on=LATER))
    done = await compared(shop_db, LATER)
    assert (done.found, done.closed) == ({"MATCHED": 1}, 1)
    case = await only_case(shop_db)
    assert (case.state, case.present) == (CaseState.CORRECTED, False)
    assert await settled.story(shop_db, made.key) == [
        ("reconciliation", "OPENED"),
        ("reconciliation", "CORRECTED"),
    ]


async def test_an_earlier_day_does_not_forget_what_is_late(shop_db: Database) -> None:
    made = await paid(shop_db)
    await compared(shop_db, LATER)
    assert (await compared(shop_db, TODAY)).found == {"MISSING_THERE": 1}
    assert await settled.cases(shop_db) == {made.key: ("MISSING_THERE", "OPEN", PRICE)}


@pytest.mark.parametrize(
    ("changes", "outcome", "difference"),
    [
        ({"gross": PRICE - 100}, Outcome.AMOUNT_DIFFERS, 100),
        ({"gross": PRICE + 100}, Outcome.AMOUNT_DIFFERS, -100),
        ({"fee": FEE + 500}, Outcome.FEE_DIFFERS, 500),
        ({"on_hold": True}, Outcome.ON_HOLD, PRICE),
    ],
)
async def test_what_differs(
    shop_db: Database, changes: dict[str, object], outcome: Outcome, difference: int
) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(**changes))
    await compared(shop_db)
    case = await only_case(shop_db)
    assert (case.subject, case.outcome, case.difference_paise) == (made.key, outcome, difference)
    assert (case.state, case.owner, case.day) == (CaseState.OPEN, "finance", TODAY)
    assert (case.payment_ref, case.merchant_ref) == (made.ref, made.attempt_id)


async def test_a_line_that_is_mended_closes_its_case_and_books_the_rest(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(gross=PRICE - 100, fee=FEE + 7))
    await compared(shop_db)
    again = await stored(shop_db, made.line())
    done = await compared(shop_db)
    assert (again.new, again.changed, done.closed) == (0, 1, 1)
    assert await settled.balances(shop_db) == SETTLED
    told = "SELECT revision, gross_paise FROM settlement_lines ORDER BY revision"
    assert await shop.rows(shop_db, told) == [(1, PRICE - 100), (2, PRICE)]


async def test_what_is_held_back_is_booked_once_it_is_let_go(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line(on_hold=True))
    await compared(shop_db)
    assert await settled.balances(shop_db) == {f"psp:{PSP}": PRICE}
    await stored(shop_db, made.line(settlement_id="setl_1", utr="UTR1"))
    await compared(shop_db)
    assert await settled.balances(shop_db) == SETTLED
    assert (await only_case(shop_db)).state is CaseState.CORRECTED


async def test_a_duplicate_that_comes_days_later_is_seen(shop_db: Database) -> None:
    made = await paid(shop_db)
    await stored(shop_db, made.line())
    await compared(shop_db)
    # far beyond what a comparison looks back on
    await _age_marks(shop_db)
    await stored(shop_db, made.line("again", settled_on=LATER))
    done = await compared(shop_db, LATER)
    assert done.found == {"MATCHED": 1, "DUPLICATE": 1}
    assert await settled.cases(shop_db) == {"line:again": ("DUPLICATE", "OPEN", -PRICE)}


async def _age_marks(db: Database) -> None:
    """As if all that was stored and compared so far had been so a month ago."""
    async with db.unit_of_work() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in (
            "UPDATE settlement_lines SET seen_at = seen_at - interval '30 days'",
            "UPDATE ledger_entries SET at = at - interval '30 days'",
            "UPDATE reconciliation_marks SET compared_at = compared_at - interval '1 day'",
        ):
            await session.execute(text(statement))


async def test_a_payment_that_we_learn_of_later_takes_its_line(shop_db: Database) -> None:
    await stored(shop_db, line("early", payment_ref="pay_x"))
    assert (await compared(shop_db)).found == {"MISSING_HERE": 1}
    assert await settled.cases(shop_db) == {"line:early": ("MISSING_HERE", "OPEN", -PRICE)}
    await paid(shop_db)
    await shop.run(shop_db, "UPDATE payment_attempts SET psp_ref = 'pay_x'")
    done = await compared(shop_db)
    assert (done.found, done.opened, done.closed) == ({"MATCHED": 1}, 0, 1)
    assert await settled.cases(shop_db) == {"line:early": ("MISSING_HERE", "CORRECTED", -PRICE)}
    assert await settled.balances(shop_db) == SETTLED


async def test_refunds_are_found_by_their_own_names(shop_db: Database) -> None:
    made = await paid(shop_db)
    await settled.refunded(shop_db, made, "k1", 100_00, "rfd_1")
    await settled.refunded(shop_db, made, "k2", 100_00)
    await stored(shop_db, made.line())
    free = {"fee": 0, "tax": 0, "kind": LineKind.REFUND, "gross": -100_00}
    await stored(shop_db, line("r2", return_key="k2", **free))
    assert (await compared(shop_db, LATER)).found == {"MATCHED": 2, "MISSING_THERE": 1}
    assert list(await settled.cases(shop_db)) == ["refund:k1"]
    await stored(shop_db, line("r1", return_ref="rfd_1", **free))
    assert (await compared(shop_db, LATER)).found == {"MATCHED": 3}
    assert (await settled.balances(shop_db))[f"bank:{PSP}"] == NET - 200_00


async def test_another_providers_movements_are_its_own(shop_db: Database) -> None:
    await paid(shop_db, psp="betapay")
    assert (await compared(shop_db, LATER)).found == {}
    with pytest.raises(ValueError, match="lines of betapay among those of alphapay"):
        await stored(shop_db, line("x", provider="betapay"))


async def test_the_ledger_says_what_is_open(shop_db: Database) -> None:
    """What stands on a provider's account is what is pending or differs, to the paisa."""
    made = [await paid(shop_db) for _ in range(4)]
    await stored(
        shop_db,
        made[0].line(),
        made[1].line(gross=PRICE - 100),
        made[2].line(on_hold=True),
        line("alone", payment_ref="pay_x"),
    )
    await compared(shop_db, LATER)
    open_cases = sum(case[2] for case in (await settled.cases(shop_db)).values())
    assert (await settled.balances(shop_db))[f"psp:{PSP}"] == open_cases
    assert open_cases == 100 + PRICE + PRICE - PRICE


async def test_the_check_holds_the_ledger_against_the_lines(shop_db: Database) -> None:
    (rule,) = [one for one in money.RULES if one.message.startswith("what is booked as paid out")]

    async def found() -> list[tuple[str, str, str]]:
        async with shop_db.reading() as session:
            told = await rule.findings(session, 1)
        return [(one.subject, one.expected, one.found) for one in told]

    made = await paid(shop_db)
    await stored(shop_db, made.line(gross=PRICE - 100), line("held", on_hold=True))
    await stored(shop_db, made.line())
    await stored(shop_db, line("c", provider="carrier:swift"), provider="carrier:swift")
    assert await found() == []
    for account, paise in (("psp:alphapay", -7), ("bank:alphapay", 7)):
        await shop.run(
            shop_db,
            """INSERT INTO ledger_entries
                   (entry_key, txn_key, account, amount_paise, currency, kind)
               VALUES (:key, :key, :account, :paise, 'INR', 'SETTLEMENT'),
                      (:other, :key, 'fee:alphapay', -:paise, 'INR', 'SETTLEMENT')""",
            key=account, other=f"{account}/2", account=account, paise=paise,
        )  # fmt: skip
    assert await found() == [("alphapay INR", str(NET), str(NET + 7))]


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE settlement_lines SET utr = 'x'", "settlement_lines_append_only"),
        ("DELETE FROM reconciliation_case_events", "reconciliation_case_events_append_only"),
        (
            """INSERT INTO ledger_entries
                   (entry_key, txn_key, account, amount_paise, currency, kind)
               VALUES ('x', 'x', 'psp:alphapay', 1, 'INR', 'CAPTURE')""",
            "ck_ledger_entries_order",
        ),
        ("UPDATE reconciliation_cases SET present = false", "ck_reconciliation_cases_open"),
        (
            "UPDATE reconciliation_cases SET written_off_paise = 1",
            "ck_reconciliation_cases_written_off",
        ),
    ],
)
async def test_what_the_database_refuses(
    shop_db: Database, statement: str, constraint: str
) -> None:
    await stored(shop_db, line("alone", payment_ref="pay_x"))
    await compared(shop_db)
    with pytest.raises(DBAPIError) as refused:
        await shop.run(shop_db, statement)
    assert constraint_of(refused.value) == constraint
