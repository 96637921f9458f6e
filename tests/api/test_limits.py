"""Rate limits: exact, per caller, shared through Redis, and what happens while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from api import RateLimit, RateLimits
from api.limits import Limiter
from api.problems import Problem
from api.services import open_redis
from db.session import Database
from tests.api import shop
from tests.api.conftest import Edge, config, serving
from tests.api.fakes import FakeEngine
from tests.api.shop import refused

NOBODY = {"email": "nobody@example.in", "password": "a long password"}


async def _passed(limiter: Limiter, limit: RateLimit, times: int, who: str = "asha") -> int:
    passed = 0
    for _ in range(times):
        try:
            await limiter.take("test", limit, who, must_count=True)
        except Problem as problem:
            if problem.code != "RATE_LIMITED":
                raise
        else:
            passed += 1
    return passed


async def test_exactly_as_many_pass_as_the_limit_says(stores: None, redis: Redis) -> None:
    limiter = Limiter(redis)
    limit = RateLimit(5, 3600)
    assert await _passed(limiter, limit, 8) == 5
    assert await _passed(limiter, limit, 8, who="rohan") == 5


async def test_at_once_no_more_pass(stores: None, redis: Redis) -> None:
    limit = RateLimit(5, 3600)
    passed = await asyncio.gather(*(_passed(Limiter(redis), limit, 1) for _ in range(30)))
    assert sum(passed) == 5


async def test_there_is_room_again_after_the_time_said(stores: None, redis: Redis) -> None:
    limiter, limit = Limiter(redis), RateLimit(3, 1)
    assert await _passed(limiter, limit, 3) == 3
    # two whole windows: nothing of the first still counts
    await asyncio.sleep(2.01)
    assert await _passed(limiter, limit, 4) == 3


async def test_keys_hold_no_addresses_and_go_away(stores: None, redis: Redis) -> None:
    await _passed(Limiter(redis), RateLimit(3, 60), 1, who="asha@example.in")
    (key,) = await redis.keys("*")
    assert b"asha" not in key
    assert 0 < await redis.pttl(key) <= 120_000


async def test_guessing_passwords_of_one_account(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    limits = RateLimits(login_per_email=RateLimit(3, 3600))
    async with serving(config(limits=limits), db, redis, engine) as edge:
        for _ in range(3):
            refused(await edge.http.post("/v1/auth/login", json=NOBODY), 401, "LOGIN_FAILED")
        upper = {**NOBODY, "email": "NOBODY@example.in"}
        answer = await edge.http.post("/v1/auth/login", json=upper)
        refused(answer, 429, "RATE_LIMITED")
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        other = {**NOBODY, "email": "other@example.in"}
        refused(await edge.http.post("/v1/auth/login", json=other), 401, "LOGIN_FAILED")


async def test_orders_are_limited_by_customer_and_change_nothing(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    limits = RateLimits(orders=RateLimit(2, 3600))
    async with serving(config(limits=limits), db, redis, engine) as edge:
        for number in range(2):
            assert (await edge.place(key=f"key-of-order-number-{number}")).status_code == 201
        before = await shop.counts(db)
        refused(await edge.place(key="key-of-order-number-3"), 429, "RATE_LIMITED")
        assert await shop.counts(db) == before
        assert (await edge.place(user=shop.ROHAN)).status_code == 201
    assert len(engine.orders) == 3


async def test_reads_sign_ups_and_webhooks_are_limited_by_address(
    stores: None, db: Database, redis: Redis, engine: FakeEngine
) -> None:
    once = RateLimit(1, 3600)
    limits = RateLimits(reads=once, sign_up=once, webhooks=once, refresh=once)

    async def second(edge: Edge, method: str, path: str, **sent: Any) -> None:
        first = await edge.http.request(method, path, **sent)
        assert first.status_code != 429
        refused(await edge.http.request(method, path, **sent), 429, "RATE_LIMITED")

    async with serving(config(limits=limits), db, redis, engine) as edge:
        await second(edge, "GET", "/v1/products")
        await second(edge, "POST", "/v1/users", json={**NOBODY, "name": "Nobody"})
        await second(edge, "POST", "/v1/payments/webhook/alphapay", content=b"{}")
        await second(edge, "POST", "/v1/auth/refresh", json={"refresh_token": "x"})


async def test_while_redis_is_away_passwords_wait_and_the_shop_is_open(
    stores: None, db: Database, engine: FakeEngine
) -> None:
    async with serving(config(), db, open_redis("redis://127.0.0.1:1/0"), engine) as edge:
        sign_up = {**NOBODY, "name": "Nobody"}
        before = await shop.counts(db)
        for path, body in (("/v1/auth/login", NOBODY), ("/v1/users", sign_up)):
            answer = await edge.http.post(path, json=body)
            refused(answer, 503, "TEMPORARILY_UNAVAILABLE")
            assert answer.headers["retry-after"] == "2"
        assert await shop.counts(db) == before
        assert (await edge.http.get("/v1/products")).status_code == 200
        assert (await edge.place()).status_code == 201


def test_relaxed_limits_are_a_multiple() -> None:
    relaxed = RateLimits.relaxed(10)
    assert relaxed.orders == RateLimit(RateLimits().orders.count * 10, RateLimits().orders.seconds)
    with pytest.raises(ValueError, match="must outlast answer_within"):
        config(lock_for=1.0, answer_within=2.0)
    with pytest.raises(ValueError, match="at least 32"):
        config(jwt_secret="short")
    assert "a-secret" not in repr(config())
    assert "alpha-1" not in repr(config())
