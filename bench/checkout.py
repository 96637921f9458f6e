"""`./sagakart bench checkout`: measure a checkout from its HTTP request to its confirmation."""

import asyncio
import json
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from temporalio.client import Client

from bench import empty
from bench.customers import Customers
from bench.history import footprint
from bench.load import Load, closed_loop
from bench.report import Report
from bench.rounds import MEASUREMENTS, ROUNDS, Pids, Rounds, Start
from bench.shop import ORDERS_EACH, Shop, open_shop
from db.ids import new_ulid
from db.session import Database
from stack.errors import StackError
from stack.process import Child
from stack.settings import Settings, load
from stack.supervisor import Supervisor, running

# More than a small machine sells, so that the customers last.
_MOST_PER_S: Final = 150

app = typer.Typer(add_completion=False)


@app.callback()
def bench() -> None:
    """Measure what a checkout costs."""


@app.command()
def checkout(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    seconds: Annotated[
        float, typer.Option(min=1, max=600, help="How long each measurement of a round takes.")
    ] = 8.0,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data folder here; a temporary one if not set.")
    ] = None,
) -> None:
    """Compare checkouts through HTTP with empty workflows, on servers of their own."""
    with _folder(data) as path:
        report = uvloop.run(_measured(load(data_dir=path, port=0), seconds))
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        print("\n".join(report.lines()))
    if report.unsold:
        raise typer.Exit(1)


@contextmanager
def _folder(asked: Path | None) -> Iterator[Path]:
    if asked is not None:
        yield asked
        return
    path = Path(tempfile.mkdtemp(prefix="sagakart-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def _measured(settings: Settings, seconds: float) -> Report:
    task = asyncio.current_task()
    if task is not None:
        # So that the stack is stopped in order and the folder removed.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    _say("starting the stack")
    async with (
        running(settings) as stack,
        empty.worker_process(stack.settings, stack.folder) as child,
    ):
        client = await empty.connect(
            str(stack.settings.temporal_address), stack.settings.temporal_namespace
        )
        shop = await _shop(stack.settings, seconds)
        customers = Customers(stack.settings.url, shop, client)
        rounds = Rounds(_empties(client), customers.buy, _pids(stack, child))
        _say("warming up")
        await rounds.warm_up()
        customers.unsold.clear()
        await rounds.run(seconds, _say)
        left = await footprint(client, list(customers.order_ids))
        _say("stopping the stack")
    return Report(
        seconds=seconds,
        cores=os.cpu_count() or 1,
        rounds=rounds,
        footprint=left,
        unsold=customers.unsold,
    )


async def _shop(settings: Settings, seconds: float) -> Shop:
    if settings.postgres_url is None or settings.jwt_secret is None:
        raise StackError("the bench needs a database and a secret of the stack's own to make users")
    measured_s = seconds * ROUNDS * MEASUREMENTS
    database = Database(settings.postgres_url, pool_size=1, application="bench")
    try:
        customers = math.ceil(measured_s * _MOST_PER_S / ORDERS_EACH)
        return await open_shop(database, settings.jwt_secret.get_secret_value(), customers)
    finally:
        await database.close()


def _empties(client: Client) -> Start:
    async def start(at_once: int, seconds: float) -> Load:
        once = empty.starter(client, new_ulid())
        return await closed_loop([once] * at_once, seconds)

    return start


def _pids(stack: Supervisor, empty_worker: Child) -> Pids:
    """The processes at work; raises StackError when one of them has been started anew."""

    def now() -> dict[str, int]:
        fallen = [name for name, part in stack.parts.items() if part.restarts]
        if fallen:
            raise StackError(
                f"{', '.join(fallen)} died during the measurement, which is worth nothing now; "
                f"its log is in {stack.folder.logs}"
            )
        parts = {name: part.pid for name, part in stack.parts.items() if part.pid is not None}
        return parts | {empty.NAME: empty_worker.pid}

    return now


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)
