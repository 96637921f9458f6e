"""Guards of sagas' database steps: an action takes effect once, and never after its undo.

An action and its undo may meet: the action timed out, is undone, and arrives late. Both insert
the same key, so PostgreSQL makes the second wait for the first to commit. In one unit of work:

    claim = await steps.begin(session, call.key, saga_id=…, step=…)
    if claim.done: return claim.result      # a replay: answer as before
    …                                       # the effect
    await steps.finish(session, call.key, result)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import StepUndone
from db.sql import dumps, execute, fetch_one, sql
from db.vocabulary import StepState


@dataclass(frozen=True, slots=True)
class Claim:
    """`done`: the action took effect before, with `result`. Else it is the caller's to do."""

    done: bool
    result: Any = None


@dataclass(frozen=True, slots=True)
class Undoing:
    """What an undo finds.

    `happened`: the action took effect and `result` is what it stored (None if nothing).
    `again`: the undo itself ran before, so that there is nothing left to do.
    """

    happened: bool
    again: bool
    result: Any = None


_CLAIM = sql(
    """
    INSERT INTO step_guards (key, saga_id, step, state) VALUES (:key, :saga_id, :step, 'DONE')
    ON CONFLICT (key) DO NOTHING RETURNING key
    """
)
_FIND = sql("SELECT state, result FROM step_guards WHERE key = :key", json=("result",))
_FINISH = sql(
    """
    UPDATE step_guards SET result = CAST(:result AS jsonb) WHERE key = :key AND state = 'DONE'
    """
)
# a tombstone where the action never came; else the row of the action, taken back
_UNDO = sql(
    """
    INSERT INTO step_guards (key, saga_id, step, state) VALUES (:key, :saga_id, :step, 'UNDONE')
    ON CONFLICT (key) DO UPDATE SET state = 'UNDONE', at = now()
    RETURNING old.state AS was, new.result AS result
    """,
    json=("result",),
)

# a saga that is open may be replayed at any step, however old
_PURGE = sql(
    """
    DELETE FROM step_guards WHERE key IN (
        SELECT key FROM step_guards
        WHERE at < now() - make_interval(secs => :seconds)
          AND NOT EXISTS (SELECT 1 FROM sagas WHERE id = saga_id AND ended_at IS NULL)
        LIMIT :limit
    )
    """
)


async def begin(session: AsyncSession, key: str, *, saga_id: str, step: str) -> Claim:
    """Claim the action `key` for this transaction; waits for another that has claimed it.

    Raises StepUndone when its undo came first.
    """
    if await fetch_one(session, _CLAIM, key=key, saga_id=saga_id, step=step) is not None:
        return Claim(done=False)
    row = await fetch_one(session, _FIND, key=key)
    if row is None or row["state"] == StepState.UNDONE:
        raise StepUndone(key)
    return Claim(done=True, result=row["result"])


async def finish(session: AsyncSession, key: str, result: Any) -> None:
    """Store what the action answers, as JSON, for replays and for its undo."""
    if await execute(session, _FINISH, key=key, result=dumps(result)) != 1:
        raise StepUndone(key)


async def undo(session: AsyncSession, do_key: str, *, saga_id: str, step: str) -> Undoing:
    """Take the action `do_key` back, or forbid it when it has not happened yet."""
    row = await fetch_one(session, _UNDO, key=do_key, saga_id=saga_id, step=step)
    assert row is not None  # noqa: S101 - an upsert returns its row
    return Undoing(
        happened=row["was"] is not None,
        again=row["was"] == StepState.UNDONE,
        result=row["result"],
    )


async def purge(session: AsyncSession, older_than_seconds: float, limit: int = 1000) -> int:
    """Delete up to `limit` guards of sagas that ended, older than this; answers with how many."""
    return await execute(session, _PURGE, seconds=float(older_than_seconds), limit=limit)
