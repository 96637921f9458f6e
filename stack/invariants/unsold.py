"""Invariant 4: an order that ended without a sale has nothing of its customer's money."""

from typing import Final

from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import Rule, broken

RULES: Final = (
    Rule(
        "by our ledger, money is kept, or due, for an order that was not sold (paise)",
        """
        SELECT unsold.id || ' ' || state AS subject, 0 AS expected, sum(amount_paise) AS found
        FROM unsold JOIN ledger_entries AS line ON line.order_id = unsold.id
        WHERE (account LIKE 'psp:%' OR account = 'cod:due')
          AND (attempt_id IS NULL
               OR attempt_id NOT IN (SELECT attempt_id FROM watched_attempts))
        GROUP BY unsold.id, state HAVING sum(amount_paise) <> 0
        """,
    ),
    Rule(
        "by the PSPs' books, money is kept for an order that was not sold (paise)",
        """
        SELECT unsold.id || ' ' || state AS subject, 0 AS expected,
               sum(captured - refunded) AS found
        FROM unsold JOIN psp_books AS books ON books.order_id = unsold.id
        WHERE merchant_ref NOT IN (SELECT attempt_id FROM watched_attempts)
        GROUP BY unsold.id, state HAVING sum(captured - refunded) <> 0
        """,
    ),
    Rule(
        "the payment of an order that was not sold has not ended",
        """
        SELECT unsold.id || ' ' || unsold.state AS subject,
               'FAILED, EXPIRED, VOIDED or REFUNDED' AS expected, payment.state AS found
        FROM unsold JOIN payments AS payment ON payment.order_id = unsold.id
        WHERE payment.state NOT IN ('FAILED', 'EXPIRED', 'VOIDED', 'REFUNDED')
        """,
    ),
    Rule(
        "a sold order was not paid exactly once, nor is it due in cash",
        """
        SELECT sold.id AS subject, 'one paid attempt, or cash due' AS expected,
               coalesce(payment.state, 'no payment') || ', ' || count(attempt.id) || ' paid'
                   AS found
        FROM sold
        LEFT JOIN payments AS payment ON payment.order_id = sold.id
        LEFT JOIN payment_attempts AS attempt
            ON attempt.order_id = sold.id AND attempt.captured_paise > attempt.refunded_paise
        WHERE sold.owed_paise > 0
        GROUP BY sold.id, sold.payment_method, payment.state
        HAVING NOT coalesce(CASE WHEN sold.payment_method = 'COD'
            THEN payment.state IN ('COD_DUE', 'COD_COLLECTED', 'COD_REMITTED')
            ELSE payment.state IN ('CAPTURED', 'PARTIALLY_REFUNDED', 'DISPUTED')
                AND count(attempt.id) = 1 END, false)
        """,
    ),
)


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge the money of ended orders."""
    return await broken(evidence.session, 4, RULES)
