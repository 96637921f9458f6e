"""`./sagakart reconcile run|report|import`: what providers settled, against our ledger."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.payments.registry import PROVIDERS
from activities.reconciliation.importing import Imported, import_file
from db.ids import new_ulid
from db.session import Database
from domain.settlement_file import BadRow, BadSettlementFile
from domain.settlements import CARRIER, business_day
from saga import search_attributes
from stack.errors import StackError
from stack.invariants import reach
from stack.reach import database_of
from stack.reconcile_report import Report, gather, in_words
from stack.settings import Settings, load
from stack.wiring import REPORTS
from workflows.contracts.ids import RECONCILIATION, SAGAS, reconciliation_id
from workflows.contracts.reconciliation import WORKFLOW, Reconciled, ReconcileDay

SHOWN_BAD_ROWS: Final = 50

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[Path | None, typer.Option("--data", help="The data folder; .sagakart if not set.")]
Day = Annotated[
    str, typer.Option("--day", help="A day in India, as 2026-11-22, or yesterday, or today.")
]


@app.callback()
def reconcile() -> None:
    """What providers settled, held against our ledger."""


@app.command()
def run(
    psp: Annotated[
        list[str] | None, typer.Option("--psp", help="Only this one; may be repeated.")
    ] = None,
    day: Day = "yesterday",
    wait: Annotated[
        float, typer.Option(min=1, help="How many seconds to wait for the outcome.")
    ] = 120.0,
    data: Data = None,
) -> None:
    """Read and compare a day now; whatever was missed before it too. Repeatable."""
    settings = reach(load(data_dir=data))
    ended = asyncio.run(_run(settings, psp, _day(day), wait))
    raise typer.Exit(0 if ended else 1)


@app.command()
def report(
    day: Day = "yesterday",
    psp: Annotated[str | None, typer.Option("--psp", help="Only this provider.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    data: Data = None,
) -> None:
    """A day's settlements, what differs, and how old the open cases are."""
    told = asyncio.run(_report(load(data_dir=data), _day(day), psp))
    print(json.dumps(told.to_json()) if as_json else "\n".join(in_words(told)))


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A CSV file; docs/settlement-format.md says which.")],
    psp: Annotated[
        str, typer.Option("--psp", help=f"Whose report it is; {CARRIER}NAME for a carrier's.")
    ],
    data: Data = None,
) -> None:
    """Import a settlement report; with a bad row nothing of it. A second import changes nothing."""
    if psp not in PROVIDERS and not (psp.startswith(CARRIER) and psp.removeprefix(CARRIER).strip()):
        raise StackError(
            f"there is no provider {psp!r}; there are {', '.join(PROVIDERS)}, "
            f"and {CARRIER}NAME for what a carrier remits"
        )
    if not file.is_file():
        raise StackError(f"{file} is no file; give the path of a CSV file of settlement lines")
    done = asyncio.run(_import(load(data_dir=data), psp, file))
    if done.bad:
        raise StackError(_refusal(file, done.bad))
    print(f"{done.lines} lines: {done.new} new, {done.changed} changed")
    _tell_compared(psp, done.found, done.opened, done.closed)


def _refusal(file: Path, bad: Sequence[BadRow]) -> str:
    shown = [f"  line {row.line}: {row.reason}" for row in bad[:SHOWN_BAD_ROWS]]
    more = [f"  and {len(bad) - len(shown)} more"] if len(bad) > len(shown) else []
    head = f"nothing of {file} was imported: mend these {len(bad)} rows and import it again"
    return "\n".join([head, *shown, *more])


def _day(text: str) -> date:
    today = business_day(datetime.now(UTC))
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return named.get(text) or date.fromisoformat(text)
    except ValueError:
        raise StackError(
            f"--day {text!r} is no day: write it as {today}, or yesterday, or today"
        ) from None


async def _run(settings: Settings, wanted: list[str] | None, day: date, wait: float) -> bool:
    configured = {*settings.providers, *settings.sandbox}
    reported = [
        name
        for name, provider in PROVIDERS.items()
        if name in configured and provider.load().caps.settlements
    ]
    strangers = [name for name in wanted or () if name not in reported]
    if strangers:
        raise StackError(
            f"{', '.join(strangers)} has no settlement report that can be asked for; "
            f"{', '.join(reported) or 'none'} has. Import others: ./sagakart reconcile import"
        )
    try:
        client = await Client.connect(
            settings.needed("temporal_address"),
            namespace=settings.temporal_namespace,
            data_converter=pydantic_data_converter,
        )
    except RuntimeError as error:
        raise StackError(f"Temporal does not answer: {error}; see ./sagakart status") from None
    timings = REPORTS[settings.pace]
    rounds = [ReconcileDay(psp=psp, day=day, timings=timings) for psp in wanted or reported]
    handles = [await start(client, each) for each in rounds]
    return all(await asyncio.gather(*(_await(handle, wait) for handle in handles)))


async def start(client: Client, request: ReconcileDay) -> WorkflowHandle[Any, Reconciled]:
    """Start a round, or join the one under way over the same day of the same PSP."""
    first = reconciliation_id(request.psp, request.day)
    for saga_id in (first, reconciliation_id(request.psp, request.day, new_ulid())):
        try:
            return await client.start_workflow(
                WORKFLOW,
                request,
                id=saga_id,
                task_queue=SAGAS,
                result_type=Reconciled,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=search_attributes(RECONCILIATION, ""),
            )
        except WorkflowAlreadyStartedError:
            continue  # that day was reconciled before: this is a further round
    raise StackError(f"{first} could not be started; try again")


async def _await(handle: WorkflowHandle[Any, Reconciled], wait: float) -> bool:
    try:
        done = await asyncio.wait_for(handle.result(), wait)
    except TimeoutError:
        print(f"{handle.id} goes on; see GET /v1/sagas/{handle.id}")
        return False
    _tell_compared(done.psp, done.found, done.opened, done.closed)
    return True


def _tell_compared(psp: str, found: dict[str, int], opened: int, closed: int) -> None:
    looked_at = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{psp}: {looked_at or 'nothing new'}; cases: {opened} opened, {closed} closed")


async def _report(settings: Settings, day: date, psp: str | None) -> Report:
    async with database_of(settings) as url:
        db = Database(url, pool_size=1, application="sagakart reconcile report")
        try:
            return await gather(db, day, psp, datetime.now(UTC))
        finally:
            await db.close()


async def _import(settings: Settings, psp: str, file: Path) -> Imported:
    async with database_of(settings) as url:
        db = Database(url, pool_size=1, application="sagakart reconcile import")
        try:
            return await import_file(db, psp, file)
        except BadSettlementFile as error:
            raise StackError(
                f"{file} is no settlement report: {error}; see docs/settlement-format.md"
            ) from None
        except UnicodeDecodeError as error:
            raise StackError(f"{file} is not UTF-8 text: {error}; save it as UTF-8") from None
        finally:
            await db.close()
