"""Orders: what a customer asks for, and how it stands. Amounts in paise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.handlers import CARD_NUMBER
from api.schemas.base import ULID_PATTERN, Asked, Paise, Plain, SkuText, Told, UlidText
from domain.orders import OrderState
from domain.payments import PaymentMethod, PaymentState
from domain.pricing import MAX_LINES, MAX_QTY

_GROUPS = re.compile(r"[\s._/-]{1,3}")
_RUN = re.compile(rf"\d+(?:{_GROUPS.pattern}\d+)*")
_ULID = re.compile(ULID_PATTERN)
_TOTAL_LIMIT = 10**15

Token = Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9@._:-]*$")]


class LineBody(Asked):
    """One wanted line; without `seller_id` the cheapest listing is taken."""

    sku: SkuText
    qty: Annotated[int, Field(ge=1, le=MAX_QTY)]
    seller_id: UlidText | None = None


class PaymentBody(Asked):
    """How it will be paid; `instrument` is a PSP's token or a UPI address, never a card number."""

    method: Annotated[PaymentMethod, Field(strict=False)]
    instrument: Token = ""


class OrderBody(Asked):
    """An order; `expected_total_paise` is the total that the customer was shown."""

    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MAX_LINES)]
    address_id: UlidText
    payment: PaymentBody
    coupon: Annotated[str, Field(min_length=1, max_length=40), Plain] | None = None
    expected_total_paise: Annotated[int, Field(ge=0, lt=_TOTAL_LIMIT)] | None = None
    device_id: Token = ""

    @model_validator(mode="before")
    @classmethod
    def _without_card_number(cls, data: Any) -> Any:
        # before anything else, so that no other message and no log can hold it
        if any(has_card_number(text) for text in _texts(data)):
            raise PydanticCustomError(CARD_NUMBER, "holds a card number")
        return data


def has_card_number(text: str) -> bool:
    """Tell whether 13 to 19 digits of a text, alone or in groups, pass the Luhn check."""
    if _ULID.fullmatch(text):
        return False
    runs = (_GROUPS.split(run) for run in _RUN.findall(text))
    return any(_luhn(digits) for groups in runs for digits in _joined(groups))


def _joined(groups: Sequence[str]) -> Iterator[str]:
    """The 13 to 19 digits that neighbouring groups make together, wherever they begin."""
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > 19:
                break
            if len(digits) >= 13:
                yield digits


def _luhn(text: str) -> bool:
    digits = [int(letter) for letter in reversed(text)]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _texts(data: Any) -> Iterator[str]:
    """Every text and number of a JSON document, names of fields too."""
    left = [data]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend((*each.keys(), *each.values()))
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, str):
            yield each
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield _digits_of(each)


def _digits_of(number: float) -> str:
    if isinstance(number, float):
        return f"{number:.0f}" if abs(number) < 1e20 else ""
    return str(number) if abs(number) < 10**20 else ""


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
