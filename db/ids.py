"""Identifiers: ULIDs, 26 characters, which sort by the time they were made."""

from __future__ import annotations

import hashlib
from datetime import datetime

from ulid import ULID


def new_ulid() -> str:
    """A fresh ULID."""
    return str(ULID())


def stable_ulid(at: datetime, *parts: str) -> str:
    """The one ULID that belongs to `parts`: time from `at` (aware), the rest from their hash.

    The same thing imported twice gets the same id, so that a second import is a no-op.
    """
    milliseconds = int(at.timestamp() * 1000)
    # NUL cannot be part of a text column, so ("a", "bc") and ("ab", "c") stay apart
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + digest[:10]))
