"""Importing a product file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from db.importing import writer
from db.importing.reader import ProductFile
from db.importing.rows import BadRow, ImportReport, NewProduct
from db.session import Database

BATCH: Final = 250

# called with the bytes read so far and the bytes of the file
Progress = Callable[[int, int], None]


async def import_file(
    db: Database, path: Path, progress: Progress | None = None, *, batch_size: int = BATCH
) -> ImportReport:
    """Import a file in batches, each in a transaction of its own; bad rows are left out.

    Importing it again changes nothing, and one that was interrupted is completed.
    Raises UnknownFormat, OSError.
    """
    report = ImportReport()
    file = ProductFile(path)
    for rows in batched(file, batch_size):
        report.rows += len(rows)
        report.bad += [row for row in rows if isinstance(row, BadRow)]
        products = [row for row in rows if isinstance(row, NewProduct)]
        async with db.unit_of_work() as session:
            await writer.prepare(session)
            await writer.write(session, products, report)
        if progress is not None:
            progress(file.read_bytes, file.size)
    report.bad.sort(key=lambda bad: bad.line)
    return report


def batched(file: ProductFile, size: int) -> Iterator[list[NewProduct | BadRow]]:
    """The rows of a file, `size` at a time."""
    rows = iter(file)
    while batch := list(islice(rows, size)):
        yield batch
