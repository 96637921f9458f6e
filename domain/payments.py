"""Payments: methods, states, failure classes, what each failure leads to, and their totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from domain.errors import InvalidMoney
from domain.money import Money
from domain.states import check, final_states, transition_table


class PaymentMethod(StrEnum):
    """How the customer pays."""

    UPI_INTENT = "UPI_INTENT"
    UPI_QR = "UPI_QR"
    CARD = "CARD"
    NETBANKING = "NETBANKING"
    WALLET = "WALLET"
    COD = "COD"


class PaymentState(StrEnum):
    """Where a payment, or one attempt at it, is. VOIDED includes a lapsed authorisation."""

    CREATED = "CREATED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    VOIDING = "VOIDING"
    VOIDED = "VOIDED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"
    REFUND_PENDING = "REFUND_PENDING"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    DISPUTED = "DISPUTED"
    COD_DUE = "COD_DUE"
    COD_COLLECTED = "COD_COLLECTED"
    COD_REMITTED = "COD_REMITTED"


class FailureClass(StrEnum):
    """What a failed outward call means; everything unclassified on a write is UNKNOWN."""

    NOT_SENT = "NOT_SENT"
    REJECTED_TRANSIENT = "REJECTED_TRANSIENT"
    DECLINED_SOFT = "DECLINED_SOFT"
    DECLINED_HARD = "DECLINED_HARD"
    AUTH_REQUIRED = "AUTH_REQUIRED"
    EXPIRED = "EXPIRED"
    FRAUD = "FRAUD"
    INVALID_REQUEST = "INVALID_REQUEST"
    CONFIG = "CONFIG"
    IN_PROGRESS = "IN_PROGRESS"
    UNKNOWN = "UNKNOWN"


_P = PaymentState
_REFUNDING = {_P.REFUND_PENDING, _P.PARTIALLY_REFUNDED, _P.REFUNDED}
_CAPTURING = {_P.PARTIALLY_CAPTURED, _P.CAPTURED}
_VOIDS = {_P.VOIDING, _P.VOIDED}
# a PSP may report success after failure; what is taken twice is owed back at once
_LATE = {_P.AUTHORISED, _P.REFUNDED, _P.REFUND_PENDING} | _CAPTURING
_OPEN = {_P.FAILED, _P.EXPIRED, _P.UNKNOWN} | _LATE | _VOIDS

# Events come late, doubled and in any order: no row lets an older fact undo a newer one
# (AUTHORISED never becomes FAILED; VOIDED becomes CAPTURED, as taken money must be booked).
TRANSITIONS: Mapping[PaymentState, frozenset[PaymentState]] = transition_table(
    PaymentState,
    {
        _P.CREATED: {_P.ACTION_REQUIRED, _P.PENDING, _P.COD_DUE} | _OPEN,
        _P.ACTION_REQUIRED: {_P.PENDING} | _OPEN,
        _P.PENDING: {_P.ACTION_REQUIRED} | _OPEN,
        _P.AUTHORISED: {_P.UNKNOWN, _P.REFUNDED, _P.REFUND_PENDING} | _CAPTURING | _VOIDS,
        # taken money stays taken: while a further capture is unknown, the state stays
        _P.PARTIALLY_CAPTURED: {_P.CAPTURED, _P.DISPUTED} | _REFUNDING,
        _P.CAPTURED: {_P.DISPUTED} | _REFUNDING,
        # a void that came too late finds the money captured; one that is refused changes nothing
        _P.VOIDING: {_P.VOIDED, _P.AUTHORISED, _P.FAILED, _P.EXPIRED, _P.UNKNOWN}
        | _CAPTURING
        | _REFUNDING,
        _P.VOIDED: {_P.REFUNDED, _P.REFUND_PENDING} | _CAPTURING,
        _P.FAILED: _LATE | _VOIDS,
        _P.EXPIRED: _LATE | _VOIDS,
        _P.UNKNOWN: {_P.ACTION_REQUIRED, _P.PENDING, _P.AUTHORISED, _P.FAILED, _P.EXPIRED}
        | {_P.DISPUTED}
        | _CAPTURING
        | _VOIDS
        | _REFUNDING,
        # a failed refund, and only that, leaves the money where it was: "captured" may be stale
        _P.REFUND_PENDING: {_P.PARTIALLY_REFUNDED, _P.REFUNDED, _P.DISPUTED}
        | {_P.COD_COLLECTED, _P.COD_REMITTED}
        | _CAPTURING,
        _P.PARTIALLY_REFUNDED: {_P.DISPUTED} | _REFUNDING,
        _P.REFUNDED: {_P.DISPUTED},
        _P.DISPUTED: _CAPTURING | _REFUNDING,
        _P.COD_DUE: {_P.COD_COLLECTED, _P.COD_REMITTED, _P.VOIDED},
        _P.COD_COLLECTED: {_P.COD_REMITTED} | _REFUNDING,
        _P.COD_REMITTED: set(_REFUNDING),
    },
)

FINAL_STATES = final_states(TRANSITIONS)


def check_transition(old: PaymentState, new: PaymentState) -> None:
    """Raise IllegalTransition unless a payment may go from `old` to `new`."""
    check("a payment", TRANSITIONS, old, new)


class Operation(StrEnum):
    """What was asked of a PSP when it failed."""

    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"
    FIND = "FIND"


class MethodGroup(StrEnum):
    """Methods that fail alike."""

    CARD = "CARD"
    CARD_3DS = "CARD_3DS"
    CUSTOMER_APP = "CUSTOMER_APP"
    COD = "COD"


class Decision(StrEnum):
    """What to do about a failure.

    NEXT_PSP goes elsewhere unasked; ASK_CUSTOMER offers to try again or another method;
    STOP ends the payment as failed; INQUIRE finds out what happened; PARK calls a person.
    """

    RETRY_SAME = "RETRY_SAME"
    NEXT_PSP = "NEXT_PSP"
    STEP_UP = "STEP_UP"
    ASK_CUSTOMER = "ASK_CUSTOMER"
    STOP = "STOP"
    INQUIRE = "INQUIRE"
    PARK = "PARK"


ANY: Literal["*"] = "*"
Selector = tuple[str, str, str, str, str]  # PSP, operation, failure class, code, method group


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a failure leads to; '*' matches everything, and a named value is more specific."""

    psp: str
    operation: Operation | Literal["*"]
    failure: FailureClass
    code: str
    group: MethodGroup | Literal["*"]
    decision: Decision

    def matches(self, asked: Selector) -> bool:
        """Whether this row speaks about the failure."""
        return all(own in (ANY, value) for own, value in zip(self.selector, asked, strict=True))

    @property
    def selector(self) -> Selector:
        """The columns that choose the row; no two rows share one."""
        return self.psp, self.operation, self.failure, self.code, self.group

    @property
    def specificity(self) -> tuple[bool, ...]:
        """Greater is more specific: the PSP counts most, then the code, operation and group."""
        return tuple(own != ANY for own in (self.psp, self.code, self.operation, self.group))


_Row = DecisionRow
_F = FailureClass
_G = MethodGroup
_DO = Operation
_TO = Decision

DECISIONS: tuple[DecisionRow, ...] = (
    # authorise: what never left us, or was refused before acting, may go elsewhere
    _Row(ANY, _DO.AUTHORISE, _F.NOT_SENT, ANY, _G.CARD, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.NOT_SENT, ANY, _G.CARD_3DS, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.NOT_SENT, ANY, _G.CUSTOMER_APP, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.REJECTED_TRANSIENT, ANY, _G.CARD, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.REJECTED_TRANSIENT, ANY, _G.CARD_3DS, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.REJECTED_TRANSIENT, ANY, _G.CUSTOMER_APP, _TO.ASK_CUSTOMER),
    # credentials that one PSP refuses say nothing about the next
    _Row(ANY, _DO.AUTHORISE, _F.CONFIG, ANY, _G.CARD, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.CONFIG, ANY, _G.CARD_3DS, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.CONFIG, ANY, _G.CUSTOMER_APP, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_SOFT, ANY, _G.CARD, _TO.NEXT_PSP),
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_SOFT, ANY, _G.CARD_3DS, _TO.ASK_CUSTOMER),
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_SOFT, ANY, _G.CUSTOMER_APP, _TO.ASK_CUSTOMER),
    # Mastercard's merchant advice 03 and 21 forbid any further attempt
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_SOFT, "MAC_03", ANY, _TO.STOP),
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_SOFT, "MAC_21", ANY, _TO.STOP),
    _Row(ANY, _DO.AUTHORISE, _F.DECLINED_HARD, ANY, ANY, _TO.STOP),
    _Row(ANY, _DO.AUTHORISE, _F.AUTH_REQUIRED, ANY, _G.CARD, _TO.STEP_UP),
    _Row(ANY, _DO.AUTHORISE, _F.FRAUD, ANY, _G.CARD, _TO.STEP_UP),
    _Row(ANY, _DO.AUTHORISE, _F.FRAUD, ANY, ANY, _TO.STOP),
    _Row(ANY, _DO.AUTHORISE, _F.EXPIRED, ANY, ANY, _TO.STOP),
    # capture: the authorisation lives at this PSP, so nowhere else can help
    _Row(ANY, _DO.CAPTURE, _F.NOT_SENT, ANY, ANY, _TO.RETRY_SAME),
    _Row(ANY, _DO.CAPTURE, _F.REJECTED_TRANSIENT, ANY, ANY, _TO.RETRY_SAME),
    # an earlier request under the same key is still at work: ask for its outcome
    _Row(ANY, ANY, _F.IN_PROGRESS, ANY, ANY, _TO.INQUIRE),
    # giving money back, or asking after it, must not end in silence
    *(
        _Row(ANY, operation, failure, ANY, ANY, decision)
        for operation, while_down in (
            (_DO.VOID, _TO.RETRY_SAME),
            (_DO.REFUND, _TO.RETRY_SAME),
            (_DO.FIND, _TO.INQUIRE),
        )
        for failure, decision in (
            (_F.NOT_SENT, while_down),
            (_F.REJECTED_TRANSIENT, while_down),
            (_F.DECLINED_SOFT, _TO.PARK),
            (_F.DECLINED_HARD, _TO.PARK),
            (_F.AUTH_REQUIRED, _TO.PARK),
            (_F.EXPIRED, _TO.PARK),
            (_F.FRAUD, _TO.PARK),
            (_F.INVALID_REQUEST, _TO.PARK),
            (_F.CONFIG, _TO.PARK),
        )
    ),
)


def decide(
    psp: str,
    operation: Operation,
    failure: FailureClass,
    code: str,
    method: PaymentMethod | None,
    *,
    three_ds: bool = False,
    table: Sequence[DecisionRow] = DECISIONS,
) -> Decision:
    """What a failure leads to: the most specific matching row, or STOP where there is none.

    `code` is the PSP's own ('' for none); `three_ds` says that the card was authenticated. Without
    a method only the rows hold that are about all of them.
    UNKNOWN is INQUIRE whatever the table says: the money may have moved.
    """
    if failure is FailureClass.UNKNOWN:
        return Decision.INQUIRE
    group = "" if method is None else group_of(method, three_ds=three_ds)
    asked = (psp, operation, failure, code, group)
    rows = [row for row in table if row.matches(asked)]
    if not rows:
        return Decision.STOP
    return max(rows, key=lambda row: row.specificity).decision


def group_of(method: PaymentMethod, *, three_ds: bool = False) -> MethodGroup:
    """The group whose rows hold for a method."""
    if method is PaymentMethod.CARD:
        return MethodGroup.CARD_3DS if three_ds else MethodGroup.CARD
    return MethodGroup.COD if method is PaymentMethod.COD else MethodGroup.CUSTOMER_APP


class EntryKind(StrEnum):
    """A movement of money at a PSP; LATE_CAPTURE came after the order was paid or given up."""

    CAPTURE = "CAPTURE"
    LATE_CAPTURE = "LATE_CAPTURE"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A movement and its amount, which is never negative: the kind has the direction."""

    kind: EntryKind
    amount: Money

    def __post_init__(self) -> None:
        if self.amount.is_negative:
            raise InvalidMoney(f"{self.kind} of {self.amount}: an entry's amount is not negative")


@dataclass(frozen=True, slots=True)
class Totals:
    """What was taken from the customer and what was given back, over all PSPs."""

    captured: Money
    refunded: Money

    @property
    def owed(self) -> Money:
        """What is kept; negative when more was given back than taken."""
        return self.captured - self.refunded


def fold(entries: Iterable[LedgerEntry], currency: str = "INR") -> Totals:
    """The totals of ledger entries, in any order; raises CurrencyMismatch on another currency."""
    captured = refunded = Money.zero(currency)
    for entry in entries:
        if entry.kind is EntryKind.REFUND:
            refunded += entry.amount
        else:
            captured += entry.amount
    return Totals(captured, refunded)
