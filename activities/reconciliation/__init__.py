"""Reconciliation: reading settlement reports, and comparing them with our ledger."""
