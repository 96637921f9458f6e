"""Hand-written SQL: for hot paths, where one statement does what an ORM needs several for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson
from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession


def sql(statement: str, *, json: tuple[str, ...] = ()) -> TextClause:
    """A statement, once per module; the columns named in `json` are decoded from JSON."""
    clause = text(statement)
    if not json:
        return clause
    return clause.columns(**{name: JSONB() for name in json})  # type: ignore[return-value]


def columns(record: type[Any]) -> str:
    """The fields of a record as a list of columns."""
    return ", ".join(field.name for field in fields(record))


def values_of(record: object, kind: type[Any]) -> dict[str, Any]:
    """The fields of `kind`, which may be a parent of the record's class, by name."""
    return {field.name: getattr(record, field.name) for field in fields(kind)}


def dumps(value: Any) -> str:
    """JSON text for a `CAST(:name AS jsonb)`."""
    return orjson.dumps(value).decode()


async def fetch(session: AsyncSession, statement: TextClause, **values: Any) -> list[RowMapping]:
    """Every row of the answer."""
    return list((await session.execute(statement, values)).mappings())


async def fetch_one(
    session: AsyncSession, statement: TextClause, **values: Any
) -> RowMapping | None:
    """The only row of the answer, or None."""
    return (await session.execute(statement, values)).mappings().one_or_none()


async def execute(session: AsyncSession, statement: TextClause, **values: Any) -> int:
    """Run a statement that returns no rows; answers with how many it touched."""
    return int((await session.execute(statement, values)).rowcount)  # type: ignore[attr-defined]
