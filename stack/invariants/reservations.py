"""Invariant 5: a reservation is committed or released exactly once, as its order ends."""

from typing import Final

from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import Rule, broken

_MOVED = """
    SELECT reservation_id,
           coalesce(sum(reserved_delta) FILTER (WHERE kind = 'RESERVE'), 0) AS reserved,
           coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'RELEASE'), 0) AS released,
           coalesce(sum(shipped_delta) FILTER (WHERE kind = 'COMMIT'), 0) AS committed
    FROM stock_entries WHERE reservation_id IS NOT NULL GROUP BY reservation_id
"""
_LINES = "SELECT reservation_id, sum(qty) AS qty FROM reservation_lines GROUP BY reservation_id"

RULES: Final = (
    Rule(
        "the reservation's entries are not those of its state (reserved, released, committed)",
        f"""
        SELECT r.id || ' ' || r.state AS subject,
               concat_ws(', ', line.qty,
                   CASE WHEN r.state IN ('RELEASED', 'EXPIRED') THEN line.qty ELSE 0 END,
                   CASE WHEN r.state = 'COMMITTED' THEN line.qty ELSE 0 END) AS expected,
               concat_ws(', ', coalesce(moved.reserved, 0), coalesce(moved.released, 0),
                         coalesce(moved.committed, 0)) AS found
        FROM reservations AS r
        LEFT JOIN ({_LINES}) AS line ON line.reservation_id = r.id
        LEFT JOIN ({_MOVED}) AS moved ON moved.reservation_id = r.id
        WHERE (line.qty,
               CASE WHEN r.state IN ('RELEASED', 'EXPIRED') THEN line.qty ELSE 0 END,
               CASE WHEN r.state = 'COMMITTED' THEN line.qty ELSE 0 END)
            IS DISTINCT FROM (moved.reserved, moved.released, moved.committed)
        """,  # noqa: S608 - texts of this module
    ),
    Rule(
        "stock is held for an order whose saga is over",
        """
        SELECT r.id AS subject, 'an open saga of order ' || r.order_id AS expected,
               coalesce(saga.state, 'none') AS found
        FROM reservations AS r LEFT JOIN sagas AS saga ON saga.id = 'checkout:' || r.order_id
        WHERE r.state = 'HELD' AND (saga.id IS NULL OR saga.ended_at IS NOT NULL)
          AND r.order_id NOT IN (SELECT order_id FROM open_orders)
        """,
    ),
    Rule(
        "a sold order has no committed reservation",
        """
        SELECT sold.id AS subject, 'COMMITTED' AS expected, coalesce(r.state, 'none') AS found
        FROM sold LEFT JOIN reservations AS r ON r.order_id = sold.id
        WHERE r.state IS DISTINCT FROM 'COMMITTED'
        """,
    ),
    Rule(
        "an order that was not sold keeps its reservation",
        """
        SELECT unsold.id || ' ' || unsold.state AS subject, 'RELEASED or EXPIRED' AS expected,
               r.state AS found
        FROM unsold JOIN reservations AS r ON r.order_id = unsold.id
        WHERE r.state NOT IN ('RELEASED', 'EXPIRED')
        """,
    ),
    Rule(
        "the reservation is not over what was ordered",
        """
        SELECT coalesce(ordered.id, held.id) || ' ' || coalesce(ordered.sku, held.sku) AS subject,
               coalesce(ordered.qty, 0) AS expected, coalesce(held.qty, 0) AS found
        FROM (SELECT r.id, i.sku, sum(i.qty) AS qty
              FROM reservations AS r JOIN order_items AS i ON i.order_id = r.order_id
              GROUP BY r.id, i.sku) AS ordered
        FULL JOIN (SELECT reservation_id AS id, sku, sum(qty) AS qty FROM reservation_lines
                   GROUP BY reservation_id, sku) AS held USING (id, sku)
        WHERE ordered.qty IS DISTINCT FROM held.qty
        """,
    ),
)


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge reservations, their entries and their orders."""
    return await broken(evidence.session, 5, RULES)
