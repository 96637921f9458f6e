"""Reserving, committing and releasing stock."""

from datetime import datetime, timedelta

from saga import Undo, activity_ref
from workflows.contracts.base import TRANSACTION, Contract, Nothing
from workflows.contracts.ids import UPKEEP
from workflows.contracts.orders import StockLine


class ReserveStock(Contract):
    """Hold stock for every line, nearest warehouse first, for `hold_seconds`."""

    order_id: str
    pincode: str
    lines: list[StockLine]
    hold_seconds: int


class HeldLine(Contract):
    """What one warehouse holds for an order."""

    sku: str
    warehouse_id: str
    qty: int


class Reserved(Contract):
    """A reservation and where its goods lie."""

    reservation_id: str
    expires_at: datetime
    lines: list[HeldLine]


class CommitStock(Contract):
    """The goods of this order are sold."""

    order_id: str


class Swept(Contract):
    """How many reservations had outlived their saga and were ended."""

    ended: int


RESERVE = activity_ref("stock.reserve", ReserveStock, Reserved, **TRANSACTION)
RELEASE = activity_ref("stock.release", Undo[ReserveStock, Reserved], None, **TRANSACTION)
COMMIT = activity_ref("stock.commit", CommitStock, None, **TRANSACTION)
SWEEP = activity_ref(
    "stock.sweep",
    Nothing,
    Swept,
    task_queue=UPKEEP,
    start_to_close=timedelta(seconds=30),
    schedule_to_close=timedelta(minutes=5),
)
