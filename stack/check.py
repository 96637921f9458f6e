"""`./sagakart check`: the invariants, over our books, the PSPs' and Temporal's."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from stack.errors import StackError
from stack.invariants import TITLES, Report, reach
from stack.invariants import check as check_all
from stack.settings import Settings, load

LOST = (SQLAlchemyError, RedisError, RPCError, httpx.HTTPError, OSError, RuntimeError)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def check(
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder; .sagakart if not set.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    settle: Annotated[
        float, typer.Option(min=0, help="Wait up to so many seconds for the stack to come to rest.")
    ] = 10.0,
) -> None:
    """Check the invariants over a running stack; exit code 1 when one is violated."""
    report = asyncio.run(_check(reach(load(data_dir=data)), settle))
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        print("\n".join(in_words(report)))
    raise typer.Exit(1 if report.violations else 0)


async def _check(settings: Settings, settle: float) -> Report:
    try:
        return await check_all(settings, settle_s=settle)
    except LOST as error:
        said = str(error).split("\n")[0][:200]
        raise StackError(
            f"a part of the stack did not answer ({type(error).__name__}: {said}); "
            "see ./sagakart status"
        ) from error


def in_words(report: Report) -> Iterator[str]:
    """The report as lines: one for each invariant, and below it what violates it."""
    for number, title in TITLES.items():
        found = [finding for finding in report.findings if finding.invariant == number]
        verdict = f"{len(found)} VIOLATIONS" if found else "holds"
        yield f"{number}. {title}: {verdict}"
        for finding in found:
            yield f"   {finding.subject}: {finding.message}"
            yield f"      expected {finding.expected}, found {finding.found}"
    yield from report.notes
    if report.violations:
        yield f"{report.violations} violations over {report.counts.words()}"
    else:
        yield f"{len(TITLES)} invariants hold over {report.counts.words()}"
