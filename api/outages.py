"""Which errors mean that a part of the stack is away, so that trying again will help."""

from __future__ import annotations

from typing import Final

import redis.exceptions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# connection lost, resources exhausted, operator's or crash's shutdown; then lock, deadlock, time
_AWAY: Final = ("08", "53", "57P", "55P03", "40001", "40P01", "57014")


def is_outage(error: BaseException) -> bool:
    """Tell whether an error is about reaching a store, not about what was asked of it."""
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
        return True
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return True
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        # a connection that broke under a statement brings no SQLSTATE
        return error.connection_invalidated or (state.startswith(_AWAY) if state else _cut(error))
    return is_outage(error.__cause__) if error.__cause__ is not None else False


def _cut(error: DBAPIError) -> bool:
    cause: BaseException | None = error.orig
    while cause is not None:
        if isinstance(cause, OSError) or "connection" in str(cause).lower():
            return True
        cause = cause.__cause__
    return False
