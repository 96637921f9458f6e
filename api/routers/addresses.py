"""Where a user wants parcels."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError

from api.identity import CallerDep, ReadLimit
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.people import Addresses, AddressView, NewAddressBody
from api.services import ServicesDep
from db.ids import new_ulid
from db.repositories import users
from db.repositories.users import AddressRecord, NewAddress
from domain.pincode import parse_pincode, state_code_for

router = APIRouter(prefix="/v1/users/me/addresses", tags=["users"], dependencies=[ReadLimit])


@router.get("", responses=problems(*SIGNED_IN))
async def addresses(caller: CallerDep, services: ServicesDep) -> Addresses:
    """The caller's addresses."""
    async with services.database.reading() as session:
        found = await users.addresses(session, caller.user_id)
    return Addresses(items=[AddressView.model_validate(each) for each in found])


@router.post(
    "",
    status_code=201,
    response_model=AddressView,
    responses=problems("INVALID_PINCODE", *SIGNED_IN, *WITH_BODY),
)
async def add_address(
    body: NewAddressBody, caller: CallerDep, services: ServicesDep
) -> AddressRecord:
    """Store an address; its state, and so the taxes on what goes there, follow from the PIN."""
    address = NewAddress(
        id=new_ulid(),
        user_id=caller.user_id,
        name=body.name,
        line1=body.line1,
        line2=body.line2,
        city=body.city,
        state_code=state_code_for(body.pincode),
        pincode=parse_pincode(body.pincode),
        phone=body.phone,
    )
    try:
        async with services.database.unit_of_work() as session:
            return await users.add_address(session, address)
    except IntegrityError as error:
        # the only thing an address refers to is its user
        raise Problem("TOKEN_INVALID", "The account of this token is gone; sign up.") from error
