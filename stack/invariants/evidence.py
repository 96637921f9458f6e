"""What the invariants are judged by: one snapshot of our database, and the others' own words.

The words of others are put beside ours as temporary tables, so that every rule is one set-based
statement however many orders there are:

psp_books        every payment that a PSP has: psp, id, merchant_ref, order_id, status, amounts
open_orders      orders whose checkout or payment saga has not ended: their money may be on its way
watched_attempts attempts that were left behind and are still watched for a late success
sold, unsold     orders that were sold, and orders that ended without a sale; no open ones
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from db.session import Database
from db.sql import dumps, execute, fetch, sql
from stack.errors import StackError
from stack.invariants.finding import Counts
from stack.settings import Settings

PspBooks = Mapping[str, Sequence[dict[str, Any]]]

BATCH: Final = 5_000
PATIENCE_S: Final = 30.0
SLACK: Final = timedelta(seconds=5)

# As a setting of the transaction, since CREATE TABLE AS takes no parameters.
_SINCE: Final = "nullif(current_setting('check.since', true), '')::timestamptz"
_LEAVE_OUT = sql("SELECT set_config('check.since', CAST(:since AS text), true)")
_NOW = sql("SELECT now() AS now")
_SNAPSHOT = sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_BOOKS = sql(
    """
    CREATE TEMPORARY TABLE psp_books (
        psp text, id text, merchant_ref text, order_id text, status text, currency text,
        amount bigint, authorised bigint, captured bigint, refunded bigint, charged_back bigint
    ) ON COMMIT DROP
    """
)
_ENTER = sql(
    """
    INSERT INTO psp_books
    SELECT :psp, id, merchant_ref, left(merchant_ref, 26), status, currency, amount, authorised,
           captured, refunded, coalesce(charged_back, 0)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
        id text, merchant_ref text, status text, currency text, amount bigint,
        authorised bigint, captured bigint, refunded bigint, charged_back bigint)
    """
)
_QUERIES: Final[Mapping[str, str]] = {
    "open_orders": f"""
        SELECT order_id FROM sagas
        WHERE kind IN ('checkout', 'payment', 'refund') AND order_id IS NOT NULL
          AND (ended_at IS NULL OR ended_at >= {_SINCE})
        UNION SELECT id FROM orders WHERE updated_at >= {_SINCE}
    """,  # noqa: S608 - texts of this module
    "watched_attempts": f"""
        SELECT DISTINCT split_part(id, ':', 2) AS attempt_id FROM sagas
        WHERE kind = 'late-payment' AND (ended_at IS NULL OR ended_at >= {_SINCE})
    """,  # noqa: S608
    "sold": """
        SELECT id, payment_method, total_paise
                   - (SELECT coalesce(sum(amount_paise), 0) FROM refunds
                      WHERE order_id = orders.id AND kind = 'REQUESTED' AND state = 'DONE')
                   - (SELECT coalesce(sum(amount_paise), 0) FROM disputes
                      WHERE order_id = orders.id AND state = 'LOST') AS owed_paise
        FROM orders
        WHERE state IN ('CONFIRMED', 'SHIPPED', 'DELIVERED', 'RETURN_REQUESTED')
          AND id NOT IN (SELECT order_id FROM open_orders)
    """,
    "unsold": """
        SELECT id, state FROM orders
        WHERE state IN ('REFUSED', 'CANCELLED', 'EXPIRED')
          AND id NOT IN (SELECT order_id FROM open_orders)
    """,
}
_VIEWS = tuple(
    sql(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query}")
    for name, query in _QUERIES.items()
)
_ANALYZE = tuple(sql(f"ANALYZE {name}") for name in ("psp_books", *_QUERIES))
_COUNTS = sql(
    """
    SELECT (SELECT count(*) FROM orders) AS orders,
           (SELECT count(*) FROM payments) AS payments,
           (SELECT count(*) FROM payment_attempts) AS attempts,
           (SELECT count(*) FROM psp_books) AS psp_payments,
           (SELECT count(*) FROM stock_levels) AS stock_levels,
           (SELECT count(*) FROM reservations) AS reservations,
           (SELECT count(*) FROM sagas) AS sagas,
           (SELECT count(*) FROM webhook_inbox) AS webhooks,
           (SELECT count(*) FROM outbox) AS events
    """
)


@dataclass(frozen=True, slots=True)
class Connections:
    """Clients of every part that has a say."""

    database: Database
    redis: Redis
    temporal: Client
    http: httpx.AsyncClient
    psps: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One snapshot; `at_rest` says that the stack was seen to have nothing left to do."""

    session: AsyncSession
    redis: Redis
    temporal: Client
    counts: Counts
    at_rest: bool


@asynccontextmanager
async def connections(settings: Settings) -> AsyncIterator[Connections]:
    """Clients of a running stack, closed at the end; raises StackError where one is not told."""
    database = Database(_told(settings, "postgres_url"), pool_size=2, application="check")
    redis = Redis.from_url(_told(settings, "redis_url"), decode_responses=True)
    psps = {psp: _told(settings, f"{psp}_url") for psp in settings.sandbox}
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as http:
            client = await Client.connect(
                _told(settings, "temporal_address"),
                namespace=settings.temporal_namespace,
                data_converter=pydantic_data_converter,
            )
            yield Connections(database, redis, client, http, psps)
    finally:
        await redis.aclose()
        await database.close()


@asynccontextmanager
async def gathered(at: Connections, *, at_rest: bool) -> AsyncIterator[Evidence]:
    """The evidence, in a transaction that leaves nothing behind.

    The PSPs' books are read first: what changed since, our snapshot knows and can leave out.
    """
    async with at.database.reading() as session:
        before: datetime = (await fetch(session, _NOW))[0]["now"]
    books = await read_books(at)
    async with at.database.unit_of_work() as session:
        await execute(session, _SNAPSHOT)
        yield await lay_out(at, session, books, None if at_rest else before - SLACK)


async def lay_out(
    at: Connections, session: AsyncSession, books: PspBooks, since: datetime | None
) -> Evidence:
    """Put the PSPs' books beside ours; what moved after `since` is left out, nothing for None."""
    await execute(session, _BOOKS)
    for psp, payments in books.items():
        for start in range(0, len(payments), BATCH):
            rows = dumps(payments[start : start + BATCH])
            await execute(session, _ENTER, psp=psp, rows=rows)
    await execute(session, _LEAVE_OUT, since=since.isoformat() if since else "")
    for statement in (*_VIEWS, *_ANALYZE):
        await execute(session, statement)
    return Evidence(
        session=session,
        redis=at.redis,
        temporal=at.temporal,
        counts=Counts(**dict((await fetch(session, _COUNTS))[0])),
        at_rest=since is None,
    )


async def read_books(at: Connections) -> PspBooks:
    """Every payment in each PSP's own books; raises StackError where a PSP does not show them."""
    return {psp: await _books_of(at.http, psp, url) for psp, url in at.psps.items()}


async def _books_of(http: httpx.AsyncClient, psp: str, url: str) -> Sequence[dict[str, Any]]:
    try:
        answer = await http.get(f"{url}/_sandbox/books")
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(
            f"{psp} at {url} does not show its books ({type(error).__name__}); is it the sandbox?"
        ) from None
    payments: list[dict[str, Any]] = answer.json()["payments"]
    return payments


def _told(settings: Settings, name: str) -> str:
    value: str | None = getattr(settings, name)
    if value is None:
        raise StackError(f"SAGAKART_{name.upper()} is not set, and no stack of ours has it")
    return value
