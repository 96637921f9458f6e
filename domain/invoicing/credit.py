"""Credit notes: what comes back of an invoice, in any number of parts, to the paisa."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.errors import DomainError
from domain.invoicing.documents import Against, Document, DocumentKind, Draft, Line
from domain.money import Money, total
from domain.refund_shares import Share

Pieces = Mapping[int, Sequence[Share]]
"""By line number, what was paid for each piece, in the order in which pieces come back."""


def draft_credit_note(
    invoice: Document,
    *,
    invoice_id: str,
    source_id: str,
    reason: str,
    pieces: Pieces,
    credited: Mapping[int, int],
    returned: Mapping[int, int],
) -> Draft:
    """Credit pieces of an invoice: line number → how many, credited before and returned now.

    A note is what is refunded for these pieces, and notes for all pieces add up to the invoice,
    head by head and in its round-off. Raises DomainError NOTHING_TO_CREDIT, CREDIT_TOO_LARGE or
    SHARES_DIFFER (`pieces` are not those of this invoice).
    """
    _check_returned(invoice, credited, returned)
    _check_pieces(invoice.draft, pieces)
    lines, rounded = [], []
    for line in invoice.draft.lines:
        first, qty = credited.get(line.line_no, 0), returned.get(line.line_no, 0)
        if qty:
            back = pieces[line.line_no][first : first + qty]
            lines.append(_credited(line, back))
            rounded += [piece.round_off for piece in back]
    return Draft(
        kind=DocumentKind.CREDIT_NOTE,
        order_id=invoice.draft.order_id,
        source_id=source_id,
        supplier=invoice.draft.supplier,
        recipient=invoice.draft.recipient,
        lines=tuple(lines),
        round_off=total(rounded, invoice.draft.round_off.currency),
        against=Against(invoice_id=invoice_id, number=invoice.number, issued_on=invoice.issued_on),
        reason=reason,
    )


def _credited(line: Line, back: Sequence[Share]) -> Line:
    first, *others = back
    share = sum(others, start=first)
    return replace(
        line,
        qty=len(back),
        gross=Money(line.gross.paise * len(back) // line.qty, line.gross.currency),
        taxable=share.taxable,
        cgst=share.cgst,
        sgst=share.sgst,
        igst=share.igst,
    )


def _check_pieces(invoice: Draft, pieces: Pieces) -> None:
    rounded = Money.zero(invoice.round_off.currency)
    for line in invoice.lines:
        of_line = pieces.get(line.line_no, ())
        if len(of_line) != line.qty or _credited(line, of_line) != line:
            raise DomainError(
                "SHARES_DIFFER",
                f"the shares of line {line.line_no} of order {invoice.order_id} are not what its "
                "invoice says: take them from the price breakdown the order was sold at",
            )
        rounded += total((piece.round_off for piece in of_line), rounded.currency)
    if rounded != invoice.round_off:
        raise DomainError(
            "SHARES_DIFFER",
            f"the shares of order {invoice.order_id} round off {rounded}, its invoice "
            f"{invoice.round_off}: take them from the price breakdown the order was sold at",
        )


def _check_returned(
    invoice: Document, credited: Mapping[int, int], returned: Mapping[int, int]
) -> None:
    sold = {line.line_no: line.qty for line in invoice.draft.lines}
    if not any(returned.values()):
        raise DomainError("NOTHING_TO_CREDIT", f"nothing of invoice {invoice.number} came back")
    for line_no, qty in returned.items():
        left = sold.get(line_no, 0) - credited.get(line_no, 0)
        if not 0 <= qty <= left:
            raise DomainError(
                "CREDIT_TOO_LARGE",
                f"{qty} of line {line_no} of invoice {invoice.number} cannot be credited: "
                f"{left} are left",
            )
