"""Sagas for support: find them, read them, and answer for steps that are parked."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from api.engine import EngineError, EngineUnreachable, ResolutionRefused, SagaEnded, SagaUnknown
from api.identity import ReadLimit, StaffDep
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.saga_views import live_view, stored_view
from api.schemas.base import Listed, Plain, UlidText
from api.schemas.sagas import HistoryView, ResolutionBody, ResolvedView, SagaSummary, SagaView
from api.services import Services, ServicesDep
from db.errors import NotFound
from db.repositories import sagas
from db.repositories.sagas import SagaEventRecord, SagaFilter, SagaRecord
from db.vocabulary import SagaState
from saga import Resolution

router = APIRouter(prefix="/v1/sagas", tags=["sagas"], dependencies=[ReadLimit])

_STAFF_ONLY = (*SIGNED_IN, "FORBIDDEN")
_ENDED = (SagaState.COMPLETED, SagaState.COMPENSATED)
_ID = re.compile(r"[a-z-]{1,40}:[\x21-\x7e]{1,120}")
_LIVE_WITHIN = 1.0
_MAX_AGE = 10 * 366 * 24 * 3600
_MOST_EVENTS = 5000

Cursor = Annotated[str | None, Query(max_length=2048)]


@router.get("", responses=problems("BAD_CURSOR", *_STAFF_ONLY))
async def list_sagas(
    _: StaffDep,
    services: ServicesDep,
    state: SagaState | None = None,
    kind: Annotated[str | None, Query(max_length=40), Plain] = None,
    customer: Annotated[UlidText | None, Query()] = None,
    order: Annotated[UlidText | None, Query()] = None,
    min_age: Annotated[
        int | None, Query(ge=0, le=_MAX_AGE, description="Started this many seconds ago or more.")
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Listed[SagaSummary]:
    """Sagas from the projection, newest first."""
    before = None if min_age is None else services.clock() - timedelta(seconds=min_age)
    wanted = SagaFilter(
        state=state, kind=kind, customer_id=customer, order_id=order, started_before=before
    )
    async with services.database.reading() as session:
        page = await sagas.list_sagas(session, wanted, after=cursor, limit=limit)
    return Listed(items=[SagaSummary.model_validate(each) for each in page.items], next=page.next)


@router.get("/{saga_id}", responses=problems("SAGA_NOT_FOUND", *_STAFF_ONLY))
async def get_saga(saga_id: str, _: StaffDep, services: ServicesDep) -> SagaView:
    """A saga's timeline in words; told by the saga while it runs, else by the projection."""
    record, events = await _projected(services, saga_id)
    if record.state not in _ENDED:
        try:
            return live_view(record, await services.engine.timeline(saga_id, _LIVE_WITHIN))
        except EngineError:
            pass  # the projection is a moment older, and always there
    return stored_view(record, events)


@router.get(
    "/{saga_id}/history",
    responses=problems("SAGA_NOT_FOUND", "SAGA_NOT_IN_ENGINE", "BAD_CURSOR", *_STAFF_ONLY),
)
async def get_history(
    saga_id: str,
    _: StaffDep,
    services: ServicesDep,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> HistoryView:
    """The engine's own events behind a saga, payloads decoded."""
    await _known(services, saga_id)
    try:
        page = await services.engine.history(saga_id, limit, _token(cursor))
    except SagaUnknown as error:
        raise Problem("SAGA_NOT_IN_ENGINE") from error
    except EngineUnreachable as error:
        # the engine says the same of a token that is not its own
        raise Problem("BAD_CURSOR" if cursor else "TEMPORARILY_UNAVAILABLE") from error
    after = base64.urlsafe_b64encode(page.next).decode() if page.next else None
    return HistoryView(items=page.events, next=after)


@router.post(
    "/{saga_id}/resolve",
    response_model=ResolvedView,
    responses=problems(
        "SAGA_NOT_FOUND",
        "SAGA_ENDED",
        "NOT_PARKED",
        "ACTION_NOT_ALLOWED",
        "NOTE_MISSING",
        "RESULT_NEEDED",
        "SECOND_PERSON_NEEDED",
        *_STAFF_ONLY,
        *WITH_BODY,
        also={202: {"model": ResolvedView, "description": "A second person must agree."}},
    ),
)
async def resolve(
    saga_id: str, body: ResolutionBody, caller: StaffDep, services: ServicesDep
) -> JSONResponse:
    """Answer for a parked step, in the caller's own name."""
    await _known(services, saga_id)
    resolution = Resolution(
        step=body.step,
        action=body.action,
        actor=caller.user_id,
        note=body.note,
        result=body.result,
    )
    try:
        resolved = await services.engine.resolve(saga_id, resolution)
    except ResolutionRefused as error:
        raise Problem(error.code, error.message) from error
    except (SagaEnded, SagaUnknown) as error:
        raise Problem("SAGA_ENDED") from error
    except EngineUnreachable as error:
        raise Problem("TEMPORARILY_UNAVAILABLE") from error
    return JSONResponse(resolved.model_dump(), 200 if resolved.accepted else 202)


async def _projected(
    services: Services, saga_id: str
) -> tuple[SagaRecord, tuple[SagaEventRecord, ...]]:
    if not _ID.fullmatch(saga_id):
        raise Problem("SAGA_NOT_FOUND")
    try:
        async with services.database.reading() as session:
            record = await sagas.get(session, saga_id)
            return record, await sagas.timeline(session, saga_id, limit=_MOST_EVENTS)
    except NotFound as error:
        raise Problem("SAGA_NOT_FOUND") from error


async def _known(services: Services, saga_id: str) -> None:
    if not _ID.fullmatch(saga_id):
        raise Problem("SAGA_NOT_FOUND")
    try:
        async with services.database.reading() as session:
            await sagas.get(session, saga_id)
    except NotFound as error:
        raise Problem("SAGA_NOT_FOUND") from error


def _token(cursor: str | None) -> bytes:
    try:
        return base64.b64decode(cursor or "", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem("BAD_CURSOR") from error
