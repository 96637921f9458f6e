"""The books are in the file: kill -9 loses no payment, key, timer or webhook."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.psp.books import Books, Movement, Payment, Status
from tests.sandbox.harness import ROOT, Sandbox, Shop


def order(ref: str, instrument: str) -> dict[str, Any]:
    asked = {"amount": 700, "currency": "INR", "method": "card", "instrument": instrument}
    return {**asked, "merchant_ref": ref, "receipt": ref}


async def test_payments_keys_and_webhooks_outlive_kill_9(
    tmp_path: Path, shop: Shop, ref: str
) -> None:
    server = Sandbox("alphapay", tmp_path, shop.url).start()
    key = {"Idempotency-Key": f"key-{ref}"}
    body = order(ref, "tok_ok")
    rule = {"operation": "webhook", "fault": "late"}
    await server.faults(webhook_late_ms=[1500, 1500], rules=[rule])
    try:
        async with server.client() as client:
            first = (await client.post("/v1/payments", json=body, headers=key)).json()
            pending = (await client.post("/_sandbox/quiesce")).json()
        server.kill()
        assert shop.about(ref) == []
        server.start()
        async with server.client() as client:
            again = (await client.post("/v1/payments", json=body, headers=key)).json()
        [hook] = await shop.until(ref, lambda got: len(got) >= 1)
        [row] = await server.books(ref)
    finally:
        server.kill()
    assert pending["webhooks"] == 1
    assert again == first
    assert (row["id"], row["authorised"], row["movements"]) == (first["id"], 700, 2)
    assert json.loads(hook.body)["data"]["payment"]["id"] == first["id"]


async def test_a_late_authorisation_outlives_kill_9(tmp_path: Path, ref: str) -> None:
    server = Sandbox("betapay", tmp_path).start()
    try:
        await server.faults(late_ms=[400, 400])
        async with server.client() as client:
            await client.post("/v1/payments", json=order(ref, "tok_technical"))
        server.kill()
        await asyncio.sleep(0.4)
        server.start()
        await asyncio.sleep(0.2)
        [row] = await server.books(ref)
    finally:
        server.kill()
    assert (row["status"], row["authorised"], row["movements"]) == ("authorised", 700, 3)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    books = Books(tmp_path / "books.sqlite3")
    books.add_payment(
        Payment(
            id="pay_1",
            merchant_ref="att_1",
            amount=100,
            currency="INR",
            method="card",
            instrument="tok_ok",
            return_url=None,
            status=Status.REQUIRES_ACTION,
            error=None,
            authorised=0,
            captured=0,
            refunded=0,
            charged_back=0,
            created_at=1,
            updated_at=1,
            expires_at=2,
        )
    )
    return books


def test_movements_cannot_be_changed(books: Books) -> None:
    books.move("pay_1", Movement.AUTHORISE, 100, Status.AUTHORISED)
    for change in ("UPDATE movements SET amount = 1", "DELETE FROM movements"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            books.db.execute(change)
    payment = books.payment("pay_1")
    assert payment is not None
    assert (payment.authorised, payment.captured) == (100, 0)


@pytest.mark.parametrize(
    "deeds",
    [
        [(Movement.AUTHORISE, 101)],
        [(Movement.CAPTURE, 1)],
        [(Movement.AUTHORISE, 100), (Movement.CAPTURE, 60), (Movement.CAPTURE, 41)],
        [(Movement.AUTHORISE, 100), (Movement.CAPTURE, 60), (Movement.REFUND, 61)],
    ],
)
def test_the_file_itself_refuses_impossible_totals(
    books: Books, deeds: list[tuple[Movement, int]]
) -> None:
    *fine, impossible = deeds
    for kind, amount in fine:
        books.move("pay_1", kind, amount, Status.AUTHORISED)
    before = books.payment("pay_1")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"), books.transaction():
        books.move("pay_1", *impossible, Status.CAPTURED)
    assert books.payment("pay_1") == before
    assert books.movement_counts() == ({"pay_1": len(fine)} if fine else {})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deltapay", "--port", "0", "--data", "x"], "invalid choice: 'deltapay'"),
        (["alphapay", "--port", "0", "--data", "x"], "an API key is needed"),
        (
            [
                "alphapay",
                "--port",
                "0",
                "--data",
                "x",
                "--api-key",
                "k",
                "--webhook-url",
                "ftp://x",
            ],
            "is not an http(s) address",
        ),
        (
            [
                "alphapay",
                "--port",
                "0",
                "--data",
                "x",
                "--api-key",
                "k",
                "--webhook-url",
                "http://x",
            ],
            "webhooks are signed",
        ),
    ],
)
def test_a_wrong_command_line_says_so(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
