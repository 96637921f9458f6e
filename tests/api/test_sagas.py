"""What support sees and does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.engine import EngineUnreachable, HistoryPage, ResolutionRefused, SagaEnded, SagaUnknown
from db.repositories import sagas
from db.repositories.sagas import SagaEventRecord, SagaProgress
from db.session import Database
from db.vocabulary import Role, SagaState
from saga import Event, EventKind, ParkedStep, Resolution, Resolved, TimelineView
from saga import SagaState as EngineState
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.shop import refused

NOW = datetime.now(UTC).replace(microsecond=0)
ORDER = shop.ulid("an order")
ID = f"checkout:{ORDER}"
EVENTS = (
    SagaEventRecord(seq=1, at=NOW, step="", kind="SAGA_STARTED"),
    SagaEventRecord(seq=2, at=NOW, step="reserve stock", kind="STEP_DONE"),
    SagaEventRecord(seq=3, at=NOW, step="capture", kind="PARKED", code="CAPTURE_UNKNOWN",
                    detail="no answer"),
)  # fmt: skip


async def _recorded(
    db: Database,
    saga_id: str = ID,
    *,
    state: SagaState = SagaState.PARKED,
    events: Sequence[SagaEventRecord] = EVENTS,
    order_id: str = ORDER,
    customer_id: str = shop.ASHA,
) -> None:
    parked = state is SagaState.PARKED
    async with db.unit_of_work() as session:
        await sagas.record(session, SagaProgress(
            saga_id=saga_id, kind=saga_id.partition(":")[0], state=state, events=events,
            order_id=order_id, customer_id=customer_id,
            parked_step="capture" if parked else None,
            parked_code="CAPTURE_UNKNOWN" if parked else None,
        ))  # fmt: skip


async def _get(edge: Edge, path: str, **params: Any) -> Any:
    headers = edge.bearer(shop.AGENT, Role.SUPPORT)
    return await edge.http.get(path, params=params, headers=headers)


async def _resolve(edge: Edge, saga_id: str = ID, **changes: Any) -> Any:
    body = {"step": "capture", "action": "RETRY", "note": "the bank is back", **changes}
    headers = edge.bearer(shop.AGENT, Role.SUPPORT)
    return await edge.http.post(f"/v1/sagas/{saga_id}/resolve", json=body, headers=headers)


async def test_sagas_are_found_by_what_is_known_of_them(edge: Edge, db: Database) -> None:
    started = SagaEventRecord(seq=1, at=NOW - timedelta(hours=2), step="", kind="SAGA_STARTED")
    await _recorded(db)
    await _recorded(
        db, "payment:old", state=SagaState.COMPLETED, events=[started],
        order_id=shop.ulid("old"), customer_id=shop.ROHAN,
    )  # fmt: skip

    async def found(**params: Any) -> list[str]:
        return [each["id"] for each in (await _get(edge, "/v1/sagas", **params)).json()["items"]]

    assert await found() == [ID, "payment:old"]
    assert await found(state="PARKED") == [ID]
    assert await found(kind="payment") == ["payment:old"]
    assert await found(customer=shop.ROHAN) == ["payment:old"]
    assert await found(order=ORDER) == [ID]
    assert await found(min_age=3600) == ["payment:old"]
    assert await found(min_age=3600, state="PARKED") == []
    for params in ({"state": "ODD"}, {"customer": "x"}, {"min_age": -1}, {"min_age": 10**30}):
        refused(await _get(edge, "/v1/sagas", **params), 422, "VALIDATION_FAILED")


async def test_a_long_list_comes_in_pages(edge: Edge, db: Database) -> None:
    ids = [f"checkout:{number}" for number in range(5)]
    for saga_id in ids:
        await _recorded(db, saga_id)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await _get(edge, "/v1/sagas", limit=2, **cursor)).json()
        seen += [each["id"] for each in page["items"]]
        cursor = {"cursor": page["next"]}
    assert seen == ids[::-1]
    assert page["next"] is None
    refused(await _get(edge, "/v1/sagas", cursor="%%%"), 422, "BAD_CURSOR")


async def test_a_saga_that_cannot_be_asked_is_told_from_the_database(
    edge: Edge, db: Database
) -> None:
    await _recorded(db)
    for away in (SagaUnknown(), EngineUnreachable()):
        edge.engine.view = away
        view = (await _get(edge, f"/v1/sagas/{ID}")).json()
        assert (view["source"], view["state"], view["pivot_passed"]) == (
            "projection", "PARKED", False,
        )  # fmt: skip
        assert [event["words"] for event in view["timeline"]] == [
            "Started",
            "Done: reserve stock",
            "Stopped at capture and asks a person (CAPTURE_UNKNOWN: no answer)",
        ]
        (parked,) = view["parked"]
        assert (parked["step"], parked["message"]) == ("capture", "no answer")
        assert parked["runbook"] == "runbooks/CAPTURE_UNKNOWN.md"


async def test_a_running_saga_tells_its_own_story(edge: Edge, db: Database) -> None:
    await _recorded(db)
    edge.engine.view = TimelineView(
        saga_id=ID,
        kind="checkout",
        state=EngineState.WAITING,
        waiting_on="a decision: review risk",
        parked=[
            ParkedStep(
                step="review risk", code="RISK_HOLD", doing="decide", actions=["ACCEPT", "REJECT"]
            )
        ],
        to_undo=["reserve stock", "open order"],
        pivot_passed=False,
        events=[Event(seq=1, at=NOW, step="", kind=EventKind.SAGA_STARTED)],
    )
    view = (await _get(edge, f"/v1/sagas/{ID}")).json()
    assert (view["source"], view["state"]) == ("live", "WAITING")
    assert (view["parked_step"], view["parked_code"]) == ("review risk", "RISK_HOLD")
    assert view["to_undo"] == ["reserve stock", "open order"]
    assert view["order_id"] == ORDER
    (parked,) = view["parked"]
    assert (parked["actions"], parked["runbook"]) == (["ACCEPT", "REJECT"], "runbooks/RISK_HOLD.md")


async def test_a_saga_that_has_ended_is_not_asked(edge: Edge, db: Database) -> None:
    await _recorded(db, state=SagaState.COMPLETED)
    edge.engine.view = ZeroDivisionError()
    view = (await _get(edge, f"/v1/sagas/{ID}")).json()
    assert (view["source"], view["state"], view["parked"]) == ("projection", "COMPLETED", [])


@pytest.mark.parametrize("saga_id", ["nothing", "checkout:1", "CHECKOUT:1", "a%00:b", "x" * 300])
@pytest.mark.parametrize("path", ["", "/history"])
async def test_a_saga_that_is_not_there(edge: Edge, saga_id: str, path: str) -> None:
    refused(await _get(edge, f"/v1/sagas/{saga_id}{path}"), 404, "SAGA_NOT_FOUND")


async def test_history_comes_in_pages(edge: Edge, db: Database) -> None:
    await _recorded(db)
    edge.engine.page = HistoryPage([{"id": 1, "type": "WORKFLOW_EXECUTION_STARTED"}], b"\xff\x00")
    first = (await _get(edge, f"/v1/sagas/{ID}/history", limit=1)).json()
    edge.engine.page = HistoryPage([{"id": 2}], b"")
    second = (await _get(edge, f"/v1/sagas/{ID}/history", limit=1, cursor=first["next"])).json()
    assert first["items"] == [{"id": 1, "type": "WORKFLOW_EXECUTION_STARTED"}]
    assert second == {"items": [{"id": 2}], "next": None}
    assert edge.engine.pages == [(ID, 1, b""), (ID, 1, b"\xff\x00")]


async def test_history_that_is_gone_or_out_of_reach(edge: Edge, db: Database) -> None:
    await _recorded(db)
    path = f"/v1/sagas/{ID}/history"
    edge.engine.page = SagaUnknown()
    refused(await _get(edge, path), 404, "SAGA_NOT_IN_ENGINE")
    edge.engine.page = EngineUnreachable()
    refused(await _get(edge, path), 503, "TEMPORARILY_UNAVAILABLE")
    refused(await _get(edge, path, cursor="a!"), 422, "BAD_CURSOR")


async def test_a_resolution_goes_in_the_agents_own_name(edge: Edge, db: Database) -> None:
    await _recorded(db)
    answer = await _resolve(edge, action="MARK_DONE", result={"captured_paise": 1})
    assert (answer.status_code, answer.json()) == (
        200, {"accepted": True, "message": "RETRY accepted"},
    )  # fmt: skip
    assert edge.engine.resolutions == [
        (
            ID,
            Resolution(
                step="capture",
                action="MARK_DONE",
                actor=shop.AGENT,
                note="the bank is back",
                result={"captured_paise": 1},
            ),
        )
    ]
    refused(await _resolve(edge, actor=shop.LEAD), 422, "VALIDATION_FAILED")


async def test_the_first_of_two_people_is_202(edge: Edge, db: Database) -> None:
    await _recorded(db)
    edge.engine.resolved = Resolved(accepted=False, message="noted; a second person must agree")
    answer = await _resolve(edge, action="SKIP")
    assert (answer.status_code, answer.json()["accepted"]) == (202, False)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("NOT_PARKED", 409),
        ("ACTION_NOT_ALLOWED", 422),
        ("NOTE_MISSING", 422),
        ("RESULT_NEEDED", 422),
        ("SECOND_PERSON_NEEDED", 409),
    ],
)
async def test_a_resolution_that_the_saga_refuses(
    edge: Edge, db: Database, code: str, status: int
) -> None:
    await _recorded(db)
    edge.engine.resolved = ResolutionRefused(code, "why, in words")
    assert refused(await _resolve(edge), status, code)["detail"] == "why, in words"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (SagaEnded(), 409, "SAGA_ENDED"),
        (SagaUnknown(), 409, "SAGA_ENDED"),
        (EngineUnreachable(), 503, "TEMPORARILY_UNAVAILABLE"),
    ],
)
async def test_a_resolution_that_does_not_arrive(
    edge: Edge, db: Database, failure: Exception, status: int, code: str
) -> None:
    await _recorded(db)
    edge.engine.resolved = failure
    refused(await _resolve(edge), status, code)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"step": ""}, "step"),
        ({"action": "retry please"}, "action"),
        ({"note": " "}, "note"),
        ({"note": "x" * 501}, "note"),
    ],
)
async def test_a_resolution_that_is_wrong(
    edge: Edge, db: Database, changes: dict[str, str], field: str
) -> None:
    await _recorded(db)
    body = refused(await _resolve(edge, **changes), 422, "VALIDATION_FAILED")
    assert [error["field"] for error in body["errors"]] == [field]
    assert edge.engine.resolutions == []


async def test_a_resolution_of_no_saga(edge: Edge) -> None:
    refused(await _resolve(edge), 404, "SAGA_NOT_FOUND")
    assert edge.engine.resolutions == []
