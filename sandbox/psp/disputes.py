"""Disputes: a customer's bank takes the money back, for now or for good."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.psp.books import Books, Movement, Payment, Status, now_ms

SCHEMA = """
CREATE TABLE IF NOT EXISTS disputes (
  id TEXT PRIMARY KEY, payment TEXT NOT NULL REFERENCES payments (id),
  amount INTEGER NOT NULL CHECK (amount > 0), reason TEXT NOT NULL, outcome TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS disputes_by_payment ON disputes (payment);
"""
COLUMNS = "id, payment, amount, reason, outcome, created_at, updated_at"


class Outcome(StrEnum):
    """Where a dispute stands, as the merchant sees it."""

    OPENED = "opened"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One dispute: amount in minor units, times in epoch milliseconds."""

    id: str
    payment: str
    amount: int
    reason: str
    outcome: Outcome
    created_at: int
    updated_at: int


class BadDispute(Exception):
    """A dispute that cannot be: the sentence says why."""


Tell = Callable[[Dispute, Payment], None]


class Disputes:
    """Opens and closes disputes in the PSP's books, and tells the merchant by `tell`."""

    def __init__(self, books: Books, tell: Tell) -> None:
        self._books = books
        self._tell = tell
        books.db.executescript(SCHEMA)

    def is_open(self, payment: str) -> bool:
        """Whether a dispute about the payment waits for its outcome."""
        return any(one.outcome is Outcome.OPENED for one in self._of("payment = ?", payment))

    def open(self, wanted: Mapping[str, Any]) -> Dispute:
        """Open one over `amount` (all that is left by default) of a captured payment."""
        payment = self._payment(wanted)
        left = payment.captured - payment.refunded - payment.charged_back
        amount = wanted.get("amount", left)
        if type(amount) is not int or not 0 < amount <= left:
            raise BadDispute(f"amount {amount!r} is not between 1 and the {left} that are left")
        if self.is_open(payment.id):
            raise BadDispute(f"payment {payment.id} is disputed already")
        at = now_ms()
        dispute = Dispute(
            id=f"dsp_{secrets.token_hex(10)}",
            payment=payment.id,
            amount=amount,
            reason=str(wanted.get("reason", "not_received")),
            outcome=Outcome.OPENED,
            created_at=at,
            updated_at=at,
        )
        self._books.db.execute(
            f"INSERT INTO disputes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                dispute.id,
                dispute.payment,
                dispute.amount,
                dispute.reason,
                dispute.outcome,
                dispute.created_at,
                dispute.updated_at,
            ),
        )
        self._tell(dispute, payment)
        return dispute

    def close(self, ref: str, outcome: str) -> Dispute:
        """Close one: a lost one takes the money for good."""
        found = self._of("id = ?", ref)
        if not found:
            raise BadDispute(f"there is no dispute {ref!r}")
        if outcome not in (Outcome.WON, Outcome.LOST):
            raise BadDispute(f"outcome {outcome!r} is neither won nor lost")
        if found[0].outcome is not Outcome.OPENED:
            raise BadDispute(f"dispute {ref} is {found[0].outcome} already")
        self._books.db.execute(
            "UPDATE disputes SET outcome = ?, updated_at = ? WHERE id = ?",
            (outcome, max(now_ms(), found[0].updated_at + 1), ref),
        )
        (dispute,) = self._of("id = ?", ref)
        payment = self._books.payment(dispute.payment)
        assert payment is not None  # noqa: S101 - a foreign key
        if dispute.outcome is Outcome.LOST:
            payment = self._books.move(
                payment.id, Movement.CHARGEBACK, dispute.amount, payment.status
            )
        self._tell(dispute, payment)
        return dispute

    def _payment(self, wanted: Mapping[str, Any]) -> Payment:
        ref, merchant_ref = wanted.get("payment"), wanted.get("merchant_ref")
        found = self._books.payment(str(ref)) if ref else None
        if found is None and merchant_ref:
            found = next(iter(self._books.payments(str(merchant_ref))), None)
        if found is None or found.status not in (Status.CAPTURED, Status.PARTIALLY_CAPTURED):
            raise BadDispute("name a captured payment by `payment` or `merchant_ref`")
        return found

    def _of(self, where: str, value: str) -> list[Dispute]:
        rows = self._books.db.execute(
            f"SELECT {COLUMNS} FROM disputes WHERE {where} ORDER BY created_at",  # noqa: S608
            (value,),
        )
        return [Dispute(**{**dict(row), "outcome": Outcome(row["outcome"])}) for row in rows]
