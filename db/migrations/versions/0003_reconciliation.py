"""What providers settled, how it compares with our ledger, and the cases of what differs."""

from __future__ import annotations

from db.migrations.script import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add settlements and their cases, and let the ledger book them."""
    run_sql("0003")
