"""A short day of heavy faults: everything that was sold is paid for, and nothing else is."""

from __future__ import annotations

from stack.demo import Day, as_json, as_text
from tests.faults.conftest import ORDERS


def test_nothing_is_violated(day: Day) -> None:
    assert day.findings == []
    assert day.notes == []


def test_orders_failed_over_to_the_other_provider(day: Day) -> None:
    assert len(day.books.failed_over) > 0


def test_the_account_adds_up(day: Day) -> None:
    account = as_json(day)
    ends = ("confirmed", "refused", "cancelled", "expired")
    assert account["orders"] == ORDERS == sum(account[end] for end in ends)
    assert account["refused"] == sum(account["refusals"].values())
    assert account["confirmed"] > 0
    assert account["compensated"] == ORDERS - account["confirmed"]
    assert account["parked"] == len(account["parked_sagas"])
    assert 0 < account["p50_ms"] <= account["p95_ms"] <= account["p99_ms"]
    assert account["violations"] == 0


def test_the_account_can_be_read(day: Day) -> None:
    lines = list(as_text(day))
    assert any(line.startswith(f"{ORDERS} orders by ") for line in lines)
    assert any(line.startswith("one order that failed over, ") for line in lines)
    assert any(line.startswith("7 invariants hold over ") for line in lines)
    assert any("Began to authorise via" in line for line in lines)
