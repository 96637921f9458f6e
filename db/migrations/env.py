"""Run by Alembic: uses the connection that `db.migrate` opened."""

from __future__ import annotations

from alembic import context

from db import models  # noqa: F401 - declares the tables
from db.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
