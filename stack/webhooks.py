"""`./sagakart webhooks`: what providers told us, what of it is stuck, and delivering it again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy.exc import SQLAlchemyError

from activities.payments.registry import PROVIDERS
from db.errors import NotFound
from db.repositories import inbox
from db.repositories.inbox import InboxFilter, WebhookRecord
from db.session import Database
from stack.errors import StackError
from stack.folder import DataFolder
from stack.reach import database_of
from stack.settings import Settings, load

# The relay delivers within seconds; what waits longer waits for something that does not come.
STUCK_AFTER: Final = timedelta(minutes=1)
MOST: Final = 10_000

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[Path | None, typer.Option("--data", help="The data folder; .sagakart if not set.")]
Stuck = Annotated[
    bool, typer.Option("--stuck", help="Those not delivered a minute or more after they came.")
]
OfProvider = Annotated[str | None, typer.Option("--provider", help="Those of one provider.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.callback()
def webhooks() -> None:
    """What payment providers told us: find it, and have it delivered again."""


@app.command("list")
def list_command(
    stuck: Stuck = False,
    provider: OfProvider = None,
    order: Annotated[str | None, typer.Option("--order", help="Those about one order.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST)] = 50,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show webhooks, the newest first: how often each was tried, and why it failed."""
    wanted = _wanted(provider, order, stuck=stuck)
    found = asyncio.run(_list(load(data_dir=data), wanted, limit))
    if as_json:
        print(json.dumps({"webhooks": [shown(one) for one in found]}))
    else:
        print("\n".join(in_words(found, datetime.now(UTC))))


@app.command()
def show(
    webhook: Annotated[str, typer.Argument(help="The id of a webhook, as `list` shows it.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show one webhook whole: what it claims, and what became of it."""
    fields = shown(asyncio.run(_get(load(data_dir=data), webhook)))
    if as_json:
        print(json.dumps(fields))
        return
    for name, value in fields.items():
        print(f"{name}: {json.dumps(value, indent=2) if name == 'payload' else value}")


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as `list` shows them.")] = None,
    stuck: Stuck = False,
    provider: OfProvider = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    data: Data = None,
) -> None:
    """Have webhooks delivered at once, and not when their next try is due.

    One that was delivered before is delivered again; where it is no news, that changes nothing.
    Exit code 1 when an id is not known.
    """
    if bool(ids) == stuck:
        raise StackError("name webhooks by their ids, or give --stuck for all that wait, not both")
    if ids and provider is not None:
        raise StackError("--provider goes with --stuck; an id names a webhook of any provider")
    settings = load(data_dir=data)
    wanted = _wanted(provider, None, stuck=True) if stuck else None
    done, unknown = asyncio.run(_replay(settings, ids or [], wanted, dry_run=dry_run))
    now = datetime.now(UTC)
    for one in done:
        print(f"{one.id}  {one.provider}  {one.kind}: {_outcome(one, now, dry_run=dry_run)}")
    for webhook in unknown:
        print(f"{webhook}: there is no webhook with this id", file=sys.stderr)
    if stuck and not done:
        print("nothing is stuck")
    if done and not dry_run and not _relay_runs(settings):
        print("the stack is not up: they are delivered once it is")
    raise typer.Exit(1 if unknown else 0)


def in_words(found: Sequence[WebhookRecord], now: datetime) -> Iterator[str]:
    """The webhooks as a table, a line each; `now` in UTC."""
    if not found:
        yield "no webhooks"
        return
    rows = [("ID", "PROVIDER", "KIND", "ABOUT", "AGE", "TRIES", "STATE")]
    rows += [
        (
            one.id,
            one.provider,
            one.kind + ("" if one.trust == "SIGNED" else " (unsigned)"),
            one.payment_ref or "-",
            age(now - one.received_at),
            str(one.delivery_attempts),
            _state(one),
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def shown(one: WebhookRecord) -> dict[str, Any]:
    """A webhook as JSON values, times in ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(one).items()
    }


def age(passed: timedelta) -> str:
    """How long ago, in the unit that people would use."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _state(one: WebhookRecord) -> str:
    if one.delivered_at is not None:
        return "delivered"
    return f"waits: {one.last_error}" if one.last_error else "waits"


def _outcome(one: WebhookRecord, now: datetime, *, dry_run: bool) -> str:
    would = "would be" if dry_run else "is"
    if one.delivered_at is not None:
        return f"{would} delivered again; it was {age(now - one.delivered_at)} ago"
    tries = f"tried {one.delivery_attempts} times" if one.delivery_attempts else "never tried"
    return f"{would} due now; {tries}" + (f", {one.last_error}" if one.last_error else "")


def _wanted(provider: str | None, order: str | None, *, stuck: bool) -> InboxFilter:
    if provider is not None and provider not in PROVIDERS:
        raise StackError(f"there is no provider {provider!r}; there are: {', '.join(PROVIDERS)}")
    since = datetime.now(UTC) - STUCK_AFTER if stuck else None
    return InboxFilter(provider=provider, order_id=order, waiting_since=since)


def _relay_runs(settings: Settings) -> bool:
    # With a database elsewhere the relay may be elsewhere too.
    return settings.postgres_url is not None or DataFolder(settings.data_dir).holder() is not None


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    async with database_of(settings) as url:
        db = Database(url, pool_size=1, application="sagakart webhooks")
        try:
            yield db
        except (SQLAlchemyError, OSError) as error:
            said = str(error).split("\n")[0][:200]
            raise StackError(
                f"the database did not answer: {said}; see ./sagakart status"
            ) from None
        finally:
            await db.close()


async def _list(settings: Settings, wanted: InboxFilter, limit: int) -> tuple[WebhookRecord, ...]:
    async with _database(settings) as db, db.reading() as session:
        return await inbox.list_events(session, wanted, limit=limit)


async def _get(settings: Settings, webhook: str) -> WebhookRecord:
    async with _database(settings) as db, db.reading() as session:
        try:
            return await inbox.get(session, webhook)
        except NotFound:
            raise StackError(
                f"there is no webhook {webhook!r}; ./sagakart webhooks list shows their ids"
            ) from None


async def _replay(
    settings: Settings, ids: Sequence[str], wanted: InboxFilter | None, *, dry_run: bool
) -> tuple[list[WebhookRecord], list[str]]:
    """Replay these, or all that are wanted: as they were before, and the ids of no webhook."""
    done: list[WebhookRecord] = []
    unknown: list[str] = []
    async with _database(settings) as db:
        if wanted is not None:
            async with db.reading() as session:
                ids = [one.id for one in await inbox.list_events(session, wanted, limit=MOST)]
        for webhook in dict.fromkeys(ids):
            # One transaction each: the relay may take the first while we are at the last.
            try:
                async with db.unit_of_work() as session:
                    act = inbox.get if dry_run else inbox.replay
                    done.append(await act(session, webhook))
            except NotFound:
                unknown.append(webhook)
    return done, unknown
