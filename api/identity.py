"""Who is asking: read from the access token, checked against what a route demands."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.problems import Problem
from api.services import ServicesDep
from api.tokens import Caller
from db.vocabulary import Role


async def signed_in(request: Request, services: ServicesDep) -> Caller:
    """The caller; raises Problem UNAUTHENTICATED, TOKEN_INVALID or TOKEN_EXPIRED."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Problem("UNAUTHENTICATED")
    caller = services.tokens.read(token.strip())
    request.state.user_id = caller.user_id
    return caller


CallerDep = Annotated[Caller, Depends(signed_in)]


async def staff(caller: CallerDep) -> Caller:
    """A caller from support or an admin; raises Problem FORBIDDEN for anyone else."""
    if not caller.staff:
        allowed = f"{Role.SUPPORT.value} or {Role.ADMIN.value}"
        raise Problem("FORBIDDEN", f"The role {caller.role.value} is not enough: {allowed} is.")
    return caller


StaffDep = Annotated[Caller, Depends(staff)]


async def admin(caller: CallerDep) -> Caller:
    """A caller who is an admin; raises Problem FORBIDDEN for anyone else."""
    if caller.role is not Role.ADMIN:
        needed = Role.ADMIN.value
        raise Problem("FORBIDDEN", f"The role {caller.role.value} is not enough: {needed} is.")
    return caller


AdminDep = Annotated[Caller, Depends(admin)]


def address_of(request: Request) -> str:
    """The network address a request came from."""
    return request.client.host if request.client else "unknown"


async def limit_reads(request: Request, services: ServicesDep) -> None:
    """Count a read against its address."""
    limit = services.config.limits.reads
    await services.limiter.take("reads", limit, address_of(request), must_count=False)


ReadLimit = Depends(limit_reads)
