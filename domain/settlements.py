"""What providers pay out: settlement lines, the movements they answer to, and agreed fees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from domain.errors import DomainError
from domain.money import Money, Rounding
from domain.payments import PaymentMethod
from domain.pricing import IST

ANY: Literal["*"] = "*"
GST_ON_FEES_BP = 1_800
CARRIER = "carrier:"


class BadSettlementLine(DomainError):
    """A settlement line that contradicts itself; the message says how."""

    def __init__(self, line_id: str, message: str) -> None:
        super().__init__("BAD_SETTLEMENT_LINE", f"settlement line {line_id!r}: {message}")


class LineKind(StrEnum):
    """What a settlement line is about; an ADJUSTMENT belongs to no payment."""

    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    CHARGEBACK = "CHARGEBACK"
    CHARGEBACK_REVERSAL = "CHARGEBACK_REVERSAL"
    ADJUSTMENT = "ADJUSTMENT"


# towards us is positive
_SIGNS: Mapping[LineKind, int] = {
    LineKind.PAYMENT: 1,
    LineKind.REFUND: -1,
    LineKind.CHARGEBACK: -1,
    LineKind.CHARGEBACK_REVERSAL: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementLine:
    """One line of a provider's settlement report: `net = gross - fee - tax`, towards us positive.

    `payment_ref` is the provider's name of the payment and `merchant_ref` ours; `return_ref` and
    `return_key` name the refund or dispute in the same two ways. `settled_on` is the Indian day
    whose report has the line; while `on_hold` nothing is paid. Raises BadSettlementLine.
    """

    provider: str
    line_id: str
    kind: LineKind
    gross: Money
    fee: Money
    tax: Money
    net: Money
    occurred_at: datetime
    settled_on: date
    payment_ref: str = ""
    merchant_ref: str = ""
    return_ref: str = ""
    return_key: str = ""
    settlement_id: str = ""
    utr: str = ""
    on_hold: bool = False

    def __post_init__(self) -> None:
        if not self.line_id:
            raise BadSettlementLine(self.line_id, "it has no id of its own")
        if self.gross - self.fee - self.tax != self.net:
            raise BadSettlementLine(
                self.line_id,
                f"gross {self.gross} less fee {self.fee} and tax {self.tax} is not net {self.net}",
            )
        sign = _SIGNS.get(self.kind, 0)
        if sign * self.gross.paise < 0:
            way = "towards us" if sign > 0 else "away from us"
            raise BadSettlementLine(
                self.line_id, f"a {self.kind} moves money {way}, not {self.gross}"
            )
        if self.occurred_at.tzinfo is None:
            raise BadSettlementLine(self.line_id, f"{self.occurred_at} has no time zone")

    @property
    def paid(self) -> Money:
        """What of the gross amount is settled: nothing while it is on hold."""
        return Money.zero(self.gross.currency) if self.on_hold else self.gross


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that our ledger says moved at a provider; towards us is positive.

    `key` is the ledger transaction's. `payment` names what the movement belongs to: captures of
    one payment share it. The references are those of SettlementLine.
    """

    key: str
    kind: LineKind
    payment: str
    amount: Money
    at: datetime
    payment_ref: str = ""
    merchant_ref: str = ""
    return_ref: str = ""
    return_key: str = ""
    method: PaymentMethod | None = None

    @property
    def day(self) -> date:
        """The Indian day on which it was booked."""
        return business_day(self.at)


def business_day(at: datetime) -> date:
    """The day in India, by which providers settle."""
    return at.astimezone(IST).date()


@dataclass(frozen=True, slots=True)
class FeeRow:
    """An agreed fee: basis points of the gross amount plus something fixed, GST on top."""

    kind: LineKind
    method: PaymentMethod | Literal["*"]
    basis_points: int
    fixed_paise: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is agreed with a provider.

    Movements are settled within `grace_days` Indian days. A line's fee, and its tax, may be off
    by `tolerance_paise` for rounding. Without a row a fee is not judged.
    """

    grace_days: int = 3
    tolerance_paise: int = 1
    fees: tuple[FeeRow, ...] = ()

    def fee(
        self, kind: LineKind, method: PaymentMethod | None, gross: Money
    ) -> tuple[Money, Money] | None:
        """The agreed fee on an amount and its tax; None where nothing was agreed."""
        rows = [row for row in self.fees if row.kind is kind and row.method in (method, ANY)]
        if not rows:
            return None
        row = min(rows, key=lambda one: one.method == ANY)
        fee = abs(gross).percent(row.basis_points) + Money(row.fixed_paise, gross.currency)
        return fee, fee.percent(GST_ON_FEES_BP, Rounding.HALF_UP)


_M = PaymentMethod
_K = LineKind
# A refund costs nothing, and what the payment cost is not given back with it.
TERMS: Mapping[str, Terms] = MappingProxyType(
    {
        "alphapay": Terms(
            grace_days=2,
            fees=(
                FeeRow(_K.PAYMENT, _M.UPI_INTENT, 0),
                FeeRow(_K.PAYMENT, _M.UPI_QR, 0),
                FeeRow(_K.PAYMENT, ANY, 200),
                FeeRow(_K.REFUND, ANY, 0),
                FeeRow(_K.CHARGEBACK, ANY, 0, 500_00),
                FeeRow(_K.CHARGEBACK_REVERSAL, ANY, 0),
            ),
        ),
        "betapay": Terms(
            grace_days=3,
            fees=(
                FeeRow(_K.PAYMENT, _M.UPI_INTENT, 0),
                FeeRow(_K.PAYMENT, _M.UPI_QR, 0),
                FeeRow(_K.PAYMENT, _M.NETBANKING, 0, 15_00),
                FeeRow(_K.PAYMENT, ANY, 175, 3_00),
                FeeRow(_K.REFUND, ANY, 0),
                FeeRow(_K.CHARGEBACK, ANY, 0, 500_00),
                FeeRow(_K.CHARGEBACK_REVERSAL, ANY, 0),
            ),
        ),
    }
)
# Carriers hand over cash of the door within a week or so.
_CARRIER_TERMS = Terms(grace_days=10)


def terms_of(provider: str) -> Terms:
    """What is agreed with a provider; the usual grace and no fees where nothing is written down."""
    usual = _CARRIER_TERMS if provider.startswith(CARRIER) else Terms()
    return TERMS.get(provider, usual)
