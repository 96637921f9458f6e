"""Telling a store that is away, where waiting helps, from a request that is wrong."""

from __future__ import annotations

from typing import Final

import asyncpg
import redis.exceptions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# connection lost, resources exhausted, shut down; serialisation failure, deadlock, lock time-out
_AWAY: Final = ("08", "53", "57P", "40001", "40P01", "55P03")


def is_outage(error: BaseException) -> bool:
    """Whether trying the same again later may succeed, because a store was away or busy."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        return error.orig is not None and is_outage(error.orig)
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return True
    if isinstance(error, OSError | PoolTimeout | asyncpg.InterfaceError):
        return True
    state = getattr(error, "sqlstate", None)
    if state:
        return str(state).startswith(_AWAY)
    # a driver's error that SQLAlchemy translated has the original as its cause
    return error.__cause__ is not None and is_outage(error.__cause__)
