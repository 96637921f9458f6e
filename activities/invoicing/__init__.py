"""GST invoices and credit notes: issued once, rendered once, never changed."""

from activities.invoicing.pdf import render
from activities.invoicing.requests import (
    CreditGoods,
    InvoiceOrder,
    IssuedDocument,
    IssuedDocuments,
    Rendered,
    RenderMissing,
)
from activities.invoicing.service import InvoicingActivities

__all__ = [
    "CreditGoods",
    "InvoiceOrder",
    "InvoicingActivities",
    "IssuedDocument",
    "IssuedDocuments",
    "RenderMissing",
    "Rendered",
    "render",
]
