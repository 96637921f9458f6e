"""Whether the process lives, and whether it can work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from sqlalchemy import text
from starlette.responses import JSONResponse

from api.services import Services, ServicesDep

router = APIRouter(tags=["health"])

_PATIENCE = 2.0


@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process answers; it depends on nothing else."""
    return {"status": "live"}


@router.get("/readyz", responses={503: {"description": "A part is not reachable; see the body."}})
async def ready(services: ServicesDep) -> JSONResponse:
    """Each part that answering needs, and whether it is reachable."""
    checks: dict[str, Callable[[Services], Awaitable[object]]] = {
        "postgres": _postgres,
        "redis": _redis,
        "temporal": _temporal,
    }
    found = await asyncio.gather(*(_reachable(check(services)) for check in checks.values()))
    parts = dict(zip(checks, found, strict=True))
    whole = all(parts.values())
    body = {
        "status": "ready" if whole else "not ready",
        "parts": {name: "ok" if ok else "unreachable" for name, ok in parts.items()},
    }
    return JSONResponse(body, 200 if whole else 503)


async def _reachable(check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await check
    except Exception:  # whatever it is, the part cannot be used
        return False
    return True


async def _postgres(services: Services) -> None:
    async with services.database.reading() as session:
        await session.execute(text("SELECT 1"))


async def _redis(services: Services) -> None:
    await services.redis.get("ready?")


async def _temporal(services: Services) -> None:
    await services.engine.check()
