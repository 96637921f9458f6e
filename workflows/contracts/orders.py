"""Opening, marking and confirming an order."""

from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import Undo, activity_ref
from workflows.contracts.base import TRANSACTION, Contract


class OrderLine(Contract):
    """One wanted line: a SKU, how many, and from whom (the best listing if empty)."""

    sku: str
    qty: int
    seller_id: str = ""


class OpenOrder(Contract):
    """What a customer asked for. `expected_total_paise` is what they were shown, if anything."""

    order_id: str
    user_id: str
    address_id: str
    lines: list[OrderLine]
    coupon_code: str = ""
    payment_method: PaymentMethod
    expected_total_paise: int | None = None


class StockLine(Contract):
    """How many of one SKU an order takes."""

    sku: str
    qty: int


class OpenedOrder(Contract):
    """The order as priced and stored. Amounts in paise."""

    order_id: str
    total_paise: int
    currency: str
    pincode: str
    lines: list[StockLine]


class MarkOrder(Contract):
    """Move an order to a state that its customer should see."""

    order_id: str
    state: OrderState
    note: str = ""


class ConfirmOrder(Contract):
    """The order is paid and its stock is committed."""

    order_id: str


def end_state(code: str) -> OrderState:
    """Return the state in which an order ends that was rolled back for this reason."""
    return {
        "CANCELLED": OrderState.CANCELLED,
        "PAYMENT_EXPIRED": OrderState.EXPIRED,
    }.get(code, OrderState.REFUSED)


OPEN = activity_ref("orders.open", OpenOrder, OpenedOrder, **TRANSACTION)
CANCEL = activity_ref("orders.cancel", Undo[OpenOrder, OpenedOrder], None, **TRANSACTION)
MARK = activity_ref("orders.mark", MarkOrder, None, **TRANSACTION)
CONFIRM = activity_ref("orders.confirm", ConfirmOrder, None, **TRANSACTION)
