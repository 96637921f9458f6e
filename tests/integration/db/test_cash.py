"""Cash on delivery: limits by PIN code, and its way from the door to the carrier."""

from __future__ import annotations

import pytest

from activities.payments import cash
from activities.payments.books import book_cash_due
from activities.payments.cash import CashNotDue
from db.repositories import cash as limits
from db.repositories import ledger, payments
from db.repositories.payments import NewPayment
from db.session import Database
from domain.payments import PaymentMethod, PaymentState
from tests.integration.db import shop
from workflows.contracts.payments import PaymentAuthorised

PRICE = 599_00


async def due(db: Database) -> str:
    """An order whose price is due in cash."""
    order_id = await shop.placed(db)
    async with db.unit_of_work() as session:
        payment = await payments.open_payment(
            session,
            NewPayment(
                id="p",
                order_id=order_id,
                method=PaymentMethod.COD,
                amount_paise=PRICE,
                state=PaymentState.COD_DUE,
            ),
        )
        await book_cash_due(
            session,
            PaymentAuthorised(
                payment_id=payment.id,
                order_id=order_id,
                attempt_id="",
                psp="cod",
                ref="",
                state=PaymentState.COD_DUE,
                amount_paise=PRICE,
                currency="INR",
            ),
        )
    return order_id


async def accounts(db: Database, order_id: str) -> dict[str, int]:
    async with db.reading() as session:
        lines = await ledger.of_order(session, order_id)
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.account] = sums.get(line.account, 0) + line.amount_paise
    return {account: paise for account, paise in sums.items() if paise}


async def test_from_the_door_to_the_carrier_once(shop_db: Database) -> None:
    order_id = await due(shop_db)
    owed = f"order:{order_id}"
    assert await accounts(shop_db, order_id) == {"cod:due": PRICE, owed: -PRICE}
    for first in (True, False):
        async with shop_db.unit_of_work() as session:
            assert await cash.collected(session, order_id, "swift", PRICE) is first
        assert await accounts(shop_db, order_id) == {"carrier:swift": PRICE, owed: -PRICE}
    async with shop_db.reading() as session:
        payment = await payments.of_order(session, order_id)
    assert payment is not None
    assert payment.state is PaymentState.COD_COLLECTED


@pytest.mark.parametrize("paise", [PRICE - 1, PRICE + 1])
async def test_another_amount_is_refused_and_booked_nowhere(shop_db: Database, paise: int) -> None:
    order_id = await due(shop_db)
    with pytest.raises(CashNotDue, match=f"{paise} paise were collected, and {PRICE} are due"):
        async with shop_db.unit_of_work() as session:
            await cash.collected(session, order_id, "swift", paise)
    assert (await accounts(shop_db, order_id))["cod:due"] == PRICE


async def test_an_order_that_owes_no_cash(shop_db: Database) -> None:
    order_id = await shop.placed(shop_db)
    with pytest.raises(CashNotDue, match="owes no cash"):
        async with shop_db.unit_of_work() as session:
            await cash.collected(session, order_id, "swift", PRICE)


async def test_the_longest_prefix_sets_the_limit(shop_db: Database) -> None:
    async with shop_db.unit_of_work() as session:
        assert await limits.limit(session, "560001") == 50_000_00
        await limits.set_limit(session, "56", 10_000_00)
        await limits.set_limit(session, "560001", 0)
        assert await limits.limit(session, "560001") == 0
        assert await limits.limit(session, "560002") == 10_000_00
        assert await limits.limit(session, "110001") == 50_000_00
        assert await limits.limits(session) == {"56": 10_000_00, "560001": 0}
