"""Stock steps: one transaction over all lines each."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from activities.guard import once, once_only, take_back
from db.errors import NotFound, OutOfStock, ReservationGone
from db.ids import new_ulid
from db.repositories import stock
from db.repositories.steps import Undoing
from db.repositories.stock import PlannedLine, ReservationRecord
from db.session import Database
from domain.sourcing import Shortage, Wanted, plan
from domain.stock import ReservationState
from saga import Call, StepFailed, Undo, implements
from workflows.contracts import stock as contract
from workflows.contracts.base import Nothing
from workflows.contracts.stock import CommitStock, HeldLine, Reserved, ReserveStock, Swept

_SWEPT_AT_ONCE = 100

SagaIsOpen = Callable[[str], Awaitable[bool]]


class StockActivities:
    """Reservations in PostgreSQL. `saga_is_open` asks Temporal whether an order's saga lives."""

    def __init__(self, database: Database, saga_is_open: SagaIsOpen) -> None:
        self._database = database
        self._saga_is_open = saga_is_open

    @implements(contract.RESERVE)
    async def reserve(self, request: ReserveStock, call: Call) -> Reserved:
        """Hold every line from the nearest warehouses, or fail with OUT_OF_STOCK."""
        return await once(
            self._database, call, Reserved, lambda session: _reserve(session, request, call)
        )

    @implements(contract.RELEASE)
    async def release(self, undo: Undo[ReserveStock, Reserved], call: Call) -> None:
        """Give back what is held."""

        async def give_back(session: AsyncSession, _: Undoing) -> None:
            await stock.release(session, undo.input.order_id, key=call.key)

        await take_back(self._database, call, give_back)

    @implements(contract.COMMIT)
    async def commit(self, request: CommitStock, call: Call) -> None:
        """Sell what is held."""

        async def sell(session: AsyncSession) -> None:
            try:
                await stock.commit(session, request.order_id, key=call.key)
            except (ReservationGone, NotFound) as gone:
                raise StepFailed("RESERVATION_GONE", str(gone)) from gone

        await once_only(self._database, call, sell)

    @implements(contract.SWEEP)
    async def sweep(self, request: Nothing, call: Call) -> Swept:
        """End reservations that are past their time and whose saga no longer lives."""
        async with self._database.unit_of_work() as session:
            overdue = await stock.expired(session, datetime.now(UTC), limit=_SWEPT_AT_ONCE)
        ended = 0
        for order_id in overdue:
            if await self._saga_is_open(order_id):
                continue
            async with self._database.unit_of_work() as session:
                # The order names the key: sweeping it twice must not give back twice.
                ended += await stock.release(
                    session, order_id, key=f"sweep:{order_id}", state=ReservationState.EXPIRED
                )
        return Swept(ended=ended)


async def _reserve(session: AsyncSession, request: ReserveStock, call: Call) -> Reserved:
    try:
        held = await _hold(session, request, call, lock=False)
    except OutOfStock:
        # Somebody was quicker between our look and our hold: plan again on locked levels.
        held = await _hold(session, request, call, lock=True)
    return Reserved(
        reservation_id=held.id,
        expires_at=held.expires_at,
        lines=[
            HeldLine(sku=line.sku, warehouse_id=line.warehouse_id, qty=line.qty)
            for line in held.lines
        ],
    )


async def _hold(
    session: AsyncSession, request: ReserveStock, call: Call, *, lock: bool
) -> ReservationRecord:
    skus = [line.sku for line in request.lines]
    shelves = await stock.stock_for(session, skus, lock=lock)
    wanted = [Wanted(line.sku, line.qty) for line in request.lines]
    sourced = plan(wanted, shelves, request.pincode)
    if isinstance(sourced, Shortage):
        short = "; ".join(
            f"{item.sku}: {item.available} of {item.wanted} left" for item in sourced.items
        )
        raise StepFailed("OUT_OF_STOCK", f"not enough in stock: {short}")
    return await stock.reserve(
        session,
        reservation_id=new_ulid(),
        order_id=request.order_id,
        plan=[
            PlannedLine(item.sku, shipment.warehouse_id, item.qty)
            for shipment in sourced.shipments
            for item in shipment.items
        ],
        expires_at=datetime.now(UTC) + timedelta(seconds=request.hold_seconds),
        key=call.key,
    )
