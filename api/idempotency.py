"""One answer per key: claims a key, carries the request out once, and replays what was said."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
import structlog
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import Response

from api.outages import is_outage
from api.problems import MEDIA_TYPE, Problem
from api.replays import StoredAnswer
from api.schemas.cards import has_card_number
from api.services import Services
from db.ids import new_ulid
from db.repositories import edge, idempotency
from db.repositories.idempotency import KeyClaim, KeyOutcome

log = structlog.get_logger("api")

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{16,128}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request under a key: who sent it, the key, and the hash of what was asked."""

    user_id: str
    key: str
    route: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with its JSON body; a problem where the status is 4xx."""

    status: int
    body: dict[str, Any]

    def response(self, location: str, *, replayed: bool = False) -> Response:
        """The answer over HTTP."""
        headers = {"Location": location} if self.status < 400 else {}
        if replayed:
            headers[REPLAYED] = "true"
        media_type = MEDIA_TYPE if self.status >= 400 else "application/json"
        # sorted, as the database keeps no order: a replay is the same to the byte
        content = orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)
        return Response(content, self.status, headers, media_type=media_type)


# takes the resource's id; an earlier request under the key may have got half-way with it
Work = Callable[[str], Awaitable[Answer]]


def asked(request: Request, user_id: str, route: str, body: BaseModel) -> Asked:
    """What a request asks under its key; raises Problem IDEMPOTENCY_KEY_MISSING or _INVALID.

    The hash is over the checked values, so that spacing and the order of fields do not matter.
    """
    key = request.headers.get(HEADER)
    if key is None:
        raise Problem("IDEMPOTENCY_KEY_MISSING")
    if not _KEY.fullmatch(key):
        raise Problem("IDEMPOTENCY_KEY_INVALID")
    if has_card_number(key):
        raise Problem("CARD_NUMBER_REFUSED")
    said = orjson.dumps([route, body.model_dump(mode="json")], option=orjson.OPT_SORT_KEYS)
    return Asked(user_id, key, route, hashlib.sha256(said).hexdigest())


async def once(
    services: Services, request: Asked, location: Callable[[str], str], work: Work
) -> Response:
    """Carry a request out once; raises Problem for a key in flight or used for another body.

    `work` raises Problem for what is not final (5xx): then the key stays, for a retry to resume.
    """
    kept = await services.replays.find(request.user_id, request.key)
    if kept is not None and kept.body_hash == request.body_hash:
        return _replay(kept.status, kept.body, location)
    claim = await _claim(services, request)
    if claim.outcome is KeyOutcome.OTHER_BODY:
        raise Problem("IDEMPOTENCY_KEY_REUSED")
    if claim.outcome is KeyOutcome.IN_FLIGHT:
        raise Problem("ORDER_IN_FLIGHT")
    if claim.outcome is KeyOutcome.REPLAY:
        status, body = claim.status or 200, claim.body or {}
        await _keep(services, request, Answer(status, body))
        return _replay(status, body, location)
    try:
        answer = await work(claim.resource_id)
    except Exception:
        await _unlock(services, request)
        raise
    await _finish(services, request, answer)
    return answer.response(location(claim.resource_id))


def _replay(status: int, body: dict[str, Any], location: Callable[[str], str]) -> Response:
    return Answer(status, body).response(location(body.get("order_id", "")), replayed=True)


async def _claim(services: Services, request: Asked) -> KeyClaim:
    now = services.clock()
    try:
        async with services.database.unit_of_work() as session:
            return await idempotency.claim(
                session,
                user_id=request.user_id,
                key=request.key,
                route=request.route,
                body_hash=request.body_hash,
                resource_id=new_ulid(),
                now=now,
                locked_until=now + timedelta(seconds=services.config.lock_for),
            )
    except IntegrityError as error:
        # the only thing a claim refers to is its user
        raise Problem("TOKEN_INVALID", "The account of this token is gone; sign up.") from error


async def _finish(services: Services, request: Asked, answer: Answer) -> None:
    try:
        async with services.database.unit_of_work() as session:
            await idempotency.finish(
                session,
                user_id=request.user_id,
                key=request.key,
                status=answer.status,
                body=answer.body,
            )
    except Exception as error:
        if not is_outage(error):
            raise
        # the order stands, so its customer is told; a retry resumes and hears the same
        log.warning("answer not stored", error=type(error).__name__)
        return
    await _keep(services, request, answer)


async def _keep(services: Services, request: Asked, answer: Answer) -> None:
    stored = StoredAnswer(request.body_hash, answer.status, answer.body)
    await services.replays.keep(request.user_id, request.key, stored)


async def _unlock(services: Services, request: Asked) -> None:
    try:
        async with services.database.unit_of_work() as session:
            await edge.unlock(
                session, user_id=request.user_id, key=request.key, now=services.clock()
            )
    except Exception as error:
        # the lock ends by itself; the first error is the one to tell
        log.warning("key not unlocked", error=type(error).__name__)
