"""Breakers in a real Valkey: no result is lost, and of many movers one moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from db import redis_keys
from db.payment_health import HealthAway, Moved, PaymentHealth
from domain.breaker import Breaker, BreakerPolicy, BreakerState, Health, Tally
from domain.outcomes import Outcome
from domain.payments import PaymentMethod
from domain.routing import Downtime, Severity
from tests.integration.db import valkey

CARD, QR = PaymentMethod.CARD, PaymentMethod.UPI_QR
NOW = datetime(2026, 5, 4, 12, 30, 5, tzinfo=UTC)
POLICY = BreakerPolicy()
CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


@pytest.fixture(scope="module")
def cache() -> Iterator[valkey.Server]:
    with valkey.running() as server:
        yield server


@pytest_asyncio.fixture(params=[True, False], ids=["decoded", "raw"], loop_scope="session")
async def redis(cache: valkey.Server, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    client = Redis.from_url(cache.url, decode_responses=request.param, max_connections=400)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def health(redis: Redis) -> PaymentHealth:
    return PaymentHealth(redis, POLICY)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def told(
    health: PaymentHealth, outcome: Outcome, times: int, seconds: float = 0
) -> list[Moved]:
    moves = [await health.record("alphapay", CARD, outcome, at(seconds)) for _ in range(times)]
    return [moved for moved in moves if moved is not None]


async def seen(health: PaymentHealth, seconds: float = 0) -> Health:
    return (await health.read(["alphapay"], [CARD], at(seconds)))["alphapay", CARD]


async def test_nothing_is_known_at_first(health: PaymentHealth) -> None:
    both = await health.read(["alphapay", "betapay"], [CARD, QR], NOW)
    assert set(both) == {(psp, way) for psp in ("alphapay", "betapay") for way in (CARD, QR)}
    assert set(both.values()) == {Health()}
    assert await health.downtimes(["alphapay"]) == ()
    assert await health.downtimes([]) == ()


async def test_results_are_kept_apart_by_psp_and_method(health: PaymentHealth) -> None:
    await health.record("alphapay", CARD, Outcome.APPROVED, NOW)
    await health.record("alphapay", CARD, Outcome.DECLINED, NOW)
    await health.record("alphapay", CARD, Outcome.OPEN, NOW)
    await health.record("alphapay", QR, Outcome.UNKNOWN, NOW)
    read = await health.read(["alphapay", "betapay"], [CARD, QR], NOW)
    tallies = {about: one.recent for about, one in read.items()}
    assert tallies == {
        ("alphapay", CARD): Tally(approved=1, declined=1, other=1),
        ("alphapay", QR): Tally(technical=1),
        ("betapay", CARD): Tally(),
        ("betapay", QR): Tally(),
    }


async def test_a_breakers_whole_life(health: PaymentHealth) -> None:
    assert await told(health, Outcome.TECHNICAL, 9) == []
    assert await told(health, Outcome.TECHNICAL, 1) == [Moved("alphapay", CARD, CLOSED, OPEN)]
    assert (await seen(health)).breaker == Breaker(state=OPEN, since=NOW)
    # results of calls that were under way change nothing
    assert await told(health, Outcome.APPROVED, 50, 1) == []
    # its time comes by itself, whoever looks
    found, moves = await health.refreshed(["alphapay", "betapay"], CARD, at(30))
    assert moves == [Moved("alphapay", CARD, OPEN, HALF)]
    assert found["alphapay"].breaker == Breaker(state=HALF, since=at(30))
    assert found["betapay"] == Health()
    assert await health.refreshed(["alphapay"], CARD, at(30)) == (
        {"alphapay": await seen(health, 30)},
        [],
    )
    # one failure opens it again, from now on
    assert await told(health, Outcome.APPROVED, 4, 31) == []
    assert await told(health, Outcome.UNKNOWN, 1, 32) == [Moved("alphapay", CARD, HALF, OPEN)]
    assert (await seen(health, 32)).breaker == Breaker(state=OPEN, since=at(32))
    assert await told(health, Outcome.APPROVED, 1, 61.9) == []
    # the next result after the pause is enough, too
    assert await told(health, Outcome.APPROVED, 1, 62) == [Moved("alphapay", CARD, OPEN, HALF)]
    assert await told(health, Outcome.DECLINED, 4, 63) == []
    assert await told(health, Outcome.DECLINED, 1, 64) == [Moved("alphapay", CARD, HALF, CLOSED)]
    closed = await seen(health, 64)
    assert closed.breaker == Breaker(state=CLOSED, since=at(64))
    # what opened it is forgotten, though the success rate is not
    assert (closed.recent, closed.rate.technical) == (Tally(), 11)
    assert await told(health, Outcome.TECHNICAL, 9, 75) == []
    assert await told(health, Outcome.TECHNICAL, 1, 75) == [Moved("alphapay", CARD, CLOSED, OPEN)]


async def test_of_results_at_once_none_is_lost_and_one_moves_it(health: PaymentHealth) -> None:
    moves = await asyncio.gather(
        *(
            health.record("alphapay", CARD, outcome, NOW)
            for outcome in (Outcome.TECHNICAL, Outcome.APPROVED) * 150
        )
    )
    assert Counter(moves) == {None: 299, Moved("alphapay", CARD, CLOSED, OPEN): 1}
    found = await seen(health)
    assert found.rate == Tally(technical=150, approved=150)
    assert found.breaker.state is OPEN


async def test_of_many_who_see_its_time_come_one_moves_it(health: PaymentHealth) -> None:
    await told(health, Outcome.TECHNICAL, 10)
    looks = await asyncio.gather(*(health.refreshed(["alphapay"], CARD, at(30)) for _ in range(40)))
    assert sum(len(moves) for _, moves in looks) == 1
    # successes and a failure at once: it closes or opens, but never both
    outcomes = [Outcome.APPROVED] * 10 + [Outcome.TECHNICAL] + [Outcome.APPROVED] * 10
    moves = await asyncio.gather(
        *(health.record("alphapay", CARD, outcome, at(31)) for outcome in outcomes)
    )
    [moved] = [one for one in moves if one is not None]
    assert moved.old is HALF
    assert (await seen(health, 31)).breaker == Breaker(state=moved.new, since=at(31))


async def test_old_results_leave_the_store(health: PaymentHealth, redis: Redis) -> None:
    key = redis_keys.payment_health("alphapay", CARD)
    for seconds in range(0, 3 * POLICY.rate_window, POLICY.slot):
        await told(health, Outcome.APPROVED, 1, seconds)
    assert await redis.hlen(key) == POLICY.rate_window // POLICY.slot
    assert 0 < await redis.ttl(key) <= 24 * 3600
    await told(health, Outcome.TECHNICAL, 200, 10 * POLICY.rate_window)
    assert await redis.hlen(key) == 1 + len(("state", "since", "good", "bad"))


async def test_downtimes_are_replaced_and_forgotten(health: PaymentHealth) -> None:
    first = Downtime(
        psp="alphapay", methods=frozenset({CARD, QR}), bank="HDFC", begins=NOW, ends=at(60),
        severity=Severity.MEDIUM,
    )  # fmt: skip
    second = Downtime(psp="betapay", begins=NOW)
    await health.keep_downtimes("alphapay", [second, first, first], 60)
    await health.keep_downtimes("alphapay", [first], 60)
    await health.keep_downtimes("betapay", [second], 0.05)
    assert await health.downtimes(["betapay", "alphapay", "gammapay"]) == (second, first)
    await asyncio.sleep(0.1)
    assert await health.downtimes(["betapay", "alphapay"]) == (first,)


async def test_what_cannot_be_read_is_nothing_known(health: PaymentHealth, redis: Redis) -> None:
    key = redis_keys.payment_health("alphapay", CARD)
    for field, value in (("state", "AJAR"), ("since", "noon"), ("7:baffled", "1")):
        await redis.flushall()
        await redis.hset(key, field, value)
        with pytest.raises(HealthAway, match="cannot be read"):
            await seen(health)
    await redis.set(redis_keys.downtimes("alphapay"), b'[{"bank": 3}]')
    with pytest.raises(HealthAway, match="cannot be read"):
        await health.downtimes(["alphapay"])


async def test_a_store_that_is_away_says_so(cache: valkey.Server) -> None:
    with valkey.running() as other:
        client = Redis.from_url(other.url)
        health = PaymentHealth(client, POLICY)
        await told(health, Outcome.APPROVED, 1)
        other.kill()
        for call in (
            health.record("alphapay", CARD, Outcome.APPROVED, NOW),
            health.read(["alphapay"], [CARD], NOW),
            health.refreshed(["alphapay"], CARD, NOW),
            health.keep_downtimes("alphapay", [], 60),
            health.downtimes(["alphapay"]),
        ):
            with pytest.raises(HealthAway):
                await call
        other.start()
        assert (await seen(health)).rate == Tally(approved=1)
        await client.aclose()
