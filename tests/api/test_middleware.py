"""Size limits, headers, ids, hosts, CORS, unknown routes, and what is written to the log."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import structlog
import uvicorn
from redis.asyncio import Redis

from api import create_app
from api.engine import EngineUnreachable
from api.services import open_redis
from db.session import Database
from tests.api import shop
from tests.api.conftest import Edge, config, serving
from tests.api.fakes import FakeEngine
from tests.api.shop import refused

_JSON = {"Content-Type": "application/json"}
TEN_MEGABYTES = b'{"email": "' + b"x" * 10_000_000 + b'"}'


@asynccontextmanager
async def _over_tcp(
    db: Database, redis: Redis, engine: FakeEngine
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(config(), database=db, redis=redis, engine=engine)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    serving_on = asyncio.create_task(server.serve([listener]))
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield http
    finally:
        server.should_exit = True
        await serving_on
        listener.close()


@pytest.mark.parametrize("declared", [True, False])
async def test_ten_megabytes_are_refused_in_words(
    stores: None, db: Database, redis: Redis, engine: FakeEngine, declared: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(TEN_MEGABYTES), 65536):
            yield TEN_MEGABYTES[start : start + 65536]

    async with _over_tcp(db, redis, engine) as http:
        content = TEN_MEGABYTES if declared else pieces()
        answer = await http.post("/v1/auth/login", content=content, headers=_JSON)
        refused(answer, 413, "BODY_TOO_LARGE")
        # and the server is as well as before
        assert (await http.get("/healthz")).json() == {"status": "live"}


async def test_the_limit_is_exact(edge: Edge) -> None:
    for size, code in ((262_144, "MALFORMED_JSON"), (262_145, "BODY_TOO_LARGE")):
        answer = await edge.http.post("/v1/auth/login", content=b"x" * size, headers=_JSON)
        assert answer.json()["code"] == code


async def test_security_headers_are_on_every_answer(edge: Edge) -> None:
    for answer in (
        await edge.http.get("/healthz"),
        await edge.http.get("/nowhere"),
        await edge.place(),
        await edge.place(key="short"),
        await edge.http.post("/v1/auth/login", content=b"x" * 300_000, headers=_JSON),
    ):
        headers = answer.headers
        assert headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert len(headers["x-request-id"]) == 26
        assert "strict-transport-security" not in headers
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


async def test_production_insists_on_tls(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    async with serving(config(environment="production"), db, redis, engine) as edge:
        answer = await edge.http.get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_request_keeps_its_own_id_if_it_is_a_decent_one(edge: Edge) -> None:
    given = await edge.http.get("/nowhere", headers={"X-Request-Id": "trace-0001"})
    odd = await edge.http.get("/nowhere", headers={"X-Request-Id": "a\tb<script>"})
    assert given.headers["x-request-id"] == "trace-0001"
    assert given.json()["instance"] == "urn:sagakart:request:trace-0001"
    assert "script" not in odd.headers["x-request-id"]


async def test_unknown_routes_and_methods(edge: Edge) -> None:
    refused(await edge.http.get("/v1/nothing"), 404, "ROUTE_NOT_FOUND")
    answer = await edge.http.delete("/v1/orders")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] in ("GET", "POST", "GET, POST", "POST, GET")


async def test_only_trusted_hosts_are_served(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    async with serving(config(trusted_hosts=("shop.example",)), db, redis, engine) as edge:
        ours = await edge.http.get("/healthz", headers={"Host": "Shop.example:443"})
        other = await edge.http.get("/healthz", headers={"Host": "evil.example"})
    assert ours.status_code == 200
    refused(other, 400, "INVALID_HOST")


async def test_cors_is_for_named_origins_only(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    ours, other = {"Origin": "https://shop.example"}, {"Origin": "https://evil.example"}
    async with serving(config(cors_origins=("https://shop.example",)), db, redis, engine) as edge:
        allowed = await edge.http.get("/healthz", headers=ours)
        ignored = await edge.http.get("/healthz", headers=other)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in ignored.headers


async def test_the_log_has_routes_and_no_values(edge: Edge) -> None:
    with structlog.testing.capture_logs() as logs:
        await edge.http.get("/v1/products", params={"q": "private words"})
        await edge.http.get(f"/v1/products/{shop.luhn_number()}")
        await edge.place()
    lines = [line for line in logs if line["event"] == "request"]
    assert [line["route"] for line in lines] == [
        "/v1/products",
        "/v1/products/{product_id}",
        "/v1/orders",
    ]
    assert [line["status"] for line in lines] == [200, 404, 201]
    assert lines[2]["user"] == shop.ASHA
    for secret in ("private", shop.luhn_number(), "tok_ok", "key-of-the-first-order"):
        assert secret not in str(logs)


async def test_ready_names_the_parts(edge: Edge) -> None:
    answer = await edge.http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "parts": {"postgres": "ok", "redis": "ok", "temporal": "ok"},
    }


async def test_not_ready_while_parts_are_away(stores: None, engine: FakeEngine) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1)
    engine.healthy = EngineUnreachable()
    async with serving(config(), away, open_redis("redis://127.0.0.1:1/0"), engine) as edge:
        answer = await edge.http.get("/readyz")
        assert (await edge.http.get("/healthz")).status_code == 200
    assert answer.status_code == 503
    assert set(answer.json()["parts"].values()) == {"unreachable"}
