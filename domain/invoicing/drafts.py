"""Invoices of an order: one for each supplier, together its total."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.errors import DomainError
from domain.invoicing.documents import (
    DocumentKind,
    Draft,
    Line,
    Recipient,
    Supplier,
    check_supplier,
)
from domain.money import Money, total
from domain.regions import STATES

_HSN = re.compile(r"[0-9]{4}|[0-9]{6}|[0-9]{8}")
# an order's own lines count from 1
DELIVERY_LINE = 0


@dataclass(frozen=True, slots=True)
class Sold:
    """A line of an order, who supplies it, and its part of the order's round-off."""

    supplier_id: str
    line: Line
    round_off: Money


def draft_invoices(
    order_id: str,
    recipient: Recipient,
    sold: Sequence[Sold],
    suppliers: Mapping[str, Supplier],
) -> tuple[Draft, ...]:
    """One invoice for each supplier of an order, by supplier id; together they are its total.

    The order was rounded to the rupee once, so an invoice has the round-off of its lines. Raises
    DomainError SUPPLIER_INVALID, HSN_INVALID, TAX_HEADS_WRONG, RECIPIENT_INVALID, NOTHING_SOLD.
    """
    if not sold:
        raise DomainError("NOTHING_SOLD", f"order {order_id} has no line to invoice")
    by_supplier: dict[str, list[Sold]] = {}
    for item in sorted(sold, key=lambda item: (item.supplier_id, item.line.line_no)):
        by_supplier.setdefault(item.supplier_id, []).append(item)
    drafts = tuple(
        Draft(
            kind=DocumentKind.INVOICE,
            order_id=order_id,
            source_id=order_id,
            supplier=suppliers[supplier_id],
            recipient=recipient,
            lines=tuple(item.line for item in items),
            round_off=total((item.round_off for item in items), items[0].round_off.currency),
        )
        for supplier_id, items in by_supplier.items()
    )
    for draft in drafts:
        _check(draft)
    return drafts


def _check(draft: Draft) -> None:
    check_supplier(draft.supplier)
    recipient, digits = draft.recipient, draft.supplier.min_hsn_digits
    if recipient.state_code not in STATES or not recipient.name.strip() or not recipient.address:
        raise DomainError(
            "RECIPIENT_INVALID",
            f"order {draft.order_id} needs a name, an address and a GST state to be invoiced",
        )
    for line in draft.lines:
        if not _HSN.fullmatch(line.hsn) or len(line.hsn) < digits:
            raise DomainError(
                "HSN_INVALID", f"{line.sku}: HSN {line.hsn!r} must be 4, 6 or 8 digits, "
                f"and for supplier {draft.supplier.id} at least {digits}",
            )  # fmt: skip
        elsewhere = line.igst if draft.within_state else line.cgst + line.sgst
        if not elsewhere.is_zero:
            raise DomainError(
                "TAX_HEADS_WRONG",
                f"{line.sku} was taxed as if it were not supplied from {draft.supplier.state_code} "
                f"to {draft.place_of_supply}: check the state of supplier {draft.supplier.id}",
            )
