"""What can go wrong at the stores.

StoreError
├── NotFound            the row does not exist, or is not the caller's to see
├── StepUndone          the step was undone before it ran: its action must not take effect
├── OutOfStock          a warehouse no longer has what the plan asked of it
├── ReservationGone     the reservation ended (released or expired) before it was committed
├── StaleVersion        the row changed since it was read
├── AlreadyRecorded     the same key was used for something else
├── DoesNotFit          a refund of more than is left of what was taken
├── BadCursor           a page's cursor is not one that a page gave out
└── SchemaError
    └── NewerSchema     the data folder was written by a later release
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError


class StoreError(Exception):
    """Base of the errors that repositories raise."""


class NotFound(StoreError):
    """No such row."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(f"there is no {what} {key!r}")
        self.what = what
        self.key = key


class StepUndone(StoreError):
    """A step arrived after its undo."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the step with key {key} was undone before it ran; it has no effect")
        self.key = key


@dataclass(frozen=True, slots=True)
class Shortage:
    """How many units of a SKU were wanted from a warehouse and how many it had."""

    sku: str
    warehouse_id: str
    wanted: int
    available: int


class OutOfStock(StoreError):
    """Units went to somebody else between planning and reserving: plan again, or refuse."""

    def __init__(self, shortages: tuple[Shortage, ...]) -> None:
        listed = "; ".join(
            f"{s.sku} at {s.warehouse_id}: wanted {s.wanted}, has {s.available}" for s in shortages
        )
        super().__init__(f"not enough stock: {listed}")
        self.shortages = shortages


class ReservationGone(StoreError):
    """The reservation that was to be used has ended."""

    def __init__(self, order_id: str, state: str) -> None:
        super().__init__(f"the reservation of order {order_id} has ended: it is {state}")
        self.order_id = order_id
        self.state = state


class StaleVersion(StoreError):
    """Somebody changed the row first: read it again, then decide again."""

    def __init__(self, what: str, key: str, expected: int, found: int) -> None:
        super().__init__(f"{what} {key} is at version {found}, not {expected}; read it again")
        self.expected = expected
        self.found = found


class AlreadyRecorded(StoreError):
    """A unique key already belongs to a different fact."""

    def __init__(self, what: str, key: str, difference: str) -> None:
        super().__init__(f"{what} {key!r} is already recorded with {difference}")
        self.what = what
        self.key = key


class DoesNotFit(StoreError):
    """More was to be given back than is left."""

    def __init__(self, attempt_id: str, paise: int) -> None:
        super().__init__(f"a refund of {paise} paise does not fit what is left of {attempt_id}")
        self.attempt_id = attempt_id
        self.paise = paise


class BadCursor(StoreError):
    """The text is no cursor of ours."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"{cursor[:80]!r} is no cursor: pass the `next` of a page, or none")


class SchemaError(StoreError):
    """The database's schema cannot be used."""


class NewerSchema(SchemaError):
    """The database was written by a later release than this one."""

    def __init__(self, found: str, head: str) -> None:
        super().__init__(
            f"the database's schema is {found}, which this release (schema {head}) does not know; "
            "start it with the newer release, or use another data folder"
        )
        self.found = found
        self.head = head


def constraint_of(error: DBAPIError) -> str | None:
    """The name of the constraint that refused a statement, or None when none did."""
    cause: BaseException | None = error.orig
    while cause is not None:
        name = getattr(cause, "constraint_name", None)
        if name:
            return str(name)
        cause = cause.__cause__
    return None
