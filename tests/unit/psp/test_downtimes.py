"""What PSPs announce, read from the real sandbox servers; what cannot be read says nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from activities.payments.psp import PSP, Adapter, AlphaPay, BetaPay
from domain.payments import PaymentMethod
from domain.routing import Downtime, Severity
from tests.sandbox.harness import Sandbox, free_port

BOTH = pytest.mark.parametrize("name", ["alphapay", "betapay"])


@BOTH
async def test_downtimes_are_read(
    psps: dict[str, PSP], servers: dict[str, Sandbox], name: str
) -> None:
    begins = int(time.time()) - 60
    rows = [
        {"method": "card", "bank": "HDFC", "severity": "low", "begins": begins * 1000},
        {"method": "upi_qr", "begins": begins * 1000, "ends": (begins + 3600) * 1000},
    ]
    async with servers[name].client() as client:
        await client.post("/_sandbox/downtimes", json={"downtimes": rows})
        assert await psps[name].downtimes() == (
            Downtime(
                psp=name,
                methods=frozenset({PaymentMethod.CARD}),
                bank="HDFC",
                begins=datetime.fromtimestamp(begins, UTC),
                severity=Severity.LOW,
            ),
            Downtime(
                psp=name,
                methods=frozenset({PaymentMethod.UPI_QR}),
                begins=datetime.fromtimestamp(begins, UTC),
                ends=datetime.fromtimestamp(begins + 3600, UTC),
            ),
        )
        await client.post("/_sandbox/downtimes", json={"downtimes": []})
        assert await psps[name].downtimes() == ()


def _answering(name: str, status: int, body: Any) -> PSP:
    adapters: dict[str, type[Adapter]] = {"alphapay": AlphaPay, "betapay": BetaPay}
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    )
    return adapters[name](client, base_url="http://psp", api_key="k", secrets=["s"])


def _rows(name: str, **changes: Any) -> dict[str, Any]:
    row = {
        "alphapay": {"method": "card", "bank": None, "severity": "high", "begins": 1000,
                     "ends": None},
        "betapay": {"method": "card", "instrument": {}, "severity": "high", "begin": 1,
                    "end": None},
    }[name]  # fmt: skip
    return {"data" if name == "alphapay" else "items": [{**row, **changes}]}


@BOTH
async def test_a_method_that_is_not_ours_concerns_nobody(name: str) -> None:
    [told] = await _answering(name, 200, _rows(name)).downtimes() or ()
    assert told.begins == datetime.fromtimestamp(1, UTC)
    assert await _answering(name, 200, _rows(name, method="emi")).downtimes() == ()


@BOTH
@pytest.mark.parametrize(
    ("status", "changes"),
    [(500, {}), (401, {}), (200, {"severity": "awful"}), (200, {"method": 3})],
)
async def test_a_feed_that_cannot_be_read_says_nothing(
    name: str, status: int, changes: dict[str, Any]
) -> None:
    assert await _answering(name, status, _rows(name, **changes)).downtimes() is None


@BOTH
async def test_a_psp_that_is_not_there_says_nothing(name: str, client: httpx.AsyncClient) -> None:
    adapters: dict[str, type[Adapter]] = {"alphapay": AlphaPay, "betapay": BetaPay}
    address = f"http://127.0.0.1:{free_port()}"
    psp = adapters[name](client, base_url=address, api_key="k", secrets=["s"])
    assert await psp.downtimes() is None
