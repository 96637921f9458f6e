"""`./sagakart catalogue import FILE`, and the catalogue that a new data folder starts with."""

import asyncio
import csv
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from db.importing import seeding
from db.importing.importer import import_file
from db.importing.rows import BadRow, ImportReport, UnknownFormat
from db.session import Database
from stack.errors import StackError
from stack.reach import database_of
from stack.settings import ROOT, Settings, load

SHOWN_BAD_ROWS: Final = 50

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def catalogue() -> None:
    """The products that are for sale."""


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A CSV file; docs/catalogue-format.md says which.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder; .sagakart if not set.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write every bad row into this CSV file.")
    ] = None,
) -> None:
    """Import products; rows that cannot be read are reported and left out.

    The database is started when it is not up. A second import of the same file changes nothing.
    """
    if not file.is_file():
        raise StackError(f"{file} is no file; give the path of a CSV file of products")
    done = asyncio.run(_import(load(data_dir=data), file))
    if report is not None:
        _write_report(report, done.bad)
    _tell(done, report)


async def seed(db: Database) -> ImportReport | None:
    """Load our own small catalogue; None when this database had it."""
    return await seeding.seed(db, ROOT / "catalogue")


async def _import(settings: Settings, file: Path) -> ImportReport:
    async with database_of(settings) as url:
        db = Database(url, pool_size=2, application="sagakart catalogue import")
        try:
            return await _with_progress(db, file)
        except UnknownFormat as error:
            raise StackError(str(error)) from None
        finally:
            await db.close()


async def _with_progress(db: Database, file: Path) -> ImportReport:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    # on stderr, and only for people: a file of our output has the result alone
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(file.name, total=None)

        def show(read: int, size: int) -> None:
            bar.update(task, completed=read, total=size)

        return await import_file(db, file, show)


def _tell(done: ImportReport, report: Path | None) -> None:
    for table, added in done.added.items():
        changed = done.changed.get(table, 0)
        print(f"{table}: {added} new, {changed} changed")
    print(f"{done.rows - len(done.bad)} of {done.rows} rows imported")
    if not done.bad:
        return
    runs = in_runs(done.bad)
    print(f"{len(done.bad)} rows left out:", file=sys.stderr)
    for line in runs[:SHOWN_BAD_ROWS]:
        print(f"  {line}", file=sys.stderr)
    if len(runs) > SHOWN_BAD_ROWS and report is None:
        more = len(runs) - SHOWN_BAD_ROWS
        print(f"  and {more} more; --report FILE writes them all", file=sys.stderr)


def in_runs(bad: Sequence[BadRow]) -> list[str]:
    """A line of text per bad row; rows on successive lines with one reason share a line."""
    numbered = [(row.line - place, row) for place, row in enumerate(bad)]
    texts = []
    for (_, reason), run in groupby(numbered, key=lambda pair: (pair[0], pair[1].reason)):
        rows = [row for _, row in run]
        first, last = rows[0].line, rows[-1].line
        where = f"line {first}" if first == last else f"lines {first} to {last}"
        texts.append(f"{where}: {reason}")
    return texts


def _write_report(path: Path, bad: Sequence[BadRow]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "reason"))
        writer.writerows((row.line, row.reason) for row in bad)
