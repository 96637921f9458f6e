"""What support and admins see of payments, to the last number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from api.services import open_redis
from db.ids import new_ulid, stable_ulid
from db.repositories import inbox, ledger, payments, refunds, sagas
from db.repositories.inbox import NewWebhook
from db.repositories.ledger import LedgerLine
from db.repositories.payments import AttemptChange, NewAttempt, NewPayment
from db.repositories.refunds import NewRefund
from db.repositories.sagas import SagaEventRecord, SagaProgress
from db.session import Database
from db.vocabulary import LedgerKind, Role, SagaState, Trust
from domain.breaker import BreakerPolicy
from domain.outcomes import Outcome
from domain.payments import DECISIONS, FailureClass, PaymentMethod, PaymentState
from domain.refunds import DisputeState, RefundState
from domain.routing import Condition, Downtime, RoutingRules, Rule, Severity
from tests.api import shop
from tests.api.conftest import Edge, config, serving
from tests.api.fakes import FakeEngine
from tests.api.shop import refused
from tests.integration.db.postgres import free_port

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
PRICE = 599_00
CARD, QR, COD = PaymentMethod.CARD, PaymentMethod.UPI_QR, PaymentMethod.COD
OFFERS = {"alphapay": frozenset({CARD, QR}), "betapay": frozenset({CARD})}
RULES = RoutingRules(
    (
        Rule(
            name="big cards",
            when=Condition(methods=frozenset({CARD}), min_paise=50_000_00, banks=frozenset({"H"})),
            shares={"alphapay": 70, "betapay": 30},
        ),
        Rule(name="by hand", order=("gammapay", "betapay")),
    )
)
BASE = "/v1/admin/payments"
PATHS = [f"{BASE}/decisions", f"{BASE}/routing", f"{BASE}/summary", f"{BASE}/{new_ulid()}"]


@pytest_asyncio.fixture(loop_scope="session")
async def edge(stores: None, db: Database, redis: Redis, engine: FakeEngine) -> AsyncIterator[Edge]:
    settings = config(offers=OFFERS, routes=RULES, metrics_token="the-token-of-the-scraper")
    async with serving(settings, db, redis, engine) as running:
        running.services.clock = lambda: NOW
        yield running


async def _get(edge: Edge, path: str, role: Role = Role.SUPPORT, **params: Any) -> Any:
    headers = edge.bearer(shop.LEAD if role is Role.ADMIN else shop.AGENT, role)
    return await edge.http.get(path, params=params, headers=headers)


async def _paid(
    db: Database,
    *attempts: tuple[str, PaymentState, FailureClass | None, str | None],
    captured_at: str = "",
    confirmed: bool = True,
    opened: datetime = NOW - timedelta(minutes=10),
    method: PaymentMethod = CARD,
) -> str:
    """An order with a payment and these attempts: PSP, state, failure, bank."""
    confirmed_at = {"confirmed_at": NOW} if confirmed else {}
    order_id = await shop.written_order(db, order_id=new_ulid(), **confirmed_at)
    payment_id = stable_ulid(opened, order_id)
    async with db.unit_of_work() as session:
        await payments.open_payment(
            session,
            NewPayment(id=payment_id, order_id=order_id, method=method, amount_paise=PRICE),
        )
        for seq, (psp, state, failure, bank) in enumerate(attempts, 1):
            attempt = f"{order_id}-{seq}"
            await payments.add_attempt(session, NewAttempt(
                id=attempt, payment_id=payment_id, order_id=order_id, seq=seq, psp=psp,
                amount_paise=PRICE, merchant_ref=attempt, reason=f"choice {seq}", bank=bank,
            ))  # fmt: skip
            captured = psp == captured_at and state is PaymentState.CAPTURED
            await payments.change_attempt(session, attempt, AttemptChange(
                state=state, failure_class=failure, psp_ref=f"ref-{attempt}",
                captured_paise=PRICE if captured else None,
            ))  # fmt: skip
            if captured:
                await _book(session, order_id, attempt, psp, LedgerKind.CAPTURE)
    return order_id


async def _book(
    session: Any, order_id: str, attempt: str, psp: str, kind: LedgerKind, paise: int = PRICE
) -> None:
    lines = (LedgerLine(f"psp:{psp}", paise), LedgerLine(f"order:{order_id}", -paise))
    await ledger.post(
        session, f"{kind}:{attempt}", lines, kind=kind, order_id=order_id, attempt_id=attempt
    )


async def _age(db: Database, table: str, row: str, age: timedelta) -> None:
    async with db.unit_of_work() as session:
        statement = f"UPDATE {table} SET created_at = :at WHERE id = :id"  # noqa: S608
        await session.execute(text(statement), {"at": NOW - age, "id": row})


@pytest.mark.parametrize("path", PATHS)
async def test_only_staff_may_look(edge: Edge, path: str) -> None:
    refused(await edge.http.get(path), 401, "UNAUTHENTICATED")
    for role in (Role.CUSTOMER, Role.SELLER):
        answer = await edge.http.get(path, headers=edge.bearer(shop.ASHA, role))
        body = refused(answer, 403, "FORBIDDEN")
        assert role.value in body["detail"]


async def test_the_rules_are_for_admins(edge: Edge) -> None:
    body = refused(await _get(edge, f"{BASE}/routing"), 403, "FORBIDDEN")
    assert body["detail"] == "The role support is not enough: admin is."
    assert (await _get(edge, f"{BASE}/routing", Role.ADMIN)).status_code == 200


async def test_the_decision_table_is_shown_whole(edge: Edge) -> None:
    shown = (await _get(edge, f"{BASE}/decisions")).json()
    assert [tuple(row.values()) for row in shown["rows"]] == [
        (row.psp, row.operation, row.failure, row.code, row.group, row.decision)
        for row in DECISIONS
    ]
    assert shown["rows"][0] == {
        "psp": "*", "operation": "AUTHORISE", "failure": "NOT_SENT", "code": "*", "group": "CARD",
        "decision": "NEXT_PSP",
    }  # fmt: skip
    assert (shown["without_row"], shown["unknown"]) == ("STOP", "INQUIRE")
    assert "not retried" in shown["without_row_means"]


async def test_routing_as_it_stands(edge: Edge) -> None:
    health = edge.services.health
    for _ in range(10):
        await health.record("betapay", CARD, Outcome.TECHNICAL, NOW)
    for outcome in (Outcome.APPROVED, Outcome.APPROVED, Outcome.DECLINED, Outcome.OPEN):
        await health.record("alphapay", QR, outcome, NOW)
    begins = NOW - timedelta(minutes=5)
    told = [
        Downtime(psp="betapay", methods=frozenset({CARD}), bank="HDFC", begins=begins),
        Downtime(psp="betapay", begins=NOW + timedelta(hours=1), severity=Severity.LOW),
    ]
    await health.keep_downtimes("betapay", told, 60)
    shown = (await _get(edge, f"{BASE}/routing", Role.ADMIN)).json()
    assert shown["rules"] == [
        {
            "name": "big cards",
            "when": {
                "methods": ["CARD"], "min_paise": 50_000_00, "max_paise": None, "bins": [],
                "banks": ["H"],
            },
            "shares": {"alphapay": 70, "betapay": 30}, "order": [], "not_configured": [],
        },
        {
            "name": "by hand",
            "when": {"methods": [], "min_paise": 0, "max_paise": None, "bins": [], "banks": []},
            "shares": {}, "order": ["gammapay", "betapay"], "not_configured": ["gammapay"],
        },
    ]  # fmt: skip
    assert shown["otherwise"] == "an even share over every configured PSP that has the method"
    assert shown["policy"] == {
        "window": 120, "minimum": 10, "open_at_percent": 50, "pause": 30, "closing_successes": 5,
        "probe_percent": 10, "rate_window": 600, "rate_minimum": 50, "trailing_points": 10,
    }  # fmt: skip
    assert shown["health_known"] is True
    still = {"state": "CLOSED", "since": None, "good": 0, "recent_results": 0,
             "recent_technical": 0}  # fmt: skip
    nothing = {"success_percent": None, "decided": 0, "declined": 0, "technical": 0}
    opened = {**still, "state": "OPEN", "since": "2026-05-04T12:30:00Z"}
    assert shown["psps"] == [
        {
            "psp": "alphapay",
            "methods": ["CARD", "UPI_QR"],
            "health": [
                {"method": "CARD", "breaker": still, **nothing},
                {
                    "method": "UPI_QR", "breaker": {**still, "recent_results": 4},
                    "success_percent": 66, "decided": 3, "declined": 1, "technical": 0,
                },
            ],
        },
        {
            "psp": "betapay",
            "methods": ["CARD"],
            "health": [
                {
                    "method": "CARD", "breaker": opened,
                    "success_percent": 0, "decided": 10, "declined": 0, "technical": 10,
                }
            ],
        },
    ]  # fmt: skip
    assert shown["downtimes"] == [
        {
            "psp": "betapay", "methods": ["CARD"], "bank": "HDFC", "severity": "HIGH",
            "begins": "2026-05-04T12:25:00Z", "ends": None, "now": True,
        },
        {
            "psp": "betapay", "methods": [], "bank": "", "severity": "LOW",
            "begins": "2026-05-04T13:30:00Z", "ends": None, "now": False,
        },
    ]  # fmt: skip
    edge.services.clock = lambda: NOW + timedelta(seconds=BreakerPolicy().pause)
    later = (await _get(edge, f"{BASE}/routing", Role.ADMIN)).json()
    breaker = later["psps"][1]["health"][0]["breaker"]
    assert (breaker["state"], breaker["since"]) == ("HALF_OPEN", "2026-05-04T12:30:30Z")


async def test_routing_while_redis_is_away(db: Database, stores: None, engine: FakeEngine) -> None:
    nowhere = open_redis(f"redis://127.0.0.1:{free_port()}/0")
    async with serving(config(offers=OFFERS), db, nowhere, engine) as edge:
        shown = (await _get(edge, f"{BASE}/routing", Role.ADMIN)).json()
        page = (await edge.http.get("/metrics")).text
    await nowhere.aclose()
    assert shown["health_known"] is False
    assert [(one["psp"], one["health"]) for one in shown["psps"]] == [
        ("alphapay", []),
        ("betapay", []),
    ]
    assert shown["downtimes"] == []
    assert "sagakart_payment_health_known 0.0" in page
    assert "sagakart_breaker{" not in page


EMPTY: dict[str, Any] = {
    "since": "2026-05-03T12:30:00Z",
    "until": "2026-05-04T12:30:00Z",
    "success": {"by_psp": [], "by_method": [], "by_bank": [], "in_detail": []},
    "failover": {
        "payments": 0, "failed_over": 0, "failed_over_percent": None, "saved_orders": 0,
        "saved_paise": 0,
    },
    "late_captures": {"attempts": 0, "paise": 0, "returned_attempts": 0, "returned_paise": 0},
    "refund_backlog": [],
    "unknown": {"open": 0, "oldest_seconds": None, "oldest": []},
}  # fmt: skip


async def test_a_summary_of_nothing(edge: Edge) -> None:
    assert (await _get(edge, f"{BASE}/summary")).json() == EMPTY


def _success(attempts: int, percent: float | None, **outcomes: int) -> dict[str, Any]:
    return {"attempts": attempts, "outcomes": outcomes, "success_percent": percent}


async def test_success_and_failover(edge: Edge, db: Database) -> None:
    captured, voided, failed = PaymentState.CAPTURED, PaymentState.VOIDED, PaymentState.FAILED
    # paid at the first; paid at the second after a decline; declined by both
    await _paid(db, ("alphapay", captured, None, "HDFC"), captured_at="alphapay")
    await _paid(
        db,
        ("alphapay", voided, FailureClass.DECLINED_SOFT, "HDFC"),
        ("betapay", captured, None, "HDFC"),
        captured_at="betapay",
    )
    await _paid(
        db,
        ("betapay", failed, FailureClass.NOT_SENT, None),
        ("alphapay", failed, FailureClass.DECLINED_HARD, None),
        confirmed=False,
    )
    # stepped up at the same PSP, which is no failover
    await _paid(
        db,
        ("betapay", failed, FailureClass.AUTH_REQUIRED, None),
        ("betapay", captured, None, None),
        captured_at="betapay",
    )
    # the customer left; taken at the second PSP, but never sold
    await _paid(db, ("alphapay", PaymentState.EXPIRED, FailureClass.EXPIRED, None), method=QR,
                confirmed=False)  # fmt: skip
    await _paid(
        db,
        ("alphapay", failed, FailureClass.REJECTED_TRANSIENT, None),
        ("betapay", captured, None, None),
        captured_at="betapay",
        confirmed=False,
    )
    # in cash: nobody was asked. And one before the range, one after it
    await _paid(db, method=COD)
    for opened in (NOW - timedelta(days=1, milliseconds=1), NOW):
        await _paid(db, ("alphapay", captured, None, None), captured_at="alphapay", opened=opened)

    shown = (await _get(edge, f"{BASE}/summary")).json()

    def rolled_up(name: str) -> dict[str, Any]:
        rows = shown["success"][f"by_{name}"]
        assert all(set(row) == {"psp", "method", "bank", "attempts", "outcomes", "success_percent"}
                   for row in rows)  # fmt: skip
        return {
            row[name]: {key: row[key] for key in ("attempts", "outcomes", "success_percent")}
            for row in rows
        }

    assert rolled_up("psp") == {
        "alphapay": _success(5, 25.0, APPROVED=1, DECLINED=2, TECHNICAL=1, ABANDONED=1),
        "betapay": _success(5, 75.0, APPROVED=3, STEPPED_UP=1, TECHNICAL=1),
    }
    assert rolled_up("method") == {
        "CARD": _success(9, 50.0, APPROVED=4, DECLINED=2, TECHNICAL=2, STEPPED_UP=1),
        "UPI_QR": _success(1, None, ABANDONED=1),
    }
    assert rolled_up("bank") == {
        "": _success(7, 40.0, APPROVED=2, DECLINED=1, TECHNICAL=2, STEPPED_UP=1, ABANDONED=1),
        "HDFC": _success(3, 66.67, APPROVED=2, DECLINED=1),
    }
    assert [
        (row["psp"], row["method"], row["bank"], row["attempts"])
        for row in shown["success"]["in_detail"]
    ] == [
        ("alphapay", "CARD", "", 2),
        ("alphapay", "CARD", "HDFC", 2),
        ("alphapay", "UPI_QR", "", 1),
        ("betapay", "CARD", "", 4),
        ("betapay", "CARD", "HDFC", 1),
    ]
    assert shown["failover"] == {
        "payments": 6, "failed_over": 3, "failed_over_percent": 50.0, "saved_orders": 1,
        "saved_paise": PRICE,
    }  # fmt: skip
    whole = await _get(edge, f"{BASE}/summary", **{
        "from": (NOW - timedelta(days=2)).isoformat(),
        "to": (NOW + timedelta(seconds=1)).isoformat(),
    })  # fmt: skip
    assert whole.json()["failover"]["payments"] == 8


async def test_money_that_came_late(edge: Edge, db: Database) -> None:
    """It is not counted as a success of its PSP, and what went back of it is told."""
    late = [
        await _paid(db, ("betapay", PaymentState.FAILED, FailureClass.REJECTED_TRANSIENT, None))
        for _ in range(2)
    ]
    async with db.unit_of_work() as session:
        for order_id in late:
            attempt = f"{order_id}-1"
            await _book(session, order_id, attempt, "betapay", LedgerKind.LATE_CAPTURE)
            change = AttemptChange(state=PaymentState.REFUND_PENDING, captured_paise=PRICE)
            await payments.change_attempt(session, attempt, change)
        await _book(session, late[0], f"{late[0]}-1", "betapay", LedgerKind.REFUND, -PRICE)
    shown = (await _get(edge, f"{BASE}/summary")).json()
    assert shown["late_captures"] == {
        "attempts": 2, "paise": 2 * PRICE, "returned_attempts": 1, "returned_paise": PRICE,
    }  # fmt: skip
    [beta] = shown["success"]["by_psp"]
    assert beta["outcomes"] == {"TECHNICAL": 2}
    assert shown["failover"]["saved_orders"] == 0


async def test_what_is_open_and_how_old(edge: Edge, db: Database) -> None:
    ages = {"minutes": 30, "hours": 2, "days": 3, "weeks": 2}
    for unit, number in ages.items():
        order_id = await _paid(
            db, ("alphapay", PaymentState.CAPTURED, None, None), captured_at="alphapay"
        )
        refund = NewRefund(
            id=new_ulid(), refund_key=unit, attempt_id=f"{order_id}-1", order_id=order_id,
            amount_paise=1_00 * number, reason="broken",
            state=RefundState.UNKNOWN if unit == "days" else RefundState.PENDING,
        )  # fmt: skip
        async with db.unit_of_work() as session:
            await refunds.add(session, refund)
        await _age(db, "refunds", refund.id, timedelta(**{unit: number}))
    async with db.unit_of_work() as session:
        await refunds.settle(session, "weeks", RefundState.DONE, psp_refund_ref="r")
    unknown = await _paid(db, ("betapay", PaymentState.UNKNOWN, FailureClass.UNKNOWN, None))
    silent = await _paid(db, ("betapay", PaymentState.CREATED, None, None))
    asked = await _paid(db, ("betapay", PaymentState.CREATED, None, None))
    for order_id, seconds in ((unknown, 5), (silent, 61), (asked, 59)):
        await _age(db, "payment_attempts", f"{order_id}-1", timedelta(seconds=seconds))
    shown = (await _get(edge, f"{BASE}/summary")).json()
    none = dict.fromkeys(("under_an_hour", "under_a_day", "under_a_week", "older"), 0)
    assert shown["refund_backlog"] == [
        {"state": "PENDING", "refunds": 2, "paise": 32_00, "oldest_seconds": 7200,
         **none, "under_an_hour": 1, "under_a_day": 1},
        {"state": "UNKNOWN", "refunds": 1, "paise": 3_00, "oldest_seconds": 3 * 86_400,
         **none, "under_a_week": 1},
    ]  # fmt: skip
    assert (shown["unknown"]["open"], shown["unknown"]["oldest_seconds"]) == (2, 61)
    assert shown["unknown"]["oldest"] == [
        {"attempt_id": f"{silent}-1", "order_id": silent, "psp": "betapay", "state": "CREATED",
         "amount_paise": PRICE, "since": "2026-05-04T12:28:59Z", "age_seconds": 61},
        {"attempt_id": f"{unknown}-1", "order_id": unknown, "psp": "betapay", "state": "UNKNOWN",
         "amount_paise": PRICE, "since": "2026-05-04T12:29:55Z", "age_seconds": 5},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "field", "message"),
    [
        ({"from": "2026-05-05T00:00:00Z"}, "from", "is not before 2026-05-04T12:30:00+00:00"),
        ({"from": "2026-01-01T00:00:00Z"}, "from", "at most 92 days"),
        ({"to": "1960-01-01T00:00:00Z"}, "from", "must be after 1970"),
        ({"from": "2026-05-04T00:00:00"}, "from", "timezone"),
        ({"to": "yesterday"}, "to", "valid datetime"),
    ],
)
async def test_a_range_that_cannot_be_summed_up(
    edge: Edge, params: dict[str, str], field: str, message: str
) -> None:
    body = refused(await _get(edge, f"{BASE}/summary", **params), 422, "VALIDATION_FAILED")
    [error] = body["errors"]
    assert error["field"] == field
    assert message in error["message"]


async def test_one_payment_in_full(edge: Edge, db: Database) -> None:
    order_id = await _paid(
        db,
        ("alphapay", PaymentState.VOIDED, FailureClass.DECLINED_SOFT, "HDFC"),
        ("betapay", PaymentState.CAPTURED, None, "HDFC"),
        captured_at="betapay",
    )
    refund = NewRefund(
        id=new_ulid(), refund_key="key", attempt_id=f"{order_id}-2", order_id=order_id,
        amount_paise=99_00, reason="one was broken", requested_by=shop.AGENT,
    )  # fmt: skip
    async with db.unit_of_work() as session:
        await refunds.add(session, refund)
    shown = (await _get(edge, f"{BASE}/{order_id}")).json()

    def but(row: dict[str, Any], *names: str) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in names}

    times = ("created_at", "updated_at")
    assert but(shown, *times, "attempts", "refunds", "disputes", "ledger", "payment_id") == {
        "order_id": order_id, "method": "CARD", "state": "CREATED", "amount_paise": PRICE,
        "currency": "INR",
    }  # fmt: skip
    first, second = (but(row, *times) for row in shown["attempts"])
    assert first == {
        "attempt_id": f"{order_id}-1", "seq": 1, "psp": "alphapay", "bank": "HDFC",
        "state": "VOIDED", "reason": "choice 1", "amount_paise": PRICE, "captured_paise": 0,
        "refunded_paise": 0, "charged_back_paise": 0, "psp_ref": f"ref-{order_id}-1",
        "failure_class": "DECLINED_SOFT", "failure_code": None,
    }  # fmt: skip
    assert (second["state"], second["captured_paise"], second["reason"]) == (
        "CAPTURED", PRICE, "choice 2",
    )  # fmt: skip
    assert [but(row, *times) for row in shown["refunds"]] == [
        {"refund_id": refund.id, "attempt_id": f"{order_id}-2", "amount_paise": 99_00,
         "state": "PENDING", "kind": "GIVEN_BACK", "reason": "one was broken",
         "requested_by": shop.AGENT, "psp_refund_ref": None}
    ]  # fmt: skip
    assert [but(row, "at") for row in shown["ledger"]] == [
        {"txn_key": f"CAPTURE:{order_id}-2", "account": account, "amount_paise": paise,
         "currency": "INR", "kind": "CAPTURE", "attempt_id": f"{order_id}-2"}
        for account, paise in (("psp:betapay", PRICE), (f"order:{order_id}", -PRICE))
    ]  # fmt: skip


@pytest.mark.parametrize("order_id", [new_ulid(), "not-an-order"])
async def test_a_payment_that_is_not_there(edge: Edge, order_id: str) -> None:
    refused(await _get(edge, f"{BASE}/{order_id}"), 404, "PAYMENT_NOT_FOUND")


async def test_an_order_that_came_to_no_payment(edge: Edge, db: Database) -> None:
    order_id = await shop.written_order(db)
    refused(await _get(edge, f"{BASE}/{order_id}"), 404, "PAYMENT_NOT_FOUND")


SCRAPER = {"Authorization": "Bearer the-token-of-the-scraper"}


def _samples(page: str) -> dict[str, float]:
    rows = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


async def test_metrics(edge: Edge, db: Database) -> None:
    await _paid(
        db,
        ("alphapay", PaymentState.VOIDED, FailureClass.DECLINED_SOFT, "HDFC"),
        ("betapay", PaymentState.CAPTURED, None, "SBIN"),
        captured_at="betapay",
    )
    order_id = await _paid(
        db, ("betapay", PaymentState.CAPTURED, None, None), captured_at="betapay"
    )
    refund = NewRefund(
        id=new_ulid(), refund_key="key", attempt_id=f"{order_id}-1", order_id=order_id,
        amount_paise=99_00, reason="broken",
    )  # fmt: skip
    lost = await _paid(db, ("betapay", PaymentState.UNKNOWN, FailureClass.UNKNOWN, None))
    async with db.unit_of_work() as session:
        await refunds.add(session, refund)
        received = await inbox.receive(session, NewWebhook(
            provider="betapay", event_id="e", occurred_at=NOW, trust=Trust.SIGNED, kind="OTHER",
            payment_ref=None, order_id=None, payload={},
        ))  # fmt: skip
        await session.execute(
            text("UPDATE webhook_inbox SET received_at = :at"), {"at": NOW - timedelta(seconds=9)}
        )
        event = SagaEventRecord(seq=1, at=NOW, step="capture", kind="PARKED")
        await sagas.record(session, SagaProgress(
            saga_id="checkout:x", kind="checkout", state=SagaState.PARKED, events=[event],
            parked_step="capture", parked_code="CAPTURE_UNKNOWN",
        ))  # fmt: skip
    assert received.new
    await _age(db, "refunds", refund.id, timedelta(seconds=40))
    await _age(db, "payment_attempts", f"{lost}-1", timedelta(seconds=7))
    for _ in range(10):
        await edge.services.health.record("betapay", CARD, Outcome.UNKNOWN, NOW)
    told = [Downtime(psp="alphapay", begins=NOW), Downtime(psp="alphapay", begins=NOW, ends=NOW)]
    await edge.services.health.keep_downtimes("alphapay", told, 60)

    answer = await edge.http.get("/metrics", headers=SCRAPER)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    attempts, breaker = "sagakart_payment_attempts_last_hour", "sagakart_breaker"
    assert _samples(answer.text) == {
        f'{attempts}{{method="CARD",outcome="DECLINED",psp="alphapay"}}': 1,
        f'{attempts}{{method="CARD",outcome="APPROVED",psp="betapay"}}': 2,
        f'{attempts}{{method="CARD",outcome="UNKNOWN",psp="betapay"}}': 1,
        "sagakart_payments_last_hour": 3,
        "sagakart_payments_failed_over_last_hour": 1,
        "sagakart_payments_saved_paise_last_hour": PRICE,
        'sagakart_refunds_pending{state="PENDING"}': 1,
        'sagakart_refunds_pending_paise{state="PENDING"}': 99_00,
        'sagakart_refunds_pending_oldest_seconds{state="PENDING"}': 40,
        "sagakart_payment_attempts_unknown": 1,
        "sagakart_payment_attempts_unknown_oldest_seconds": 7,
        "sagakart_inbox_undelivered": 1,
        "sagakart_inbox_undelivered_oldest_seconds": 9,
        "sagakart_outbox_unpublished": 0,
        'sagakart_sagas_parked{code="CAPTURE_UNKNOWN",kind="checkout"}': 1,
        "sagakart_payment_health_known": 1,
        **{
            f'{breaker}{{method="{method}",psp="{psp}",state="{state}"}}': state
            == ("OPEN" if psp == "betapay" else "CLOSED")
            for psp, method in (("alphapay", "CARD"), ("alphapay", "UPI_QR"), ("betapay", "CARD"))
            for state in ("CLOSED", "OPEN", "HALF_OPEN")
        },
        'sagakart_payment_success_percent{method="CARD",psp="betapay"}': 0,
        'sagakart_downtimes{psp="alphapay",severity="HIGH"}': 1,
    }


async def test_metrics_are_computed_once_in_ten_seconds(edge: Edge, db: Database) -> None:
    async def payments_counted() -> float:
        page = (await edge.http.get("/metrics", headers=SCRAPER)).text
        return _samples(page)["sagakart_payments_last_hour"]

    assert await asyncio.gather(*(payments_counted() for _ in range(5))) == [0.0] * 5
    await _paid(db, ("alphapay", PaymentState.CAPTURED, None, None), captured_at="alphapay")
    assert await payments_counted() == 0
    edge.services.clock = lambda: NOW + timedelta(seconds=10)
    assert await payments_counted() == 1


async def test_metrics_ask_for_their_token(edge: Edge) -> None:
    refused(await edge.http.get("/metrics"), 401, "UNAUTHENTICATED")
    wrong = {"Authorization": "Bearer another"}
    refused(await edge.http.get("/metrics", headers=wrong), 401, "TOKEN_INVALID")
    signed_in = edge.bearer(shop.LEAD, Role.ADMIN)
    refused(await edge.http.get("/metrics", headers=signed_in), 401, "TOKEN_INVALID")
    assert (await edge.http.get("/metrics", headers=SCRAPER)).status_code == 200


@pytest.mark.parametrize(("environment", "status"), [("development", 200), ("production", 404)])
async def test_metrics_without_a_token(
    stores: None, db: Database, redis: Redis, engine: FakeEngine, environment: str, status: int
) -> None:
    async with serving(config(environment=environment), db, redis, engine) as edge:
        answer = await edge.http.get("/metrics")
    assert answer.status_code == status
    if status == 404:
        refused(answer, 404, "ROUTE_NOT_FOUND")


async def test_cash_limits_are_an_admin_s_to_set(edge: Edge) -> None:
    body = {"prefix": "5600", "max_paise": 10_000_00}
    for user, role, status in ((shop.AGENT, Role.SUPPORT, 403), (shop.LEAD, Role.ADMIN, 204)):
        answer = await edge.http.post(
            f"{BASE}/cash-limits", json=body, headers=edge.bearer(user, role)
        )
        assert answer.status_code == status
    seen = await edge.http.get(f"{BASE}/cash-limits", headers=edge.bearer(shop.AGENT, Role.SUPPORT))
    assert seen.json() == {"usual_paise": 50_000_00, "by_prefix": {"5600": 10_000_00}}
    bad = await edge.http.post(
        f"{BASE}/cash-limits",
        json={"prefix": "056", "max_paise": -1},
        headers=edge.bearer(shop.LEAD, Role.ADMIN),
    )
    assert (bad.status_code, bad.json()["code"]) == (422, "VALIDATION_FAILED")
    assert {error["field"] for error in bad.json()["errors"]} == {"prefix", "max_paise"}


async def test_a_dispute_stands_in_the_payment_s_file(edge: Edge) -> None:
    order_id = await shop.sold_order(edge.services.database)
    async with edge.services.database.unit_of_work() as session:
        await refunds.tell_dispute(
            session,
            refunds.NewDispute(
                id=new_ulid(),
                psp="alphapay",
                psp_dispute_ref="dsp_1",
                attempt_id=f"{order_id}-1",
                order_id=order_id,
                amount_paise=100,
                state=DisputeState.OPEN,
                at=NOW,
                reason="not_received",
            ),
        )
    told = await edge.http.get(f"{BASE}/{order_id}", headers=edge.bearer(shop.AGENT, Role.SUPPORT))
    assert told.json()["disputes"] == [
        {
            "psp": "alphapay",
            "psp_dispute_ref": "dsp_1",
            "attempt_id": f"{order_id}-1",
            "amount_paise": 100,
            "state": "OPEN",
            "reason": "not_received",
            "opened_at": "2026-05-04T12:30:00Z",
            "closed_at": None,
        }
    ]
