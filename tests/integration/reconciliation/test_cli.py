"""`./sagakart reconcile` as people type it, over real servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.db import settled, shop
from tests.integration.db.settled import FEE, PRICE, TAX, TODAY, line, paid
from tests.integration.reconciliation.stage import NAME, Stage
from tests.sandbox.harness import ROOT

HEADER = "line_id,kind,gross,fee,tax,net,settled_on,payment_ref\n"
NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Typed = Callable[..., Coroutine[Any, Any, Ended]]


@pytest.fixture
def type_(stage: Stage, tmp_path: Path) -> Typed:
    """Run a command against the stage's servers."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SAGAKART_")}
    environment = kept | {
        "PYTHONPATH": str(ROOT),
        "SAGAKART_PACE": "demo",
        "SAGAKART_POSTGRES_URL": stage.url,
        "SAGAKART_TEMPORAL_ADDRESS": stage.client.service_client.config.target_host,
        "SAGAKART_REDIS_URL": "redis://127.0.0.1:1",
        **{f"SAGAKART_{psp}_URL": NOWHERE for psp in ("ALPHAPAY", "BETAPAY", "GAMMAPAY")},
    }

    async def run(*arguments: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "stack", "reconcile", *arguments,
            "--data", str(tmp_path / "data"),
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return run


async def test_run_then_report(stage: Stage, type_: Typed) -> None:
    made, dear = await paid(stage.db), await paid(stage.db)
    own = {"settlement_id": "setl_1", "utr": "UTR0000000000001"}
    stage.psp.report(TODAY, made.line(**own), dear.line(fee=FEE + 5_00, **own))
    first = await type_("run", "--psp", NAME, "--day", str(TODAY))
    told = f"{NAME}: 1 FEE_DIFFERS, 1 MATCHED; cases: 1 opened, 0 closed\n"
    assert (first.code, first.out, first.err) == (0, told, "")
    again = await type_("run", "--psp", NAME, "--day", str(TODAY))
    assert again.out == told.replace("1 opened", "0 opened")
    report = await type_("report", "--day", str(TODAY))
    assert (report.code, report.err) == (0, "")
    lines = report.out.splitlines()
    assert lines[0] == f"Settlements of {TODAY}"
    assert lines[2].split()[:4] == [NAME, "2", "50.0%", "0"]
    assert "₹ 1,198.00" in lines[2]
    assert [part for part in lines if "UTR0000000000001" in part]
    (differs,) = [part for part in lines if "FEE_DIFFERS" in part]
    assert "₹ 5.00" in differs
    assert "Hold the fee against the contract" in differs
    told_json = json.loads((await type_("report", "--day", str(TODAY), "--json")).out)
    (day,) = [each for each in told_json["totals"] if each["day"] == str(TODAY)]
    assert (day["lines"], day["matched"], day["matched_share"]) == (2, 1, 0.5)
    assert (day["gross_paise"], day["tax_paise"]) == (2 * PRICE, 2 * TAX)
    assert day["differences"] == [{"outcome": "FEE_DIFFERS", "cases": 1, "open": 1, "paise": 500}]
    assert told_json["payouts"][0]["net_paise"] == 2 * (PRICE - FEE - TAX) - 500
    assert told_json["ageing"][0]["up_to_1"] == 1


async def test_a_report_of_a_day_that_had_none(type_: Typed) -> None:
    told = await type_("report", "--day", "2020-01-01")
    assert (told.code, told.out) == (
        0,
        "Settlements of 2020-01-01\nNo report of that day was read, and nothing differs.\n",
    )


async def test_import(stage: Stage, type_: Typed, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text(f"{HEADER}g1,payment,100,0,0,100,{TODAY},pay_g\n")
    first = await type_("import", "--psp", "gammapay", str(file))
    assert (first.code, first.out) == (
        0,
        "1 lines: 1 new, 0 changed\ngammapay: 1 MISSING_HERE; cases: 1 opened, 0 closed\n",
    )
    again = await type_("import", "--psp", "gammapay", str(file))
    assert again.out.startswith("1 lines: 0 new, 0 changed\n")
    assert await shop.rows(stage.db, "SELECT count(*) FROM settlement_lines") == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--psp", "gammapay"), "gammapay has no settlement report that can be asked for"),
        (("run", "--day", "soon"), "--day 'soon' is no day: write it as "),
        (("report", "--day", "22/11/2026"), "--day '22/11/2026' is no day"),
        (("import", "--psp", "gammapay", "nothing.csv"), "nothing.csv is no file"),
        (
            ("import", "--psp", "gamapay", "nothing.csv"),
            "there is no provider 'gamapay'; there are",
        ),
        (("import", "--psp", "carrier:", "nothing.csv"), "there is no provider 'carrier:'"),
    ],
)
async def test_mistakes_are_one_line(type_: Typed, arguments: tuple[str, ...], said: str) -> None:
    ended = await type_(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.startswith("sagakart: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            f"{HEADER}g1,payment,100,0,0,100,{TODAY},p\ng2,payment,1OO,0,0,1,{TODAY},p\n".encode(),
            "import it again\n  line 3: gross is '1OO': write INR such as 1299.50 or -20\n",
        ),
        (b"sku,price\n", "is no settlement report: the header has no line_id"),
        (HEADER.encode() + b"\xff\xfe", "is not UTF-8 text"),
    ],
)
async def test_files_that_cannot_be_imported(
    stage: Stage, type_: Typed, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "report.csv"
    file.write_bytes(content)
    ended = await type_("import", "--psp", "gammapay", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert await shop.rows(stage.db, "SELECT count(*) FROM settlement_lines") == [(0,)]


async def test_a_round_that_does_not_end_in_time_is_named(stage: Stage, type_: Typed) -> None:
    stage.psp.report(TODAY, line("alone"))
    stage.steps.broken = True
    told = await type_("run", "--psp", NAME, "--day", str(TODAY), "--wait", "1")
    assert told.code == 1
    assert told.out.startswith(f"reconciliation:{NAME}:{TODAY}")
    saga_id = told.out.split()[0]
    stage.steps.broken = False
    handle = stage.client.get_workflow_handle(saga_id)
    await stage.until(handle, lambda view: bool(view.parked))
    await stage.resolve(handle, "RETRY")
    await handle.result()
    assert await settled.cases(stage.db) == {"line:alone": ("MISSING_HERE", "OPEN", -PRICE)}
