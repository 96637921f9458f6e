"""What Razorpay keeps beside payments: orders, links, and which payment was made on which order."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.psp import desk
from sandbox.psp.books import Books, Movement, Payment, Refund, Status, now_ms
from sandbox.psp.instruments import Outcome

LAPSE = "lapse"
CAPTURE_WINDOW_MS = 5 * 24 * 3600 * 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  id TEXT PRIMARY KEY, receipt TEXT, amount INTEGER NOT NULL, currency TEXT NOT NULL,
  notes TEXT NOT NULL, automatic INTEGER NOT NULL, window_ms INTEGER NOT NULL, link TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_receipt ON orders (receipt);
CREATE TABLE IF NOT EXISTS links (
  id TEXT PRIMARY KEY, reference_id TEXT NOT NULL UNIQUE, amount INTEGER NOT NULL,
  currency TEXT NOT NULL, method TEXT NOT NULL, upi_link INTEGER NOT NULL, notes TEXT NOT NULL,
  callback_url TEXT, expire_by INTEGER NOT NULL, cancelled_at INTEGER, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS order_payments (
  payment TEXT PRIMARY KEY REFERENCES payments (id), order_id TEXT NOT NULL REFERENCES orders (id)
) STRICT;
CREATE INDEX IF NOT EXISTS payments_by_order ON order_payments (order_id);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be paid, once; `automatic`: taken as soon as it is held. Times in epoch ms."""

    id: str
    receipt: str | None
    amount: int
    currency: str
    notes: Mapping[str, Any]
    automatic: bool
    window_ms: int = CAPTURE_WINDOW_MS
    link: str | None = None
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page on which a customer pays; its order is made when they first try."""

    id: str
    reference_id: str
    amount: int
    currency: str
    method: str
    upi_link: bool
    notes: Mapping[str, Any]
    callback_url: str | None
    expire_by: int
    cancelled_at: int | None = None
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(desk.Order):
    """A try to pay an order."""

    order_id: str


class Ledger:
    """Orders and links in the PSP's books; every change inside the books' `transaction()`."""

    def __init__(self, books: Books) -> None:
        self._books = books
        books.db.executescript(_SCHEMA)

    def add_order(self, order: Order) -> Order:
        """Enter an order."""
        self._insert("orders", order)
        return order

    def add_link(self, link: Link) -> Link:
        """Enter a link; its reference must be new."""
        self._insert("links", link)
        return link

    def _insert(self, table: str, row: Order | Link) -> None:
        values = {name: getattr(row, name) for name in row.__dataclass_fields__}
        values["notes"] = json.dumps(dict(row.notes))
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        self._books.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608

    def order(self, ref: str) -> Order | None:
        """The order with this id."""
        return next(iter(self._orders("id = ?", ref)), None)

    def orders_containing(self, receipt: str, before: int) -> list[Order]:
        """Orders whose receipt contains a text, as Razorpay's filter has it, newest first."""
        return self._orders("instr(receipt, ?) AND created_at <= ?", receipt, before)[::-1]

    def order_with(self, receipt: str) -> Order | None:
        """The oldest order with exactly this receipt."""
        return next(iter(self._orders("receipt = ?", receipt)), None)

    def order_for(self, link: Link) -> Order | None:
        """The order behind a link, once somebody tried to pay it."""
        return next(iter(self._orders("link = ?", link.id)), None)

    def open_for(self, link: Link) -> Order:
        """Make the order behind a link, whose money is taken as soon as it is held."""
        return self.add_order(
            Order(
                id=f"order_{secrets.token_hex(7)}",
                receipt=link.reference_id,
                amount=link.amount,
                currency=link.currency,
                notes=link.notes,
                automatic=True,
                link=link.id,
                created_at=now_ms(),
            )
        )

    def order_of(self, payment: str) -> Order:
        """The order that a payment was made on."""
        where = "id = (SELECT order_id FROM order_payments WHERE payment = ?)"
        return self._orders(where, payment)[0]

    def _orders(self, where: str, *values: object) -> list[Order]:
        rows = self._books.db.execute(
            f"SELECT * FROM orders WHERE {where} ORDER BY created_at, rowid",  # noqa: S608
            values,
        )
        return [
            Order(
                **{
                    **dict(row),
                    "notes": json.loads(row["notes"]),
                    "automatic": bool(row["automatic"]),
                }
            )
            for row in rows
        ]

    def link(self, ref: str) -> Link | None:
        """The link with this id."""
        return self._link("id = ?", ref)

    def link_with(self, reference_id: str, before: int | None = None) -> Link | None:
        """The link with our reference, if it was made until a time."""
        until = now_ms() if before is None else before
        return self._link("reference_id = ? AND created_at <= ?", reference_id, until)

    def _link(self, where: str, *values: object) -> Link | None:
        row = self._books.db.execute(f"SELECT * FROM links WHERE {where}", values).fetchone()  # noqa: S608
        if row is None:
            return None
        found = {**dict(row), "notes": json.loads(row["notes"]), "upi_link": bool(row["upi_link"])}
        return Link(**found)

    def cancel(self, link: Link) -> None:
        """Close a link to its customer."""
        values = (now_ms(), link.id)
        self._books.db.execute("UPDATE links SET cancelled_at = ? WHERE id = ?", values)

    def attach(self, payment: str, order_id: str) -> None:
        """Enter which order a payment is made on."""
        self._books.db.execute(
            "INSERT INTO order_payments (payment, order_id) VALUES (?, ?)", (payment, order_id)
        )

    def payments_on(self, order: Order | None) -> list[Payment]:
        """All tries on an order, oldest first."""
        if order is None:
            return []
        rows = self._books.db.execute(
            "SELECT payment FROM order_payments WHERE order_id = ? ORDER BY rowid", (order.id,)
        ).fetchall()
        found = (self._books.payment(row["payment"]) for row in rows)
        return [one for one in found if one is not None]

    def refunds_of(self, payment: str) -> list[Refund]:
        """A payment's refunds, newest first."""
        rows = self._books.db.execute(
            "SELECT id, payment, merchant_ref, amount, created_at FROM refunds WHERE payment = ?"
            " ORDER BY created_at DESC, rowid DESC",
            (payment,),
        )
        return [Refund(**dict(row)) for row in rows]

    def taken_between(self, start: int, end: int) -> list[tuple[str, int, int]]:
        """(payment, amount, time) of every capture in a span of epoch milliseconds."""
        rows = self._books.db.execute(
            "SELECT payment, amount, at FROM movements"
            " WHERE kind = ? AND at >= ? AND at < ? ORDER BY seq",
            (Movement.CAPTURE, start, end),
        )
        return [(row["payment"], row["amount"], row["at"]) for row in rows]

    def returned_between(self, start: int, end: int) -> list[Refund]:
        """Refunds of captured money in a span; what lapsed was never ours."""
        rows = self._books.db.execute(
            "SELECT r.id, r.payment, r.merchant_ref, r.amount, r.created_at FROM refunds AS r"
            " JOIN payments AS p ON p.id = r.payment WHERE p.captured > 0"
            " AND r.created_at >= ? AND r.created_at < ? ORDER BY r.created_at, r.rowid",
            (start, end),
        )
        return [Refund(**dict(row)) for row in rows]


class RazorpayDesk(desk.Desk):
    """Deeds as Razorpay does them: an order is paid once, and what nobody captures goes back."""

    ledger: Ledger

    def _open(self, order: desk.Order, outcome: Outcome) -> Payment:
        payment = super()._open(order, outcome)
        if isinstance(order, Ask):
            self.ledger.attach(payment.id, order.order_id)
        return payment

    def approve(self, payment: Payment, kind: Movement = Movement.AUTHORISE) -> Payment:
        """Hold the money; take it, leave it to be captured, or return what comes second."""
        held = super().approve(payment, kind)
        order = self.ledger.order_of(held.id)
        if any(one.captured for one in self.ledger.payments_on(order)):
            return self.lapse(held)
        if order.automatic:
            return self.capture(held, held.amount)
        self.books.set_timer(held.id, LAPSE, now_ms() + order.window_ms)
        return held

    def capture(self, payment: Payment, amount: int) -> Payment:
        """Take what is held, whole and once in an order; another try on it goes back."""
        if payment.status is Status.AUTHORISED and amount != payment.authorised:
            raise desk.Refused("amount_differs", payment)
        taken = super().capture(payment, amount)
        self.books.clear_timers(taken.id)
        for other in self.ledger.payments_on(self.ledger.order_of(taken.id)):
            if other.id != taken.id and other.status is Status.AUTHORISED:
                self.lapse(other)
        return taken

    def lapse(self, payment: Payment) -> Payment:
        """Give back what was held and never captured; Razorpay calls this a refund."""
        refund = Refund(
            id=f"rfd_{secrets.token_hex(10)}",
            payment=payment.id,
            merchant_ref="",
            amount=payment.authorised,
            created_at=now_ms(),
        )
        self.books.clear_timers(payment.id)
        self.books.add_refund(refund)
        gone = self.books.move(payment.id, Movement.VOID, payment.authorised, Status.VOIDED)
        self._emit("refunded", gone, refund)
        return gone

    def on_timer(self, ref: str, kind: str) -> None:
        """As any desk, and the end of the time to capture."""
        payment = self.books.payment(ref)
        if kind == LAPSE and payment is not None and payment.status is Status.AUTHORISED:
            self.lapse(payment)
        else:
            super().on_timer(ref, kind)
