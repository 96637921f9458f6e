"""Invariant 7: every webhook was delivered, and every event was told once and published."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from redis.asyncio import Redis

from db import redis_keys
from db.sql import fetch, sql
from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import MOST, Rule, broken

# What is younger may still be on its way, unless the stack is at rest.
ON_ITS_WAY: Final = timedelta(seconds=30)
# The outbox keeps what it published for seven days.
KEPT: Final = "interval '6 days'"
PAGE: Final = 5_000

RULES: Final = (
    Rule(
        "an order's first event was not told exactly once",
        f"""
        SELECT o.id AS subject, 1 AS expected, count(event.id) AS found
        FROM orders AS o
        LEFT JOIN outbox AS event ON event.key = o.id AND event.schema = 'order.created'
        WHERE o.created_at > now() - {KEPT}
        GROUP BY o.id HAVING count(event.id) <> 1
        """,  # noqa: S608 - texts of this module
    ),
    Rule(
        "an order's end was not told exactly once, or more than one end was told",
        f"""
        SELECT o.id || ' ' || o.state AS subject, 'order.' || lower(o.state) AS expected,
               coalesce(string_agg(event.schema, ', ' ORDER BY event.id), 'none') AS found
        FROM orders AS o
        LEFT JOIN outbox AS event ON event.key = o.id AND event.schema IN
            ('order.confirmed', 'order.refused', 'order.cancelled', 'order.expired')
        WHERE o.state IN ('CONFIRMED', 'REFUSED', 'CANCELLED', 'EXPIRED')
          AND o.created_at > now() - {KEPT}
        GROUP BY o.id, o.state
        HAVING count(event.id) <> 1 OR min(event.schema) <> 'order.' || lower(o.state)
        """,  # noqa: S608
    ),
)
_UNDELIVERED = sql(
    f"""
    SELECT provider || ' ' || event_id AS subject, coalesce(last_error, 'not delivered') AS found
    FROM webhook_inbox
    WHERE delivered_at IS NULL AND received_at <= now() - make_interval(secs => :patience)
    ORDER BY received_at LIMIT {MOST}
    """  # noqa: S608
)
_UNPUBLISHED = sql(
    f"""
    SELECT event_id AS subject, coalesce(last_error, 'not published') AS found FROM outbox
    WHERE published_at IS NULL AND created_at <= now() - make_interval(secs => :patience)
    ORDER BY id LIMIT {MOST}
    """  # noqa: S608
)
_TOPICS = sql("SELECT DISTINCT topic FROM outbox ORDER BY topic")
_OF_TOPIC = sql(
    """
    SELECT id, event_id, published_at IS NOT NULL AS published FROM outbox
    WHERE topic = :topic ORDER BY id
    """
)
_NOW_MS = sql("SELECT (extract(epoch FROM now()) * 1000)::bigint AS now")


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge the inbox, the outbox, and the streams against the outbox."""
    found = await broken(evidence.session, 7, RULES)
    patience = 0.0 if evidence.at_rest else ON_ITS_WAY.total_seconds()
    for statement, message, expected in (
        (_UNDELIVERED, "the webhook has reached no saga", "delivered"),
        (_UNPUBLISHED, "the event has not left the outbox", "published"),
    ):
        rows = await fetch(evidence.session, statement, patience=patience)
        found += [Finding(7, row["subject"], message, expected, row["found"]) for row in rows]
    for row in await fetch(evidence.session, _TOPICS):
        found += await _stream(evidence, row["topic"])
    return found


async def _stream(evidence: Evidence, topic: str) -> list[Finding]:
    """The stream as a consumer sees it, which knows an event by its id: each one is there once."""
    stream = redis_keys.stream(topic)
    rows = await fetch(evidence.session, _OF_TOPIC, topic=topic)
    until: int = (await fetch(evidence.session, _NOW_MS))[0]["now"]
    entries = await _entries(evidence.redis, stream, until)
    told = Counter(entries)
    ours = {row["event_id"] for row in rows}
    wanted = [row["event_id"] for row in rows if row["published"]]
    if await _trimmed(evidence.redis, stream):
        first = next((at for at, event_id in enumerate(wanted) if event_id in told), len(wanted))
        wanted = wanted[first:]
    missing = [event_id for event_id in wanted if event_id not in told]
    strange = [event_id for event_id in told if event_id not in ours]
    return [
        *(
            Finding(7, event_id, f"the published event is not in {stream}", "once", "0 times")
            for event_id in missing[:MOST]
        ),
        *(
            Finding(
                7, event_id, f"{stream} tells of what no outbox has", "0 times", f"{told[event_id]}"
            )
            for event_id in strange[:MOST]
        ),
    ]


async def _entries(redis: "Redis", stream: str, until_ms: int) -> Sequence[str]:
    """The event ids of a stream, oldest first, as far as our snapshot can know them."""
    found: list[str] = []
    start = "-"
    while True:
        page: Any = await redis.xrange(stream, min=start, max=str(until_ms), count=PAGE)
        found += [fields["event_id"] for _, fields in page]
        if len(page) < PAGE:
            return found
        start = f"({page[-1][0]}"


async def _trimmed(redis: "Redis", stream: str) -> bool:
    if not await redis.exists(stream):
        return False
    about: Any = await redis.xinfo_stream(stream)
    return int(about["entries-added"]) > int(about["length"])
