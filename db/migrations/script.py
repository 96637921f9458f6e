"""Runs the SQL files of a revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

SQL = Path(__file__).parent / "sql"


def run_sql(revision: str) -> None:
    """Run every file of `sql/<revision>/` in the order of their names, in this transaction."""
    files = sorted((SQL / revision).glob("*.sql"))
    if not files:
        raise FileNotFoundError(f"no SQL files in {SQL / revision}; the checkout is incomplete")
    connection: Any = op.get_bind().connection.dbapi_connection
    for file in files:
        # the driver's own execute takes many statements at once; SQLAlchemy's takes one
        connection.run_async(_executor(file.read_text(encoding="utf-8")))


def _executor(script: str) -> Any:
    return lambda driver: driver.execute(script)
