"""Imports put products on the shelves: once, completely, and by what the file says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from db.importing import importer
from db.importing.importer import import_file
from db.importing.rows import BadRow
from db.importing.seeding import seed
from db.session import Database
from tests.integration.db import shop
from tests.integration.db.files import crawled, marketplace_file, ours, own_file

ROOT = Path(__file__).parents[3]
TABLES = ("sellers", "warehouses", "categories", "products", "variants", "listings", "offers")


async def everything(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that an import may touch, updates included."""
    tables = (*TABLES, "stock_entries", "stock_levels")
    return {t: sorted(await shop.rows(db, f"SELECT {t}::text FROM {t}")) for t in tables}  # noqa: S608


async def test_a_second_import_changes_nothing(db: Database, tmp_path: Path) -> None:
    rows = [crawled(n, retail_price="" if n == 5 else "999") for n in range(1, 12)]
    path = marketplace_file(tmp_path / "f.csv", rows)
    seen: list[tuple[int, int]] = []

    first = await import_file(db, path, lambda *at: seen.append(at), batch_size=4)

    assert (first.rows, first.bad) == (11, [BadRow(10, "retail_price is empty")])
    assert first.added["products"] == 10
    assert first.added["variants"] == 40
    assert first.added["categories"] == 4
    size = path.stat().st_size
    assert [total for _, total in seen] == [size] * 3
    assert seen[-1] == (size, size)
    before = await everything(db)
    assert len(before["products"]) == 10
    await shop.assert_levels_fold(db)

    again = await import_file(db, path, batch_size=3)

    assert again.bad == first.bad
    assert set(again.added.values()) == {0}
    assert set(again.changed.values()) == {0}
    assert await everything(db) == before


async def test_every_variant_can_be_bought(db: Database, tmp_path: Path) -> None:
    await import_file(db, marketplace_file(tmp_path / "f.csv", [crawled(n) for n in range(20)]))
    per_sku = """
        SELECT v.sku, v.mrp_paise, count(DISTINCT l.seller_id), min(l.price_paise),
               max(l.price_paise), count(DISTINCT s.warehouse_id), min(s.on_hand), max(s.on_hand)
        FROM variants v JOIN listings l USING (sku) JOIN stock_levels s USING (sku)
        GROUP BY v.sku"""
    skus = await shop.rows(db, per_sku)
    assert len(skus) == 80
    for _, mrp, sellers, low, high, warehouses, least, most in skus:
        assert sellers in (2, 3)
        assert 367_00 <= low <= 379_00 <= high <= 402_00 <= mrp
        assert 2 <= warehouses <= 5
        assert 5 <= least <= most <= 60
    pincodes = await shop.rows(db, "SELECT pincode, state_code FROM warehouses ORDER BY 1")
    assert pincodes == [
        ("122503", "06"),
        ("382110", "24"),
        ("421302", "27"),
        ("501401", "36"),
        ("562149", "29"),
        ("602105", "33"),
        ("711302", "19"),
        ("781101", "18"),
    ]
    assert await shop.rows(db, "SELECT path, depth FROM categories ORDER BY depth") == [
        ("Clothing", 1),
        ("Clothing >> Women's Clothing", 2),
        ("Clothing >> Women's Clothing >> Western Wear", 3),
        ("Clothing >> Women's Clothing >> Western Wear >> Tops", 4),
    ]


async def test_a_changed_file_changes_products_and_not_stock(db: Database, tmp_path: Path) -> None:
    path = own_file(tmp_path / "f.csv", [ours("K1", "K1", stock="9"), ours("K2", "K2")])
    await import_file(db, path)
    before = await everything(db)
    changed = ours("K1", "K1", title="Steel Kadai, 3 L", mrp="3099", price="2500", stock="500")
    own_file(path, [changed, ours("K2", "K2")])

    report = await import_file(db, path)

    assert (report.changed["products"], report.changed["variants"]) == (1, 1)
    assert report.changed["listings"] in (2, 3)
    assert set(report.added.values()) == {0}
    after = await everything(db)
    assert after["stock_entries"] == before["stock_entries"]
    assert after["stock_levels"] == before["stock_levels"]
    title = "SELECT title, mrp_paise FROM products p JOIN variants v ON v.product_id = p.id"
    assert await shop.rows(db, f"{title} ORDER BY sku") == [
        ("Steel Kadai, 3 L", 3_099_00),
        ("Steel Kadai", 2_999_00),
    ]
    assert await shop.rows(db, "SELECT sum(on_hand)::int FROM stock_levels WHERE sku = 'K1'") == [
        (9,)
    ]


async def test_an_interrupted_import_is_completed(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = marketplace_file(tmp_path / "f.csv", [crawled(n) for n in range(9)])
    write, calls = importer.writer.write, 0

    async def crash(*given: Any) -> None:
        nonlocal calls
        calls += 1
        await write(*given)
        if calls == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(importer.writer, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        await import_file(db, path, batch_size=3)
    assert await shop.rows(db, "SELECT count(*) FROM products") == [(3,)]

    report = await import_file(db, path, batch_size=3)

    assert (report.added["products"], report.bad) == (6, [])
    assert await shop.rows(db, "SELECT count(*) FROM products") == [(9,)]


async def test_a_sku_of_another_product_is_refused(db: Database, tmp_path: Path) -> None:
    await import_file(db, own_file(tmp_path / "a.csv", [ours("K1", "K1")]))
    before = await everything(db)
    path = own_file(tmp_path / "b.csv", [ours("K9", "K1", title="Impostor")])
    report = await import_file(db, path)
    assert report.bad == [BadRow(2, "SKU K1 belongs to another product")]
    assert await everything(db) == before


async def test_two_imports_at_once_do_the_work_of_one(db: Database, tmp_path: Path) -> None:
    path = marketplace_file(tmp_path / "f.csv", [crawled(n) for n in range(30)])
    reports = await asyncio.gather(*(import_file(db, path, batch_size=5) for _ in range(3)))
    assert sum(report.added["products"] for report in reports) == 30
    assert await shop.rows(db, "SELECT count(*) FROM products") == [(30,)]
    await shop.assert_levels_fold(db)


async def test_our_own_catalogue_is_sound_and_loaded_once(db: Database) -> None:
    report = await seed(db, ROOT / "catalogue")
    assert report is not None
    assert report.bad == []
    assert report.added["products"] == 62
    assert report.added["variants"] == 145
    assert report.added["offers"] == 3
    before = await everything(db)

    assert await seed(db, ROOT / "catalogue") is None

    assert await everything(db) == before
    assert len({sku for (sku,) in await shop.rows(db, "SELECT sku FROM stock_levels")}) == 145


async def test_the_command_reports_and_leaves_out_bad_rows(
    db: Database, migrated: str, tmp_path: Path
) -> None:
    rows = [crawled(1), crawled(2, pid=""), crawled(3)]
    path = marketplace_file(tmp_path / "f.csv", rows)
    path.write_text(path.read_text() + "\n\n\n")

    async def run(*arguments: str) -> tuple[int | None, str, str]:
        environment = {**os.environ, "SAGAKART_POSTGRES_URL": migrated}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stack", "catalogue", "import", *arguments),
            *("--data", str(tmp_path / "data")),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, out.decode(), err.decode()

    code, out, err = await run(str(path), "--report", str(tmp_path / "bad.csv"))

    assert code == 0
    assert "products: 2 new, 0 changed\n" in out
    assert out.endswith("2 of 6 rows imported\n")
    assert err == ("4 rows left out:\n  line 4: pid is empty\n  lines 8 to 10: the row is blank\n")
    assert (tmp_path / "bad.csv").read_text().splitlines()[:3] == [
        "line,reason",
        "4,pid is empty",
        "8,the row is blank",
    ]
    assert await shop.rows(db, "SELECT count(*) FROM products") == [(2,)]

    code, out, err = await run(str(tmp_path / "no such file"))
    assert (code, out) == (2, "")
    assert err.startswith("sagakart: ")
    assert err.endswith("no such file is no file; give the path of a CSV file of products\n")

    code, out, err = await run(str(tmp_path / "bad.csv"))
    assert (code, out) == (2, "")
    assert "begins with the columns 'line, reason'…, which is no product file" in err
