"""What reports about payments look for."""

from __future__ import annotations

from db.migrations.script import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index what is not decided."""
    run_sql("0004")
