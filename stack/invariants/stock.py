"""Invariant 2: units move between places and are conserved, for each SKU and warehouse."""

from typing import Final

from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import Rule, broken

_FOLD = """
    SELECT sku, warehouse_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved,
           sum(shipped_delta) AS shipped, sum(written_off_delta) AS written_off,
           coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'RECEIVE'), 0) AS received,
           coalesce(sum(shipped_delta) FILTER (WHERE kind = 'RETURN'), 0) AS returned
    FROM stock_entries GROUP BY sku, warehouse_id
"""
_WHERE = "sku || ' in ' || warehouse_id"


def _reserved(states: str) -> str:
    return f"""
        SELECT sku, warehouse_id, sum(qty) AS qty
        FROM reservation_lines AS line JOIN reservations AS r ON r.id = line.reservation_id
        WHERE r.state IN ({states}) GROUP BY sku, warehouse_id
    """  # noqa: S608 - texts of this module


RULES: Final = (
    Rule(
        "the level is not the fold of its entries (on hand, reserved, shipped, written off)",
        f"""
        SELECT {_WHERE} AS subject,
               concat_ws(', ', fold.on_hand, fold.reserved, fold.shipped, fold.written_off)
                   AS expected,
               concat_ws(', ', level.on_hand, level.reserved, level.shipped, level.written_off)
                   AS found
        FROM ({_FOLD}) AS fold FULL JOIN stock_levels AS level USING (sku, warehouse_id)
        WHERE (fold.on_hand, fold.reserved, fold.shipped, fold.written_off) IS DISTINCT FROM
              (level.on_hand, level.reserved, level.shipped, level.written_off)
        """,  # noqa: S608
    ),
    Rule(
        "there are more or fewer units than were ever received",
        f"""
        SELECT {_WHERE} AS subject, coalesce(fold.received, 0) AS expected,
               level.on_hand + level.reserved + level.shipped + level.written_off AS found
        FROM stock_levels AS level LEFT JOIN ({_FOLD}) AS fold USING (sku, warehouse_id)
        WHERE level.on_hand + level.reserved + level.shipped + level.written_off
            <> coalesce(fold.received, 0)
        """,  # noqa: S608
    ),
    Rule(
        "a count of units is negative: more was sold than there was",
        f"""
        SELECT {_WHERE} AS subject, '0 or more' AS expected,
               least(on_hand, reserved, shipped, written_off) AS found
        FROM stock_levels WHERE least(on_hand, reserved, shipped, written_off) < 0
        """,  # noqa: S608
    ),
    Rule(
        "the reserved units are not those of the held reservations",
        f"""
        SELECT {_WHERE} AS subject, coalesce(held.qty, 0) AS expected, level.reserved AS found
        FROM stock_levels AS level
        FULL JOIN ({_reserved("'HELD'")}) AS held USING (sku, warehouse_id)
        WHERE coalesce(held.qty, 0) <> coalesce(level.reserved, 0)
        """,  # noqa: S608
    ),
    Rule(
        "the shipped units are not those of the committed reservations, less returns",
        f"""
        SELECT {_WHERE} AS subject, coalesce(gone.qty, 0) + coalesce(fold.returned, 0) AS expected,
               level.shipped AS found
        FROM stock_levels AS level
        FULL JOIN ({_reserved("'COMMITTED'")}) AS gone USING (sku, warehouse_id)
        LEFT JOIN ({_FOLD}) AS fold USING (sku, warehouse_id)
        WHERE coalesce(gone.qty, 0) + coalesce(fold.returned, 0) <> coalesce(level.shipped, 0)
        """,  # noqa: S608
    ),
)


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge levels, entries and reservations."""
    return await broken(evidence.session, 2, RULES)
