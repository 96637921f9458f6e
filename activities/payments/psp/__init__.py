"""The payment service providers that we can pay through, behind one interface."""

from activities.payments.psp.alphapay import AlphaPay
from activities.payments.psp.betapay import BetaPay
from activities.payments.psp.http import psp_client
from activities.payments.psp.port import (
    NOT_FOUND,
    PSP,
    ActionKind,
    Adapter,
    NextAction,
    PaymentRequest,
    PaymentResult,
    PSPCapabilities,
    RefundResult,
    RefundStatus,
    SettlementsUnavailable,
)
from domain.payments import Operation

__all__ = [
    "NOT_FOUND",
    "PSP",
    "ActionKind",
    "Adapter",
    "AlphaPay",
    "BetaPay",
    "NextAction",
    "Operation",
    "PSPCapabilities",
    "PaymentRequest",
    "PaymentResult",
    "RefundResult",
    "RefundStatus",
    "SettlementsUnavailable",
    "psp_client",
]
