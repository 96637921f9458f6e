"""Invariant 3: at most one successful capture an order, over all PSPs."""

from typing import Final

from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import Rule, broken

RULES: Final = (
    Rule(
        "by the PSPs' books, more than one payment of this order was taken and kept",
        """
        SELECT order_id AS subject, 'one at most' AS expected,
               string_agg(psp || ' ' || id, ', ' ORDER BY psp, id) AS found
        FROM psp_books
        WHERE captured > refunded AND order_id NOT IN (SELECT order_id FROM open_orders)
          AND merchant_ref NOT IN (SELECT attempt_id FROM watched_attempts)
        GROUP BY order_id HAVING count(*) > 1
        """,
    ),
    Rule(
        "by our ledger, more than one attempt of this order was taken and kept",
        """
        SELECT order_id AS subject, 'one at most' AS expected,
               string_agg(attempt_id, ', ' ORDER BY attempt_id) AS found
        FROM (SELECT order_id, attempt_id FROM ledger_entries WHERE account LIKE 'psp:%'
              GROUP BY order_id, attempt_id HAVING sum(amount_paise) > 0) AS kept
        WHERE order_id NOT IN (SELECT order_id FROM open_orders)
          AND attempt_id NOT IN (SELECT attempt_id FROM watched_attempts)
        GROUP BY order_id HAVING count(*) > 1
        """,
    ),
    Rule(
        "the order's price was booked as taken more than once",
        """
        SELECT order_id AS subject, 'one at most' AS expected,
               string_agg(txn_key, ', ' ORDER BY txn_key) AS found
        FROM ledger_entries WHERE kind = 'CAPTURE' AND amount_paise > 0
        GROUP BY order_id HAVING count(*) > 1
        """,
    ),
)


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge the captures of each order."""
    return await broken(evidence.session, 3, RULES)
