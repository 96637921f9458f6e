"""From the outbox through Redis Streams to a consumer: nothing lost, each effect once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db import relay
from db.bus import BusDown, RedisStreamsBus
from db.consumer import Consumer, Event
from db.repositories import outbox
from db.repositories.outbox import PendingEvent
from db.session import Database
from tests.integration.db import postgres, shop, valkey

TOPIC, STREAM, DEAD = "orders", "events:orders", "events:orders:dead"


@pytest.fixture(scope="module")
def valkey_server() -> Iterator[valkey.Server]:
    with valkey.running() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def redis(valkey_server: valkey.Server) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey_server.url, decode_responses=True, socket_timeout=5)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def tell(db: Database, *event_ids: str) -> None:
    for event_id in event_ids:
        async with db.unit_of_work() as session:
            await outbox.add(
                session,
                topic=TOPIC,
                key=f"order of {event_id}",
                schema="order.confirmed",
                version=1,
                payload={"event": event_id},
                event_id=event_id,
            )


async def note(session: AsyncSession, event: Event) -> None:
    """A handler whose effect can be counted: a block with the event's number of visits."""
    await session.execute(
        text("INSERT INTO risk_blocks (kind, value, reason) VALUES ('DEVICE', :value, :reason)"),
        {"value": event.event_id, "reason": f"{event.schema} {event.version} {event.key}"},
    )


def consumer(redis: Redis, db: Database, name: str = "one", **more: object) -> Consumer:
    settings = {"handler": note, "tries": 3, "retry_after": 0.0, **more}
    return Consumer(redis, db, topic=TOPIC, group="notify", name=name, **settings)  # type: ignore[arg-type]


async def effects(db: Database) -> list[str]:
    return [value for (value,) in await shop.rows(db, "SELECT value FROM risk_blocks ORDER BY 1")]


async def eventually(db: Database, wanted: list[str]) -> None:
    for _ in range(1000):
        try:
            found = await effects(db)
        except Exception:  # the server is away, as the test wants it
            found = []
        if len(found) >= len(wanted):
            assert found == wanted
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"wanted {wanted}, found {await effects(db)}")


async def test_events_leave_in_order_with_all_that_they_say(db: Database, redis: Redis) -> None:
    await tell(db, "e1", "e2", "e3")
    bus = RedisStreamsBus(redis)
    assert await relay.relay_once(db, bus, limit=2) == 2
    assert await relay.relay_once(db, bus) == 1
    assert await relay.relay_once(db, bus) == 0
    entries = [fields for _, fields in await redis.xrange(STREAM)]
    assert [fields["event_id"] for fields in entries] == ["e1", "e2", "e3"]
    assert entries[0] == {
        "event_id": "e1",
        "key": "order of e1",
        "schema": "order.confirmed",
        "version": "1",
        "payload": '{"event":"e1"}',
    }


class Flaky:
    """A bus that loses its answer after publishing, the first time."""

    def __init__(self, bus: RedisStreamsBus) -> None:
        self._bus = bus
        self.calls = 0

    async def publish(self, events: Sequence[PendingEvent]) -> list[str | None]:
        self.calls += 1
        answers = await self._bus.publish(events)
        if self.calls == 1:
            raise BusDown("the answer was lost")
        return answers


async def test_a_lost_answer_publishes_twice_and_takes_effect_once(
    db: Database, redis: Redis
) -> None:
    await tell(db, "e1", "e2")
    bus = Flaky(RedisStreamsBus(redis))
    with pytest.raises(BusDown):
        await relay.relay_once(db, bus)
    assert await shop.rows(db, "SELECT count(*) FROM outbox WHERE published_at IS NULL") == [(2,)]
    assert await relay.relay_once(db, bus) == 2
    assert await redis.xlen(STREAM) == 4

    reader = consumer(redis, db)
    await reader.join()
    assert await reader.consume_once() == 4

    assert await effects(db) == ["e1", "e2"]
    assert (await redis.xpending(STREAM, "notify"))["pending"] == 0
    assert await redis.exists(DEAD) == 0


async def test_a_refused_event_does_not_hold_up_the_others(db: Database, redis: Redis) -> None:
    await tell(db, "e1", "e2")
    await shop.run(db, "UPDATE outbox SET topic = 'broken' WHERE event_id = 'e1'")
    await redis.set("events:broken", "not a stream")
    assert await relay.relay_once(db, RedisStreamsBus(redis)) == 1
    state = "SELECT event_id, published_at IS NOT NULL, attempts FROM outbox ORDER BY id"
    assert await shop.rows(db, state) == [("e1", False, 1), ("e2", True, 0)]
    ((error,),) = await shop.rows(db, "SELECT last_error FROM outbox WHERE event_id = 'e1'")
    assert "WRONGTYPE" in error


async def test_two_relays_share_the_work(db: Database, redis: Redis) -> None:
    await tell(db, *(f"e{n:02}" for n in range(30)))
    bus = RedisStreamsBus(redis)
    sent = await asyncio.gather(*(relay.relay_once(db, bus, limit=10) for _ in range(3)))
    assert sum(sent) + await relay.relay_once(db, bus) == 30
    published = [fields["event_id"] for _, fields in await redis.xrange(STREAM)]
    assert sorted(published) == [f"e{n:02}" for n in range(30)]


async def test_the_members_of_a_group_share_a_topic(db: Database, redis: Redis) -> None:
    await tell(db, *(f"e{n:02}" for n in range(20)))
    await relay.relay_once(db, RedisStreamsBus(redis))
    readers = [consumer(redis, db, name, retry_after=60.0) for name in ("one", "two", "three")]
    await readers[0].join()
    await readers[1].join()
    handled = await asyncio.gather(*(reader.consume_once() for reader in readers))
    assert sum(handled) == 20
    assert await effects(db) == [f"e{n:02}" for n in range(20)]


async def test_a_poisoned_event_is_tried_then_dead_lettered(db: Database, redis: Redis) -> None:
    tried: list[str] = []

    async def choke(session: AsyncSession, event: Event) -> None:
        tried.append(event.event_id)
        await note(session, event)
        if event.event_id == "bad":
            raise ValueError("no such customer")

    await tell(db, "bad", "good")
    await redis.xadd(STREAM, {"event_id": "torn"})
    await relay.relay_once(db, RedisStreamsBus(redis))
    reader = consumer(redis, db, handler=choke)
    await reader.join()
    for _ in range(6):
        await reader.consume_once()

    assert tried == ["bad", "good", "bad", "bad"]
    assert await effects(db) == ["good"]
    torn, bad = [fields for _, fields in await redis.xrange(DEAD)]
    assert (bad["event_id"], bad["dead_group"], bad["dead_reason"]) == (
        "bad",
        "notify",
        "it failed 3 times",
    )
    assert bad["payload"] == '{"event":"bad"}'
    assert torn["event_id"] == "torn"
    assert "cannot be read: KeyError('payload')" in torn["dead_reason"]
    assert (await redis.xpending(STREAM, "notify"))["pending"] == 0


async def test_what_a_dead_consumer_held_is_taken_over(db: Database, redis: Redis) -> None:
    await tell(db, "e1")
    await relay.relay_once(db, RedisStreamsBus(redis))
    reader = consumer(redis, db)
    await reader.join()
    await redis.xreadgroup("notify", "the dead one", {STREAM: ">"})
    assert await reader.consume_once() == 1
    assert await effects(db) == ["e1"]


async def test_lost_servers_are_waited_for(
    db: Database,
    redis: Redis,
    server: postgres.Server,
    valkey_server: valkey.Server,
    stop: asyncio.Event,
) -> None:
    tasks = [
        asyncio.create_task(relay.run(db, RedisStreamsBus(redis), stop)),
        asyncio.create_task(consumer(redis, db, retry_after=0.2).run(stop)),
    ]
    await tell(db, "e1")
    await eventually(db, ["e1"])

    valkey_server.kill()
    await tell(db, "e2")
    await asyncio.sleep(0.3)
    valkey_server.start()
    await eventually(db, ["e1", "e2"])

    server.kill()
    await asyncio.sleep(0.3)
    server.start()
    await tell(db, "e3")
    await eventually(db, ["e1", "e2", "e3"])

    # all of Redis is lost: what it had not yet given out is published again
    await redis.flushall()
    async with db.unit_of_work() as session:
        await outbox.republish(session, datetime.now(UTC) - timedelta(minutes=5))
    await tell(db, "e4")
    await eventually(db, ["e1", "e2", "e3", "e4"])

    stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert await shop.rows(db, "SELECT count(*) FROM outbox WHERE published_at IS NULL") == [(0,)]
