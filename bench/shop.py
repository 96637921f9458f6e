"""A shop to buy from: so many customers and products that nothing but the checkout is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from api.tokens import AccessTokens
from bench.errors import CannotMeasure
from db.ids import new_ulid
from db.importing import writer
from db.importing.rows import EPOCH, ImportReport, NewProduct, NewVariant
from db.session import Database
from db.sql import execute, sql
from db.vocabulary import Role
from domain.gst import TaxClass
from domain.pincode import state_code_for

SKUS: Final = 500
UNITS: Final = 100_000
# Risk holds a customer's tenth order of an hour for an agent.
ORDERS_EACH: Final = 9
_TOKEN_SECONDS: Final = 6 * 3600
_PINCODES: Final = (
    "110001", "122001", "201301", "302001", "380001", "400001", "411001", "440001", "452001",
    "462001", "500001", "530001", "560001", "600001", "641001", "682001", "700001", "751001",
    "781001", "800001",
)  # fmt: skip

_USERS = sql(
    """
    INSERT INTO users (id, email, name, password_hash, role)
    SELECT id, lower(id) || '@bench.invalid', 'Customer', '!', 'customer'
    FROM unnest(CAST(:ids AS text[])) AS u (id)
    """
)
_ADDRESSES = sql(
    """
    INSERT INTO addresses (id, user_id, name, line1, city, state_code, pincode, phone)
    SELECT id, user_id, 'Customer', 'House 1', 'City', state_code, pincode, '+919800000000'
    FROM unnest(CAST(:ids AS text[]), CAST(:user_ids AS text[]), CAST(:states AS text[]),
                CAST(:pincodes AS text[])) AS a (id, user_id, state_code, pincode)
    """
)
# What a database that has run for a minute knows of its tables.
_ANALYZE = sql("ANALYZE")


class SoldOut(CannotMeasure):
    """The measurement is longer than the customers were made for."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who buys and where to: the header that says so, and the address's id."""

    authorisation: bytes
    address_id: str


@dataclass(frozen=True, slots=True)
class Order:
    """One request: its header lines and its body."""

    headers: bytes
    body: bytes


class Shop:
    """Gives out orders that are all different, and all of which can be confirmed."""

    def __init__(self, customers: list[Customer], skus: list[str]) -> None:
        self._customers = customers
        self._skus = skus
        self._orders = self._made()

    def next_order(self) -> Order:
        """One or two lines in turn, paid by card; raises SoldOut."""
        try:
            return next(self._orders)
        except StopIteration:
            raise SoldOut(
                f"{len(self._customers)} customers have bought {ORDERS_EACH} times each, "
                "and more would be held as suspicious; take fewer --seconds"
            ) from None

    def _made(self) -> Iterator[Order]:
        skus = count()
        for turn in range(ORDERS_EACH):
            for customer in self._customers:
                lines = [self._skus[next(skus) % len(self._skus)] for _ in range(1 + turn % 2)]
                yield _order(customer, lines)


async def open_shop(database: Database, jwt_secret: str, customers: int) -> Shop:
    """Stock the shelves and make customers, as if they had signed up and logged in."""
    skus = [f"BENCH-{number:04}" for number in range(SKUS)]
    async with database.unit_of_work() as session:
        await writer.prepare(session)
        await writer.write(session, [_product(sku) for sku in skus], ImportReport())
        made = await _customers(session, jwt_secret, customers)
        await execute(session, _ANALYZE)
    return Shop(made, skus)


async def _customers(session: "AsyncSession", jwt_secret: str, number: int) -> list[Customer]:
    users = [new_ulid() for _ in range(number)]
    addresses = [new_ulid() for _ in users]
    pincodes = [_PINCODES[place % len(_PINCODES)] for place in range(number)]
    await execute(session, _USERS, ids=users)
    await execute(
        session,
        _ADDRESSES,
        ids=addresses,
        user_ids=users,
        states=[state_code_for(pincode) for pincode in pincodes],
        pincodes=pincodes,
    )
    tokens, now = AccessTokens(jwt_secret, _TOKEN_SECONDS), datetime.now(UTC)
    return [
        Customer(
            f"Authorization: Bearer {tokens.issue(user, Role.CUSTOMER, now)}\r\n".encode(), address
        )
        for user, address in zip(users, addresses, strict=True)
    ]


def _order(customer: Customer, skus: list[str]) -> Order:
    wanted = {
        "lines": [{"sku": sku, "qty": 1} for sku in skus],
        "address_id": customer.address_id,
        "payment": {"method": "CARD", "instrument": "tok_ok"},
    }
    key = f"Idempotency-Key: {new_ulid()}\r\n".encode()
    return Order(customer.authorisation + key, orjson.dumps(wanted))


def _product(sku: str) -> NewProduct:
    variant = NewVariant(
        sku=sku, attributes={}, mrp_paise=99_900, price_paise=79_900, grams=300, stock=UNITS
    )
    return NewProduct(
        line=0,
        external_id=sku,
        made_at=EPOCH,
        title=f"Notebook {sku}",
        brand=None,
        category=("Pens & Stationery", "Office Supplies"),
        description="",
        tax_class=TaxClass.STANDARD,
        hsn="9608",
        image_urls=(),
        specifications={},
        rating=None,
        variants=(variant,),
    )
