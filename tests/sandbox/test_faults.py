"""Which fault a call meets, and what each does to the call."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.psp.books import Books
from sandbox.psp.faults import BadFaults, Faults
from sandbox.psp.profiles import EDGE_FAULTS, OUTCOME_FAULTS, PROFILES, WEBHOOK, WEBHOOK_FAULTS
from tests.sandbox.harness import Sandbox

ALL = EDGE_FAULTS | OUTCOME_FAULTS | WEBHOOK_FAULTS


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(Books(tmp_path / "books.sqlite3"), ALL)


def drawn(faults: Faults, operation: str, calls: int = 2000) -> list[str]:
    return [faults.decide(operation, f"att{n}", None) for n in range(calls)]


def test_the_same_seed_draws_the_same_faults(faults: Faults) -> None:
    faults.configure({"profile": "heavy", "seed": 7})
    first = drawn(faults, "authorise", 300)
    faults.configure({"profile": "heavy", "seed": 7})
    assert drawn(faults, "authorise", 300) == first
    faults.configure({"profile": "heavy", "seed": 8})
    assert drawn(faults, "authorise", 300) != first


@pytest.mark.parametrize("operation", ["authorise", "capture", "void", "refund", "find"])
def test_heavy_touches_about_a_third_of_the_calls(faults: Faults, operation: str) -> None:
    faults.configure({"profile": "heavy", "seed": 1})
    touched = [fault for fault in drawn(faults, operation) if fault != "none"]
    assert 0.28 <= len(touched) / 2000 <= 0.47


def test_heavy_touches_about_half_of_the_webhooks(faults: Faults) -> None:
    faults.configure({"profile": "heavy", "seed": 1})
    got = drawn(faults, WEBHOOK)
    assert 0.45 <= 1 - got.count("none") / 2000 <= 0.55
    assert set(got) == WEBHOOK_FAULTS | {"none"}


def test_every_third_call_on_a_payment_is_left_alone(faults: Faults) -> None:
    faults.configure({"profile": "heavy", "seed": 3})
    for payment in range(200):
        calls = [faults.decide("find", f"att{payment}", None) for _ in range(6)]
        assert (calls[2], calls[5]) == ("none", "none")


def test_no_profile_no_fault(faults: Faults) -> None:
    assert set(drawn(faults, "authorise", 300)) == {"none"}


def test_profiles_name_faults_that_exist_and_stay_under_a_thousand() -> None:
    for rows in PROFILES.values():
        for operation in {row[0] for row in rows}:
            of = [row for row in rows if row[0] == operation]
            assert sum(row[2] for row in of) < 1000
            allowed = WEBHOOK_FAULTS if operation == WEBHOOK else EDGE_FAULTS | OUTCOME_FAULTS
            assert {row[1] for row in of} <= allowed


def test_a_rule_is_used_as_often_as_it_says_and_only_where_it_fits(faults: Faults) -> None:
    rule = {"operation": "capture", "merchant_ref": "a", "fault": "slow", "times": 2}
    faults.configure({"rules": [rule]})
    assert faults.decide("capture", "b", None) == "none"
    assert faults.decide("void", "a", None) == "none"
    assert [faults.decide("capture", "a", None) for _ in range(3)] == ["slow", "slow", "none"]


def test_rules_outlive_the_process(tmp_path: Path) -> None:
    books = Books(tmp_path / "books.sqlite3")
    Faults(books, ALL).configure(
        {"profile": "default", "seed": 9, "rules": [{"operation": "find", "fault": "slow"}]}
    )
    books.close()
    again = Faults(Books(tmp_path / "books.sqlite3"), ALL)
    assert (again.settings.profile, again.settings.seed) == ("default", 9)
    assert again.decide("find", "x", None) == "slow"


def test_a_fault_that_a_psp_does_not_have_is_not_drawn(tmp_path: Path) -> None:
    faults = Faults(Books(tmp_path / "books.sqlite3"), ALL - {"stale_listing"})
    faults.configure({"profile": "heavy"})
    assert "stale_listing" not in drawn(faults, "find")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"profile": "wild"}, "no profile 'wild'"),
        ({"sead": 1}, "no setting 'sead'"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"late_ms": [5, 1]}, "late_ms must be two whole milliseconds"),
        ({"rules": {}}, "rules must be a list"),
        ({"rules": [1]}, "a rule is an object"),
        ({"rules": [{"operation": "pay", "fault": "slow"}]}, "no operation 'pay'"),
        ({"rules": [{"operation": "find", "fault": "lost"}]}, "no fault 'lost' for find"),
        ({"rules": [{"operation": "find", "fault": "slow", "times": 0}]}, "times must be"),
        ({"rules": [{"operation": "find", "fault": "slow", "when": 1}]}, "a rule has"),
    ],
)
def test_bad_settings_say_what_is_wrong(faults: Faults, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(BadFaults, match=said):
        faults.configure(wanted)
    assert faults.describe()["rules"] == []


async def test_bad_settings_over_http(alphapay: Sandbox) -> None:
    async with alphapay.client() as client:
        answers = [
            await client.post("/_sandbox/faults", content=body)
            for body in (b"{", b"[]", b'{"profile":"wild"}')
        ]
    assert [one.status_code for one in answers] == [400, 400, 400]
    assert "none, default, heavy" in answers[2].json()["error"]


def order(ref: str) -> dict[str, Any]:
    asked = {"amount": 100, "currency": "INR", "method": "card", "instrument": "tok_ok"}
    return {**asked, "merchant_ref": ref}


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ("timeout_before", httpx.RemoteProtocolError),
        ("timeout_after", httpx.RemoteProtocolError),
        ("connection_reset", httpx.ReadError),
    ],
)
async def test_dropped_connections(
    alphapay: Sandbox, ref: str, fault: str, raised: type[Exception]
) -> None:
    await alphapay.faults(rules=[{"operation": "authorise", "merchant_ref": ref, "fault": fault}])
    async with alphapay.client() as client:
        with pytest.raises(raised):
            await client.post("/v1/payments", json=order(ref))
    acted = fault != "timeout_before"
    assert len(await alphapay.books(ref)) == (1 if acted else 0)


@pytest.mark.parametrize(
    ("fault", "status", "code", "payments"),
    [
        ("http_500_before", 500, "internal_error", 0),
        ("http_500_after", 500, "internal_error", 1),
        ("rate_limited", 429, "rate_limited", 0),
        ("gateway_down", 503, "gateway_down", 0),
        ("decline_soft", 402, "insufficient_funds", 1),
        ("decline_hard", 402, "lost_card", 1),
        ("decline_fraud", 402, "suspected_fraud", 1),
        ("decline_auth", 402, "authentication_required", 1),
        ("technical", 402, "bank_unavailable", 1),
    ],
)
async def test_answers_that_are_errors(
    alphapay: Sandbox, ref: str, fault: str, status: int, code: str, payments: int
) -> None:
    await alphapay.faults(rules=[{"operation": "authorise", "merchant_ref": ref, "fault": fault}])
    async with alphapay.client() as client:
        answer = await client.post("/v1/payments", json=order(ref))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(await alphapay.books(ref)) == payments


async def test_an_edge_fault_is_not_kept_under_the_key(alphapay: Sandbox, ref: str) -> None:
    rule = {"operation": "authorise", "merchant_ref": ref, "fault": "http_500_after"}
    await alphapay.faults(rules=[rule])
    key = {"Idempotency-Key": f"key-{ref}"}
    async with alphapay.client() as client:
        failed = await client.post("/v1/payments", json=order(ref), headers=key)
        again = await client.post("/v1/payments", json=order(ref), headers=key)
    assert (failed.status_code, again.status_code) == (500, 200)
    assert [row["id"] for row in await alphapay.books(ref)] == [again.json()["id"]]


async def test_an_unreadable_body(alphapay: Sandbox, ref: str) -> None:
    rule = {"operation": "authorise", "merchant_ref": ref, "fault": "unreadable_body"}
    await alphapay.faults(rules=[rule])
    async with alphapay.client() as client:
        answer = await client.post("/v1/payments", json=order(ref))
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated string"):
        answer.json()
    assert len(await alphapay.books(ref)) == 1


async def test_a_delay_holds_up_every_call(alphapay: Sandbox, ref: str) -> None:
    await alphapay.faults(delay_ms=150)
    async with alphapay.client() as client:
        started = time.monotonic()
        await client.post("/v1/payments", json=order(ref))
    assert time.monotonic() - started >= 0.15
    await alphapay.faults()
