"""What GST documents say: parties, lines and sums.

Rules 46, 46A and 53 of the CGST Rules say what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.errors import DomainError
from domain.invoicing.numbers import PREFIX, day_of
from domain.money import Money, total
from domain.regions import STATES

_GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]")
# territories without a legislature levy UTGST where states levy SGST
_UNION_TERRITORIES = frozenset({"04", "26", "31", "35", "38", "97"})


class DocumentKind(StrEnum):
    """What a document is; each kind has its own run of numbers."""

    INVOICE = "INVOICE"
    CREDIT_NOTE = "CREDIT_NOTE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """Who issues; `min_hsn_digits` is 4 up to a turnover of ₹ 5 crore, 6 above."""

    id: str
    legal_name: str
    gstin: str
    address: tuple[str, ...]
    state_code: str
    invoice_prefix: str = "INV"
    credit_note_prefix: str = "CRN"
    min_hsn_digits: int = 4

    def prefix(self, kind: DocumentKind) -> str:
        """What its numbers of that kind begin with."""
        return self.invoice_prefix if kind is DocumentKind.INVOICE else self.credit_note_prefix


def check_supplier(supplier: Supplier) -> None:
    """Raise DomainError SUPPLIER_INVALID unless documents can be issued under these details."""
    prefixes = (supplier.invoice_prefix, supplier.credit_note_prefix)
    wrong = [
        what
        for what, bad in (
            (f"state {supplier.state_code!r}", supplier.state_code not in STATES),
            (f"GSTIN {supplier.gstin!r}", not _GSTIN.fullmatch(supplier.gstin)),
            ("GSTIN of another state", supplier.gstin[:2] != supplier.state_code),
            ("no name", not supplier.legal_name.strip()),
            ("no address", not any(line.strip() for line in supplier.address)),
            (f"prefixes {prefixes}", not all(PREFIX.fullmatch(prefix) for prefix in prefixes)),
            ("one prefix for both kinds", len(set(prefixes)) == 1),
            (f"{supplier.min_hsn_digits} HSN digits", supplier.min_hsn_digits not in (4, 6)),
        )
        if bad
    ]
    if wrong:
        raise DomainError(
            "SUPPLIER_INVALID", f"supplier {supplier.id} has {', '.join(wrong)}: correct it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who bought, and where it goes; `gstin` only for a registered business."""

    name: str
    address: tuple[str, ...]
    state_code: str
    gstin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line; `gross` and `discount` include tax, `unit` is a unit code of the GST network."""

    line_no: int
    sku: str
    description: str
    hsn: str
    qty: int
    gross: Money
    taxable: Money
    cgst: Money
    sgst: Money
    igst: Money
    rate_bp: int
    unit: str = "NOS"

    @property
    def tax(self) -> Money:
        """Over all heads."""
        return self.cgst + self.sgst + self.igst

    @property
    def total(self) -> Money:
        """What is paid for it."""
        return self.taxable + self.tax

    @property
    def discount(self) -> Money:
        """What a coupon took off."""
        return self.gross - self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """The invoice that a credit note corrects."""

    invoice_id: str
    number: str
    issued_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document without its number. `source_id` is what it is for: the order, or a return."""

    kind: DocumentKind
    order_id: str
    source_id: str
    supplier: Supplier
    recipient: Recipient
    lines: tuple[Line, ...]
    round_off: Money
    against: Against | None = None
    reason: str = ""

    @property
    def place_of_supply(self) -> str:
        """The state where the goods are delivered, which decides between the heads."""
        return self.recipient.state_code

    @property
    def within_state(self) -> bool:
        """Whether CGST and SGST are due instead of IGST."""
        return self.place_of_supply == self.supplier.state_code

    @property
    def state_head(self) -> str:
        """What the state's half of the tax is called there."""
        return "UTGST" if self.place_of_supply in _UNION_TERRITORIES else "SGST"

    @property
    def sums(self) -> Line:
        """All lines added up, as a line without goods."""

        def add(amounts: Iterable[Money]) -> Money:
            return total(amounts, self.round_off.currency)

        return Line(
            line_no=0, sku="", description="", hsn="", rate_bp=0,
            qty=sum(line.qty for line in self.lines),
            gross=add(line.gross for line in self.lines),
            taxable=add(line.taxable for line in self.lines),
            cgst=add(line.cgst for line in self.lines),
            sgst=add(line.sgst for line in self.lines),
            igst=add(line.igst for line in self.lines),
        )  # fmt: skip

    @property
    def payable(self) -> Money:
        """Its lines and the round-off."""
        return self.sums.total + self.round_off

    @property
    def title(self) -> str:
        """What it is by law: goods free of tax go on a bill of supply (Rule 46A)."""
        if self.kind is DocumentKind.CREDIT_NOTE:
            return "Credit Note"
        taxed = {line.rate_bp > 0 for line in self.lines}
        if taxed == {True, False}:
            return "Invoice-cum-Bill of Supply"
        return "Tax Invoice" if True in taxed else "Bill of Supply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A draft that has its number and moment (UTC); from here on it never changes."""

    draft: Draft
    number: str
    issued_at: datetime

    @property
    def issued_on(self) -> date:
        """Its date, in India."""
        return day_of(self.issued_at)
