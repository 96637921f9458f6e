"""Stock: append-only entries, the levels that fold over them, and reservations.

Triggers of the migration keep the two in step: an entry changes its level, and nothing else may.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Count, Id, Now, one_of
from db.vocabulary import StockEntryKind
from domain.stock import ReservationState

# each kind of entry moves units between two places; only RECEIVE makes new ones
_SHAPES = {
    "RECEIVE": ("on_hand_delta", None),
    "RESERVE": ("reserved_delta", "on_hand_delta"),
    "RELEASE": ("on_hand_delta", "reserved_delta"),
    "COMMIT": ("shipped_delta", "reserved_delta"),
    "RETURN": ("on_hand_delta", "shipped_delta"),
    "WRITE_OFF": ("written_off_delta", "on_hand_delta"),
}
_DELTAS = ("on_hand_delta", "reserved_delta", "shipped_delta", "written_off_delta")


def _shape(kind: str, to: str, source: str | None) -> str:
    terms = [f"kind = '{kind}'", f"{to} > 0"]
    if source is not None:
        terms.append(f"{source} = -{to}")
    terms += [f"{delta} = 0" for delta in _DELTAS if delta not in (to, source)]
    return "(" + " AND ".join(terms) + ")"


class Warehouse(Base):
    """Where stock lies; the PIN code is what sourcing measures nearness by."""

    __tablename__ = "warehouses"
    __table_args__ = (CheckConstraint("pincode ~ '^[1-9][0-9]{5}$'", name="pincode"),)

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    pincode: Mapped[str]
    state_code: Mapped[str]
    created_at: Mapped[Now]


class StockLevel(Base):
    """How many units of a SKU a warehouse has: the fold of its entries, kept by a trigger."""

    __tablename__ = "stock_levels"
    __table_args__ = (
        CheckConstraint("on_hand >= 0", name="on_hand"),
        CheckConstraint("reserved >= 0", name="reserved"),
        CheckConstraint("shipped >= 0", name="shipped"),
        CheckConstraint("written_off >= 0", name="written_off"),
    )

    sku: Mapped[str] = mapped_column(ForeignKey("variants.sku"), primary_key=True)
    warehouse_id: Mapped[str] = mapped_column(ForeignKey("warehouses.id"), primary_key=True)
    on_hand: Mapped[Count] = mapped_column(server_default=text("0"))
    reserved: Mapped[Count] = mapped_column(server_default=text("0"))
    shipped: Mapped[Count] = mapped_column(server_default=text("0"))
    written_off: Mapped[Count] = mapped_column(server_default=text("0"))


class StockEntry(Base):
    """One movement of units. Append-only; `entry_key` makes it happen once.

    No foreign keys of its own: it always has a level, and the level has them.
    """

    __tablename__ = "stock_entries"
    __table_args__ = (
        one_of("kind", StockEntryKind),
        CheckConstraint(
            " OR ".join(_shape(kind, *ends) for kind, ends in _SHAPES.items()), name="shape"
        ),
        Index(None, "sku", "warehouse_id"),
        Index(None, "reservation_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entry_key: Mapped[str] = mapped_column(unique=True)
    sku: Mapped[str]
    warehouse_id: Mapped[str]
    kind: Mapped[str]
    on_hand_delta: Mapped[Count] = mapped_column(server_default=text("0"))
    reserved_delta: Mapped[Count] = mapped_column(server_default=text("0"))
    shipped_delta: Mapped[Count] = mapped_column(server_default=text("0"))
    written_off_delta: Mapped[Count] = mapped_column(server_default=text("0"))
    reservation_id: Mapped[str | None]
    at: Mapped[Now]


class Reservation(Base):
    """Units held for one order until it is paid, given up, or the time is over."""

    __tablename__ = "reservations"
    __table_args__ = (
        one_of("state", ReservationState),
        CheckConstraint("(state = 'HELD') = (ended_at IS NULL)", name="ended"),
        # the sweeper asks only for what is still held
        Index("ix_reservations_held", "expires_at", postgresql_where=text("state = 'HELD'")),
    )

    id: Mapped[Id]
    order_id: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    expires_at: Mapped[datetime]
    created_at: Mapped[Now]
    ended_at: Mapped[datetime | None]


class ReservationLine(Base):
    """How many units of a SKU the reservation holds at a warehouse."""

    __tablename__ = "reservation_lines"
    __table_args__ = (CheckConstraint("qty > 0", name="qty"),)

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservations.id"), primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    warehouse_id: Mapped[str] = mapped_column(primary_key=True)
    qty: Mapped[Count]
