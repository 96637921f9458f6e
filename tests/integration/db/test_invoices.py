"""GST documents in PostgreSQL: no gaps, no second document, no change, and credits that add up."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.errors import NotFound, constraint_of
from db.repositories import invoices
from db.repositories.invoices import StoredDocument
from db.session import Database
from domain.errors import DomainError
from domain.invoicing import Sold, draft_credit_note, draft_invoices
from domain.money import Money
from tests.integration.db import gst, shop
from tests.unit.domain.test_invoicing import line, pieces_of


class Lost(Exception):
    """The transaction's own process goes away."""


@pytest_asyncio.fixture(loop_scope="session")
async def books(shop_db: Database) -> Database:
    """The shop, whose seller and platform are registered for GST."""
    await gst.register(shop_db)
    return shop_db


async def numbers(db: Database) -> list[tuple[Any, ...]]:
    return await shop.rows(
        db, "SELECT seq, number FROM gst_documents ORDER BY seller_id, kind, seq"
    )


def wanted(count: int) -> list[tuple[int, str]]:
    return [(seq, f"INV/2627/{seq:06d}") for seq in range(1, count + 1)]


async def test_a_hundred_at_once_and_lost_ones_between_leave_no_gap(books: Database) -> None:
    ids = await gst.order_ids(books, 130)

    async def one(place: int, order_id: str) -> None:
        async with books.unit_of_work() as session:
            await invoices.issue(session, gst.a_draft(order_id), shop.NOON)
            if place % 13 < 3:
                raise Lost

    ended = await asyncio.gather(
        *(one(place, order_id) for place, order_id in enumerate(ids)), return_exceptions=True
    )
    assert sorted(repr(end) for end in ended) == ["Lost()"] * 30 + ["None"] * 100
    assert await numbers(books) == wanted(100)
    assert await shop.rows(books, "SELECT last_seq FROM gst_counters") == [(100,)]


async def test_a_connection_that_dies_gives_its_number_back(books: Database) -> None:
    first, second = await gst.order_ids(books, 2)
    taken: list[str] = []

    async def dies() -> None:
        async with books.unit_of_work() as session:
            taken.append(
                (await invoices.issue(session, gst.a_draft(first), shop.NOON)).document.number
            )
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DBAPIError):
        await dies()
    assert taken == ["INV/2627/000001"]
    assert (await gst.issue(books, gst.a_draft(second))).document.number == "INV/2627/000001"
    assert (await gst.issue(books, gst.a_draft(first))).document.number == "INV/2627/000002"
    assert await numbers(books) == wanted(2)


async def test_the_same_order_twenty_times_at_once_is_one_invoice(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    made = await asyncio.gather(*(gst.issue(books, gst.a_draft(order_id)) for _ in range(20)))
    assert made == [made[0]] * 20
    assert await numbers(books) == wanted(1)
    assert await shop.rows(books, "SELECT last_seq FROM gst_counters") == [(1,)]


async def test_what_is_stored_is_what_was_issued(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    stored = await gst.issue(books, gst.a_draft(order_id))
    async with books.reading() as session:
        assert await invoices.get(session, stored.id) == stored
        assert await invoices.of_order(session, order_id) == (stored,)
        with pytest.raises(NotFound, match="no GST document 'none'"):
            await invoices.get(session, "none")
    ((content, sha256),) = await shop.rows(
        books, "SELECT content, content_sha256 FROM gst_documents"
    )
    assert hashlib.sha256(content.encode()).hexdigest() == sha256 == stored.content_sha256


async def test_each_year_kind_and_supplier_counts_for_itself(books: Database) -> None:
    first, second, third = await gst.order_ids(books, 3)
    old = datetime(2026, 3, 31, 18, 29, tzinfo=UTC)
    march = await gst.issue(books, gst.a_draft(first), old)
    april = await gst.issue(books, gst.a_draft(second), old + timedelta(minutes=1))
    assert (march.document.number, april.document.number) == ("INV/2526/000001", "INV/2627/000001")
    note = await gst.credit(books, april, "r1", {1: 1})
    assert note.document.number == "CRN/2627/000001"
    fee = replace(line(1, states=("29", "29")), hsn="996812")
    (delivery,) = draft_invoices(
        third, gst.HOME, [Sold("platform", fee, Money(0))], {"platform": gst.PLATFORM}
    )
    assert (await gst.issue(books, delivery)).document.number == "DEL/2627/000001"
    # a replay in the new year finds the old year's
    assert await gst.issue(books, gst.a_draft(first)) == march


async def test_a_later_number_has_no_earlier_date(books: Database) -> None:
    first, second, third = await gst.order_ids(books, 3)
    await gst.issue(books, gst.a_draft(first), shop.NOON)
    late = await gst.issue(books, gst.a_draft(second), shop.NOON - timedelta(days=1))
    assert late.document.issued_at == shop.NOON
    after = await gst.issue(books, gst.a_draft(third), shop.NOON + timedelta(days=1))
    assert after.document.issued_at == shop.NOON + timedelta(days=1)


async def test_a_full_series_refuses_and_stays_as_it_is(books: Database) -> None:
    async with books.unit_of_work() as session:
        short = replace(gst.SELLER, invoice_prefix="LONGX")
        await invoices.register_supplier(session, short)
    (order_id,) = await gst.order_ids(books, 1)
    await shop.run(
        books, "INSERT INTO gst_counters VALUES ('seller', 2026, 'INVOICE', 99999, now())"
    )
    with pytest.raises(DomainError, match="give a shorter prefix") as refusal:
        await gst.issue(books, replace(gst.a_draft(order_id), supplier=short))
    assert refusal.value.code == "SERIES_FULL"
    assert await numbers(books) == []
    assert await shop.rows(books, "SELECT last_seq FROM gst_counters") == [(99999,)]


async def test_a_counter_that_somebody_moved_cannot_make_a_gap(books: Database) -> None:
    first, second = await gst.order_ids(books, 2)
    await gst.issue(books, gst.a_draft(first))
    await shop.run(books, "UPDATE gst_counters SET last_seq = 5")
    with pytest.raises(IntegrityError) as refusal:
        await gst.issue(books, gst.a_draft(second))
    assert constraint_of(refusal.value) == "gst_documents_consecutive"
    await shop.run(books, "UPDATE gst_counters SET last_seq = 0")
    with pytest.raises(IntegrityError) as refusal:
        await gst.issue(books, gst.a_draft(second))
    assert constraint_of(refusal.value) == "uq_gst_documents_seller_id_financial_year_kind_seq"
    assert await numbers(books) == wanted(1)


@pytest.mark.parametrize("table", ["gst_documents", "gst_document_lines", "gst_document_files"])
@pytest.mark.parametrize(
    "change", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {} = {}"]
)
async def test_documents_never_change(books: Database, table: str, change: str) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    stored = await gst.issue(books, gst.a_draft(order_id))
    async with books.unit_of_work() as session:
        await invoices.store_file(session, stored.id, b"%PDF")
    before = await shop.rows(books, f"SELECT * FROM {table}")  # noqa: S608
    column = {"gst_documents": "content", "gst_document_lines": "qty"}.get(table, "pdf")
    with pytest.raises(DBAPIError, match="append-only") as refusal:
        await shop.run(books, change.format(table, column, column))
    assert "append_only" in (constraint_of(refusal.value) or "")
    assert await shop.rows(books, f"SELECT * FROM {table}") == before != []  # noqa: S608


async def test_content_and_pdf_agree_with_their_hashes_or_are_refused(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    stored = await gst.issue(books, gst.a_draft(order_id))
    with pytest.raises(IntegrityError) as refusal:
        await shop.run(
            books,
            "INSERT INTO gst_document_files (document_id, pdf, sha256) VALUES (:id, 'x', 'y')",
            id=stored.id,
        )
    assert constraint_of(refusal.value) == "ck_gst_document_files_sha256"
    with pytest.raises(IntegrityError) as refusal:
        await shop.run(
            books,
            """
            INSERT INTO gst_documents
            SELECT 'other', kind, order_id, seller_id, source_id, invoice_id, financial_year, 2,
                   'INV/2627/000002', issued_at, currency, taxable_paise, cgst_paise, sgst_paise,
                   igst_paise, round_off_paise, payable_paise, content || ' ', content_sha256
            FROM gst_documents
            """,
        )
    assert constraint_of(refusal.value) == "ck_gst_documents_content"


async def test_the_first_pdf_stays(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    stored = await gst.issue(books, gst.a_draft(order_id))
    async with books.unit_of_work() as session:
        first = await invoices.store_file(session, stored.id, b"%PDF first")
        again = await invoices.store_file(session, stored.id, b"%PDF second")
    assert first == again
    assert first.sha256 == hashlib.sha256(b"%PDF first").hexdigest()


async def test_new_details_of_a_supplier_are_for_new_documents(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    stored = await gst.issue(books, gst.a_draft(order_id))
    moved = replace(gst.SELLER, legal_name="Sahyadri Commerce Limited")
    async with books.unit_of_work() as session:
        await invoices.register_supplier(session, moved)
        assert await invoices.suppliers(session, {"seller"}) == {"seller": moved}
        assert (await invoices.get(session, stored.id)).document.draft.supplier == gst.SELLER
        with pytest.raises(NotFound, match="'nobody'"):
            await invoices.suppliers(session, {"seller", "nobody"})


async def test_pieces_returned_at_once_are_each_credited_once(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    invoice = await gst.issue(books, gst.a_draft(order_id, qty=7))
    ended = await asyncio.gather(
        *(gst.credit(books, invoice, f"r{n}", {1: 1}) for n in range(9)), return_exceptions=True
    )
    refused = [end.code for end in ended if isinstance(end, DomainError)]
    assert refused == ["CREDIT_TOO_LARGE"] * 2
    assert await gst.sums_by_kind(books) == {
        "INVOICE": amounts_of(invoice), "CREDIT_NOTE": amounts_of(invoice)
    }  # fmt: skip
    notes = [end.document.number for end in ended if isinstance(end, StoredDocument)]
    assert sorted(notes) == [f"CRN/2627/{seq:06d}" for seq in range(1, 8)]


async def test_a_credit_that_does_not_fit_is_refused_whoever_writes(books: Database) -> None:
    (order_id,) = await gst.order_ids(books, 1)
    invoice = await gst.issue(books, gst.a_draft(order_id))
    too_much = draft_credit_note(
        invoice.document, invoice_id=invoice.id, source_id="r1", reason="",
        pieces=pieces_of(*invoice.document.draft.lines), credited={}, returned={1: 3},
    )  # fmt: skip
    (all_of_it,) = too_much.lines
    for wrong in (replace(all_of_it, qty=4), replace(all_of_it, igst=all_of_it.igst + Money(1))):
        with pytest.raises(IntegrityError) as refusal:
            await gst.issue(books, replace(too_much, lines=(wrong,)))
        assert constraint_of(refusal.value) == "gst_credits_fit"
    assert await numbers(books) == wanted(1)


def amounts_of(stored: StoredDocument) -> tuple[int, ...]:
    draft = stored.document.draft
    sums = draft.sums
    amounts = (sums.taxable, sums.cgst, sums.sgst, sums.igst, draft.round_off, draft.payable)
    return tuple(amount.paise for amount in amounts)
