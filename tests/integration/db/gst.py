"""Registered suppliers and their documents, for the tests of both."""

from __future__ import annotations

from datetime import datetime

from db.repositories import invoices, orders
from db.repositories.invoices import StoredDocument
from db.session import Database
from domain.invoicing import (
    Draft,
    Recipient,
    Sold,
    Supplier,
    draft_credit_note,
    draft_invoices,
)
from domain.money import Money
from tests.integration.db import shop
from tests.unit.domain.test_invoicing import line, pieces_of

SELLER = Supplier(
    id="seller",
    legal_name="Sahyadri Retail Private Limited",
    gstin="27AAACS1234A1Z5",
    address=("Saki Vihar Road", "Mumbai 421302"),
    state_code="27",
)
PLATFORM = Supplier(
    id="platform",
    legal_name="SagaKart Services Private Limited",
    gstin="29AADCS4821K1ZI",
    address=("12 Residency Road", "Bengaluru 560025"),
    state_code="29",
    invoice_prefix="DEL",
    credit_note_prefix="DCN",
)
HOME = Recipient(name="Asha", address=("12 MG Road", "Bengaluru 560001"), state_code="29")


async def register(db: Database) -> None:
    """The shop's seller, and the platform that delivers."""
    async with db.unit_of_work() as session:
        await invoices.register_supplier(session, SELLER)
        await invoices.register_supplier(session, PLATFORM)


async def order_ids(db: Database, count: int) -> list[str]:
    """That many orders, written at once."""
    placed = [shop.new_order() for _ in range(count)]
    async with db.unit_of_work() as session:
        for order in placed:
            await orders.create(session, order)
    return [order.id for order in placed]


def a_draft(order_id: str, *, qty: int = 3) -> Draft:
    (draft,) = draft_invoices(
        order_id, HOME, [Sold("seller", line(qty=qty), Money(0))], {"seller": SELLER}
    )
    return draft


async def issue(db: Database, draft: Draft, at: datetime = shop.NOON) -> StoredDocument:
    async with db.unit_of_work() as session:
        return await invoices.issue(session, draft, at)


async def credit(
    db: Database, invoice: StoredDocument, source_id: str, returned: dict[int, int]
) -> StoredDocument:
    async with db.unit_of_work() as session:
        credited = await invoices.credited(session, invoice.id)
        note = draft_credit_note(
            invoice.document, invoice_id=invoice.id, source_id=source_id, reason="Too small",
            pieces=pieces_of(*invoice.document.draft.lines), credited=credited, returned=returned,
        )  # fmt: skip
        return await invoices.issue(session, note, shop.NOON)


async def sums_by_kind(db: Database) -> dict[str, tuple[int, ...]]:
    found = await shop.rows(
        db,
        """
        SELECT kind, sum(taxable_paise)::bigint, sum(cgst_paise)::bigint, sum(sgst_paise)::bigint,
               sum(igst_paise)::bigint, sum(round_off_paise)::bigint, sum(payable_paise)::bigint
        FROM gst_documents GROUP BY kind
        """,
    )
    return {kind: tuple(amounts) for kind, *amounts in found}
