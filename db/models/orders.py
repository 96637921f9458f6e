"""Orders and their items."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, Paise, one_of
from domain.orders import OrderState
from domain.payments import PaymentMethod


class Order(Base):
    """What a customer bought, at the prices that were checked when the saga opened it.

    A deferred trigger holds `total_paise` to the breakdown and to the items at commit.
    """

    __tablename__ = "orders"
    __table_args__ = (
        one_of("state", OrderState),
        one_of("payment_method", PaymentMethod),
        CheckConstraint("total_paise >= 0", name="total"),
        CheckConstraint("pincode ~ '^[1-9][0-9]{5}$'", name="pincode"),
        CheckConstraint("state <> 'REFUSED' OR refusal_code IS NOT NULL", name="refusal"),
        CheckConstraint(
            "state NOT IN ('CONFIRMED', 'SHIPPED', 'DELIVERED', 'RETURN_REQUESTED', 'RETURNED')"
            " OR confirmed_at IS NOT NULL",
            name="confirmed",
        ),
        Index("ix_orders_user_newest", "user_id", text("created_at DESC"), text("id DESC")),
        Index(None, "state"),
    )

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    state: Mapped[str]
    currency: Mapped[str]
    total_paise: Mapped[Paise]
    pincode: Mapped[str]
    payment_method: Mapped[str]
    price_breakdown: Mapped[dict[str, Any]]
    address_snapshot: Mapped[dict[str, Any]]
    coupon_code: Mapped[str | None]
    refusal_code: Mapped[str | None]
    refusal_reason: Mapped[str | None]
    saga_id: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]
    confirmed_at: Mapped[datetime | None]


class OrderItem(Base):
    """One line of an order, with the price and taxes it was sold at (paise, basis points)."""

    __tablename__ = "order_items"
    __table_args__ = (
        UniqueConstraint("order_id", "line_no"),
        CheckConstraint("qty > 0", name="qty"),
        CheckConstraint("unit_price_paise > 0", name="unit_price"),
        CheckConstraint("line_total_paise >= 0", name="line_total"),
        CheckConstraint(
            "taxable_paise + cgst_paise + sgst_paise + igst_paise = line_total_paise", name="taxes"
        ),
    )

    id: Mapped[Id]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    line_no: Mapped[int]
    sku: Mapped[str] = mapped_column(ForeignKey("variants.sku"))
    listing_id: Mapped[str] = mapped_column(ForeignKey("listings.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    title: Mapped[str]
    qty: Mapped[int]
    unit_price_paise: Mapped[Paise]
    line_total_paise: Mapped[Paise]
    taxable_paise: Mapped[Paise]
    cgst_paise: Mapped[Paise]
    sgst_paise: Mapped[Paise]
    igst_paise: Mapped[Paise]
    gst_rate_bp: Mapped[int]
    hsn: Mapped[str]
