"""Refunds that fit, disputes, saved instruments, cash on delivery up to its remittance."""

from __future__ import annotations

from db.migrations.script import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the ledger's words, and add what paying back needs."""
    run_sql("0002")
