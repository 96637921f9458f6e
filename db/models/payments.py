"""Payments, the attempts at them, refunds, and the ledger of money moved."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, Paise, one_of
from db.vocabulary import LedgerKind
from domain.payments import FailureClass, PaymentMethod, PaymentState
from domain.refunds import DisputeState, RefundKind, RefundState


class Payment(Base):
    """What is owed for one order, however many attempts it takes."""

    __tablename__ = "payments"
    __table_args__ = (
        one_of("method", PaymentMethod),
        one_of("state", PaymentState),
        CheckConstraint("amount_paise > 0", name="amount"),
        Index(None, "state"),
    )

    id: Mapped[Id]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), unique=True)
    method: Mapped[str]
    amount_paise: Mapped[Paise]
    currency: Mapped[str]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class PaymentAttempt(Base):
    """One PSP asked once; `merchant_ref` is the name it knows the attempt by."""

    __tablename__ = "payment_attempts"
    __table_args__ = (
        one_of("state", PaymentState),
        one_of("failure_class", FailureClass),
        CheckConstraint("amount_paise > 0", name="amount"),
        CheckConstraint(
            "0 <= refunded_paise AND 0 <= charged_back_paise"
            " AND refunded_paise + charged_back_paise <= captured_paise"
            " AND captured_paise <= amount_paise",
            name="money",
        ),
        Unique("payment_id", "seq"),
        Index(
            "uq_one_capture_per_payment",
            "payment_id",
            unique=True,
            postgresql_where=text("state IN ('CAPTURED', 'PARTIALLY_CAPTURED')"),
        ),
        Index(
            "uq_payment_attempts_psp_ref",
            "psp",
            "psp_ref",
            unique=True,
            postgresql_where=text("psp_ref IS NOT NULL"),
        ),
        Index(
            "ix_payment_attempts_undecided",
            "created_at",
            postgresql_where=text("state IN ('CREATED', 'UNKNOWN')"),
        ),
        Index(None, "order_id"),
    )

    id: Mapped[Id]
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"))
    order_id: Mapped[str]
    seq: Mapped[int]
    psp: Mapped[str]
    state: Mapped[str]
    amount_paise: Mapped[Paise]
    psp_ref: Mapped[str | None]
    merchant_ref: Mapped[str] = mapped_column(unique=True)
    failure_class: Mapped[str | None]
    failure_code: Mapped[str | None]
    reason: Mapped[str | None]
    next_action: Mapped[dict[str, Any] | None]
    captured_paise: Mapped[Paise] = mapped_column(server_default=text("0"))
    refunded_paise: Mapped[Paise] = mapped_column(server_default=text("0"))
    charged_back_paise: Mapped[Paise] = mapped_column(server_default=text("0"))
    bank: Mapped[str | None]
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class Refund(Base):
    """Money on its way back; `refund_key` makes it go once."""

    __tablename__ = "refunds"
    __table_args__ = (
        one_of("state", RefundState),
        one_of("kind", RefundKind),
        CheckConstraint("amount_paise > 0", name="amount"),
        Index(None, "attempt_id"),
        Index(None, "order_id"),
        Index(None, "state", postgresql_where=text("state <> 'DONE'")),
    )

    id: Mapped[Id]
    refund_key: Mapped[str] = mapped_column(unique=True)
    attempt_id: Mapped[str] = mapped_column(ForeignKey("payment_attempts.id"))
    order_id: Mapped[str]
    amount_paise: Mapped[Paise]
    state: Mapped[str]
    psp_refund_ref: Mapped[str | None]
    reason: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default=text("'GIVEN_BACK'"))
    requested_by: Mapped[str | None]
    refusals: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class Dispute(Base):
    """A customer's dispute at their bank, as the PSP tells of it."""

    __tablename__ = "disputes"
    __table_args__ = (
        one_of("state", DisputeState),
        CheckConstraint("amount_paise > 0", name="amount"),
        Unique("psp", "psp_dispute_ref"),
        Index(None, "attempt_id"),
        Index(None, "order_id"),
    )

    id: Mapped[Id]
    psp: Mapped[str]
    psp_dispute_ref: Mapped[str]
    attempt_id: Mapped[str] = mapped_column(ForeignKey("payment_attempts.id"))
    order_id: Mapped[str]
    amount_paise: Mapped[Paise]
    state: Mapped[str]
    reason: Mapped[str | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class PaymentInstrument(Base):
    """A customer's saved way to pay: a PSP's token, never the number behind it."""

    __tablename__ = "payment_instruments"
    __table_args__ = (
        one_of("method", PaymentMethod),
        CheckConstraint("bin ~ '^[0-9]{6,8}$'", name="bin"),
        Index(
            "uq_payment_instruments_psp_token",
            "user_id",
            "psp",
            "token",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index(None, "user_id"),
    )

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    method: Mapped[str]
    psp: Mapped[str]
    token: Mapped[str]
    label: Mapped[str]
    bin: Mapped[str | None]
    bank: Mapped[str | None]
    expires_on: Mapped[date | None]
    created_at: Mapped[Now]
    removed_at: Mapped[datetime | None]


class CashLimit(Base):
    """How much may be paid in cash at the door: the longest prefix of the PIN code decides."""

    __tablename__ = "cash_limits"
    __table_args__ = (
        CheckConstraint("pincode_prefix ~ '^[0-9]{0,6}$'", name="pincode_prefix"),
        CheckConstraint("max_paise >= 0", name="max_paise"),
    )

    pincode_prefix: Mapped[str] = mapped_column(primary_key=True)
    max_paise: Mapped[Paise]


class LedgerEntry(Base):
    """One side of a movement of money. Append-only; a deferred trigger balances each `txn_key`.

    Accounts: `psp:<name>`, `order:<id>`, `cod:due`, `carrier:<name>`, `bank:<name>`,
    `fee:<name>`, `tax:<name>`, `written-off:<name>`. Amounts are signed: a debit is positive.
    A payout covers many orders and names none.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        one_of("kind", LedgerKind),
        CheckConstraint("amount_paise <> 0", name="amount"),
        CheckConstraint(
            "account ~"
            " '^(psp:.+|order:.+|cod:due|carrier:.+|bank:.+|fee:.+|tax:.+|written-off:.+)$'",
            name="account",
        ),
        CheckConstraint(
            "(order_id IS NULL) = (kind IN ('SETTLEMENT', 'FEE', 'FEE_TAX', 'WRITE_OFF'))",
            name="order",
        ),
        Index(None, "txn_key"),
        Index(None, "order_id"),
        Index(None, "account", "at"),
        # an order's price is taken once, over all PSPs
        Index(
            "uq_one_capture_per_order",
            "order_id",
            unique=True,
            postgresql_where=text("kind = 'CAPTURE' AND amount_paise > 0"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entry_key: Mapped[str] = mapped_column(unique=True)
    txn_key: Mapped[str]
    account: Mapped[str]
    amount_paise: Mapped[Paise]
    currency: Mapped[str]
    order_id: Mapped[str | None]
    payment_id: Mapped[str | None]
    attempt_id: Mapped[str | None]
    kind: Mapped[str]
    at: Mapped[Now]
