"""The steps that issue GST documents.

Each document is one transaction, found again by what it is for: order, supplier, kind, source.
So a step that runs twice answers as before without a guard, and one that died half way goes on
with the suppliers that are left. A document is never undone: a credit note corrects it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from activities.invoicing.pdf import render
from activities.invoicing.requests import (
    CreditGoods,
    InvoiceOrder,
    IssuedDocument,
    IssuedDocuments,
    Rendered,
    RenderMissing,
)
from activities.invoicing.sold import pieces_of, recipient_of, sold_lines
from db.errors import NotFound
from db.repositories import invoices, orders
from db.repositories.invoices import StoredDocument
from db.repositories.orders import OrderRecord
from db.session import Database
from domain.errors import DomainError
from domain.invoicing import (
    DELIVERY_LINE,
    DocumentKind,
    Draft,
    Pieces,
    draft_credit_note,
    draft_invoices,
)
from saga import Call, StepFailed

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class InvoicingActivities:
    """Documents in PostgreSQL; `platform_id` is the registered supplier of deliveries."""

    def __init__(self, database: Database, *, platform_id: str, clock: Clock = _now) -> None:
        self._database = database
        self._platform_id = platform_id
        self._clock = clock

    async def invoice(self, request: InvoiceOrder, call: Call) -> IssuedDocuments:
        """Issue the order's invoices. Raises StepFailed when it cannot be invoiced as it is."""
        try:
            drafts = await self._drafts(request.order_id)
            issued = [await self._issue(draft) for draft in drafts]
        except DomainError as refused:
            raise StepFailed(refused.code, refused.message) from refused
        return await self._finished(issued)

    async def credit(self, request: CreditGoods, call: Call) -> IssuedDocuments:
        """Issue a credit note against each invoice that has something of what came back.

        Raises StepFailed, also when the same source was credited with other pieces before.
        """
        wanted = dict(request.returned)
        if request.with_delivery:
            wanted[DELIVERY_LINE] = 1
        try:
            pieces, by_invoice = await self._by_invoice(request.order_id, wanted)
            issued = [
                await self._credit(invoice, request, pieces, returned)
                for invoice, returned in by_invoice
            ]
        except DomainError as refused:
            raise StepFailed(refused.code, refused.message) from refused
        return await self._finished(issued)

    async def render_missing(self, request: RenderMissing, call: Call) -> Rendered:
        """Render what a crash left without a PDF."""
        async with self._database.reading() as session:
            missing = await invoices.unrendered(session, limit=request.limit)
        for document_id in missing:
            async with self._database.reading() as session:
                document = await invoices.get(session, document_id)
            await self._render(document)
        return Rendered(rendered=len(missing))

    async def _drafts(self, order_id: str) -> tuple[Draft, ...]:
        async with self._database.reading() as session:
            order = await _order(session, order_id)
            sold = sold_lines(order, platform_id=self._platform_id)
            try:
                by_id = await invoices.suppliers(session, {item.supplier_id for item in sold})
            except NotFound as missing:
                raise StepFailed(
                    "SUPPLIER_NOT_REGISTERED", f"{missing}: register its GSTIN and address"
                ) from missing
        if order.confirmed_at is None:
            raise StepFailed("ORDER_NOT_SOLD", f"order {order_id} is {order.state}: not confirmed")
        return draft_invoices(order_id, recipient_of(order), sold, by_id)

    async def _issue(self, draft: Draft) -> StoredDocument:
        async with self._database.unit_of_work() as session:
            return await invoices.issue(session, draft, self._clock())

    async def _by_invoice(
        self, order_id: str, wanted: dict[int, int]
    ) -> tuple[Pieces, list[tuple[StoredDocument, dict[int, int]]]]:
        """What was paid for the order's pieces, and each invoice with its part of the wanted."""
        async with self._database.reading() as session:
            pieces = pieces_of(await _order(session, order_id))
            found = await invoices.of_order(session, order_id)
        parts = []
        for stored in sorted(found, key=lambda stored: stored.document.draft.supplier.id):
            draft = stored.document.draft
            if draft.kind is DocumentKind.INVOICE:
                lines = {line.line_no for line in draft.lines}
                part = {no: qty for no, qty in wanted.items() if no in lines and qty}
                wanted = {no: qty for no, qty in wanted.items() if no not in lines}
                parts.append((stored, part))
        if any(wanted.values()):
            lines_left = ", ".join(str(line_no) for line_no in sorted(wanted))
            raise StepFailed(
                "NOT_INVOICED", f"no invoice of order {order_id} has line {lines_left}"
            )
        if not any(part for _, part in parts):
            raise StepFailed("NOTHING_TO_CREDIT", f"nothing of order {order_id} came back")
        return pieces, [(stored, part) for stored, part in parts if part]

    async def _credit(
        self,
        invoice: StoredDocument,
        request: CreditGoods,
        pieces: Pieces,
        returned: dict[int, int],
    ) -> StoredDocument:
        async with self._database.unit_of_work() as session:
            credited = await invoices.credited(session, invoice.id)
            if before := await _note_before(session, invoice, request.source_id):
                return _same(before, returned)
            note = draft_credit_note(
                invoice.document,
                invoice_id=invoice.id,
                source_id=request.source_id,
                reason=request.reason,
                pieces=pieces,
                credited=credited,
                returned=returned,
            )
            return await invoices.issue(session, note, self._clock())

    async def _finished(self, issued: Sequence[StoredDocument]) -> IssuedDocuments:
        for document in issued:
            await self._render(document)
        return IssuedDocuments(documents=[_told(document) for document in issued])

    async def _render(self, stored: StoredDocument) -> None:
        # after the number's transaction: the series must not wait for a PDF
        async with self._database.reading() as session:
            if await invoices.file(session, stored.id) is not None:
                return
        pdf = await asyncio.to_thread(render, stored.document)
        async with self._database.unit_of_work() as session:
            await invoices.store_file(session, stored.id, pdf)


async def _order(session: AsyncSession, order_id: str) -> OrderRecord:
    try:
        return await orders.get(session, order_id)
    except NotFound as missing:
        raise StepFailed("NO_SUCH_ORDER", str(missing)) from missing


async def _note_before(
    session: AsyncSession, invoice: StoredDocument, source_id: str
) -> StoredDocument | None:
    draft = invoice.document.draft
    return await invoices.by_source(
        session, draft.order_id, draft.supplier.id, DocumentKind.CREDIT_NOTE, source_id
    )


def _same(note: StoredDocument, returned: dict[int, int]) -> StoredDocument:
    pieces = {line.line_no: line.qty for line in note.document.draft.lines}
    if pieces != returned:
        raise StepFailed(
            "CREDITED_DIFFERENTLY",
            f"credit note {note.document.number} for {note.document.draft.source_id} has pieces "
            f"{pieces}, not {returned}: use another source for what came later",
        )
    return note


def _told(stored: StoredDocument) -> IssuedDocument:
    draft = stored.document.draft
    return IssuedDocument(
        document_id=stored.id,
        kind=draft.kind,
        seller_id=draft.supplier.id,
        number=stored.document.number,
        payable_paise=draft.payable.paise,
    )
