"""The outbox, the webhook inbox, and the edge's idempotency keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from db.repositories import idempotency, inbox, outbox
from db.repositories.idempotency import KeyClaim, KeyOutcome
from db.repositories.inbox import NewWebhook
from db.session import Database
from db.vocabulary import Trust
from tests.integration.db import shop

NOW = datetime.now(UTC)


async def tell(db: Database, event_id: str) -> bool:
    async with db.unit_of_work() as session:
        return await outbox.add(
            session,
            topic="orders",
            key="o1",
            schema="order.confirmed",
            version=1,
            payload={"order_id": "o1", "total_paise": 59_900},
            event_id=event_id,
        )


async def test_an_event_is_written_once_and_leaves_once(db: Database) -> None:
    assert [await tell(db, "e1"), await tell(db, "e1"), await tell(db, "e2")] == [True, False, True]
    async with db.unit_of_work() as first, db.unit_of_work() as second:
        (event,) = await outbox.pending(first, 1)
        assert (event.event_id, event.topic, event.key) == ("e1", "orders", "o1")
        assert (event.schema, event.version, event.attempts) == ("order.confirmed", 1, 0)
        assert event.payload == {"order_id": "o1", "total_paise": 59_900}
        assert [other.event_id for other in await outbox.pending(second, 9)] == ["e2"]
        await outbox.mark_published(first, [event.id])
    async with db.unit_of_work() as session:
        (left,) = await outbox.pending(session, 9)
        await outbox.mark_failed(session, [left.id], "the bus is down")
    async with db.unit_of_work() as session:
        assert await outbox.backlog(session) == 1
        assert [event.attempts for event in await outbox.pending(session, 9)] == [1]
        assert await outbox.purge(session, 3600) == 0
        assert await outbox.purge(session, -1) == 1
        assert await outbox.backlog(session) == 1


async def test_a_rolled_back_change_tells_nothing(db: Database) -> None:
    async def crash() -> None:
        async with db.unit_of_work() as session:
            await outbox.add(session, topic="t", key="k", schema="s", version=1, payload={})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert await shop.rows(db, "SELECT count(*) FROM outbox") == [(0,)]


def webhook(event_id: str, provider: str = "alphapay") -> NewWebhook:
    return NewWebhook(
        provider=provider,
        event_id=event_id,
        occurred_at=NOW - timedelta(seconds=3),
        trust=Trust.SIGNED,
        kind="payment.captured",
        payment_ref="a1",
        order_id=None,
        payload={"amount_paise": 59_900},
    )


async def test_a_webhook_is_seen_once_per_provider(db: Database) -> None:
    async def receive() -> inbox.Received:
        async with db.unit_of_work() as session:
            return await inbox.receive(session, webhook("e1"))

    answers = await asyncio.gather(*(receive() for _ in range(6)))
    assert sorted(answer.new for answer in answers) == [False] * 5 + [True]
    assert len({answer.id for answer in answers}) == 1
    async with db.unit_of_work() as session:
        assert (await inbox.receive(session, webhook("e1", "betapay"))).new is True
    assert await shop.rows(db, "SELECT count(*) FROM webhook_inbox") == [(2,)]


async def test_seen_is_not_delivered(db: Database) -> None:
    async with db.unit_of_work() as session:
        seen = await inbox.receive(session, webhook("e1"))
    soon = datetime.now(UTC) + timedelta(seconds=6)
    async with db.unit_of_work() as session:
        assert await inbox.undelivered(session, datetime.now(UTC)) == ()
        (waiting,) = await inbox.undelivered(session, soon)
        assert (waiting.id, waiting.kind, waiting.trust) == (seen.id, "payment.captured", "SIGNED")
        assert (waiting.payload, waiting.delivered_at) == ({"amount_paise": 59_900}, None)
        await inbox.mark_failed(session, seen.id, "no such saga yet")
    async with db.unit_of_work() as session:
        # having failed once, it waits twice as long
        assert await inbox.undelivered(session, soon) == ()
        (waiting,) = await inbox.undelivered(session, soon + timedelta(seconds=5))
        assert waiting.delivery_attempts == 1
        assert await inbox.mark_delivered(session, seen.id, order_id="o1") is True
        assert await inbox.mark_delivered(session, seen.id) is False
    async with db.unit_of_work() as session:
        assert await inbox.undelivered(session, soon + timedelta(days=1)) == ()
        again = await inbox.receive(session, webhook("e1"))
    assert (again.new, again.delivered) == (False, True)
    stored = "SELECT order_id, delivery_attempts, last_error FROM webhook_inbox"
    assert await shop.rows(db, stored) == [("o1", 2, None)]


async def claim(
    db: Database, *, body: str = "h1", resource: str = "o1", now: datetime = NOW
) -> KeyClaim:
    async with db.unit_of_work() as session:
        return await idempotency.claim(
            session,
            user_id="asha",
            key="k",
            route="POST /v1/orders",
            body_hash=body,
            resource_id=resource,
            now=now,
            locked_until=now + timedelta(seconds=30),
        )


async def test_the_same_key_gets_the_same_answer(shop_db: Database) -> None:
    assert await claim(shop_db) == KeyClaim(KeyOutcome.NEW, "o1")
    assert await claim(shop_db, resource="o2") == KeyClaim(KeyOutcome.IN_FLIGHT, "o1")
    assert await claim(shop_db, body="h2") == KeyClaim(KeyOutcome.OTHER_BODY, "o1")
    # whoever held it died: the next one finishes what it began
    late = NOW + timedelta(seconds=31)
    assert await claim(shop_db, resource="o3", now=late) == KeyClaim(KeyOutcome.RESUME, "o1")
    assert (await claim(shop_db, now=late)).outcome is KeyOutcome.IN_FLIGHT
    async with shop_db.unit_of_work() as session:
        whose = {"user_id": "asha", "key": "k"}
        await idempotency.finish(session, **whose, status=201, body={"id": "o1"})
        await idempotency.finish(session, **whose, status=500, body={})
        await idempotency.forget(session, **whose)
    replay = KeyClaim(KeyOutcome.REPLAY, "o1", 201, {"id": "o1"})
    assert await claim(shop_db, resource="o4") == replay
    assert (await claim(shop_db, body="h2")).outcome is KeyOutcome.OTHER_BODY
    async with shop_db.unit_of_work() as session:
        assert await idempotency.purge(session, NOW - timedelta(days=1)) == 0
        assert await idempotency.purge(session, datetime.now(UTC) + timedelta(days=1)) == 1


async def test_a_refused_request_frees_its_key(shop_db: Database) -> None:
    await claim(shop_db)
    async with shop_db.unit_of_work() as session:
        await idempotency.forget(session, user_id="asha", key="k")
    assert await claim(shop_db, body="h2", resource="o2") == KeyClaim(KeyOutcome.NEW, "o2")


async def test_one_of_many_requests_at_once_is_the_first(shop_db: Database) -> None:
    claims = await asyncio.gather(*(claim(shop_db, resource=f"o{n}") for n in range(10)))
    outcomes = [claim.outcome for claim in claims]
    assert outcomes.count(KeyOutcome.NEW) == 1
    assert outcomes.count(KeyOutcome.IN_FLIGHT) == 9
    assert len({claim.resource_id for claim in claims}) == 1


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with db.reading() as session:
            await outbox.add(session, topic="t", key="k", schema="s", version=1, payload={})
    assert await shop.rows(db, "SELECT count(*) FROM outbox") == [(0,)]
