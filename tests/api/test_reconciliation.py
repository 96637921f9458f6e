"""Days, cases and their ends, as support and finance reach them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.reconciliation.compare import compare
from api.services import utc_now
from db.ids import new_ulid
from db.repositories import settlements
from db.session import Database
from db.vocabulary import Role
from domain.money import Money
from domain.settlements import LineKind, SettlementLine, business_day
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.shop import refused

BASE = "/v1/admin/reconciliation"
PSP = "alphapay"


async def settled(db: Database, *amounts: int) -> None:
    """Lines of payments that nobody here knows, stored and compared today."""
    now = utc_now()
    today = business_day(now)
    lines = [
        SettlementLine(
            provider=PSP, line_id=f"l{number}", kind=LineKind.PAYMENT, gross=Money(paise),
            fee=Money(2), tax=Money(1), net=Money(paise - 3), occurred_at=now, settled_on=today,
            payment_ref=f"pay_{number}",
        )
        for number, paise in enumerate(amounts)
    ]  # fmt: skip
    async with db.unit_of_work() as session:
        await settlements.store(session, PSP, lines)
        await settlements.day_read(session, PSP, today, lines=len(lines), at=now)
        await compare(session, PSP, today)


async def get(edge: Edge, path: str, **params: Any) -> Any:
    headers = edge.bearer(shop.AGENT, Role.SUPPORT)
    return await edge.http.get(f"{BASE}{path}", params=params, headers=headers)


async def post(edge: Edge, path: str, body: Any, user: str = shop.AGENT) -> Any:
    role = Role.ADMIN if user == shop.LEAD else Role.SUPPORT
    return await edge.http.post(f"{BASE}{path}", json=body, headers=edge.bearer(user, role))


async def first_case(edge: Edge) -> dict[str, Any]:
    listed: dict[str, Any] = (await get(edge, "/cases")).json()["items"][0]
    return listed


async def test_a_day(edge: Edge, db: Database) -> None:
    await settled(db, 500_00, 700_00)
    (day,) = (await get(edge, "/days")).json()["items"]
    assert day["read_at"] is not None
    today = business_day(utc_now()).isoformat()
    assert {name: value for name, value in day.items() if name != "read_at"} == {
        "provider": PSP, "day": today, "currency": "INR", "lines": 2, "held": 0, "matched": 0,
        "matched_share": 0.0, "gross_paise": 1200_00, "fee_paise": 4, "tax_paise": 2,
        "net_paise": 1200_00 - 6,
        "differences": [
            {"outcome": "MISSING_HERE", "cases": 2, "open": 2, "paise": -1200_00}
        ],
    }  # fmt: skip
    tomorrow = (business_day(utc_now()) + timedelta(days=1)).isoformat()
    assert (await get(edge, "/days", **{"from": tomorrow})).json()["items"] == []
    assert (await get(edge, "/days", to=today, provider=PSP)).json()["items"] == [day]
    assert (await get(edge, "/days", provider="betapay")).json() == {"items": [], "next": None}


async def test_cases_by_what_is_known_and_in_pages(edge: Edge, db: Database) -> None:
    await settled(db, 500_00, 700_00, 900_00)

    async def found(**params: Any) -> list[int]:
        items = (await get(edge, "/cases", **params)).json()["items"]
        return sorted(each["difference_paise"] for each in items)

    every = [-900_00, -700_00, -500_00]
    assert await found() == await found(state="OPEN", outcome="MISSING_HERE", min_age=0) == every
    assert await found(state="EXPLAINED") == await found(min_age=1) == []
    assert await found(provider="betapay") == await found(owner="nobody") == []
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(2):
        page = (await get(edge, "/cases", limit=2, **cursor)).json()
        seen += [each["subject"] for each in page["items"]]
        cursor = {"cursor": page["next"]}
    assert sorted(seen) == ["line:l0", "line:l1", "line:l2"]
    assert page["next"] is None
    refused(await get(edge, "/cases", cursor="%%"), 422, "BAD_CURSOR")
    refused(await get(edge, "/days", cursor="%%"), 422, "BAD_CURSOR")
    for params in ({"state": "ODD"}, {"outcome": "ODD"}, {"day": "soon"}, {"min_age": -1}):
        refused(await get(edge, "/cases", **params), 422, "VALIDATION_FAILED")


async def test_a_case_tells_its_story(edge: Edge, db: Database) -> None:
    await settled(db, 500_00)
    case = await first_case(edge)
    assert (case["owner"], case["outcome"], case["present"]) == ("payments", "MISSING_HERE", True)
    assert case["next_step"].startswith("Look the payment up at the provider.")
    taken = await post(edge, f"/cases/{case['id']}/notes", {"note": "asked them", "take": True})
    assert (taken.status_code, taken.json()["owner"]) == (201, shop.AGENT)
    ended = await post(
        edge, f"/cases/{case['id']}/resolve", {"state": "EXPLAINED", "note": "a test of theirs"}
    )
    assert (ended.status_code, ended.json()["state"]) == (200, "EXPLAINED")
    story = (await get(edge, f"/cases/{case['id']}")).json()
    assert [(each["actor"], each["kind"], each["note"]) for each in story["events"]] == [
        ("reconciliation", "OPENED", "MISSING_HERE: ours ₹ 0.00, settled ₹ 500.00"),
        (shop.AGENT, "TAKEN", "asked them"),
        (shop.AGENT, "EXPLAINED", "a test of theirs"),
    ]
    again = await post(
        edge, f"/cases/{case['id']}/resolve", {"state": "WRITTEN_OFF", "note": "late"}
    )
    problem = refused(again, 409, "CASE_CLOSED")
    assert "cannot go from EXPLAINED to WRITTEN_OFF" in problem["detail"]


async def test_a_write_off_takes_two_people(edge: Edge, db: Database) -> None:
    await settled(db, 500_00)
    path = f"/cases/{(await first_case(edge))['id']}/resolve"
    body = {"state": "WRITTEN_OFF", "note": "they will not say whose it is"}
    first = await post(edge, path, body)
    assert (first.status_code, first.json()["state"]) == (202, "OPEN")
    assert first.json()["first_approval"] == shop.AGENT
    refused(await post(edge, path, body), 409, "SECOND_PERSON_NEEDED")
    second = await post(edge, path, body, shop.LEAD)
    assert (second.status_code, second.json()["state"]) == (200, "WRITTEN_OFF")
    assert second.json()["written_off_paise"] == -500_00
    told = "SELECT account, sum(amount_paise)::bigint FROM ledger_entries GROUP BY 1 ORDER BY 1"
    assert dict(await shop.rows(db, told)) == {
        "bank:alphapay": 499_97, "fee:alphapay": 2, "tax:alphapay": 1, "psp:alphapay": 0,
        "written-off:alphapay": -500_00,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": "OPEN", "note": "x"}, "state"),
        ({"state": "EXPLAINED", "note": " "}, "note"),
        ({"state": "EXPLAINED", "note": "x" * 501}, "note"),
        ({"state": "EXPLAINED", "note": "x", "actor": "me"}, "actor"),
    ],
)
async def test_a_resolution_that_is_wrong(
    edge: Edge, db: Database, body: dict[str, str], field: str
) -> None:
    await settled(db, 500_00)
    case = await first_case(edge)
    problem = refused(
        await post(edge, f"/cases/{case['id']}/resolve", body), 422, "VALIDATION_FAILED"
    )
    assert [error["field"] for error in problem["errors"]] == [field]
    assert (await first_case(edge))["state"] == "OPEN"


async def test_a_case_that_is_not_there(edge: Edge) -> None:
    path = f"/cases/{new_ulid()}"
    refused(await get(edge, path), 404, "CASE_NOT_FOUND")
    refused(await post(edge, f"{path}/notes", {"note": "x"}), 404, "CASE_NOT_FOUND")
    answer = await post(edge, f"{path}/resolve", {"state": "EXPLAINED", "note": "x"})
    refused(answer, 404, "CASE_NOT_FOUND")
    refused(await get(edge, "/cases/nonsense"), 422, "VALIDATION_FAILED")


@pytest.mark.parametrize("path", ["/days", "/cases"])
async def test_customers_see_none_of_it(edge: Edge, path: str) -> None:
    refused(await edge.http.get(f"{BASE}{path}"), 401, "UNAUTHENTICATED")
    refused(await edge.http.get(f"{BASE}{path}", headers=edge.bearer()), 403, "FORBIDDEN")
