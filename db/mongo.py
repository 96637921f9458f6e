"""MongoDB: whole documents with string ids, each with a schema version and its own version."""

from __future__ import annotations

from typing import Any, Final

from pymongo import AsyncMongoClient

DATABASE: Final = "sagakart"

# collections, named once
PLANS: Final = "plans"
PROJECTIONS: Final = "projections"
WISHLISTS: Final = "wishlists"
CART_SNAPSHOTS: Final = "cart_snapshots"
SUPPORT_NOTES: Final = "support_notes"

Document = dict[str, Any]


def client(url: str) -> AsyncMongoClient[Document]:
    """A client of the server at `url`; times are aware UTC, and a lost server fails in seconds."""
    return AsyncMongoClient(
        url,
        tz_aware=True,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=10_000,
        appname="sagakart",
    )
