"""Pages by key: each ends with a cursor that says where the next one begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import orjson

from db.errors import BadCursor

T = TypeVar("T")

MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the rows after them (None: these were the last)."""

    items: tuple[T, ...]
    next: str | None


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], tuple[str, ...]]) -> Page[T]:
    """A page from up to `limit + 1` rows; the one too many only tells that there are more."""
    items = tuple(rows[:limit])
    return Page(items, encode(*key(items[-1])) if len(rows) > limit else None)


def encode(*parts: str) -> str:
    """An opaque cursor of a row's key."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode(cursor: str, size: int) -> tuple[str, ...]:
    """The key in a cursor; raises BadCursor for any other text."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = orjson.loads(raw)
    except (binascii.Error, ValueError) as error:
        raise BadCursor(cursor) from error
    if (
        not isinstance(parts, list)
        or len(parts) != size
        or not all(isinstance(part, str) and "\0" not in part for part in parts)
    ):
        raise BadCursor(cursor)
    return tuple(parts)


def decode_newest(cursor: str) -> tuple[datetime, str]:
    """The (time, id) key of lists that show the newest first."""
    at, key = decode(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise BadCursor(cursor) from error
    if moment.tzinfo is None:
        raise BadCursor(cursor)
    return moment, key


def bounded(limit: int) -> int:
    """`limit`, held between 1 and MAX_LIMIT."""
    return max(1, min(limit, MAX_LIMIT))
