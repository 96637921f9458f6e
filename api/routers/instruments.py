"""Saved ways to pay, for one-click orders."""

from __future__ import annotations

import re

from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from api.identity import CallerDep, ReadLimit
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.base import ULID_PATTERN
from api.schemas.instruments import InstrumentBody, Instruments, InstrumentView
from api.services import ServicesDep
from db.ids import new_ulid
from db.repositories import instruments
from db.repositories.instruments import InstrumentRecord, NewInstrument
from domain.payments import PaymentMethod

router = APIRouter(prefix="/v1/users/me/instruments", tags=["users"], dependencies=[ReadLimit])

_ULID = re.compile(ULID_PATTERN)


@router.get("", responses=problems(*SIGNED_IN))
async def list_instruments(caller: CallerDep, services: ServicesDep) -> Instruments:
    """The caller's saved ways to pay."""
    async with services.database.reading() as session:
        found = await instruments.of_user(session, caller.user_id)
    return Instruments(items=[_view(each) for each in found])


@router.post(
    "",
    status_code=201,
    responses=problems(
        "CARD_NUMBER_REFUSED", "PROVIDER_NOT_FOUND", "INSTRUMENT_NOT_USABLE", *SIGNED_IN, *WITH_BODY
    ),
)
async def save_instrument(
    body: InstrumentBody, caller: CallerDep, services: ServicesDep
) -> InstrumentView:
    """Save a PSP's token; the same token twice is saved once."""
    if body.psp not in services.config.webhooks:
        raise Problem("PROVIDER_NOT_FOUND", f"There is no payment provider {body.psp}.")
    if body.method is PaymentMethod.COD:
        raise Problem("INSTRUMENT_NOT_USABLE", "Cash needs no token.")
    new = NewInstrument(id=new_ulid(), user_id=caller.user_id, **body.model_dump())
    try:
        async with services.database.unit_of_work() as session:
            return _view(await instruments.add(session, new))
    except IntegrityError as error:
        # the only thing an instrument refers to is its user
        raise Problem("TOKEN_INVALID", "The account of this token is gone; sign up.") from error


@router.delete(
    "/{instrument_id}",
    status_code=204,
    responses=problems("INSTRUMENT_NOT_FOUND", *SIGNED_IN),
)
async def forget_instrument(
    instrument_id: str, caller: CallerDep, services: ServicesDep
) -> Response:
    """Forget a saved way to pay; orders under way go on."""
    if _ULID.fullmatch(instrument_id):
        async with services.database.unit_of_work() as session:
            if await instruments.remove(session, instrument_id, caller.user_id):
                return Response(status_code=204)
    raise Problem("INSTRUMENT_NOT_FOUND")


def _view(instrument: InstrumentRecord) -> InstrumentView:
    return InstrumentView(
        instrument_id=instrument.id,
        method=instrument.method,
        psp=instrument.psp,
        label=instrument.label,
        bank=instrument.bank,
        expires_on=instrument.expires_on,
        created_at=instrument.created_at,
    )
