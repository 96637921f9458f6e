"""Reconciliation for support and finance: days, the cases of what differs, and their ends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from api.identity import ReadLimit, StaffDep
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.base import Listed, Plain, UlidText
from api.schemas.reconciliation import (
    CaseEventView,
    CaseNote,
    CaseResolution,
    CaseStory,
    CaseView,
    DayView,
)
from api.services import ServicesDep
from db.errors import NotFound
from db.repositories import cases, settlement_report
from db.repositories.cases import CaseFilter, CaseRecord
from domain.cases import NEXT_STEPS, CaseState, Outcome, SecondPersonNeeded
from domain.errors import IllegalTransition

router = APIRouter(
    prefix="/v1/admin/reconciliation", tags=["reconciliation"], dependencies=[ReadLimit]
)

_STAFF_ONLY = (*SIGNED_IN, "FORBIDDEN")
_MAX_AGE = 10 * 366
_WAITS = {"model": CaseView, "description": "A second person must agree to write it off."}

Cursor = Annotated[str | None, Query(max_length=512)]
Limit = Annotated[int, Query(ge=1, le=200)]
Word = Annotated[str | None, Query(min_length=1, max_length=80), Plain]


@router.get("/days", responses=problems("BAD_CURSOR", *_STAFF_ONLY))
async def list_days(
    _: StaffDep,
    services: ServicesDep,
    provider: Word = None,
    first: Annotated[date | None, Query(alias="from", description="From this day on.")] = None,
    last: Annotated[date | None, Query(alias="to", description="Up to this day.")] = None,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> Listed[DayView]:
    """Days of providers, newest first: what was settled, how much agrees, and what differs."""
    async with services.database.reading() as session:
        page = await settlement_report.list_days(
            session, provider=provider, first=first, last=last, after=cursor, limit=limit
        )
    return Listed(items=[DayView.model_validate(each) for each in page.items], next=page.next)


@router.get("/cases", responses=problems("BAD_CURSOR", *_STAFF_ONLY))
async def list_cases(
    _: StaffDep,
    services: ServicesDep,
    provider: Word = None,
    state: CaseState | None = None,
    outcome: Outcome | None = None,
    owner: Word = None,
    day: date | None = None,
    min_age: Annotated[
        int | None, Query(ge=0, le=_MAX_AGE, description="Opened this many days ago or more.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Listed[CaseView]:
    """Cases, newest first."""
    before = None if min_age is None else services.clock() - timedelta(days=min_age)
    wanted = CaseFilter(
        provider=provider, state=state, outcome=outcome, owner=owner, day=day, opened_before=before
    )
    async with services.database.reading() as session:
        page = await cases.list_cases(session, wanted, after=cursor, limit=limit)
    return Listed(items=[_view(each) for each in page.items], next=page.next)


@router.get("/cases/{case_id}", responses=problems("CASE_NOT_FOUND", *_STAFF_ONLY))
async def get_case(case_id: UlidText, _: StaffDep, services: ServicesDep) -> CaseStory:
    """A case with all that happened to it."""
    try:
        async with services.database.reading() as session:
            case = await cases.get(session, case_id)
            events = await cases.events(session, case_id)
    except NotFound as error:
        raise Problem("CASE_NOT_FOUND") from error
    told = [CaseEventView.model_validate(each) for each in events]
    return CaseStory(**_view(case).model_dump(), events=told)


@router.post(
    "/cases/{case_id}/notes",
    status_code=201,
    responses=problems("CASE_NOT_FOUND", *_STAFF_ONLY, *WITH_BODY),
)
async def add_note(
    case_id: UlidText, body: CaseNote, caller: StaffDep, services: ServicesDep
) -> CaseView:
    """Say something about a case in the caller's own name, and take it over if wanted."""
    try:
        async with services.database.unit_of_work() as session:
            case = await cases.note(session, case_id, caller.user_id, body.note, take=body.take)
    except NotFound as error:
        raise Problem("CASE_NOT_FOUND") from error
    return _view(case)


@router.post(
    "/cases/{case_id}/resolve",
    response_model=CaseView,
    responses=problems(
        "CASE_NOT_FOUND",
        "CASE_CLOSED",
        "SECOND_PERSON_NEEDED",
        *_STAFF_ONLY,
        *WITH_BODY,
        also={202: _WAITS},
    ),
)
async def resolve(
    case_id: UlidText, body: CaseResolution, caller: StaffDep, services: ServicesDep
) -> JSONResponse:
    """Close a case in the caller's own name; 202 while a write-off waits for a second person."""
    wanted = CaseState(body.state)
    try:
        async with services.database.unit_of_work() as session:
            case = await cases.resolve(session, case_id, wanted, caller.user_id, body.note)
    except NotFound as error:
        raise Problem("CASE_NOT_FOUND") from error
    except IllegalTransition as error:
        raise Problem("CASE_CLOSED", f"{error.message}.") from error
    except SecondPersonNeeded as error:
        raise Problem("SECOND_PERSON_NEEDED") from error
    return JSONResponse(_view(case).model_dump(mode="json"), 200 if case.state is wanted else 202)


def _view(case: CaseRecord) -> CaseView:
    told = {name: getattr(case, name) for name in CaseView.model_fields if name != "next_step"}
    return CaseView(**told, next_step=NEXT_STEPS[case.outcome].words)
