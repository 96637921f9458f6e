"""Words that only the stores use; the words of the trade are enums of `domain`."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a user may do."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    SELLER = "seller"
    ADMIN = "admin"


class UserStatus(StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "ACTIVE"
    BLOCKED = "BLOCKED"


class ShelfStatus(StrEnum):
    """Whether a product, listing or offer is on show."""

    ACTIVE = "ACTIVE"
    WITHDRAWN = "WITHDRAWN"


class OfferKind(StrEnum):
    """PERCENT offers are valued in basis points, FLAT ones in paise."""

    PERCENT = "PERCENT"
    FLAT = "FLAT"


class StockEntryKind(StrEnum):
    """Every way in which units move; only RECEIVE brings new ones."""

    RECEIVE = "RECEIVE"
    RESERVE = "RESERVE"
    RELEASE = "RELEASE"
    COMMIT = "COMMIT"
    RETURN = "RETURN"
    WRITE_OFF = "WRITE_OFF"


class LedgerKind(StrEnum):
    """Why money moved. LATE_CAPTURE is money a PSP took after the order was paid or given up.

    A CHARGEBACK is what a lost dispute took; SETTLEMENT, FEE and FEE_TAX are how a PSP pays us,
    and WRITE_OFF what it will never pay.
    """

    CAPTURE = "CAPTURE"
    LATE_CAPTURE = "LATE_CAPTURE"
    REFUND = "REFUND"
    COD_DUE = "COD_DUE"
    COD_REVERSAL = "COD_REVERSAL"
    COD_COLLECTED = "COD_COLLECTED"
    COD_REMITTED = "COD_REMITTED"
    CHARGEBACK = "CHARGEBACK"
    CHARGEBACK_REVERSAL = "CHARGEBACK_REVERSAL"
    SETTLEMENT = "SETTLEMENT"
    FEE = "FEE"
    FEE_TAX = "FEE_TAX"
    WRITE_OFF = "WRITE_OFF"


class CaseEventKind(StrEnum):
    """What can happen to a reconciliation case; the last three are its ends."""

    OPENED = "OPENED"
    CHANGED = "CHANGED"
    REOPENED = "REOPENED"
    TAKEN = "TAKEN"
    NOTED = "NOTED"
    WRITE_OFF_ASKED = "WRITE_OFF_ASKED"
    EXPLAINED = "EXPLAINED"
    CORRECTED = "CORRECTED"
    WRITTEN_OFF = "WRITTEN_OFF"


class StepState(StrEnum):
    """DONE: the step's effect is in the database. UNDONE: it is gone, or never may come."""

    DONE = "DONE"
    UNDONE = "UNDONE"


class SagaState(StrEnum):
    """The engine's states, as its projection stores them."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPENSATING = "COMPENSATING"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"


class Trust(StrEnum):
    """SIGNED: the sender signed the body. TOKEN_ONLY: query the provider before acting."""

    SIGNED = "SIGNED"
    TOKEN_ONLY = "TOKEN_ONLY"  # noqa: S105 - a level of trust, not a secret


class IdempotencyState(StrEnum):
    """Whether the first request under a key has been answered."""

    IN_FLIGHT = "IN_FLIGHT"
    DONE = "DONE"


class BlockKind(StrEnum):
    """What a risk block names."""

    USER = "USER"
    DEVICE = "DEVICE"
    PINCODE = "PINCODE"
