"""A settlement report from a file: all of it or nothing, and never twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.payments.cash import collected
from activities.reconciliation.importing import import_file
from db.repositories import payments
from db.session import Database
from domain.settlement_file import BadSettlementFile
from tests.integration.db import settled, shop
from tests.integration.db.settled import PRICE, TODAY, paid
from tests.integration.db.test_cash import due

HEADER = "line_id,kind,gross,fee,tax,net,settled_on,merchant_ref\n"
SWIFT = "carrier:swift"


def row(line_id: str, ref: str, rupees: int = 599, fee: int = 0) -> str:
    return f"{line_id},payment,{rupees},{fee},0,{rupees - fee},{TODAY},{ref}\n"


def written(folder: Path, *rows: str) -> Path:
    file = folder / "report.csv"
    file.write_text(HEADER + "".join(rows))
    return file


async def test_a_provider_without_an_api(shop_db: Database, tmp_path: Path) -> None:
    made = await paid(shop_db, psp="gammapay")
    file = written(tmp_path, row("g1", made.attempt_id), row("g2", "nobody"))
    done = await import_file(shop_db, "gammapay", file)
    assert (done.lines, done.new, done.changed, done.bad) == (2, 2, 0, ())
    assert (done.found, done.opened) == ({"MATCHED": 1, "MISSING_HERE": 1}, 1)
    before = await settled.balances(shop_db)
    assert before == {"bank:gammapay": 2 * PRICE, "psp:gammapay": -PRICE}
    again = await import_file(shop_db, "gammapay", file)
    assert (again.lines, again.new, again.changed, again.opened) == (2, 0, 0, 0)
    assert await settled.balances(shop_db) == before
    days = await shop.rows(shop_db, "SELECT provider, day, lines FROM settlement_days")
    assert days == [("gammapay", TODAY, 2)]


async def test_one_bad_row_keeps_all_out(shop_db: Database, tmp_path: Path) -> None:
    file = written(tmp_path, row("g1", "a"), row("g2", ""), row("g3", "b"))
    done = await import_file(shop_db, "gammapay", file)
    assert [one.line for one in done.bad] == [3]
    assert (done.lines, done.new) == (0, 0)
    for table in ("settlement_lines", "settlement_days", "reconciliation_cases"):
        assert await shop.rows(shop_db, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


async def test_a_file_that_is_no_report(shop_db: Database, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("sku,price\n1,2\n")
    with pytest.raises(BadSettlementFile, match="the header has no line_id"):
        await import_file(shop_db, "gammapay", file)


@pytest.mark.parametrize("told", [True, False])
async def test_what_a_carrier_remits(shop_db: Database, tmp_path: Path, told: bool) -> None:
    order_id = await due(shop_db)
    if told:
        async with shop_db.unit_of_work() as session:
            await collected(session, order_id, "swift", PRICE)
    file = written(tmp_path, row("r1", order_id, fee=20))
    for new in (1, 0):
        done = await import_file(shop_db, SWIFT, file)
        assert (done.new, done.opened) == (new, 0)
        assert await settled.balances(shop_db) == {
            "bank:swift": PRICE - 20_00, "fee:swift": 20_00,
        }  # fmt: skip
    async with shop_db.reading() as session:
        payment = await payments.of_order(session, order_id)
    assert payment is not None
    assert payment.state == "COD_REMITTED"


async def test_a_carrier_that_remits_too_little(shop_db: Database, tmp_path: Path) -> None:
    order_id = await due(shop_db)
    async with shop_db.unit_of_work() as session:
        await collected(session, order_id, "swift", PRICE)
    done = await import_file(shop_db, SWIFT, written(tmp_path, row("r1", order_id, 500)))
    assert done.found == {"AMOUNT_DIFFERS": 1}
    assert await settled.cases(shop_db) == {
        f"cod-collected:{order_id}": ("AMOUNT_DIFFERS", "OPEN", 99_00)
    }
    assert (await settled.balances(shop_db))["carrier:swift"] == 99_00
    async with shop_db.reading() as session:
        payment = await payments.of_order(session, order_id)
    assert payment is not None
    assert payment.state == "COD_COLLECTED"


async def test_a_carrier_that_remits_what_nobody_owes(shop_db: Database, tmp_path: Path) -> None:
    done = await import_file(shop_db, SWIFT, written(tmp_path, row("r1", "nobody")))
    assert (done.found, done.opened) == ({"MISSING_HERE": 1}, 1)
    assert (await settled.balances(shop_db))["carrier:swift"] == -PRICE
