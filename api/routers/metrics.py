"""Metrics for Prometheus. They are about the business: keep them inside."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.identity import ReadLimit
from api.metrics import CONTENT_TYPE
from api.problems import Problem, problems
from api.services import ServicesDep

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    dependencies=[ReadLimit],
    response_class=Response,
    responses=problems(
        "ROUTE_NOT_FOUND",
        "UNAUTHENTICATED",
        "TOKEN_INVALID",
        also={200: {"content": {CONTENT_TYPE: {}}, "description": "Prometheus' text format."}},
    ),
)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """How payments do and what waits: for a scraper inside, by the token of the settings.

    Without such a token production has no metrics, and development shows them to anybody.
    """
    token = services.config.metrics_token
    if token:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise Problem("UNAUTHENTICATED", "Send Authorization: Bearer <SAGAKART_METRICS_TOKEN>.")
        if not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise Problem("TOKEN_INVALID", "Send the value of the setting SAGAKART_METRICS_TOKEN.")
    elif services.config.production:
        raise Problem("ROUTE_NOT_FOUND")
    return Response(await services.metrics.page(services.clock()), media_type=CONTENT_TYPE)
