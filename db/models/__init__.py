"""The tables, as typed classes; importing this package declares all of them."""

from db.models.catalogue import Category, Listing, Offer, Product, Seller, Variant
from db.models.messages import OutboxEvent, WebhookEvent
from db.models.orders import Order, OrderItem
from db.models.payments import LedgerEntry, Payment, PaymentAttempt, Refund
from db.models.people import Address, IdempotencyKey, RefreshToken, RiskBlock, User
from db.models.sagas import Saga, SagaEvent, StepGuard
from db.models.stock import Reservation, ReservationLine, StockEntry, StockLevel, Warehouse

__all__ = [
    "Address",
    "Category",
    "IdempotencyKey",
    "LedgerEntry",
    "Listing",
    "Offer",
    "Order",
    "OrderItem",
    "OutboxEvent",
    "Payment",
    "PaymentAttempt",
    "Product",
    "RefreshToken",
    "Refund",
    "Reservation",
    "ReservationLine",
    "RiskBlock",
    "Saga",
    "SagaEvent",
    "Seller",
    "StepGuard",
    "StockEntry",
    "StockLevel",
    "User",
    "Variant",
    "Warehouse",
    "WebhookEvent",
]
