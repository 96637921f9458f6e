"""Invariant 1: what we say we took is what the PSPs say we took, and is what was owed."""

from typing import Final

from db.repositories.settlements import CURRENT
from stack.invariants.evidence import Evidence
from stack.invariants.finding import Finding
from stack.invariants.rules import Rule, broken

# A settled order has no saga that could still move its money.
_SETTLED = "order_id NOT IN (SELECT order_id FROM open_orders)"
_UNWATCHED = "NOT IN (SELECT attempt_id FROM watched_attempts)"
_PSP_LINES = """
    SELECT substr(account, 5) AS psp, attempt_id, order_id,
           coalesce(sum(amount_paise) FILTER (WHERE kind IN ('CAPTURE', 'LATE_CAPTURE')), 0)
               AS captured,
           coalesce(-sum(amount_paise) FILTER (WHERE kind NOT IN ('CAPTURE', 'LATE_CAPTURE')), 0)
               AS refunded
    FROM ledger_entries
    WHERE account LIKE 'psp:%'
      AND kind IN ('CAPTURE', 'LATE_CAPTURE', 'REFUND', 'CHARGEBACK', 'CHARGEBACK_REVERSAL')
    GROUP BY account, attempt_id, order_id
"""
_PSP_SUMS = """
    SELECT psp, merchant_ref, order_id, sum(captured) AS captured,
           sum(refunded + charged_back) AS refunded
    FROM psp_books GROUP BY psp, merchant_ref, order_id
"""

RULES: Final = (
    Rule(
        "the ledger of this currency does not add up to nothing (paise)",
        """
        SELECT currency AS subject, 0 AS expected, sum(amount_paise) AS found
        FROM ledger_entries GROUP BY currency HAVING sum(amount_paise) <> 0
        """,
    ),
    Rule(
        "the lines of this ledger transaction do not add up to nothing (paise)",
        """
        SELECT txn_key AS subject, 0 AS expected, sum(amount_paise) AS found
        FROM ledger_entries GROUP BY txn_key, currency HAVING sum(amount_paise) <> 0
        """,
    ),
    Rule(
        "our ledger and the PSP's books differ on this attempt (paise captured / refunded)",
        f"""
        SELECT coalesce(ours.psp, theirs.psp) || ' ' || coalesce(attempt_id, merchant_ref)
                   AS subject,
               coalesce(theirs.captured, 0) || ' / ' || coalesce(theirs.refunded, 0) AS expected,
               coalesce(ours.captured, 0) || ' / ' || coalesce(ours.refunded, 0) AS found
        FROM ({_PSP_LINES}) AS ours
        FULL JOIN ({_PSP_SUMS}) AS theirs
            ON theirs.psp = ours.psp AND theirs.merchant_ref = ours.attempt_id
        WHERE (coalesce(ours.captured, 0), coalesce(ours.refunded, 0))
            <> (coalesce(theirs.captured, 0), coalesce(theirs.refunded, 0))
          AND coalesce(ours.order_id, theirs.order_id) NOT IN (SELECT order_id FROM open_orders)
          AND coalesce(attempt_id, merchant_ref, '') {_UNWATCHED}
        """,  # noqa: S608 - texts of this module
    ),
    Rule(
        "the PSP has a payment that none of our attempts there asked for",
        f"""
        SELECT books.psp || ' ' || books.id AS subject, 'an attempt ' || merchant_ref AS expected,
               status || ', ' || captured || ' paise captured' AS found
        FROM psp_books AS books
        WHERE NOT EXISTS (SELECT 1 FROM payment_attempts AS attempt
                          WHERE attempt.merchant_ref = books.merchant_ref
                            AND attempt.psp = books.psp)
          AND {_SETTLED}
        """,  # noqa: S608
    ),
    Rule(
        "the PSP still holds money of an order that needs none (paise held)",
        f"""
        SELECT psp || ' ' || merchant_ref AS subject, 0 AS expected,
               authorised - captured AS found
        FROM psp_books
        WHERE status IN ('authorised', 'partially_captured') AND authorised > captured
          AND {_SETTLED} AND merchant_ref {_UNWATCHED}
        """,  # noqa: S608
    ),
    Rule(
        "the customer can still pay for an order that has ended",
        f"""
        SELECT psp || ' ' || merchant_ref AS subject, 'an ended payment' AS expected,
               status AS found
        FROM psp_books
        WHERE status IN ('requires_action', 'processing')
          AND {_SETTLED} AND merchant_ref {_UNWATCHED}
        """,  # noqa: S608
    ),
    Rule(
        "the attempt's totals are not those of its ledger lines (net paise)",
        f"""
        SELECT attempt.id AS subject, coalesce(line.captured - line.refunded, 0) AS expected,
               attempt.captured_paise - attempt.refunded_paise - attempt.charged_back_paise
                   AS found
        FROM payment_attempts AS attempt
        LEFT JOIN ({_PSP_LINES}) AS line ON line.attempt_id = attempt.id
        WHERE attempt.captured_paise - attempt.refunded_paise - attempt.charged_back_paise
            <> coalesce(line.captured - line.refunded, 0)
        """,  # noqa: S608
    ),
    Rule(
        "a refund of a settled order is not known to be done",
        f"""
        SELECT refund_key AS subject, 'DONE' AS expected, state AS found FROM refunds
        WHERE state IN ('PENDING', 'UNKNOWN') AND {_SETTLED} AND attempt_id {_UNWATCHED}
        """,  # noqa: S608
    ),
    Rule(
        "by our ledger, what was taken or is due for this sold order is not its price (paise)",
        """
        SELECT sold.id AS subject, sold.owed_paise AS expected, coalesce(taken.paise, 0) AS found
        FROM sold
        LEFT JOIN (SELECT order_id, -sum(amount_paise) AS paise FROM ledger_entries
                   WHERE account LIKE 'order:%' GROUP BY order_id) AS taken
            ON taken.order_id = sold.id
        WHERE coalesce(taken.paise, 0) <> sold.owed_paise
        """,
    ),
    Rule(
        "by the PSPs' books, what was taken for this sold order is not its price (paise)",
        """
        SELECT sold.id AS subject, sold.owed_paise AS expected, coalesce(taken.paise, 0) AS found
        FROM sold
        LEFT JOIN (SELECT order_id, sum(captured - refunded - charged_back) AS paise
                   FROM psp_books GROUP BY order_id) AS taken ON taken.order_id = sold.id
        WHERE sold.payment_method <> 'COD' AND coalesce(taken.paise, 0) <> sold.owed_paise
        """,
    ),
    Rule(
        "what is booked as paid out to our bank is not what the provider's lines say (paise)",
        f"""
        SELECT coalesce(told.name, booked.name) || ' ' || currency AS subject,
               coalesce(told.paise, 0) AS expected, coalesce(booked.paise, 0) AS found
        FROM (SELECT regexp_replace(provider, '^carrier:', '') AS name, currency,
                     sum(net_paise) AS paise
              FROM settlement_lines AS line WHERE NOT on_hold AND {CURRENT} GROUP BY 1, 2) AS told
        FULL JOIN (SELECT substr(account, 6) AS name, currency, sum(amount_paise) AS paise
                   FROM ledger_entries
                   WHERE account LIKE 'bank:%' AND kind = 'SETTLEMENT' GROUP BY 1, 2) AS booked
            USING (name, currency)
        WHERE coalesce(told.paise, 0) <> coalesce(booked.paise, 0)
        """,  # noqa: S608
    ),
)


async def findings(evidence: Evidence) -> list[Finding]:
    """Judge the ledger, the attempts and the PSPs' books."""
    return await broken(evidence.session, 1, RULES)
