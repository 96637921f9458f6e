"""GST invoices and credit notes: suppliers, series of numbers, documents and their PDFs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now, Paise, one_of
from domain.invoicing import DocumentKind

_AMOUNTS = "taxable_paise >= 0 AND cgst_paise >= 0 AND sgst_paise >= 0 AND igst_paise >= 0"


class GstSupplier(Base):
    """Who issues documents: a seller, or the platform for its deliveries."""

    __tablename__ = "gst_suppliers"
    __table_args__ = (
        CheckConstraint("left(gstin, 2) = state_code AND length(gstin) = 15", name="gstin"),
        CheckConstraint(
            "invoice_prefix ~ '^[A-Z0-9-]{1,5}$' AND credit_note_prefix ~ '^[A-Z0-9-]{1,5}$'"
            " AND invoice_prefix <> credit_note_prefix",
            name="prefixes",
        ),
        CheckConstraint("min_hsn_digits IN (4, 6)", name="min_hsn_digits"),
    )

    id: Mapped[Id]
    legal_name: Mapped[str]
    gstin: Mapped[str]
    address: Mapped[list[Any]]
    state_code: Mapped[str]
    invoice_prefix: Mapped[str]
    credit_note_prefix: Mapped[str]
    min_hsn_digits: Mapped[int]
    updated_at: Mapped[Now]


class GstCounter(Base):
    """The last number of a series; who takes the next one locks the row until it commits."""

    __tablename__ = "gst_counters"
    __table_args__ = (
        one_of("kind", DocumentKind),
        CheckConstraint("last_seq >= 0", name="last_seq"),
    )

    seller_id: Mapped[str] = mapped_column(ForeignKey("gst_suppliers.id"), primary_key=True)
    financial_year: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    last_seq: Mapped[int]
    last_issued_at: Mapped[datetime]


class GstDocument(Base):
    """An invoice or credit note. Append-only; `content` is all of it, the columns are for sums."""

    __tablename__ = "gst_documents"
    __table_args__ = (
        one_of("kind", DocumentKind),
        CheckConstraint(
            "CASE kind WHEN 'INVOICE' THEN source_id = order_id AND invoice_id IS NULL"
            " ELSE invoice_id IS NOT NULL END",
            name="source",
        ),
        CheckConstraint("seq > 0", name="seq"),
        CheckConstraint("number ~ '^[A-Z0-9/-]{1,16}$'", name="number"),
        CheckConstraint(
            "taxable_paise + cgst_paise + sgst_paise + igst_paise + round_off_paise"
            " = payable_paise",
            name="adds_up",
        ),
        CheckConstraint(f"{_AMOUNTS} AND payable_paise >= 0", name="amounts"),
        CheckConstraint(
            "content_sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')", name="content"
        ),
        UniqueConstraint("order_id", "seller_id", "kind", "source_id"),
        UniqueConstraint("seller_id", "financial_year", "kind", "seq"),
        UniqueConstraint("seller_id", "number"),
        Index(None, "invoice_id"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("gst_suppliers.id"))
    source_id: Mapped[str]
    invoice_id: Mapped[str | None] = mapped_column(ForeignKey("gst_documents.id"))
    financial_year: Mapped[int]
    seq: Mapped[int]
    number: Mapped[str]
    issued_at: Mapped[datetime]
    currency: Mapped[str]
    taxable_paise: Mapped[Paise]
    cgst_paise: Mapped[Paise]
    sgst_paise: Mapped[Paise]
    igst_paise: Mapped[Paise]
    round_off_paise: Mapped[Paise]
    payable_paise: Mapped[Paise]
    content: Mapped[str]
    content_sha256: Mapped[str]


class GstDocumentLine(Base):
    """One line's pieces and amounts, so that what was credited of it can be added up."""

    __tablename__ = "gst_document_lines"
    __table_args__ = (
        CheckConstraint("qty > 0", name="qty"),
        CheckConstraint(_AMOUNTS, name="amounts"),
    )

    document_id: Mapped[str] = mapped_column(ForeignKey("gst_documents.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    qty: Mapped[int]
    taxable_paise: Mapped[Paise]
    cgst_paise: Mapped[Paise]
    sgst_paise: Mapped[Paise]
    igst_paise: Mapped[Paise]


class GstDocumentFile(Base):
    """The PDF of a document, rendered once, with its SHA-256 in hexadecimal."""

    __tablename__ = "gst_document_files"
    __table_args__ = (CheckConstraint("sha256 = encode(sha256(pdf), 'hex')", name="sha256"),)

    document_id: Mapped[str] = mapped_column(ForeignKey("gst_documents.id"), primary_key=True)
    pdf: Mapped[bytes]
    sha256: Mapped[str]
    rendered_at: Mapped[Now]
