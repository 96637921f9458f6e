"""GST invoices and credit notes."""

from __future__ import annotations

from db.migrations.script import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create suppliers, counters, and documents that cannot change."""
    run_sql("0005")
