"""The sandbox's carriers themselves: shares, given lifecycles, books that outlive kill -9."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from sandbox.carriers import journeys
from sandbox.carriers.faults import LIKE, OPERATIONS
from sandbox.carriers.journeys import Planned, Step
from sandbox.psp.faults import chance
from tests.carriers.conftest import Subject
from tests.sandbox.harness import API_KEY, ROOT, Sandbox

MANY = 4000


def journey(n: int, *, cod: bool) -> list[Planned]:
    return journeys.forward(lambda question: chance("journey", n, question), cod=cod)


def ends(*, cod: bool) -> Counter[Step]:
    ended: Counter[Step] = Counter()
    for n in range(MANY):
        steps = journey(n, cod=cod)
        assert [days for days, _, _ in steps] == sorted(days for days, _, _ in steps)
        ended[steps[-1][1]] += 1
    return ended


def test_cash_comes_back_as_often_as_it_does_in_india() -> None:
    cash, prepaid = ends(cod=True), ends(cod=False)
    assert 0.24 < cash[Step.RTO_DELIVERED] / MANY < 0.30
    assert prepaid[Step.RTO_DELIVERED] / MANY < 0.025
    assert (
        set(cash)
        == set(prepaid)
        == {
            Step.DELIVERED,
            Step.RTO_DELIVERED,
            Step.LOST,
            Step.DAMAGED,
        }
    )


def test_it_goes_back_after_the_third_attempt() -> None:
    for n in range(300):
        steps = journey(n, cod=True)
        said = [step for _, step, _ in steps]
        failed = said.count(Step.UNDELIVERED)
        assert failed == 3 if Step.RTO_INITIATED in said else failed < 3
        assert all(reason for _, step, reason in steps if step is Step.UNDELIVERED)


def test_every_operation_has_its_share_of_faults() -> None:
    assert set(LIKE) == set(OPERATIONS)


@pytest.mark.parametrize(
    "rows", [[[1, "beamed up"]], [[-1, "delivered"]], [["soon", "delivered"]], [[1]], [7]]
)
async def test_a_lifecycle_that_makes_no_sense(shiprocket: Subject, rows: object) -> None:
    async with shiprocket.server.client() as client:
        body = {"merchant_ref": "x", "steps": rows}
        answer = await client.post("/_sandbox/lifecycle", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("steps must be [days, step, reason] rows")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"operation": "authorise", "fault": "slow"}, "no operation 'authorise'"),
        ({"operation": "book", "fault": "doubled"}, "no fault 'doubled' for book"),
        ({"operation": "book", "fault": "stale_listing"}, "no fault 'stale_listing' for book"),
        ({"operation": "book", "fault": "slow", "times": 0}, "times must be"),
    ],
)
async def test_a_fault_that_there_is_not(
    shiprocket: Subject, rule: dict[str, object], said: str
) -> None:
    async with shiprocket.server.client() as client:
        answer = await client.post("/_sandbox/faults", json={"rules": [rule]})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)


async def test_parcels_outlive_kill_9(tmp_path: Path) -> None:
    box = Sandbox("swift", tmp_path / "swift").start()
    body = {"reference": "r1", "kind": "forward", "from_pincode": "560099", "to_pincode": "560001"}
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=box.url, trust_env=False, headers=headers) as client:
        await client.post("/_sandbox/time", json={"day_ms": 300})
        steps = [[1, "picked_up"], [6, "delivered"]]
        await client.post("/_sandbox/lifecycle", json={"merchant_ref": "r1", "steps": steps})
        awb = (await client.post("/v1/shipments", json=body)).json()["awb"]
        assert (await client.post(f"/v1/shipments/{awb}/pickup", json={"day": "x"})).is_success
        box.kill()
        box.start()
        while True:
            row = (await client.get("/_sandbox/books")).json()["parcels"][0]
            if row["state"] == "delivered":
                break
        left = (await client.post("/_sandbox/quiesce")).json()
    box.stop()
    assert row["steps"] == ["booked", "pickup_scheduled", "picked_up", "delivered"]
    assert (row["awb"], left) == (awb, {"webhooks": 0, "steps": 0, "pending": 0})


def test_the_command_line_names_the_carriers() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "sandbox", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(name in told.stdout for name in ("swift", "shiprocket", "delhivery"))
