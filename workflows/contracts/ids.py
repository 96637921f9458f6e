"""Workflow IDs and task queues, made in one place."""

SAGAS = "sagas"
PAYMENTS = "payments"
UPKEEP = "upkeep"

CHECKOUT = "checkout"
PAYMENT = "payment"
LATE_PAYMENT = "late-payment"
SWEEP = "sweep-reservations"


def checkout_id(order_id: str) -> str:
    """Return the ID of an order's checkout saga."""
    return f"{CHECKOUT}:{order_id}"


def payment_id(order_id: str) -> str:
    """Return the ID of an order's payment saga."""
    return f"{PAYMENT}:{order_id}"


def late_payment_id(attempt_id: str, webhook_id: str = "") -> str:
    """Return the ID of the watcher over one attempt that may still succeed.

    A webhook that tells of money after that watcher has ended starts another, named for it.
    """
    return ":".join(filter(None, (LATE_PAYMENT, attempt_id, webhook_id)))
