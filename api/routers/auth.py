"""Signing up, in and out."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.identity import CallerDep, ReadLimit, address_of
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.people import Login, RefreshRequest, SignUp, Tokens, UserView
from api.services import Services, ServicesDep
from api.tokens import new_refresh_token, token_hash
from db.errors import AlreadyRecorded, NotFound
from db.ids import new_ulid
from db.repositories import users
from db.repositories.users import NewUser, RotationOutcome, UserRecord
from db.vocabulary import UserStatus

router = APIRouter(prefix="/v1", tags=["users"])

_REFUSED = {
    RotationOutcome.UNKNOWN: "REFRESH_TOKEN_INVALID",
    RotationOutcome.REVOKED: "REFRESH_TOKEN_INVALID",
    RotationOutcome.EXPIRED: "REFRESH_TOKEN_EXPIRED",
    RotationOutcome.REUSED: "REFRESH_TOKEN_REUSED",
}


async def _limit_refresh(request: Request, services: ServicesDep) -> None:
    # 256 random bits cannot be guessed: this one need not hold while Redis is away
    limit = services.config.limits.refresh
    await services.limiter.take("refresh", limit, address_of(request), must_count=False)


RefreshLimit = Annotated[None, Depends(_limit_refresh)]


@router.post(
    "/users",
    status_code=201,
    response_model=UserView,
    responses=problems("EMAIL_TAKEN", *WITH_BODY),
)
async def sign_up(body: SignUp, request: Request, services: ServicesDep) -> UserRecord:
    """Make a customer's account."""
    limit = services.config.limits.sign_up
    await services.limiter.take("sign-up", limit, address_of(request), must_count=True)
    user = NewUser(
        id=new_ulid(),
        email=body.email.lower(),
        phone=body.phone,
        name=body.name,
        password_hash=await services.passwords.hash(body.password.get_secret_value()),
    )
    try:
        async with services.database.unit_of_work() as session:
            return await users.add(session, user)
    except AlreadyRecorded as error:
        raise Problem("EMAIL_TAKEN") from error


@router.get(
    "/users/me",
    response_model=UserView,
    dependencies=[ReadLimit],
    responses=problems(*SIGNED_IN),
)
async def me(caller: CallerDep, services: ServicesDep) -> UserRecord:
    """The account of the caller."""
    try:
        async with services.database.reading() as session:
            return await users.get(session, caller.user_id)
    except NotFound as error:
        raise Problem("TOKEN_INVALID") from error


@router.post("/auth/login", responses=problems("LOGIN_FAILED", "ACCOUNT_BLOCKED", *WITH_BODY))
async def login(body: Login, request: Request, services: ServicesDep) -> Tokens:
    """Start a session. Wrong e-mail and wrong password look and take the same."""
    limits, limiter = services.config.limits, services.limiter
    address = address_of(request)
    await limiter.take("login-address", limits.login_per_address, address, must_count=True)
    await limiter.take("login", limits.login_per_email, body.email.lower(), must_count=True)
    async with services.database.reading() as session:
        user = await users.by_email(session, body.email)
    stored = user.password_hash if user else None
    if not await services.passwords.fits(stored, body.password.get_secret_value()) or user is None:
        raise Problem("LOGIN_FAILED")
    _check_active(user)
    refresh = new_refresh_token()
    async with services.database.unit_of_work() as session:
        await users.issue_token(
            session,
            token_id=new_ulid(),
            user_id=user.id,
            family_id=new_ulid(),
            token_hash=token_hash(refresh),
            expires_at=services.clock() + timedelta(seconds=services.config.refresh_token_seconds),
        )
    return _session(services, user, refresh)


@router.post(
    "/auth/refresh",
    responses=problems(
        "REFRESH_TOKEN_INVALID",
        "REFRESH_TOKEN_EXPIRED",
        "REFRESH_TOKEN_REUSED",
        "ACCOUNT_BLOCKED",
        *WITH_BODY,
    ),
)
async def refresh(body: RefreshRequest, services: ServicesDep, _: RefreshLimit) -> Tokens:
    """Exchange a refresh token for the next; one that comes twice ends the whole session."""
    now, fresh = services.clock(), new_refresh_token()
    async with services.database.unit_of_work() as session:
        rotation = await users.rotate_token(
            session,
            token_hash(body.refresh_token.get_secret_value()),
            token_id=new_ulid(),
            token_hash=token_hash(fresh),
            expires_at=now + timedelta(seconds=services.config.refresh_token_seconds),
            now=now,
        )
        if rotation.outcome is RotationOutcome.ROTATED and rotation.user_id is not None:
            user = await users.get(session, rotation.user_id)
            _check_active(user)
    # outside the transaction: what a reused token revoked must be committed
    if rotation.outcome is not RotationOutcome.ROTATED:
        raise Problem(_REFUSED[rotation.outcome])
    return _session(services, user, fresh)


@router.post("/auth/logout", status_code=204, responses=problems(*WITH_BODY))
async def logout(body: RefreshRequest, services: ServicesDep, _: RefreshLimit) -> Response:
    """End a session; ending one that is over, or never was, is no error."""
    presented = token_hash(body.refresh_token.get_secret_value())
    async with services.database.unit_of_work() as session:
        await users.revoke_family(session, presented, now=services.clock())
    return Response(status_code=204)


def _check_active(user: UserRecord) -> None:
    if user.status is not UserStatus.ACTIVE:
        raise Problem("ACCOUNT_BLOCKED")


def _session(services: Services, user: UserRecord, refresh_token: str) -> Tokens:
    return Tokens(
        access_token=services.tokens.issue(user.id, user.role, services.clock()),
        expires_in=services.tokens.seconds,
        refresh_token=refresh_token,
    )
