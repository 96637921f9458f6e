"""The steps of invoicing over PostgreSQL: replays, crashes, and notes that are the refunds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from activities.invoicing import (
    CreditGoods,
    InvoiceOrder,
    InvoicingActivities,
    IssuedDocument,
    RenderMissing,
    service,
)
from db.ids import new_ulid
from db.repositories import invoices, orders
from db.session import Database
from domain.errors import DomainError
from domain.gst import TaxClass
from domain.invoicing import DocumentKind
from domain.money import Money
from domain.orders import OrderState
from domain.pricing import (
    Coupon,
    CouponKind,
    PriceBreakdown,
    PriceLine,
    ShippingRule,
    price_order,
)
from domain.refund_shares import Back, shares_of
from domain.returns import Fault
from saga import Call, StepFailed
from tests.integration.db import gst, shop

ADDRESS = {
    "name": "Asha", "line1": "12 MG Road", "line2": "", "city": "Bengaluru", "state_code": "29",
    "pincode": "560001", "phone": "9800000001",
}  # fmt: skip
TENTH = Coupon(
    code="TEN", kind=CouponKind.PERCENT, value=1033, min_order=Money(1), max_discount=None,
    active_from=shop.NOON, active_to=shop.NOON + timedelta(days=1),
)  # fmt: skip
ALWAYS_PAID = ShippingRule(fee=Money(49_00), free_from=Money(10_00_000_00), supplier_state="29")
CALL = Call(key="key", do_key="key", saga_id="fulfil:1", step="invoice")


class Lost(Exception):
    """The process goes away."""


@pytest_asyncio.fixture(loop_scope="session")
async def books(shop_db: Database) -> Database:
    """The shop, whose seller and platform are registered for GST."""
    await gst.register(shop_db)
    return shop_db


def basket(*quantities: int) -> PriceBreakdown:
    """Lines of several rates under a coupon, with a delivery that is paid for."""
    classes = (TaxClass.STANDARD, TaxClass.ESSENTIAL, TaxClass.ZERO)
    lines = [
        PriceLine(
            sku=(shop.SHIRT, shop.KETTLE)[place % 2], title=f"Thing {place}", qty=qty,
            mrp=Money(2_000_00), unit_price=Money(333_33 + place), tax_class=classes[place % 3],
            hsn="8516", seller_id="seller", seller_state="27",
        )
        for place, qty in enumerate(quantities)
    ]  # fmt: skip
    return price_order(lines, TENTH, "29", shop.NOON, ALWAYS_PAID)


async def sell(db: Database, breakdown: PriceBreakdown, *, confirmed: bool = True) -> str:
    """An order of that price, confirmed unless said otherwise."""
    order = replace(
        shop.new_order(),
        breakdown=breakdown,
        address=ADDRESS,
        listing_ids=[f"l-{priced.line.sku}" for priced in breakdown.lines],
        item_ids=[new_ulid() for _ in breakdown.lines],
    )
    async with db.unit_of_work() as session:
        await orders.create(session, order)
        if confirmed:
            await orders.transition(session, order.id, OrderState.CONFIRMED)
    return order.id


def steps(db: Database) -> InvoicingActivities:
    return InvoicingActivities(db, platform_id="platform", clock=lambda: shop.NOON)


async def pdfs(db: Database) -> dict[str, bytes]:
    return dict(await shop.rows(db, "SELECT document_id, pdf FROM gst_document_files"))


async def invoice_order(db: Database, order_id: str) -> list[IssuedDocument]:
    return (await steps(db).invoice(InvoiceOrder(order_id=order_id), CALL)).documents


async def test_an_order_has_an_invoice_of_each_supplier_and_a_replay_has_the_same(
    books: Database,
) -> None:
    breakdown = basket(2, 1, 3)
    order_id = await sell(books, breakdown)
    first = await invoice_order(books, order_id)
    assert [(made.number, made.seller_id, made.kind) for made in first] == [
        ("DEL/2627/000001", "platform", DocumentKind.INVOICE),
        ("INV/2627/000001", "seller", DocumentKind.INVOICE),
    ]
    assert sum(made.payable_paise for made in first) == breakdown.total.paise
    files = await pdfs(books)
    assert sorted(files) == sorted(made.document_id for made in first)
    assert all(pdf.startswith(b"%PDF-") for pdf in files.values())
    assert await invoice_order(books, order_id) == first
    assert await pdfs(books) == files


async def test_a_crash_between_number_and_pdf_is_made_good(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> bytes:
        raise Lost

    orders_made = [await sell(books, basket(1)) for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(service, "render", crash)
        for order_id in orders_made:
            with pytest.raises(Lost):
                await invoice_order(books, order_id)
    assert await pdfs(books) == {}
    async with books.reading() as session:
        numbered = await invoices.unrendered(session)
    assert len(numbered) == 4
    # the first by the step that runs again, the second by whoever looks for such documents
    again = await invoice_order(books, orders_made[0])
    assert [made.number for made in again] == ["DEL/2627/000001", "INV/2627/000001"]
    assert {made.document_id for made in again} == (await pdfs(books)).keys()
    assert (await steps(books).render_missing(RenderMissing(), CALL)).rendered == 2
    assert (await pdfs(books)).keys() == set(numbered)
    assert (await steps(books).render_missing(RenderMissing(), CALL)).rendered == 0
    assert await shop.rows(books, "SELECT last_seq FROM gst_counters") == [(2,), (2,)]


@pytest.mark.parametrize("seed", range(6))
async def test_any_series_of_returns_credits_what_was_invoiced(books: Database, seed: int) -> None:
    random = Random(seed)
    quantities = [random.randint(1, 4) for _ in range(random.randint(1, 3))]
    breakdown = basket(*quantities)
    order_id = await sell(books, breakdown)
    await invoice_order(books, order_id)
    pieces = [no for no, qty in enumerate(quantities, start=1) for _ in range(qty)]
    random.shuffle(pieces)
    shares, before, credited = shares_of(breakdown), [], 0
    for number, returned in enumerate(parts(random, pieces)):
        request = CreditGoods(
            order_id=order_id, source_id=f"return-{number}", reason="Too small",
            returned=returned, with_delivery=number == 0,
        )  # fmt: skip
        made = await steps(books).credit(request, CALL)
        assert await steps(books).credit(request, CALL) == made
        by_seller = {document.seller_id: document.payable_paise for document in made.documents}
        # the note is what the return refunds
        back = [Back(line_no - 1, qty, Fault.NOBODYS) for line_no, qty in sorted(returned.items())]
        refunds = shares.refund(back, before)
        assert by_seller.pop("seller") == sum(part.share.refund.paise for part in refunds)
        assert by_seller == ({"platform": shares.shipping.refund.paise} if number == 0 else {})
        before += back
        credited += sum(document.payable_paise for document in made.documents)
    assert credited == breakdown.total.paise
    by_kind = await gst.sums_by_kind(books)
    assert by_kind["CREDIT_NOTE"] == by_kind["INVOICE"]
    with pytest.raises(StepFailed) as refusal:
        await steps(books).credit(
            CreditGoods(order_id=order_id, source_id="more", reason="", returned={1: 1}), CALL
        )
    assert refusal.value.code == "CREDIT_TOO_LARGE"


def parts(random: Random, pieces: Sequence[int]) -> list[dict[int, int]]:
    """The pieces in parts of random size, each as line number → pieces."""
    left, made = list(pieces), []
    while left:
        many = random.randint(1, len(left))
        part, left = left[:many], left[many:]
        made.append({line_no: part.count(line_no) for line_no in part})
    return made


async def test_one_return_is_not_credited_with_two_contents(books: Database) -> None:
    order_id = await sell(books, basket(3))
    await invoice_order(books, order_id)
    request = CreditGoods(order_id=order_id, source_id="r1", reason="Too small", returned={1: 1})
    await steps(books).credit(request, CALL)
    with pytest.raises(StepFailed, match=r"has pieces \{1: 1\}, not \{1: 2\}") as refusal:
        await steps(books).credit(request.model_copy(update={"returned": {1: 2}}), CALL)
    assert refusal.value.code == "CREDITED_DIFFERENTLY"
    assert await shop.rows(books, "SELECT count(*) FROM gst_documents") == [(3,)]


@pytest.mark.parametrize(
    ("returned", "code"),
    [({9: 1}, "NOT_INVOICED"), ({1: 0}, "NOTHING_TO_CREDIT"), ({1: 4}, "CREDIT_TOO_LARGE")],
)
async def test_what_was_not_invoiced_is_not_credited(
    books: Database, returned: dict[int, int], code: str
) -> None:
    order_id = await sell(books, basket(3))
    await invoice_order(books, order_id)
    request = CreditGoods(order_id=order_id, source_id="r1", reason="", returned=returned)
    with pytest.raises(StepFailed) as refusal:
        await steps(books).credit(request, CALL)
    assert refusal.value.code == code
    assert await shop.rows(books, "SELECT count(*) FROM gst_documents") == [(2,)]


async def failure_of(db: Database, order_id: str) -> StepFailed:
    with pytest.raises(StepFailed) as refusal:
        await invoice_order(db, order_id)
    assert await shop.rows(db, "SELECT count(*) FROM gst_documents") == [(0,)]
    return refusal.value


async def test_an_order_that_was_not_sold_has_no_invoice(books: Database) -> None:
    order_id = await sell(books, basket(1), confirmed=False)
    assert (await failure_of(books, order_id)).code == "ORDER_NOT_SOLD"
    missing = await failure_of(books, "none")
    assert (missing.code, "no order 'none'" in str(missing)) == ("NO_SUCH_ORDER", True)


async def test_a_seller_that_is_not_registered_is_named(shop_db: Database) -> None:
    async with shop_db.unit_of_work() as session:
        await invoices.register_supplier(session, gst.PLATFORM)
    order_id = await sell(shop_db, basket(1))
    failed = await failure_of(shop_db, order_id)
    assert (failed.code, "GST supplier 'seller'" in str(failed)) == (
        "SUPPLIER_NOT_REGISTERED",
        True,
    )


async def test_a_wrong_registration_is_refused(shop_db: Database) -> None:
    wrong: dict[str, Any] = {"gstin": "29AAACS1234A1Z5"}
    with pytest.raises(DomainError, match="GSTIN of another state"):
        async with shop_db.unit_of_work() as session:
            await invoices.register_supplier(session, replace(gst.SELLER, **wrong))
    assert await shop.rows(shop_db, "SELECT count(*) FROM gst_suppliers") == [(0,)]
