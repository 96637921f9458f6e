"""Alembic's folder: one revision per file, its SQL beside it."""
