"""What providers settled, how it compares with our ledger, and the cases of what differs."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, Paise, one_of
from db.vocabulary import CaseEventKind
from domain.cases import CaseState, Outcome
from domain.settlements import LineKind


class SettlementLine(Base):
    """One line of a provider's settlement report. Append-only: news of it is its next revision."""

    __tablename__ = "settlement_lines"
    __table_args__ = (
        one_of("kind", LineKind),
        CheckConstraint("gross_paise - fee_paise - tax_paise = net_paise", name="adds_up"),
        CheckConstraint(
            "CASE WHEN kind IN ('PAYMENT', 'CHARGEBACK_REVERSAL') THEN gross_paise >= 0"
            " WHEN kind IN ('REFUND', 'CHARGEBACK') THEN gross_paise <= 0 ELSE true END",
            name="sign",
        ),
        CheckConstraint("revision > 0", name="revision"),
        Unique("provider", "line_id", "revision"),
        Index(None, "provider", "settled_on"),
        Index(None, "provider", "seen_at"),
        Index(None, "provider", "payment_ref"),
        Index(None, "provider", "merchant_ref"),
        Index(None, "provider", "return_ref"),
        Index(None, "provider", "return_key"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    provider: Mapped[str]
    line_id: Mapped[str]
    revision: Mapped[int]
    kind: Mapped[str]
    gross_paise: Mapped[Paise]
    fee_paise: Mapped[Paise]
    tax_paise: Mapped[Paise]
    net_paise: Mapped[Paise]
    currency: Mapped[str]
    occurred_at: Mapped[datetime]
    settled_on: Mapped[date]
    payment_ref: Mapped[str]
    merchant_ref: Mapped[str]
    return_ref: Mapped[str]
    return_key: Mapped[str]
    settlement_id: Mapped[str]
    utr: Mapped[str]
    on_hold: Mapped[bool]
    seen_at: Mapped[Now]


class SettlementDay(Base):
    """When a provider's day was last read, and how many lines it had."""

    __tablename__ = "settlement_days"

    provider: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    lines: Mapped[int]
    read_at: Mapped[datetime]


class ReconciliationMark(Base):
    """Up to when a provider's lines and movements were compared, and as on which day."""

    __tablename__ = "reconciliation_marks"

    provider: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    compared_at: Mapped[datetime]


class SettlementMatch(Base):
    """How a line (`line:<id>`) or a movement (its ledger transaction's key) compares."""

    __tablename__ = "settlement_matches"
    __table_args__ = (
        one_of("outcome", Outcome),
        Index(
            "ix_settlement_matches_unsettled",
            "provider",
            postgresql_where=text("outcome <> 'MATCHED'"),
        ),
    )

    provider: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    outcome: Mapped[str]


class ReconciliationCase(Base):
    """A difference, whether it is still `present`, and what was decided about it.

    `written_off_paise` is what the ledger has written off for it.
    """

    __tablename__ = "reconciliation_cases"
    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("state", CaseState),
        CheckConstraint("outcome NOT IN ('MATCHED', 'PENDING')", name="difference"),
        CheckConstraint("state <> 'OPEN' OR present", name="open"),
        CheckConstraint("state = 'WRITTEN_OFF' OR written_off_paise = 0", name="written_off"),
        CheckConstraint("state = 'OPEN' OR first_approval IS NULL", name="first_approval"),
        Unique("provider", "subject"),
        Index(None, "state", "opened_at"),
    )

    id: Mapped[Id]
    provider: Mapped[str]
    subject: Mapped[str]
    outcome: Mapped[str]
    state: Mapped[str]
    present: Mapped[bool]
    ours_paise: Mapped[Paise]
    settled_paise: Mapped[Paise]
    fee_due_paise: Mapped[Paise]
    fee_taken_paise: Mapped[Paise]
    difference_paise: Mapped[Paise]
    currency: Mapped[str]
    day: Mapped[date]
    payment_ref: Mapped[str]
    merchant_ref: Mapped[str]
    owner: Mapped[str]
    first_approval: Mapped[str | None]
    written_off_paise: Mapped[Paise] = mapped_column(server_default=text("0"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    opened_at: Mapped[Now]
    state_at: Mapped[Now]


class ReconciliationCaseEvent(Base):
    """What happened to a case, and who said what about it. Append-only."""

    __tablename__ = "reconciliation_case_events"
    __table_args__ = (one_of("kind", CaseEventKind), Index(None, "case_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("reconciliation_cases.id"))
    at: Mapped[Now]
    actor: Mapped[str]
    kind: Mapped[str]
    note: Mapped[str]
