"""GST documents: who issues them, numbers without gaps, credit notes that fit, and PDFs.

Locks are taken in one order: the invoice that a note corrects, then the series' counter.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound
from db.ids import new_ulid
from db.sql import columns, dumps, execute, fetch, fetch_one, sql
from domain.invoicing import (
    Document,
    DocumentKind,
    Draft,
    FinancialYear,
    Supplier,
    check_supplier,
    document_number,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A document as issued; `content_sha256` is of its JSON, in hexadecimal."""

    id: str
    document: Document
    content_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A document's PDF and its SHA-256 in hexadecimal."""

    document_id: str
    pdf: bytes
    sha256: str
    rendered_at: datetime


_DOCUMENT = TypeAdapter(Document)
_SUPPLIER = columns(Supplier)
_REGISTER = sql(
    f"""
    INSERT INTO gst_suppliers ({_SUPPLIER})
    VALUES (:id, :legal_name, :gstin, CAST(:address AS jsonb), :state_code, :invoice_prefix,
            :credit_note_prefix, :min_hsn_digits)
    ON CONFLICT (id) DO UPDATE SET
        legal_name = excluded.legal_name, gstin = excluded.gstin, address = excluded.address,
        state_code = excluded.state_code, invoice_prefix = excluded.invoice_prefix,
        credit_note_prefix = excluded.credit_note_prefix,
        min_hsn_digits = excluded.min_hsn_digits, updated_at = now()
    """  # noqa: S608 - only column lists are put into these statements
)
_SUPPLIERS = sql(
    f"SELECT {_SUPPLIER} FROM gst_suppliers WHERE id = ANY(CAST(:ids AS text[]))",  # noqa: S608
    json=("address",),
)
# an update that changes nothing: it locks the row and answers with its newest version, which a
# select that had to wait would not
_LOCK_SERIES = sql(
    """
    INSERT INTO gst_counters (seller_id, financial_year, kind, last_seq, last_issued_at)
    VALUES (:seller_id, :financial_year, :kind, 0, :at)
    ON CONFLICT (seller_id, financial_year, kind) DO UPDATE SET last_seq = gst_counters.last_seq
    RETURNING last_seq, last_issued_at
    """
)
_ADVANCE = sql(
    """
    UPDATE gst_counters SET last_seq = :seq, last_issued_at = :issued_at
    WHERE seller_id = :seller_id AND financial_year = :financial_year AND kind = :kind
    """
)
_ADD = sql(
    """
    INSERT INTO gst_documents (
        id, kind, order_id, seller_id, source_id, invoice_id, financial_year, seq, number,
        issued_at, currency, taxable_paise, cgst_paise, sgst_paise, igst_paise, round_off_paise,
        payable_paise, content, content_sha256
    ) VALUES (
        :id, :kind, :order_id, :seller_id, :source_id, :invoice_id, :financial_year, :seq, :number,
        :issued_at, :currency, :taxable_paise, :cgst_paise, :sgst_paise, :igst_paise,
        :round_off_paise, :payable_paise, :content, :content_sha256
    )
    """
)
_ADD_LINES = sql(
    """
    INSERT INTO gst_document_lines (
        document_id, line_no, qty, taxable_paise, cgst_paise, sgst_paise, igst_paise
    )
    SELECT :document_id, line_no, qty, taxable_paise, cgst_paise, sgst_paise, igst_paise
    FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS line (
        line_no int, qty int, taxable_paise bigint, cgst_paise bigint, sgst_paise bigint,
        igst_paise bigint)
    """
)
_STORED = "SELECT id, content, content_sha256 FROM gst_documents"
_BY_ID = sql(f"{_STORED} WHERE id = :id")
_BY_SOURCE = sql(
    f"""
    {_STORED} WHERE order_id = :order_id AND seller_id = :seller_id AND kind = :kind
                AND source_id = :source_id
    """
)
_OF_ORDER = sql(f"{_STORED} WHERE order_id = :order_id ORDER BY issued_at, id")
_LOCK_INVOICE = sql("SELECT id FROM gst_documents WHERE id = :id FOR NO KEY UPDATE")
_CREDITED = sql(
    """
    SELECT line.line_no, sum(line.qty)::bigint AS qty
    FROM gst_document_lines AS line JOIN gst_documents AS note ON note.id = line.document_id
    WHERE note.invoice_id = :id GROUP BY line.line_no
    """
)
_ADD_FILE = sql(
    """
    INSERT INTO gst_document_files (document_id, pdf, sha256) VALUES (:document_id, :pdf, :sha256)
    ON CONFLICT (document_id) DO NOTHING
    """
)
_FILE = sql(
    "SELECT document_id, pdf, sha256, rendered_at FROM gst_document_files WHERE document_id = :id"
)
_UNRENDERED = sql(
    """
    SELECT id FROM gst_documents AS document
    WHERE NOT EXISTS (SELECT FROM gst_document_files WHERE document_id = document.id)
    ORDER BY issued_at, id LIMIT :limit
    """
)


async def register_supplier(session: AsyncSession, supplier: Supplier) -> None:
    """Write down who issues; documents issued before keep what they say.

    Raises DomainError SUPPLIER_INVALID.
    """
    check_supplier(supplier)
    values = {**asdict(supplier), "address": dumps(supplier.address)}
    await execute(session, _REGISTER, **values)


async def suppliers(session: AsyncSession, ids: set[str]) -> dict[str, Supplier]:
    """Those who issue, by id; raises NotFound for the first that is not registered."""
    rows = await fetch(session, _SUPPLIERS, ids=sorted(ids))
    found = {row["id"]: Supplier(**{**row, "address": tuple(row["address"])}) for row in rows}
    if missing := sorted(ids - found.keys()):
        raise NotFound("GST supplier", missing[0])
    return found


async def issue(session: AsyncSession, draft: Draft, at: datetime) -> StoredDocument:
    """Give a draft the next number of its series and store it; a replay finds the first.

    `at` (aware) decides the financial year; the document is never dated before its predecessor.
    The series is locked until the transaction ends, so that a rollback leaves no gap.
    Raises DomainError SERIES_FULL.
    """
    if found := await find(session, draft):
        return found
    year = FinancialYear.of(at)
    series = {
        "seller_id": draft.supplier.id, "financial_year": year.start, "kind": draft.kind
    }  # fmt: skip
    last = await fetch_one(session, _LOCK_SERIES, at=at, **series)
    assert last is not None  # noqa: S101 - an upsert returns its row
    # again, under the lock: whoever held it may have issued this very document
    if found := await find(session, draft):
        return found
    seq = int(last["last_seq"]) + 1
    document = Document(
        draft=draft,
        number=document_number(draft.supplier.prefix(draft.kind), year, seq),
        issued_at=max(at, last["last_issued_at"]),
    )
    await execute(session, _ADVANCE, seq=seq, issued_at=document.issued_at, **series)
    return await _store(session, document, seq=seq, series=series)


async def find(session: AsyncSession, draft: Draft) -> StoredDocument | None:
    """The document that was issued for the draft's order, supplier, kind and source."""
    return await by_source(session, draft.order_id, draft.supplier.id, draft.kind, draft.source_id)


async def by_source(
    session: AsyncSession, order_id: str, seller_id: str, kind: DocumentKind, source_id: str
) -> StoredDocument | None:
    """The one document of that kind and source, or None."""
    key = {"order_id": order_id, "seller_id": seller_id, "kind": kind, "source_id": source_id}
    row = await fetch_one(session, _BY_SOURCE, **key)
    return None if row is None else _stored(row)


async def get(session: AsyncSession, document_id: str) -> StoredDocument:
    """The document; raises NotFound."""
    row = await fetch_one(session, _BY_ID, id=document_id)
    if row is None:
        raise NotFound("GST document", document_id)
    return _stored(row)


async def of_order(session: AsyncSession, order_id: str) -> tuple[StoredDocument, ...]:
    """An order's invoices and credit notes, oldest first."""
    return tuple(_stored(row) for row in await fetch(session, _OF_ORDER, order_id=order_id))


async def credited(session: AsyncSession, invoice_id: str) -> dict[int, int]:
    """Pieces credited so far by line number, locked until the transaction ends.

    Raises NotFound.
    """
    # two statements: one that waited for the lock would still add up what it saw before
    if await fetch_one(session, _LOCK_INVOICE, id=invoice_id) is None:
        raise NotFound("GST document", invoice_id)
    rows = await fetch(session, _CREDITED, id=invoice_id)
    return {row["line_no"]: row["qty"] for row in rows}


async def store_file(session: AsyncSession, document_id: str, pdf: bytes) -> StoredFile:
    """Keep a document's PDF; answers with the first one that was kept."""
    sha256 = hashlib.sha256(pdf).hexdigest()
    await execute(session, _ADD_FILE, document_id=document_id, pdf=pdf, sha256=sha256)
    stored = await file(session, document_id)
    assert stored is not None  # noqa: S101 - ours, or the one it gave way to
    return stored


async def file(session: AsyncSession, document_id: str) -> StoredFile | None:
    """The PDF of a document, or None while it has none."""
    row = await fetch_one(session, _FILE, id=document_id)
    return None if row is None else StoredFile(**row)


async def unrendered(session: AsyncSession, *, limit: int = 100) -> tuple[str, ...]:
    """The ids of documents without a PDF, oldest first."""
    return tuple(row["id"] for row in await fetch(session, _UNRENDERED, limit=limit))


async def _store(
    session: AsyncSession, document: Document, *, seq: int, series: dict[str, object]
) -> StoredDocument:
    draft, sums = document.draft, document.draft.sums
    content = _DOCUMENT.dump_json(document)
    stored = StoredDocument(
        id=new_ulid(), document=document, content_sha256=hashlib.sha256(content).hexdigest()
    )
    await execute(
        session,
        _ADD,
        id=stored.id,
        order_id=draft.order_id,
        source_id=draft.source_id,
        invoice_id=draft.against.invoice_id if draft.against else None,
        seq=seq,
        number=document.number,
        issued_at=document.issued_at,
        currency=draft.round_off.currency,
        taxable_paise=sums.taxable.paise,
        cgst_paise=sums.cgst.paise,
        sgst_paise=sums.sgst.paise,
        igst_paise=sums.igst.paise,
        round_off_paise=draft.round_off.paise,
        payable_paise=draft.payable.paise,
        content=content.decode(),
        content_sha256=stored.content_sha256,
        **series,
    )
    await execute(session, _ADD_LINES, document_id=stored.id, lines=dumps(_lines(draft)))
    return stored


def _lines(draft: Draft) -> list[dict[str, int]]:
    return [
        {
            "line_no": line.line_no,
            "qty": line.qty,
            "taxable_paise": line.taxable.paise,
            "cgst_paise": line.cgst.paise,
            "sgst_paise": line.sgst.paise,
            "igst_paise": line.igst.paise,
        }
        for line in draft.lines
    ]


def _stored(row: RowMapping) -> StoredDocument:
    document = _DOCUMENT.validate_json(row["content"])
    return StoredDocument(id=row["id"], document=document, content_sha256=row["content_sha256"])
