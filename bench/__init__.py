"""Benchmarks: what a checkout costs, next to the smallest thing the same servers can do."""
