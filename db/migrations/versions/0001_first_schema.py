"""The first schema: everything that is sold, paid, moved and told."""

from __future__ import annotations

from db.migrations.script import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    run_sql("0001")
