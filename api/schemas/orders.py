"""Orders: what a customer asks for, and how it stands. Amounts in paise."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.schemas.base import Asked, Paise, Plain, SkuText, Told, UlidText
from api.schemas.cards import CardFree
from domain.orders import OrderState
from domain.payments import PaymentMethod, PaymentState
from domain.pricing import MAX_LINES, MAX_QTY

_TOTAL_LIMIT = 10**15

Token = Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9@._:-]*$")]


class LineBody(Asked):
    """One wanted line; without `seller_id` the cheapest listing is taken."""

    sku: SkuText
    qty: Annotated[int, Field(ge=1, le=MAX_QTY)]
    seller_id: UlidText | None = None


class PaymentBody(Asked):
    """How it will be paid; `instrument` is a PSP's token or a UPI address, never a card number.

    `instrument_id` names a saved one instead. `bank` is the one whose netbanking is used.
    """

    method: Annotated[PaymentMethod, Field(strict=False)]
    instrument: Token = ""
    instrument_id: UlidText | None = None
    bank: Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9 .&-]*$")] = ""


class OrderBody(CardFree):
    """An order; `expected_total_paise` is the total that the customer was shown."""

    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MAX_LINES)]
    address_id: UlidText
    payment: PaymentBody
    coupon: Annotated[str, Field(min_length=1, max_length=40), Plain] | None = None
    expected_total_paise: Annotated[int, Field(ge=0, lt=_TOTAL_LIMIT)] | None = None
    device_id: Token = ""


class NextActionView(Told):
    """What the customer has to do, and until when: follow a link, open an app, scan a code."""

    kind: str
    url: str | None = None
    deep_link: str | None = None
    qr: str | None = None
    expires_at: datetime | None = None


class OrderAnswer(Told):
    """How a new order stands. While it is not final, follow the Location header."""

    order_id: str
    state: OrderState
    total_paise: Paise
    currency: str
    next_action: NextActionView | None = None


class OrderLineView(Told):
    """A line as it was sold, taxes included in its total."""

    line_no: int
    sku: str
    title: str
    seller_id: str
    qty: int
    unit_price_paise: Paise
    line_total_paise: Paise
    taxable_paise: Paise
    cgst_paise: Paise
    sgst_paise: Paise
    igst_paise: Paise
    gst_rate_bp: int
    hsn: str


class Refusal(Told):
    """Why an order came to nothing."""

    code: str
    reason: str


class PaymentView(Told):
    """How an order's payment stands."""

    method: PaymentMethod
    state: PaymentState
    amount_paise: Paise
    captured_paise: Paise
    refunded_paise: Paise
    next_action: NextActionView | None = None


class OrderSummaryView(Told):
    """An order in a list."""

    order_id: str
    state: OrderState
    total_paise: Paise
    currency: str
    payment_method: PaymentMethod
    created_at: datetime
    updated_at: datetime


class OrderView(Told):
    """An order in full. Before the saga has opened it, it has a state and no lines."""

    order_id: str
    state: OrderState
    total_paise: Paise
    currency: str
    payment_method: PaymentMethod | None
    coupon_code: str | None
    lines: list[OrderLineView]
    price: dict[str, Any]
    address: dict[str, Any]
    payment: PaymentView | None
    refusal: Refusal | None
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None


class CancelBody(Asked):
    """Why an order is cancelled."""

    reason: Annotated[str, Field(max_length=200), Plain] = ""


class CancelAnswer(Told):
    """What became of a cancellation: CANCELLING is not decided yet."""

    order_id: str
    outcome: str
    state: OrderState
