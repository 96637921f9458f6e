"""The invariants that hold at rest, after any fault: one file each, over our books and others'."""

from stack.invariants.evidence import Connections, connections
from stack.invariants.finding import TITLES, Counts, Finding, Report
from stack.invariants.reach import reach
from stack.invariants.rest import Rest, look
from stack.invariants.run import check, judge

__all__ = [
    "TITLES",
    "Connections",
    "Counts",
    "Finding",
    "Report",
    "Rest",
    "check",
    "connections",
    "judge",
    "look",
    "reach",
]
