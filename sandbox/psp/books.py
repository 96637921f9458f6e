"""A PSP's own books: one SQLite file, movements append-only, totals kept by the database itself."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Status(StrEnum):
    """Where a payment stands in the PSP's own books."""

    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORISED = "authorised"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    VOIDED = "voided"
    FAILED = "failed"
    EXPIRED = "expired"


class Movement(StrEnum):
    """One deed in the books; those that hold, take or return money move totals."""

    OPEN = "open"
    AUTHORISE = "authorise"
    LATE_AUTHORISE = "late_authorise"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    CHARGEBACK = "chargeback"
    FAIL = "fail"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the books have it: amounts in minor units, times in epoch milliseconds."""

    id: str
    merchant_ref: str
    amount: int
    currency: str
    method: str
    instrument: str
    return_url: str | None
    status: Status
    error: str | None
    authorised: int
    captured: int
    refunded: int
    charged_back: int
    created_at: int
    updated_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back on a payment: amount in minor units, time in epoch milliseconds."""

    id: str
    payment: str
    merchant_ref: str
    amount: int
    created_at: int


SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
  id TEXT PRIMARY KEY, merchant_ref TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL, method TEXT NOT NULL, instrument TEXT NOT NULL, return_url TEXT,
  status TEXT NOT NULL, error TEXT,
  authorised INTEGER NOT NULL DEFAULT 0, captured INTEGER NOT NULL DEFAULT 0,
  refunded INTEGER NOT NULL DEFAULT 0, charged_back INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  CHECK (0 <= refunded AND refunded <= captured AND captured <= authorised
         AND authorised <= amount)
) STRICT;
CREATE INDEX IF NOT EXISTS payments_by_ref ON payments (merchant_ref, created_at);
CREATE TABLE IF NOT EXISTS movements (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,
  payment TEXT NOT NULL REFERENCES payments (id), kind TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0)
) STRICT;
CREATE INDEX IF NOT EXISTS movements_by_payment ON movements (payment);
DROP TRIGGER IF EXISTS movements_post;
CREATE TRIGGER movements_post AFTER INSERT ON movements BEGIN
  UPDATE payments SET
    authorised = authorised
      + iif(new.kind IN ('authorise', 'late_authorise'), new.amount, 0),
    captured = captured + iif(new.kind = 'capture', new.amount, 0),
    refunded = refunded + iif(new.kind = 'refund', new.amount, 0),
    charged_back = charged_back + iif(new.kind = 'chargeback', new.amount, 0)
  WHERE id = new.payment;
END;
CREATE TRIGGER IF NOT EXISTS movements_no_update BEFORE UPDATE ON movements BEGIN
  SELECT raise(ABORT, 'movements are append-only'); END;
CREATE TRIGGER IF NOT EXISTS movements_no_delete BEFORE DELETE ON movements BEGIN
  SELECT raise(ABORT, 'movements are append-only'); END;
CREATE TABLE IF NOT EXISTS refunds (
  id TEXT PRIMARY KEY, payment TEXT NOT NULL REFERENCES payments (id),
  merchant_ref TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_by_ref ON refunds (merchant_ref, created_at);
CREATE TABLE IF NOT EXISTS keys (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tombstones (merchant_ref TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS timers (
  payment TEXT NOT NULL REFERENCES payments (id), kind TEXT NOT NULL, due INTEGER NOT NULL,
  PRIMARY KEY (payment, kind)
) STRICT;
CREATE INDEX IF NOT EXISTS timers_due ON timers (due);
CREATE TABLE IF NOT EXISTS webhooks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, body BLOB NOT NULL,
  forged INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'pending'
) STRICT;
CREATE INDEX IF NOT EXISTS webhooks_due ON webhooks (due) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS fault_settings (
  only INTEGER PRIMARY KEY CHECK (only = 1), settings TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS fault_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, merchant_ref TEXT,
  instrument TEXT, fault TEXT NOT NULL, remaining INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS calls (
  operation TEXT NOT NULL, merchant_ref TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (operation, merchant_ref)
) STRICT, WITHOUT ROWID;
"""

PAYMENT_COLUMNS = ", ".join(Payment.__dataclass_fields__)
REFUND_COLUMNS = ", ".join(Refund.__dataclass_fields__)


def now_ms() -> int:
    """The time of day in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Books:
    """The file; one connection, used from one thread, every change inside `transaction()`."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        # WAL with NORMAL outlives kill -9; only a power cut could lose the last commits.
        self.db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        )
        self.db.executescript(SCHEMA)
        self._add_what_is_new()
        self.on_timer_set: Callable[[], None] = lambda: None

    def _add_what_is_new(self) -> None:
        # A file of an earlier release has its payments without this column.
        columns = {row["name"] for row in self.db.execute("PRAGMA table_info(payments)")}
        if "charged_back" not in columns:
            self.db.execute(
                "ALTER TABLE payments ADD COLUMN charged_back INTEGER NOT NULL DEFAULT 0"
            )

    def close(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; joins the transaction that is already open."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def payment(self, ref: str) -> Payment | None:
        """The payment with this id of ours, or nothing."""
        found = self._payments("id = ?", ref)
        return found[0] if found else None

    def payments(self, merchant_ref: str | None = None, before: int | None = None) -> list[Payment]:
        """Payments oldest first: all, those of one merchant reference, those made until a time."""
        if merchant_ref is None:
            return self._payments("true")
        until = now_ms() if before is None else before
        return self._payments("merchant_ref = ? AND created_at <= ?", merchant_ref, until)

    def _payments(self, where: str, *values: object) -> list[Payment]:
        rows = self.db.execute(
            f"SELECT {PAYMENT_COLUMNS} FROM payments WHERE {where} ORDER BY created_at, rowid",  # noqa: S608
            values,
        )
        return [Payment(**{**dict(row), "status": Status(row["status"])}) for row in rows]

    def refunds(self, merchant_ref: str) -> list[Refund]:
        """Refunds under one merchant reference, oldest first."""
        rows = self.db.execute(
            f"SELECT {REFUND_COLUMNS} FROM refunds WHERE merchant_ref = ?"  # noqa: S608
            " ORDER BY created_at, rowid",
            (merchant_ref,),
        )
        return [Refund(**dict(row)) for row in rows]

    def movement_counts(self) -> dict[str, int]:
        """How many movements each payment has."""
        return dict(
            self.db.execute("SELECT payment, count(*) FROM movements GROUP BY payment").fetchall()
        )

    def add_payment(self, payment: Payment) -> None:
        """Enter a new payment, its totals at nothing."""
        self.db.execute(
            "INSERT INTO payments (id, merchant_ref, amount, currency, method, instrument,"
            " return_url, status, error, created_at, updated_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                payment.id,
                payment.merchant_ref,
                payment.amount,
                payment.currency,
                payment.method,
                payment.instrument,
                payment.return_url,
                payment.status,
                payment.error,
                payment.created_at,
                payment.updated_at,
                payment.expires_at,
            ),
        )

    def add_refund(self, refund: Refund) -> None:
        """Enter a refund; the movement that carries its money is a separate entry."""
        self.db.execute(
            "INSERT INTO refunds (id, payment, merchant_ref, amount, created_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (refund.id, refund.payment, refund.merchant_ref, refund.amount, refund.created_at),
        )

    def move(
        self, payment: str, kind: Movement, amount: int, status: Status, error: str | None = None
    ) -> Payment:
        """Append one movement, set the status it leads to, and give the payment as it now is."""
        at = now_ms()
        self.db.execute(
            "INSERT INTO movements (at, payment, kind, amount) VALUES (?, ?, ?, ?)",
            (at, payment, kind, amount),
        )
        self.db.execute(
            "UPDATE payments SET status = ?, error = ?, updated_at = ? WHERE id = ?",
            (status, error, at, payment),
        )
        return self._payments("id = ?", payment)[0]

    def bury(self, merchant_ref: str) -> None:
        """Refuse every later payment under this merchant reference."""
        self.db.execute(
            "INSERT INTO tombstones (merchant_ref, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (merchant_ref, now_ms()),
        )

    def buried(self, merchant_ref: str) -> bool:
        """Whether the merchant voided this reference before it was used."""
        row = self.db.execute("SELECT 1 FROM tombstones WHERE merchant_ref = ?", (merchant_ref,))
        return row.fetchone() is not None

    def set_timer(self, payment: str, kind: str, due: int) -> None:
        """Have something happen to a payment by itself at a time (epoch milliseconds)."""
        self.db.execute(
            "INSERT INTO timers (payment, kind, due) VALUES (?, ?, ?)"
            " ON CONFLICT (payment, kind) DO UPDATE SET due = excluded.due",
            (payment, kind, due),
        )
        self.on_timer_set()

    def clear_timers(self, payment: str) -> None:
        """Nothing will happen to this payment by itself any more."""
        self.db.execute("DELETE FROM timers WHERE payment = ?", (payment,))

    def due_timers(self, now: int) -> list[tuple[str, str]]:
        """(payment, kind) of every timer whose time has come, earliest first."""
        rows = self.db.execute(
            "SELECT payment, kind FROM timers WHERE due <= ? ORDER BY due LIMIT 200", (now,)
        )
        return [(row[0], row[1]) for row in rows]

    def timer_counts(self) -> dict[str, int]:
        """How many timers of each kind are set."""
        return dict(self.db.execute("SELECT kind, count(*) FROM timers GROUP BY kind").fetchall())

    def next_timer(self) -> int | None:
        """When the earliest timer is due (epoch milliseconds), if there is one."""
        due: int | None = self.db.execute("SELECT min(due) FROM timers").fetchone()[0]
        return due
