"""Workflow IDs and task queues, made in one place."""

from datetime import date

SAGAS = "sagas"
PAYMENTS = "payments"
UPKEEP = "upkeep"

CHECKOUT = "checkout"
PAYMENT = "payment"
LATE_PAYMENT = "late-payment"
REFUND = "refund"
RECONCILIATION = "reconciliation"
RECONCILIATION_DUE = "reconciliation-due"
SWEEP = "sweep-reservations"


def checkout_id(order_id: str) -> str:
    """Return the ID of an order's checkout saga."""
    return f"{CHECKOUT}:{order_id}"


def payment_id(order_id: str) -> str:
    """Return the ID of an order's payment saga."""
    return f"{PAYMENT}:{order_id}"


def refund_id(refund: str) -> str:
    """Return the ID of the saga that pays a refund."""
    return f"{REFUND}:{refund}"


def late_payment_id(attempt_id: str, webhook_id: str = "") -> str:
    """Return the ID of the watcher over one attempt that may still succeed.

    A webhook that tells of money after that watcher has ended starts another, named for it.
    """
    return ":".join(filter(None, (LATE_PAYMENT, attempt_id, webhook_id)))


def reconciliation_id(psp: str, day: date, again: str = "") -> str:
    """Return the ID of the saga that reconciles a PSP's day.

    A further round over the same day is a saga of its own, told apart by `again`.
    """
    return ":".join(filter(None, (RECONCILIATION, psp, day.isoformat(), again)))
