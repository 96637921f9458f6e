"""GST documents: an invoice for each supplier of an order, credit notes for what comes back.

Prices include tax, so a line is `gross - discount = taxable + taxes`. Amounts are Money, rates
basis points, states GST codes such as '29'; days and financial years are India's.
"""

from domain.invoicing.credit import Pieces, draft_credit_note
from domain.invoicing.documents import (
    Against,
    Document,
    DocumentKind,
    Draft,
    Line,
    Recipient,
    Supplier,
    check_supplier,
)
from domain.invoicing.drafts import DELIVERY_LINE, Sold, draft_invoices
from domain.invoicing.numbers import FinancialYear, day_of, document_number
from domain.invoicing.words import amount_in_words

__all__ = [
    "DELIVERY_LINE",
    "Against",
    "Document",
    "DocumentKind",
    "Draft",
    "FinancialYear",
    "Line",
    "Pieces",
    "Recipient",
    "Sold",
    "Supplier",
    "amount_in_words",
    "check_supplier",
    "day_of",
    "document_number",
    "draft_credit_note",
    "draft_invoices",
]
