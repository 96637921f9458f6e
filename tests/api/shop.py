"""A small shop: two sellers, two warehouses, a shirt, a kettle, and two customers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import text

from db import models
from db.ids import new_ulid, stable_ulid
from db.repositories import orders, payments, stock, users
from db.session import Database
from db.vocabulary import Role
from domain.gst import TaxClass
from domain.money import Money
from domain.payments import PaymentMethod, PaymentState
from domain.pricing import PriceLine, price_order

_THEN = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)


def ulid(name: str) -> str:
    return stable_ulid(_THEN, name)


ASHA, ROHAN, AGENT, LEAD = ulid("asha"), ulid("rohan"), ulid("agent"), ulid("lead")
HOME, ELSEWHERE = ulid("home"), ulid("elsewhere")
SAHYADRI, DECCAN = ulid("sahyadri"), ulid("deccan")
SHIRT_PAGE, KETTLE_PAGE = ulid("shirt page"), ulid("kettle page")
SHIRT, KETTLE = "SHIRT-M", "KETTLE"
_ROLES = {ASHA: Role.CUSTOMER, ROHAN: Role.CUSTOMER, AGENT: Role.SUPPORT, LEAD: Role.ADMIN}
_NAMES = {ASHA: "asha", ROHAN: "rohan", AGENT: "agent", LEAD: "lead"}


async def open_shop(db: Database) -> None:
    async with db.unit_of_work() as session:
        for key, name in ((SAHYADRI, "Sahyadri"), (DECCAN, "Deccan")):
            session.add(models.Seller(
                id=key, legal_name=f"{name} Retail Private Limited", display_name=name,
                gstin=f"27AAAC{name[0]}1234A1Z5", state_code="27", pincode="421302",
            ))  # fmt: skip
        session.add(models.Category(
            id="things", parent_id=None, name="Things", path="Things", depth=1,
        ))  # fmt: skip
        for code, pincode in (("BLR", "562149"), ("DEL", "122503")):
            session.add(models.Warehouse(
                id=code, code=code, name=code, pincode=pincode, state_code="29",
            ))  # fmt: skip
        await session.flush()
        session.add(models.Category(
            id="shirts", parent_id="things", name="Shirts", path="Things >> Shirts", depth=2,
        ))  # fmt: skip
        await session.flush()
        for page, category, title in (
            (SHIRT_PAGE, "shirts", "Cotton shirt"), (KETTLE_PAGE, "things", "Kettle, 100% steel"),
        ):  # fmt: skip
            session.add(models.Product(
                id=page, external_id=title, seller_id=SAHYADRI, category_id=category, title=title,
                brand="Sahyadri", tax_class=TaxClass.STANDARD, hsn="8516",
            ))  # fmt: skip
        await session.flush()
        for sku, page, mrp in ((SHIRT, SHIRT_PAGE, 999_00), (KETTLE, KETTLE_PAGE, 2_000_00)):
            session.add(models.Variant(sku=sku, product_id=page, mrp_paise=mrp, grams=500))
        await session.flush()
        for sku, seller, price in (
            (SHIRT, SAHYADRI, 599_00), (SHIRT, DECCAN, 649_00), (KETTLE, SAHYADRI, 1_299_00),
        ):  # fmt: skip
            session.add(models.Listing(
                id=ulid(sku + seller), sku=sku, seller_id=seller, price_paise=price,
            ))  # fmt: skip
        await session.flush()
        await stock.receive(session, SHIRT, "BLR", 3, "first/shirt/blr")
        await stock.receive(session, SHIRT, "DEL", 4, "first/shirt/del")
        for key, role in _ROLES.items():
            name = _NAMES[key]
            await users.add(session, users.NewUser(
                id=key, email=f"{name}@example.in", phone=None, name=name.title(),
                password_hash="no hash", role=role,
            ))  # fmt: skip
        for key, user in ((HOME, ASHA), (ELSEWHERE, ROHAN)):
            await users.add_address(session, users.NewAddress(
                id=key, user_id=user, name="Home", line1="12 MG Road", line2="", city="Bengaluru",
                state_code="29", pincode="560001", phone="9800000001",
            ))  # fmt: skip


def order_body(**changes: Any) -> dict[str, Any]:
    return {
        "lines": [{"sku": SHIRT, "qty": 1}],
        "address_id": HOME,
        "payment": {"method": "CARD", "instrument": "tok_ok"},
        **changes,
    }


async def written_order(
    db: Database, user_id: str = ASHA, *, order_id: str = "", **fields: Any
) -> str:
    """An order's row, as its saga would write it; `fields` are set afterwards."""
    order_id = order_id or new_ulid()
    line = PriceLine(
        sku=SHIRT, title="Cotton shirt", qty=1, mrp=Money(999_00), unit_price=Money(599_00),
        tax_class=TaxClass.STANDARD, hsn="8516", seller_id=SAHYADRI, seller_state="27",
    )  # fmt: skip
    async with db.unit_of_work() as session:
        await orders.create(session, orders.NewOrder(
            id=order_id, user_id=user_id, breakdown=price_order([line], None, "29", _THEN),
            listing_ids=[ulid(SHIRT + SAHYADRI)], pincode="560001",
            payment_method=PaymentMethod.CARD, address={"pincode": "560001"},
            saga_id=f"checkout:{order_id}", item_ids=[new_ulid()],
        ))  # fmt: skip
        for column, value in fields.items():
            statement = f"UPDATE orders SET {column} = :value WHERE id = :id"  # noqa: S608
            await session.execute(text(statement), {"value": value, "id": order_id})
    return order_id


async def counts(db: Database) -> dict[str, int]:
    """How many rows each table has."""
    async with db.reading() as session:
        names = await session.scalars(text(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ))  # fmt: skip
        return {
            name: await session.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0  # noqa: S608
            for name in names.all()
        }


async def rows(db: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with db.reading() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that an answer is this problem, whole; gives its body."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:sagakart:problem:{code}"
    assert body["title"]
    assert body["detail"].endswith((".", ":")) or body["detail"]
    assert body["instance"].startswith("urn:sagakart:request:")
    return body


def luhn_number(prefix: str = "411111111111111") -> str:
    """A card number of the tests: `prefix` with its check digit."""
    for last in "0123456789":
        digits = [int(letter) for letter in reversed(prefix + last)]
        doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2])
        if (sum(digits[::2]) + sum(doubled)) % 10 == 0:
            return prefix + last
    raise AssertionError


def forged(token: str, **claims: str) -> str:
    """The token with another signature."""
    head, body, _ = token.split(".")
    return f"{head}.{body}.{base64.urlsafe_b64encode(b'x' * 32).decode().rstrip('=')}"


async def sold_order(db: Database) -> str:
    """A confirmed order of 599 rupees, taken by its one attempt."""
    order_id = await written_order(db, confirmed_at=_THEN, state="CONFIRMED")
    async with db.unit_of_work() as session:
        await payments.open_payment(session, payments.NewPayment(
            id=f"p-{order_id}", order_id=order_id, method=PaymentMethod.CARD, amount_paise=599_00,
        ))  # fmt: skip
        await payments.add_attempt(session, payments.NewAttempt(
            id=f"{order_id}-1", payment_id=f"p-{order_id}", order_id=order_id, seq=1,
            psp="alphapay", amount_paise=599_00, merchant_ref=f"{order_id}-1",
        ))  # fmt: skip
        await payments.change_attempt(session, f"{order_id}-1", payments.AttemptChange(
            state=PaymentState.CAPTURED, captured_paise=599_00,
        ))  # fmt: skip
    return order_id
