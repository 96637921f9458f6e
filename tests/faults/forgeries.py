"""For every rule of the check a forgery that violates it.

Statements are templates: `{sold}` is an order that was sold, `{paid}` its paid attempt, `{kept}`
its reservation, `{unsold}` an order that was refused while paying, `{level}` one stock level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PICKS = {
    "sold": """(SELECT id FROM orders WHERE state = 'CONFIRMED' AND payment_method = 'CARD'
                ORDER BY id LIMIT 1)""",
    "unsold": """(SELECT o.id FROM orders AS o JOIN payments AS p ON p.order_id = o.id
                  WHERE o.state = 'REFUSED' ORDER BY o.id LIMIT 1)""",
    "paid": """(SELECT id FROM payment_attempts
                WHERE order_id = {sold} AND captured_paise > refunded_paise)""",
    "kept": "(SELECT id FROM reservations WHERE order_id = {sold})",
    "level": """(sku, warehouse_id) =
                (SELECT sku, warehouse_id FROM stock_levels ORDER BY 1, 2 LIMIT 1)""",
}
_LINE = """INSERT INTO ledger_entries (entry_key, txn_key, account, amount_paise, currency,
                                       order_id, attempt_id, kind)
           VALUES ('forged/{account}', 'forged', '{account}', {paise}, 'INR', {order}, {attempt},
                   '{kind}')"""
NEW_ATTEMPT, OTHER_ATTEMPT = "01ZZZZZZZZZZZZZZZZZZZZZZZZ-1", "01ZZZZZZZZZZZZZZZZZZZZZZZZ-2"


@dataclass(frozen=True, slots=True)
class Book:
    """A payment to be added to what a PSP says. Amounts in paise."""

    psp: str
    merchant_ref: str
    status: str
    authorised: int
    captured: int

    def row(self) -> dict[str, str | int]:
        """It as the sandbox shows it."""
        return {
            "id": f"pay_planted_{self.merchant_ref}",
            "merchant_ref": self.merchant_ref,
            "status": self.status,
            "currency": "INR",
            "amount": self.authorised,
            "authorised": self.authorised,
            "captured": self.captured,
            "refunded": 0,
        }


@dataclass(frozen=True, slots=True)
class Forgery:
    """Statements, and payments at a PSP, that violate an invariant by the rule that begins so."""

    invariant: int
    rule: str
    statements: tuple[str, ...] = ()
    books: tuple[Book, ...] = field(default=())


def picked(statement: str) -> str:
    """A statement with its picks filled in."""
    inner = {name: pick.replace("{sold}", PICKS["sold"]) for name, pick in PICKS.items()}
    return statement.format(**inner)


def line(
    account: str, paise: int, *, kind: str, order: str = "{sold}", attempt: str = "NULL"
) -> str:
    """A forged ledger line."""
    return _LINE.format(account=account, paise=paise, kind=kind, order=order, attempt=attempt)


FORGERIES = (
    Forgery(1, "the ledger of this currency", (line("cod:due", 5, kind="COD_DUE"),)),
    Forgery(1, "the lines of this ledger transaction", (line("cod:due", 5, kind="COD_DUE"),)),
    Forgery(
        1,
        "our ledger and the PSP's books differ",
        (
            line("psp:alphapay", -100, attempt="{paid}", kind="REFUND"),
            line("order:x", 100, attempt="{paid}", kind="REFUND"),
        ),
    ),
    Forgery(
        1,
        "the PSP has a payment that none of our attempts",
        books=(Book("alphapay", NEW_ATTEMPT, "failed", 100, 0),),
    ),
    Forgery(
        1,
        "the PSP still holds money",
        books=(Book("betapay", NEW_ATTEMPT, "authorised", 100, 0),),
    ),
    Forgery(
        1,
        "the customer can still pay",
        books=(Book("betapay", NEW_ATTEMPT, "requires_action", 100, 0),),
    ),
    Forgery(
        1,
        "the attempt's totals are not those of its ledger lines",
        ("UPDATE payment_attempts SET captured_paise = captured_paise - 1 WHERE id = {paid}",),
    ),
    Forgery(
        1,
        "a refund of a settled order",
        (
            """INSERT INTO refunds (id, refund_key, attempt_id, order_id, amount_paise, state,
                                     reason)
                VALUES ('r', 'forged', {paid}, {sold}, 100, 'PENDING', 'forged')""",
        ),
    ),
    Forgery(
        1,
        "by our ledger, what was taken or is due for this sold order",
        (line("psp:alphapay", -1, kind="REFUND"), line("order:x", 1, kind="REFUND")),
    ),
    Forgery(
        1,
        "by the PSPs' books, what was taken for this sold order",
        ("UPDATE orders SET total_paise = total_paise + 1 WHERE id = {sold}",),
    ),
    Forgery(
        1,
        "what is booked as paid out to our bank",
        (
            line("psp:alphapay", -7, kind="SETTLEMENT", order="NULL"),
            line("bank:alphapay", 7, kind="SETTLEMENT", order="NULL"),
        ),
    ),
    Forgery(
        2,
        "the level is not the fold of its entries",
        ("UPDATE stock_levels SET on_hand = on_hand + 1 WHERE {level}",),
    ),
    Forgery(
        2,
        "there are more or fewer units than were ever received",
        ("UPDATE stock_levels SET written_off = written_off + 1 WHERE {level}",),
    ),
    Forgery(
        2,
        "a count of units is negative",
        (
            "ALTER TABLE stock_levels DROP CONSTRAINT ck_stock_levels_on_hand",
            "UPDATE stock_levels SET on_hand = -1 WHERE {level}",
        ),
    ),
    Forgery(
        2,
        "the reserved units are not those of the held reservations",
        ("UPDATE stock_levels SET on_hand = on_hand - 1, reserved = reserved + 1 WHERE {level}",),
    ),
    Forgery(
        2,
        "the shipped units are not those of the committed",
        ("UPDATE stock_levels SET on_hand = on_hand - 1, shipped = shipped + 1 WHERE {level}",),
    ),
    Forgery(
        3,
        "by the PSPs' books, more than one payment",
        books=(
            Book("alphapay", NEW_ATTEMPT, "captured", 100, 100),
            Book("betapay", OTHER_ATTEMPT, "captured", 100, 100),
        ),
    ),
    Forgery(
        3,
        "by our ledger, more than one attempt",
        (
            line("psp:alphapay", 7, attempt="'another'", kind="LATE_CAPTURE"),
            line("order:x", -7, attempt="'another'", kind="LATE_CAPTURE"),
        ),
    ),
    Forgery(
        3,
        "the order's price was booked as taken more than once",
        (
            "DROP INDEX uq_one_capture_per_order",
            line("psp:alphapay", 7, attempt="'another'", kind="CAPTURE"),
            line("order:x", -7, attempt="'another'", kind="CAPTURE"),
        ),
    ),
    Forgery(
        4,
        "by our ledger, money is kept, or due",
        (
            line("cod:due", 7, order="{unsold}", kind="COD_DUE"),
            line("order:x", -7, order="{unsold}", kind="COD_DUE"),
        ),
    ),
    Forgery(
        4,
        "by the PSPs' books, money is kept",
        ("""UPDATE orders SET state = 'REFUSED', refusal_code = 'FORGED' WHERE id = {sold}""",),
    ),
    Forgery(
        4,
        "the payment of an order that was not sold has not ended",
        ("UPDATE payments SET state = 'PENDING' WHERE order_id = {unsold}",),
    ),
    Forgery(
        4,
        "a sold order was not paid exactly once",
        ("UPDATE payments SET state = 'AUTHORISED' WHERE order_id = {sold}",),
    ),
    Forgery(
        5,
        "the reservation's entries are not those of its state",
        ("UPDATE reservation_lines SET qty = qty + 1 WHERE reservation_id = {kept}",),
    ),
    Forgery(
        5,
        "stock is held for an order whose saga is over",
        ("UPDATE reservations SET state = 'HELD', ended_at = NULL WHERE id = {kept}",),
    ),
    Forgery(
        5,
        "a sold order has no committed reservation",
        ("UPDATE reservations SET state = 'RELEASED' WHERE id = {kept}",),
    ),
    Forgery(
        5,
        "an order that was not sold keeps its reservation",
        ("UPDATE orders SET state = 'REFUSED', refusal_code = 'FORGED' WHERE id = {sold}",),
    ),
    Forgery(
        5,
        "the reservation is not over what was ordered",
        ("UPDATE order_items SET qty = qty + 1 WHERE order_id = {sold}",),
    ),
    Forgery(
        6,
        "the timeline has gaps",
        ("DELETE FROM saga_events WHERE saga_id = 'checkout:' || {sold} AND seq = 3",),
    ),
    Forgery(
        6,
        "the saga's state is not the one its timeline ends in",
        ("UPDATE sagas SET state = 'COMPENSATED' WHERE id = 'checkout:' || {sold}",),
    ),
    Forgery(
        6,
        "the saga waits, and does not say on what",
        (
            """UPDATE sagas SET state = 'WAITING', waiting_on = '', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
        ),
    ),
    Forgery(
        6,
        "the saga is parked, and does not say why",
        (
            """UPDATE sagas SET state = 'PARKED', parked_code = 'UNKNOWN', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
        ),
    ),
    Forgery(
        6,
        "sagas are parked for a reason without a runbook",
        (
            """UPDATE sagas SET state = 'PARKED', parked_code = 'NEVER_HEARD_OF', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
        ),
    ),
    Forgery(
        6,
        "the order's saga has ended otherwise",
        ("UPDATE orders SET state = 'REFUSED', refusal_code = 'FORGED' WHERE id = {sold}",),
    ),
    Forgery(
        6,
        "the order has ended, and its saga has not",
        (
            """UPDATE sagas SET state = 'WAITING', waiting_on = 'nothing', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
            "UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = {sold}",
        ),
    ),
    Forgery(
        6,
        "the order has no saga",
        (
            """UPDATE orders SET saga_id = 'checkout:nobody', created_at = now() - interval '1 hour'
               WHERE id = {sold}""",
        ),
    ),
    Forgery(
        6,
        "the saga is at work and gets nowhere",
        (
            """UPDATE sagas SET state = 'RUNNING', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
        ),
    ),
    Forgery(
        6,
        "the saga has ended in Temporal, and not in its own record",
        (
            """UPDATE sagas SET state = 'WAITING', waiting_on = 'rain', ended_at = NULL
                WHERE id = 'checkout:' || {sold}""",
        ),
    ),
    Forgery(
        6,
        "Temporal does not know this open saga",
        (
            """INSERT INTO sagas (id, kind, state, waiting_on, started_at)
               VALUES ('checkout:nobody', 'checkout', 'WAITING', 'rain', now())""",
        ),
    ),
    Forgery(
        7,
        "an order's first event was not told exactly once",
        ("UPDATE outbox SET key = 'nobody' WHERE key = {sold} AND schema = 'order.created'",),
    ),
    Forgery(
        7,
        "an order's end was not told exactly once",
        (
            """UPDATE outbox SET schema = 'order.refused'
               WHERE key = {sold} AND schema = 'order.confirmed'""",
        ),
    ),
    Forgery(
        7,
        "the webhook has reached no saga",
        (
            """UPDATE webhook_inbox SET delivered_at = NULL
               WHERE id = (SELECT min(id) FROM webhook_inbox)""",
        ),
    ),
    Forgery(
        7,
        "the event has not left the outbox",
        ("UPDATE outbox SET published_at = NULL WHERE id = (SELECT min(id) FROM outbox)",),
    ),
    Forgery(
        7,
        "the published event is not in",
        ("UPDATE outbox SET event_id = 'never told' WHERE id = (SELECT min(id) FROM outbox)",),
    ),
    Forgery(
        7,
        "events:orders tells of what no outbox has",
        ("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)",),
    ),
)
