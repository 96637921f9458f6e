"""A GST document as PDF: the same document gives the same bytes, on any day and machine.

The standard fonts need no embedding and know Western European letters; other letters are
written without their marks, or as '?'. The stored document keeps them all.
"""

import unicodedata
from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib import colors  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from reportlab.platypus import (  # type: ignore[import-untyped]
    Flowable,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from domain.invoicing import Document, DocumentKind, Draft, Line, amount_in_words
from domain.money import Money
from domain.regions import STATES

_MARGIN = 12 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=8, leading=10.5)
_CELL = ParagraphStyle("cell", parent=_TEXT, fontSize=7, leading=8.5)
_NUMBER = ParagraphStyle("number", parent=_CELL, alignment=2)
_HEAD = ParagraphStyle("head", parent=_CELL, fontName="Helvetica-Bold")
_NUMBER_HEAD = ParagraphStyle("number head", parent=_HEAD, alignment=2)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName="Helvetica-Bold", fontSize=14, leading=18)
_RULE = colors.HexColor("#9aa0a6")
_SHADE = colors.HexColor("#eef1f4")


def render(document: Document) -> bytes:
    """The document as an A4 PDF; amounts are in rupees."""
    out = BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=16 * mm,
        title=f"{document.draft.title} {document.number}",
        author=_printable(document.draft.supplier.legal_name),
        # no date of creation and no random id: the same bytes each time
        invariant=1,
    )

    def footer(canvas: Canvas, page: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.drawString(_MARGIN, 9 * mm, f"{document.draft.title} {document.number}")
        canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, f"Page {page.page}")

    template.build(_story(document), onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _story(document: Document) -> list[Flowable]:
    draft = document.draft
    return [
        Paragraph(draft.title.upper(), _TITLE),
        _text("Original for recipient. All amounts in Indian rupees (INR)."),
        Spacer(1, 3 * mm),
        _side_by_side(_supplier(draft), _facts(document)),
        Spacer(1, 2 * mm),
        _side_by_side(_bill_to(draft), _deliver_to(draft)),
        Spacer(1, 3 * mm),
        _lines(draft),
        Spacer(1, 3 * mm),
        # a signature alone on its page signs nothing
        KeepTogether(_ending(draft)),
    ]


def _ending(draft: Draft) -> list[Flowable]:
    return [
        _text(f"<b>Amount in words:</b> {amount_in_words(draft.payable)}"),
        _text("<b>Tax payable on reverse charge:</b> No"),
        Spacer(1, 8 * mm),
        _text(
            f"For {_safe(draft.supplier.legal_name)}: <b>Authorised signatory</b>. "
            "Issued electronically; valid without a signature by hand."
        ),
    ]


def _supplier(draft: Draft) -> list[str]:
    supplier = draft.supplier
    return [
        "<b>Supplier</b>",
        _safe(supplier.legal_name),
        *(_safe(line) for line in supplier.address),
        f"State: {_state(supplier.state_code)}",
        f"GSTIN: {supplier.gstin}",
    ]


def _facts(document: Document) -> list[str]:
    draft = document.draft
    what = "Credit note" if draft.kind is DocumentKind.CREDIT_NOTE else "Invoice"
    facts = [
        f"<b>{what} number:</b> {document.number}",
        f"<b>{what} date:</b> {document.issued_on:%d-%m-%Y}",
        f"<b>Order:</b> {_safe(draft.order_id)}",
        f"<b>Place of supply:</b> {_state(draft.place_of_supply)}",
    ]
    if draft.against is not None:
        against = draft.against
        facts.append(f"<b>Against invoice:</b> {against.number} of {against.issued_on:%d-%m-%Y}")
        facts.append(f"<b>Reason:</b> {_safe(draft.reason)}")
    return facts


def _bill_to(draft: Draft) -> list[str]:
    gstin = draft.recipient.gstin or "not registered"
    return ["<b>Billed to</b>", *_address(draft), f"GSTIN: {gstin}"]


def _deliver_to(draft: Draft) -> list[str]:
    return ["<b>Delivered to</b>", *_address(draft)]


def _address(draft: Draft) -> list[str]:
    recipient = draft.recipient
    return [
        _safe(recipient.name),
        *(_safe(line) for line in recipient.address),
        f"State: {_state(recipient.state_code)}",
    ]


def _lines(draft: Draft) -> Table:
    heads = ["CGST", draft.state_head] if draft.within_state else ["IGST"]
    titles = ["#", "Description", "HSN/SAC", "Qty", "Gross", "Discount", "Taxable", *heads, "Total"]
    styles = [_NUMBER_HEAD, _HEAD, _HEAD, *[_NUMBER_HEAD] * (len(titles) - 3)]
    rows = [[Paragraph(title, style) for title, style in zip(titles, styles, strict=True)]]
    rows += [_row(number, line, draft) for number, line in enumerate(draft.lines, start=1)]
    rows += _closing(draft, len(titles))
    width = [6 * mm, 0, 15 * mm, 13 * mm, *[19 * mm] * (len(titles) - 4)]
    width[1] = _WIDTH - sum(width)
    table = Table(rows, colWidths=width, repeatRows=1)
    table.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, _RULE),
            ("BACKGROUND", (0, 0), (-1, 0), _SHADE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            *(("SPAN", (0, row), (-2, row)) for row in (-2, -1)),
        ]
    )
    return table


def _row(number: int, line: Line, draft: Draft) -> list[Flowable]:
    half = _percent(line.rate_bp, halves=2)
    taxes = [(line.cgst, half), (line.sgst, half)]
    if not draft.within_state:
        taxes = [(line.igst, _percent(line.rate_bp))]
    return [
        Paragraph(str(number), _NUMBER),
        Paragraph(f"{_safe(line.description)}<br/>{_safe(line.sku)}", _CELL),
        Paragraph(line.hsn, _CELL),
        Paragraph(f"{line.qty} {line.unit}", _NUMBER),
        *_amounts([line.gross, line.discount, line.taxable]),
        *(Paragraph(f"{_plain(tax)}<br/>@ {rate}", _NUMBER) for tax, rate in taxes),
        *_amounts([line.total]),
    ]


def _closing(draft: Draft, columns: int) -> list[list[Flowable | str]]:
    sums = draft.sums
    taxes = [sums.cgst, sums.sgst] if draft.within_state else [sums.igst]
    added = [sums.gross, sums.discount, sums.taxable, *taxes, sums.total]
    gap = [""] * (columns - 2)
    payable = "Credited" if draft.kind is DocumentKind.CREDIT_NOTE else "Payable"
    return [
        ["", Paragraph("Sum", _HEAD), "", Paragraph(str(sums.qty), _NUMBER), *_amounts(added)],
        [Paragraph("Round-off", _HEAD), *gap, *_amounts([draft.round_off])],
        [Paragraph(payable, _HEAD), *gap, *_amounts([draft.payable])],
    ]


def _amounts(amounts: Sequence[Money]) -> list[Flowable]:
    return [Paragraph(_plain(amount), _NUMBER) for amount in amounts]


def _side_by_side(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table([[_text("<br/>".join(left)), _text("<br/>".join(right))]], [_WIDTH / 2] * 2)
    table.setStyle([("BOX", (0, 0), (-1, -1), 0.4, _RULE), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return table


def _text(markup: str) -> Paragraph:
    return Paragraph(markup, _TEXT)


def _plain(amount: Money) -> str:
    """In lakh grouping, without the rupee sign, which the standard fonts lack."""
    return amount.in_rupees().replace("₹ ", "")


def _percent(rate_bp: int, *, halves: int = 1) -> str:
    return f"{rate_bp / 100 / halves:g}%"


def _state(code: str) -> str:
    return f"{STATES[code]} ({code})"


def _safe(text: str) -> str:
    return escape(_printable(text))


def _printable(text: str) -> str:
    """What the standard fonts can write of it."""
    return "".join(_letter(letter) for letter in unicodedata.normalize("NFC", text))


def _letter(letter: str) -> str:
    if letter == "₹":
        return "Rs. "
    for form in (letter, unicodedata.normalize("NFKD", letter)[:1]):
        try:
            return form.encode("cp1252").decode("cp1252")
        except UnicodeEncodeError:
            continue
    return "?"
