"""What is for sale: sellers, the category tree, products, their variants and listings, offers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, Paise, one_of
from db.vocabulary import OfferKind, ShelfStatus

_EMPTY_OBJECT = text("'{}'::jsonb")
_EMPTY_LIST = text("'[]'::jsonb")


class Seller(Base):
    """Who sells; its state decides between CGST + SGST and IGST."""

    __tablename__ = "sellers"
    __table_args__ = (
        CheckConstraint("pincode ~ '^[1-9][0-9]{5}$'", name="pincode"),
        CheckConstraint("state_code ~ '^[0-9]{2}$'", name="state_code"),
    )

    id: Mapped[Id]
    legal_name: Mapped[str]
    display_name: Mapped[str]
    gstin: Mapped[str] = mapped_column(unique=True)
    state_code: Mapped[str]
    pincode: Mapped[str]
    created_at: Mapped[Now]


class Category(Base):
    """A node of the category tree; `path` is its names from the root, joined by ' >> '."""

    __tablename__ = "categories"
    __table_args__ = (
        CheckConstraint("depth >= 1 AND (depth = 1) = (parent_id IS NULL)", name="depth"),
        # everything below a node is a prefix scan of its path
        Index("ix_categories_path_prefix", "path", postgresql_ops={"path": "text_pattern_ops"}),
    )

    id: Mapped[Id]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))
    name: Mapped[str]
    path: Mapped[str] = mapped_column(unique=True)
    depth: Mapped[int]


class Product(Base):
    """A thing as customers know it; what can be bought are its variants."""

    __tablename__ = "products"
    __table_args__ = (
        one_of("status", ShelfStatus),
        CheckConstraint("rating BETWEEN 0 AND 5", name="rating"),
        Index(None, "category_id", "id"),
    )

    id: Mapped[Id]
    external_id: Mapped[str | None] = mapped_column(unique=True)
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    category_id: Mapped[str] = mapped_column(ForeignKey("categories.id"))
    title: Mapped[str]
    brand: Mapped[str | None]
    description: Mapped[str] = mapped_column(server_default="")
    tax_class: Mapped[str]
    hsn: Mapped[str]
    image_urls: Mapped[list[Any]] = mapped_column(server_default=_EMPTY_LIST)
    specifications: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)
    rating: Mapped[Decimal | None] = mapped_column(Numeric(2, 1))
    status: Mapped[str] = mapped_column(server_default=ShelfStatus.ACTIVE)
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class Variant(Base):
    """One buyable form of a product, such as a size in a colour."""

    __tablename__ = "variants"
    __table_args__ = (
        CheckConstraint("mrp_paise > 0", name="mrp_positive"),
        CheckConstraint("grams > 0", name="grams_positive"),
        Index(None, "product_id"),
    )

    sku: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)
    mrp_paise: Mapped[Paise]
    grams: Mapped[int]
    created_at: Mapped[Now]


class Listing(Base):
    """One seller's price for one variant."""

    __tablename__ = "listings"
    __table_args__ = (
        UniqueConstraint("sku", "seller_id"),
        CheckConstraint("price_paise > 0", name="price_positive"),
        one_of("status", ShelfStatus),
        Index(None, "seller_id"),
    )

    id: Mapped[Id]
    sku: Mapped[str] = mapped_column(ForeignKey("variants.sku"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    price_paise: Mapped[Paise]
    status: Mapped[str] = mapped_column(server_default=ShelfStatus.ACTIVE)
    updated_at: Mapped[Now]


class Offer(Base):
    """A coupon: `value` is basis points when PERCENT, paise when FLAT."""

    __tablename__ = "offers"
    __table_args__ = (
        CheckConstraint("code = upper(code)", name="code_upper"),
        one_of("kind", OfferKind),
        one_of("status", ShelfStatus),
        CheckConstraint("value > 0 AND (kind <> 'PERCENT' OR value <= 10000)", name="value"),
        CheckConstraint("min_order_paise >= 0", name="min_order"),
        CheckConstraint("max_discount_paise > 0", name="max_discount"),
        CheckConstraint("active_from < active_to", name="active"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    value: Mapped[Paise]
    min_order_paise: Mapped[Paise] = mapped_column(server_default=text("0"))
    max_discount_paise: Mapped[Paise | None]
    active_from: Mapped[datetime]
    active_to: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default=ShelfStatus.ACTIVE)
