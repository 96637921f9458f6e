"""The order's own steps. Each is one transaction with the event that tells of it."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.guard import once, once_only, take_back
from activities.orders.quote import quote
from db.errors import NotFound
from db.ids import new_ulid
from db.repositories import cash, orders, outbox, sagas, users
from db.repositories.orders import NewOrder
from db.repositories.steps import Undoing
from db.session import Database
from domain.money import Money
from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import Call, StepFailed, Undo, implements
from workflows.contracts import orders as contract
from workflows.contracts.ids import CHECKOUT, checkout_id
from workflows.contracts.orders import (
    ConfirmOrder,
    MarkOrder,
    OpenedOrder,
    OpenOrder,
    StockLine,
    end_state,
)

TOPIC = "orders"


class OrderActivities:
    """Orders in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @implements(contract.OPEN)
    async def open(self, order: OpenOrder, call: Call) -> OpenedOrder:
        """Check prices again and write the order's first row."""
        return await once(
            self._database, call, OpenedOrder, lambda session: _open(session, order, call)
        )

    @implements(contract.CANCEL)
    async def cancel(self, undo: Undo[OpenOrder, OpenedOrder], call: Call) -> None:
        """End the order, with the reason that its customer is told."""

        async def end(session: AsyncSession, _: Undoing) -> None:
            order_id, state = undo.input.order_id, end_state(undo.code)
            await orders.transition(
                session,
                order_id,
                state,
                refusal_code=undo.code or "ROLLED_BACK",
                refusal_reason=undo.message,
            )
            await _tell(session, call, order_id, state, {"code": undo.code})

        await take_back(self._database, call, end)

    @implements(contract.MARK)
    async def mark(self, mark: MarkOrder, call: Call) -> None:
        """Move the order to a state on the way."""

        async def move(session: AsyncSession) -> None:
            await orders.transition(session, mark.order_id, mark.state)
            await _tell(session, call, mark.order_id, mark.state, {"note": mark.note})

        await once_only(self._database, call, move)

    @implements(contract.CONFIRM)
    async def confirm(self, confirm: ConfirmOrder, call: Call) -> None:
        """Confirm the order; its event is what hands it over to fulfilment."""

        async def move(session: AsyncSession) -> None:
            await orders.transition(session, confirm.order_id, OrderState.CONFIRMED)
            await _tell(session, call, confirm.order_id, OrderState.CONFIRMED, {})

        await once_only(self._database, call, move)


async def _open(session: AsyncSession, order: OpenOrder, call: Call) -> OpenedOrder:
    try:
        address = await users.address(session, order.user_id, order.address_id)
    except NotFound as missing:
        raise StepFailed("ADDRESS_UNKNOWN", "choose one of your own addresses") from missing
    priced = await quote(session, order, delivery_state=address.state_code, at=datetime.now(UTC))
    total = priced.breakdown.total
    if order.expected_total_paise not in (None, total.paise):
        raise StepFailed(
            "PRICE_CHANGED", f"the total is now {total.in_rupees()}: look at it and order again"
        )
    if order.payment_method is PaymentMethod.COD:
        await _check_cash(session, total, address.pincode)
    await sagas.begin(
        session, call.saga_id, kind=CHECKOUT, order_id=order.order_id, customer_id=order.user_id
    )
    await orders.create(
        session,
        NewOrder(
            id=order.order_id,
            user_id=order.user_id,
            breakdown=priced.breakdown,
            listing_ids=priced.listing_ids,
            pincode=address.pincode,
            payment_method=order.payment_method,
            address={
                name: getattr(address, name)
                for name in ("name", "line1", "line2", "city", "state_code", "pincode", "phone")
            },
            saga_id=checkout_id(order.order_id),
            item_ids=tuple(new_ulid() for _ in order.lines),
        ),
    )
    await _tell(session, call, order.order_id, OrderState.CREATED, {"total_paise": total.paise})
    wanted: Counter[str] = Counter()
    for line in order.lines:
        wanted[line.sku] += line.qty
    return OpenedOrder(
        order_id=order.order_id,
        total_paise=total.paise,
        currency=total.currency,
        pincode=address.pincode,
        lines=[StockLine(sku=sku, qty=qty) for sku, qty in sorted(wanted.items())],
    )


async def _check_cash(session: AsyncSession, total: Money, pincode: str) -> None:
    most = Money(await cash.limit(session, pincode), total.currency)
    if total.paise > most.paise:
        why = f"up to {most.in_rupees()}" if most.paise else "not at all"
        raise StepFailed(
            "CASH_NOT_AVAILABLE", f"cash is taken {why} at PIN code {pincode}: pay another way"
        )


async def _tell(
    session: AsyncSession, call: Call, order_id: str, state: OrderState, facts: dict[str, Any]
) -> None:
    await outbox.add(
        session,
        topic=TOPIC,
        key=order_id,
        schema=f"order.{state.lower()}",
        version=1,
        payload={"order_id": order_id, "state": state, **facts},
        event_id=f"{call.key}:order",
    )
