"""The tables, as typed classes; importing this package declares all of them."""

from db.models.catalogue import Category, Listing, Offer, Product, Seller, Variant
from db.models.invoices import (
    GstCounter,
    GstDocument,
    GstDocumentFile,
    GstDocumentLine,
    GstSupplier,
)
from db.models.messages import OutboxEvent, WebhookEvent
from db.models.orders import Order, OrderItem
from db.models.payments import (
    CashLimit,
    Dispute,
    LedgerEntry,
    Payment,
    PaymentAttempt,
    PaymentInstrument,
    Refund,
)
from db.models.people import Address, IdempotencyKey, RefreshToken, RiskBlock, User
from db.models.reconciliation import (
    ReconciliationCase,
    ReconciliationCaseEvent,
    ReconciliationMark,
    SettlementDay,
    SettlementLine,
    SettlementMatch,
)
from db.models.sagas import Saga, SagaEvent, StepGuard
from db.models.stock import Reservation, ReservationLine, StockEntry, StockLevel, Warehouse

__all__ = [
    "Address",
    "CashLimit",
    "Category",
    "Dispute",
    "GstCounter",
    "GstDocument",
    "GstDocumentFile",
    "GstDocumentLine",
    "GstSupplier",
    "IdempotencyKey",
    "LedgerEntry",
    "Listing",
    "Offer",
    "Order",
    "OrderItem",
    "OutboxEvent",
    "Payment",
    "PaymentAttempt",
    "PaymentInstrument",
    "Product",
    "ReconciliationCase",
    "ReconciliationCaseEvent",
    "ReconciliationMark",
    "RefreshToken",
    "Refund",
    "Reservation",
    "ReservationLine",
    "RiskBlock",
    "Saga",
    "SagaEvent",
    "Seller",
    "SettlementDay",
    "SettlementLine",
    "SettlementMatch",
    "StepGuard",
    "StockEntry",
    "StockLevel",
    "User",
    "Variant",
    "Warehouse",
    "WebhookEvent",
]
