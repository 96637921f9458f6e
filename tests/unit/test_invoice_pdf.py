"""The PDF is read back as its recipient would read it, and is the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from activities.invoicing import render
from domain.gst import tax_apart
from domain.invoicing import (
    Document,
    Line,
    Recipient,
    Sold,
    Supplier,
    draft_credit_note,
    draft_invoices,
)
from domain.money import Money
from domain.refund_shares import SoldLine, divide_payment

SUPPLIER = Supplier(
    id="sahyadri",
    legal_name="Sahyadri Traders & Sons LLP",
    gstin="27ABKFS6310P1ZM",
    address=("Unit 4, Saki Vihar Road", "Mumbai 400072"),
    state_code="27",
)
ASHA = Recipient(
    name="Asha <Rao>", address=("12 MG Road", "Flat 3", "Bengaluru 560001"), state_code="29"
)
# a quarter of an hour past midnight of 5 May in India
AT = datetime(2026, 5, 4, 18, 45, tzinfo=UTC)


def a_line(line_no: int, paid: int, place: str, *, description: str = "Kettle, 1.5 l") -> Line:
    taxed = tax_apart(Money(paid), 1800, supplier_state="27", place_of_supply=place)
    return Line(
        line_no=line_no, sku=f"SKU-{line_no}", description=description, hsn="8516", qty=2,
        gross=Money(paid + 100_00), taxable=taxed.taxable, cgst=taxed.cgst, sgst=taxed.sgst,
        igst=taxed.igst, rate_bp=1800,
    )  # fmt: skip


def invoice(*lines: Line, recipient: Recipient = ASHA, round_off: int = 0) -> Document:
    """The lines' invoice, its round-off all on the first of them."""
    sold = [Sold("sahyadri", line, Money(0 if n else round_off)) for n, line in enumerate(lines)]
    (draft,) = draft_invoices("01JTEST0RDER", recipient, sold, {"sahyadri": SUPPLIER})
    return Document(draft=draft, number="INV/2627/000042", issued_at=AT)


def read(pdf: bytes) -> str:
    """The words of all pages, white space made single."""
    return " ".join(" ".join(p.extract_text() for p in PdfReader(BytesIO(pdf)).pages).split())


BETWEEN = invoice(a_line(1, 1_23_456_60, "29"), round_off=40)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("what it is", "TAX INVOICE"),
        ("supplier's name", "Sahyadri Traders & Sons LLP"),
        ("supplier's address", "Unit 4, Saki Vihar Road Mumbai 400072"),
        ("supplier's state", "State: Maharashtra (27)"),
        ("supplier's GSTIN", "GSTIN: 27ABKFS6310P1ZM"),
        ("number", "Invoice number: INV/2627/000042"),
        ("date", "Invoice date: 05-05-2026"),
        ("recipient", "Billed to Asha <Rao> 12 MG Road Flat 3 Bengaluru 560001"),
        ("recipient's GSTIN", "GSTIN: not registered"),
        ("delivery address", "Delivered to Asha <Rao> 12 MG Road Flat 3 Bengaluru 560001"),
        ("delivery state and code", "State: Karnataka (29)"),
        ("place of supply", "Place of supply: Karnataka (29)"),
        ("description", "Kettle, 1.5 l SKU-1"),
        ("HSN", "8516"),
        ("quantity and unit", "2 NOS"),
        ("gross", "1,23,556.60"),
        ("discount", "100.00"),
        ("taxable value", "1,04,624.24"),
        ("rate and tax", "18,832.36 @ 18%"),
        ("round-off", "Round-off 0.40"),
        ("total", "Payable 1,23,457.00"),
        (
            "in words",
            "Rupees One Lakh Twenty-Three Thousand Four Hundred Fifty-Seven Only",
        ),
        ("reverse charge", "Tax payable on reverse charge: No"),
        ("signature", "For Sahyadri Traders & Sons LLP: Authorised signatory"),
        ("copy", "Original for recipient"),
    ],
)  # fmt: skip
def test_every_field_of_rule_46_is_there(field: str, text: str) -> None:
    assert text in read(render(BETWEEN)), field


def test_between_states_there_is_igst_and_no_other_head() -> None:
    text = read(render(BETWEEN))
    assert "IGST" in text
    assert "CGST" not in text
    assert "SGST" not in text


def test_within_a_state_each_half_has_its_rate_and_amount() -> None:
    at_home = invoice(
        a_line(1, 999_99, "27"), recipient=replace(ASHA, state_code="27", gstin="27AAACS1234A1Z5")
    )
    text = read(render(at_home))
    assert "IGST" not in text
    # 152.54 of tax
    assert "CGST" in text
    assert text.count("76.27 @ 9%") == 2
    assert "GSTIN: 27AAACS1234A1Z5" in text


def test_a_credit_note_names_its_invoice_and_its_reason() -> None:
    (line,) = BETWEEN.draft.lines
    of_line = SoldLine(
        2, tax_apart(line.total, 1800, supplier_state="27", place_of_supply="29")
    )  # fmt: skip
    nothing = tax_apart(Money(0), 1800, supplier_state="29", place_of_supply="29")
    paid = divide_payment([of_line], nothing, BETWEEN.draft.payable)
    credit = draft_credit_note(
        BETWEEN, invoice_id="i1", source_id="r1", reason="Lid is broken",
        pieces={1: paid.pieces[0]}, credited={}, returned={1: 1},
    )  # fmt: skip
    text = read(render(Document(draft=credit, number="CRN/2627/000007", issued_at=AT)))
    for part in (
        "CREDIT NOTE",
        "Credit note number: CRN/2627/000007",
        "Credit note date: 05-05-2026",
        "Against invoice: INV/2627/000042 of 05-05-2026",
        "Reason: Lid is broken",
        "1 NOS",
        "52,312.12",
        "9,416.18 @ 18%",
        "Round-off 0.20",
        "Credited 61,728.50",
    ):
        assert part in text, part
    assert "INVOICE" not in text


def test_the_same_document_is_the_same_bytes_in_another_process() -> None:
    script = (
        "import hashlib, tests.unit.test_invoice_pdf as made;"
        "print(hashlib.sha256(made.render(made.BETWEEN)).hexdigest())"
    )
    root = Path(__file__).parents[2]
    runs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root, env={"PYTHONHASHSEED": seed, "TZ": zone}, check=True, capture_output=True,
            timeout=60,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Kolkata"))
    }  # fmt: skip
    assert len(runs) == 1
    assert render(BETWEEN) == render(BETWEEN)
    assert render(BETWEEN) != render(replace(BETWEEN, number="INV/2627/000043"))


def test_documents_rendered_at_once_do_not_mix() -> None:
    documents = [replace(BETWEEN, number=f"INV/2627/{seq:06d}") for seq in range(1, 25)]
    one_by_one = [render(document) for document in documents]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(render, documents)) == one_by_one
    assert len(set(one_by_one)) == 24


def test_many_lines_go_on_over_pages_under_the_same_head() -> None:
    lines = [a_line(number, 500_00 + number, "29") for number in range(1, 51)]
    pages = PdfReader(BytesIO(render(invoice(*lines)))).pages
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert f"Page {number}" in text
        assert "INV/2627/000042" in text
        assert ("HSN/SAC" in text) == ("SKU-" in text)
    assert "Amount in words" in pages[-1].extract_text()
    assert "Authorised signatory" in pages[-1].extract_text()
    whole = " ".join(page.extract_text() for page in pages)
    assert [n for n in range(1, 51) if f"SKU-{n}\n" not in whole] == []


def test_letters_that_the_font_lacks_do_not_stop_an_invoice() -> None:
    odd = invoice(a_line(1, 500_00, "29", description="Café ₹99 – Ānanda™ आशा"))
    assert "Café Rs. 99 – Ananda™ ???" in read(render(odd))
    assert odd.draft.lines[0].description == "Café ₹99 – Ānanda™ आशा"
