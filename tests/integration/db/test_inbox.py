"""The inbox when things go wrong: nobody is held up, and a person finds it and sends it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db.errors import NotFound
from db.ids import new_ulid
from db.repositories import inbox
from db.repositories.inbox import InboxFilter, NewWebhook
from db.session import Database
from db.vocabulary import Trust


async def came(
    db: Database,
    event_id: str,
    *,
    provider: str = "gammapay",
    order_id: str | None = None,
    ago: timedelta = timedelta(),
    tries: int = 0,
) -> str:
    """A webhook that came a while ago and was tried in vain so often; returns its id."""
    async with db.unit_of_work() as session:
        seen = await inbox.receive(
            session,
            NewWebhook(
                provider=provider,
                event_id=event_id,
                occurred_at=datetime.now(UTC) - ago,
                trust=Trust.TOKEN_ONLY,
                kind="PAYMENT_CAPTURED",
                payment_ref=f"{order_id}-1" if order_id else "nobody's",
                order_id=order_id,
                payload={"captured": 1, "refunded": 0},
            ),
        )
        for _ in range(tries):
            await inbox.mark_failed(session, seen.id, "no attempt of ours")
        await session.execute(
            text("UPDATE webhook_inbox SET received_at = :at WHERE id = :id"),
            {"at": datetime.now(UTC) - ago, "id": seen.id},
        )
    return seen.id


async def due(db: Database, *, limit: int = 50) -> list[str]:
    async with db.unit_of_work() as session:
        waiting = await inbox.undelivered(session, datetime.now(UTC), grace_seconds=2, limit=limit)
    return [one.event_id for one in waiting]


async def test_however_many_are_stuck_the_new_one_is_next(db: Database) -> None:
    for number in range(60):
        await came(db, f"stuck-{number:02}", ago=timedelta(days=300), tries=3)
    await came(db, "new", ago=timedelta(seconds=5))
    found = await due(db)
    assert (found[0], len(found)) == ("new", 50)


@pytest.mark.parametrize(
    ("tries", "ago", "is_due"),
    [
        (0, timedelta(seconds=1), False),
        (0, timedelta(seconds=3), True),
        (4, timedelta(seconds=31), False),
        (4, timedelta(seconds=33), True),
        # it goes on doubling: what is tried in vain for an hour is not tried every moment
        (11, timedelta(seconds=4095), False),
        (11, timedelta(seconds=4097), True),
        (30, timedelta(days=388), False),
        (30, timedelta(days=389), True),
    ],
)
async def test_each_try_waits_as_long_as_all_before(
    db: Database, tries: int, ago: timedelta, is_due: bool
) -> None:
    await came(db, "e1", ago=ago, tries=tries)
    assert await due(db) == (["e1"] if is_due else [])


async def test_a_person_finds_what_is_stuck(db: Database) -> None:
    order = new_ulid()
    old = await came(db, "old", ago=timedelta(hours=2), order_id=order, tries=2)
    young = await came(db, "young", ago=timedelta(seconds=5), provider="alphapay")
    done = await came(db, "done", ago=timedelta(hours=3))
    async with db.unit_of_work() as session:
        await inbox.mark_delivered(session, done)

    async def listed(wanted: InboxFilter, limit: int = 50) -> list[str]:
        async with db.reading() as session:
            return [one.id for one in await inbox.list_events(session, wanted, limit=limit)]

    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    assert await listed(InboxFilter()) == [young, old, done]
    assert await listed(InboxFilter(), limit=2) == [young, old]
    assert await listed(InboxFilter(waiting_since=a_minute_ago)) == [old]
    assert await listed(InboxFilter(provider="alphapay")) == [young]
    assert await listed(InboxFilter(provider="alphapay", waiting_since=a_minute_ago)) == []
    assert await listed(InboxFilter(order_id=order)) == [old]
    async with db.reading() as session:
        found = await inbox.get(session, old)
    assert (found.delivery_attempts, found.last_error) == (2, "no attempt of ours")
    assert (found.trust, found.order_id, found.delivered_at) == (Trust.TOKEN_ONLY, order, None)


async def test_a_replay_is_due_at_once(db: Database) -> None:
    stuck = await came(db, "stuck", ago=timedelta(minutes=2), tries=7)
    assert await due(db) == []
    async with db.unit_of_work() as session:
        before = await inbox.replay(session, stuck)
    assert (before.delivery_attempts, before.last_error) == (7, "no attempt of ours")
    assert await due(db) == ["stuck"]


async def test_a_delivered_one_is_delivered_again(db: Database) -> None:
    told = await came(db, "told", ago=timedelta(minutes=2))
    async with db.unit_of_work() as session:
        assert await inbox.mark_delivered(session, told)
    assert await due(db) == []
    async with db.unit_of_work() as session:
        before = await inbox.replay(session, told)
    assert before.delivered_at is not None
    assert await due(db) == ["told"]
    async with db.unit_of_work() as session:
        assert await inbox.mark_delivered(session, told)


async def test_what_was_never_received(db: Database) -> None:
    async with db.unit_of_work() as session:
        with pytest.raises(NotFound, match="no webhook 'w1'"):
            await inbox.replay(session, "w1")
        with pytest.raises(NotFound, match="no webhook 'w1'"):
            await inbox.get(session, "w1")
