"""The declarative base: constraint names, column types shared by every table, CHECKs from enums."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Base(DeclarativeBase):
    """All tables share one MetaData, so that every constraint has a name people can look up."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - declared so by SQLAlchemy
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }


Id = Annotated[str, mapped_column(Text, primary_key=True)]
"""A ULID, 26 characters."""
Paise = Annotated[int, mapped_column(BigInteger)]
"""Money in the currency's minor unit."""
Count = Annotated[int, mapped_column(BigInteger)]
"""Units of stock."""
Now = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
"""When the row was written, by the database's clock (UTC, the transaction's start)."""


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """CHECK that `column` holds a value of the enum; named after the column."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
