"""What is announced to be down is shown in each PSP's words until it is over, and kept."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.sandbox.harness import Sandbox

HOUR = 3_600_000
PATHS = {"alphapay": "/v1/downtimes", "betapay": "/v1/payments/downtimes"}


@pytest.fixture(params=sorted(PATHS))
def psp(request: pytest.FixtureRequest) -> Sandbox:
    server: Sandbox = request.getfixturevalue(request.param)
    return server


async def _announce(psp: Sandbox, body: Any) -> tuple[int, dict[str, Any]]:
    async with psp.client() as client:
        answer = await client.post("/_sandbox/downtimes", json=body)
        return answer.status_code, answer.json()


async def _shown(psp: Sandbox) -> list[dict[str, Any]]:
    async with psp.client() as client:
        answer = (await client.get(PATHS[psp.psp])).json()
    rows: list[dict[str, Any]] = answer["data" if psp.psp == "alphapay" else "items"]
    return rows


async def test_each_tells_in_its_own_words(alphapay: Sandbox, betapay: Sandbox) -> None:
    now = int(time.time() * 1000)
    told = {
        "downtimes": [
            {"method": "card", "bank": "HDFC", "begins": now - HOUR, "ends": now + HOUR,
             "severity": "medium"},
            {"method": "upi_qr", "begins": now + HOUR},
            {"method": "wallet", "begins": now - HOUR, "ends": now - 1},
        ]
    }  # fmt: skip
    for psp in (alphapay, betapay):
        assert await _announce(psp, told) == (200, {"downtimes": 2})
    alpha = [{name: row[name] for name in row if name != "id"} for row in await _shown(alphapay)]
    assert alpha == [
        {"method": "card", "bank": "HDFC", "severity": "medium", "begins": now - HOUR,
         "ends": now + HOUR},
        {"method": "upi_qr", "bank": None, "severity": "high", "begins": now + HOUR,
         "ends": None},
    ]  # fmt: skip
    beta = [{name: row[name] for name in row if name != "id"} for row in await _shown(betapay)]
    assert beta == [
        {"entity": "payment.downtime", "method": "card", "begin": (now - HOUR) // 1000,
         "end": (now + HOUR) // 1000, "status": "started", "severity": "medium",
         "instrument": {"bank": "HDFC"}},
        {"entity": "payment.downtime", "method": "upi_qr", "begin": (now + HOUR) // 1000,
         "end": None, "status": "scheduled", "severity": "high", "instrument": {}},
    ]  # fmt: skip


async def test_announcing_replaces_what_was_announced(psp: Sandbox) -> None:
    await _announce(psp, {"downtimes": [{"method": "card"}, {"method": "wallet"}]})
    assert await _announce(psp, {"downtimes": [{"method": "upi_qr"}]}) == (200, {"downtimes": 1})
    assert [row["method"] for row in await _shown(psp)] == ["upi_qr"]
    assert await _announce(psp, {"downtimes": []}) == (200, {"downtimes": 0})
    assert await _shown(psp) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the body must be a JSON object"),
        ({}, "send an object with one field, downtimes"),
        ({"downtimes": {}}, "send an object with one field, downtimes"),
        ({"downtimes": ["card"]}, "a downtime is an object, not 'card'"),
        ({"downtimes": [{"bank": "HDFC"}]}, "a downtime has method, severity, bank, begins, ends"),
        ({"downtimes": [{"method": "cash"}]}, "no method 'cash'; there are upi_intent"),
        ({"downtimes": [{"method": "card", "severity": "x"}]}, "no severity 'x'; there are high"),
        ({"downtimes": [{"method": "card", "bank": 7}]}, "bank must be text or null, not 7"),
        ({"downtimes": [{"method": "card", "ends": "noon"}]}, "begins and ends are epoch millis"),
    ],
)
async def test_a_mistake_changes_nothing(psp: Sandbox, body: Any, said: str) -> None:
    await _announce(psp, {"downtimes": [{"method": "card"}]})
    status, answer = await _announce(psp, body)
    assert status == 400
    assert said in answer["error"]
    assert [row["method"] for row in await _shown(psp)] == ["card"]


async def test_the_merchants_credentials_are_needed(psp: Sandbox) -> None:
    async with psp.client() as client:
        client.auth, client.headers = None, {}  # type: ignore[assignment]
        answer = await client.get(PATHS[psp.psp])
    assert answer.status_code == 401
