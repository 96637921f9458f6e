"""`./sagakart demo`: a crowd of customers buys through the public edge, through faults."""

import asyncio
import json
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stack.demo.chaos import Victim
from stack.demo.edge import GaveUp
from stack.demo.report import as_json, as_text
from stack.demo.run import Day, Wishes, run
from stack.demo.show import Show
from stack.errors import PartFailed, StackError

__all__ = ["Day", "Victim", "Wishes", "app", "as_json", "as_text", "run"]

MOST_ORDERS = 100_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Faults(StrEnum):
    """How badly the sandbox's payment providers behave."""

    NONE = "none"
    DEFAULT = "default"
    HEAVY = "heavy"


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1, max=MOST_ORDERS, help="How many orders.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed plans the same day.")] = 7,
    catalogue: Annotated[
        Path | None, typer.Option(help="A CSV file of products to import first.")
    ] = None,
    faults: Annotated[
        Faults, typer.Option(help="How the payment providers behave.")
    ] = Faults.DEFAULT,
    as_object: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Use this folder, and the stack in it if one runs; keep it."),
    ] = None,
    customers: Annotated[
        int | None, typer.Option(min=1, help="How many customers; enough for all if not set.")
    ] = None,
    kill: Annotated[
        Victim | None, typer.Option(help="Kill this part with SIGKILL every few seconds.")
    ] = None,
) -> None:
    """Sell the catalogue to a crowd of customers, through faults, and check every invariant."""
    if catalogue is not None and not catalogue.is_file():
        raise StackError(f"{catalogue} is no file; give the path of a CSV file of products")
    wishes = Wishes(
        orders=orders,
        seed=seed,
        faults=faults.value,
        customers=customers,
        catalogue=catalogue,
        data=data,
        victim=kill,
    )
    try:
        day = asyncio.run(_run(wishes, as_object))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    if as_object:
        print(json.dumps(as_json(day)))
    else:
        print("\n".join(as_text(day)))
    raise typer.Exit(1 if day.findings else 0)


async def _run(wishes: Wishes, as_object: bool) -> Day:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this runs in one
    # A polite end takes the stack down and the folder away, as Ctrl-C does.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        with Show(as_json=as_object, quiet=wishes.victim is not None) as show:
            return await run(wishes, show)
    except GaveUp as tired:
        raise PartFailed(f"the stack did not answer: {tired}") from None
