"""Puts the edge together: services for its lifetime, routers, handlers, middleware, OpenAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from redis.asyncio import Redis
from starlette.middleware.cors import CORSMiddleware

from api import handlers
from api.config import ApiConfig
from api.engine import Engine
from api.middleware import Edge
from api.problems import SCHEMA, SCHEMA_NAME
from api.routers import (
    addresses,
    auth,
    catalogue,
    health,
    instruments,
    metrics,
    orders,
    payments_admin,
    reconciliation,
    refunds,
    sagas,
    webhooks,
)
from api.services import Services, open_redis
from api.temporal import TemporalEngine, connect
from db.session import Database

_ROUTERS = (
    health,
    instruments,
    auth,
    addresses,
    catalogue,
    orders,
    refunds,
    webhooks,
    sagas,
    payments_admin,
    reconciliation,
    metrics,
)
_EXPOSED = ["Location", "Retry-After", "Idempotent-Replayed", "X-Request-Id"]


def create_app(
    config: ApiConfig,
    *,
    database: Database | None = None,
    redis: Redis | None = None,
    engine: Engine | None = None,
) -> FastAPI:
    """The edge as an ASGI application.

    What is passed in stays its giver's to close; the rest is opened at start-up and closed at the
    end. No part need be up when it starts: /readyz tells which are.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        own_database = database or Database(
            config.postgres_url, pool_size=config.database_connections, application="sagakart-api"
        )
        own_redis = redis or open_redis(config.redis_url)
        own_engine = engine or TemporalEngine(
            await connect(config.temporal_address, config.namespace)
        )
        services = Services.around(config, own_database, own_redis, own_engine)
        app.state.services = services
        try:
            yield
        finally:
            await services.settle()
            services.passwords.close()
            if redis is None:
                await own_redis.aclose()
            if database is None:
                await own_database.close()

    app = FastAPI(
        title="SagaKart",
        version="1",
        lifespan=lifespan,
        # a resource has one path; any other is a 404 that says so
        redirect_slashes=False,
        # their pages load scripts from elsewhere, which the security headers forbid
        docs_url=None,
        redoc_url=None,
    )
    handlers.install(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    _add_middleware(app, config)
    app.openapi = _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented hook
    return app


def _add_middleware(app: FastAPI, config: ApiConfig) -> None:
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
            expose_headers=_EXPOSED,
        )
    # added last, so that it is the outermost
    app.add_middleware(Edge, production=config.production, trusted_hosts=config.trusted_hosts)


def _openapi(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas[SCHEMA_NAME] = SCHEMA
            # every 422 of ours is a problem: the framework's own shape is never sent
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = schema
        return app.openapi_schema

    return document
