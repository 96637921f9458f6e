"""The outbox relay: events leave in the order in which they were written, at least once each.

It polls. NOTIFY would tell it at once, but takes a lock at commit that makes all writers queue.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from db.bus import BusDown, EventBus
from db.outage import is_outage
from db.repositories import idempotency, outbox, steps
from db.session import Database

BATCH: Final = 200
IDLE_SECONDS: Final = 0.1
LONGEST_BACK_OFF_SECONDS: Final = 5.0
PURGE_EVERY_SECONDS: Final = 600.0
KEEP_SECONDS: Final = 7 * 24 * 3600.0
KEEP_KEYS_SECONDS: Final = 30 * 24 * 3600.0
# longer than any workflow history is kept: until then a saga may be reset and run again
KEEP_GUARDS_SECONDS: Final = 90 * 24 * 3600.0

_log = structlog.get_logger(__name__)


async def run(db: Database, bus: EventBus, stop: asyncio.Event) -> None:
    """Relay until `stop` is set; a lost database or bus is waited for, with back-off."""
    back_off = IDLE_SECONDS
    purge_at = 0.0
    while not stop.is_set():
        try:
            published = await relay_once(db, bus)
            if asyncio.get_running_loop().time() >= purge_at:
                await _purge(db)
                purge_at = asyncio.get_running_loop().time() + PURGE_EVERY_SECONDS
        except Exception as error:
            if not isinstance(error, BusDown) and not is_outage(error):
                raise
            _log.warning("outbox relay waits", error=str(error).split("\n")[0], seconds=back_off)
            await pause(stop, back_off)
            back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)
            continue
        back_off = IDLE_SECONDS
        if published < BATCH:
            await pause(stop, IDLE_SECONDS)


async def relay_once(db: Database, bus: EventBus, limit: int = BATCH) -> int:
    """Publish one batch; answers with how many left. Raises BusDown, and then all stay pending.

    The rows stay locked while they are published, so that a second relay takes others. When the
    commit is lost after publishing, they are published again: consumers know an event by its id.
    """
    async with db.unit_of_work() as session:
        events = await outbox.pending(session, limit)
        if not events:
            return 0
        refusals = await bus.publish(events)
        left = [e.id for e, refusal in zip(events, refusals, strict=True) if refusal is None]
        for event, refusal in zip(events, refusals, strict=True):
            if refusal is not None:
                _log.error("event refused", event_id=event.event_id, topic=event.topic, why=refusal)
                await outbox.mark_failed(session, [event.id], refusal)
        await outbox.mark_published(session, left)
        return len(left)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not longer than until `stop`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _purge(db: Database) -> None:
    async with db.unit_of_work() as session:
        await outbox.purge(session, KEEP_SECONDS)
        await idempotency.purge(session, datetime.now(UTC) - timedelta(seconds=KEEP_KEYS_SECONDS))
        await steps.purge(session, KEEP_GUARDS_SECONDS)
