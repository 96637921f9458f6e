"""Placing and cancelling orders: from what the saga says to what the customer is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.codes import CHECKOUT_CODES, code_of
from api.engine import EngineUnreachable, SagaEnded, SagaUnknown
from api.idempotency import Answer
from api.problems import Problem
from api.schemas.orders import CancelAnswer, NextActionView, OrderAnswer, OrderBody, PaymentBody
from api.services import Services
from db.errors import NotFound
from db.repositories import instruments, orders
from db.repositories.instruments import InstrumentRecord
from db.repositories.orders import OrderRecord
from domain.orders import OrderState
from saga import CancelRequest, CancelVerdict
from workflows.contracts.checkout import CheckoutAnswer, PlaceOrder
from workflows.contracts.orders import OpenOrder, OrderLine

# the order came to nothing, or its customer has nothing more to wait for
_NO_SALE: Final[Mapping[OrderState, str]] = {
    OrderState.REFUSED: "ORDER_REFUSED",
    OrderState.CANCELLED: "CANCELLED",
    OrderState.EXPIRED: "ORDER_EXPIRED",
}
_WAITING: Final = frozenset({OrderState.CREATED, OrderState.ON_HOLD, OrderState.AWAITING_PAYMENT})


async def instrument_of(
    services: Services, user_id: str, payment: PaymentBody
) -> InstrumentRecord | None:
    """The saved instrument that a customer names, if they name one.

    Raises Problem INSTRUMENT_NOT_USABLE for one that is not theirs, has expired, or is for
    another method.
    """
    if payment.instrument_id is None:
        return None
    try:
        async with services.database.reading() as session:
            saved = await instruments.get(session, payment.instrument_id, user_id)
    except NotFound as error:
        raise Problem("INSTRUMENT_NOT_USABLE", "No saved instrument has this id.") from error
    if saved.method is not payment.method:
        raise Problem("INSTRUMENT_NOT_USABLE", f"It is for {saved.method}, not {payment.method}.")
    if saved.expires_on is not None and saved.expires_on < services.clock().date():
        raise Problem("INSTRUMENT_NOT_USABLE", f"It expired on {saved.expires_on.isoformat()}.")
    return saved


def order_to_place(
    services: Services,
    order_id: str,
    user_id: str,
    body: OrderBody,
    saved: InstrumentRecord | None = None,
) -> PlaceOrder:
    """The checkout saga's input."""
    return PlaceOrder(
        order=OpenOrder(
            order_id=order_id,
            user_id=user_id,
            address_id=body.address_id,
            lines=[
                OrderLine(sku=line.sku, qty=line.qty, seller_id=line.seller_id or "")
                for line in body.lines
            ],
            coupon_code=body.coupon or "",
            payment_method=body.payment.method,
            expected_total_paise=body.expected_total_paise,
        ),
        instrument=saved.token if saved else body.payment.instrument,
        bound_to=saved.psp if saved else "",
        bin=(saved.bin if saved else None) or "",
        bank=(saved.bank if saved else _bank_of(body.payment)) or "",
        device_id=body.device_id,
        timings=services.config.timings,
    )


def _bank_of(payment: PaymentBody) -> str:
    """The bank behind a payment: as it is named, else by the handle of a UPI address."""
    _, at, handle = payment.instrument.rpartition("@")
    return payment.bank or (handle if at else "")


async def place(services: Services, order: PlaceOrder, request_id: str) -> Answer:
    """Start the saga, or join it, and say how the order stands once that can be said.

    Raises Problem TEMPORARILY_UNAVAILABLE where nobody knows whether the saga runs.
    """
    order_id = order.order.order_id
    try:
        try:
            told = await services.engine.place(order, services.config.answer_within)
        except SagaEnded:
            told = await _afterwards(services, order_id)
    except EngineUnreachable as error:
        raise Problem("TEMPORARILY_UNAVAILABLE", order_id=order_id) from error
    if told is None:
        told = CheckoutAnswer(order_id=order_id, state=OrderState.CREATED)
    return answer_to(told, request_id)


def answer_to(told: CheckoutAnswer, request_id: str) -> Answer:
    """The HTTP status and body of a checkout's answer."""
    if told.state in _NO_SALE:
        return Answer(422, _no_sale(told, request_id))
    action = told.next_action
    body = OrderAnswer(
        order_id=told.order_id,
        state=told.state,
        total_paise=told.total_paise,
        currency=told.currency,
        next_action=action and NextActionView.model_validate(action),
    )
    return Answer(202 if told.state in _WAITING else 201, body.model_dump(mode="json"))


def _no_sale(told: CheckoutAnswer, request_id: str) -> dict[str, Any]:
    code = told.code or _NO_SALE[told.state]
    problem = Problem(code, told.message or code_of(code).sentence, order_id=told.order_id)
    return {**problem.body(request_id), "status": 422, "state": told.state.value}


async def _afterwards(services: Services, order_id: str) -> CheckoutAnswer:
    """The answer of a saga that ended: its order's row, else what it said at the time."""
    try:
        async with services.database.reading() as session:
            return _as_told(await orders.get(session, order_id))
    except NotFound:
        said = await services.engine.placed(order_id)
        return said or CheckoutAnswer(
            order_id=order_id, state=OrderState.REFUSED, code="ORDER_REFUSED"
        )


def _as_told(order: OrderRecord) -> CheckoutAnswer:
    return CheckoutAnswer(
        order_id=order.id,
        state=order.state,
        total_paise=order.total_paise,
        currency=order.currency,
        code=order.refusal_code or "",
        message=order.refusal_reason or "",
    )


async def cancel(
    services: Services, order_id: str, actor: str, reason: str
) -> tuple[int, CancelAnswer]:
    """Ask the saga to stop; the status and body to answer with.

    Raises Problem ORDER_TOO_LATE_TO_CANCEL, ORDER_ENDED, ORDER_NOT_FOUND or
    TEMPORARILY_UNAVAILABLE.
    """
    request = CancelRequest(actor=actor, reason=reason)
    try:
        verdict = await services.engine.cancel(order_id, request, services.config.answer_within)
    except EngineUnreachable as error:
        raise Problem("TEMPORARILY_UNAVAILABLE", order_id=order_id) from error
    except (SagaEnded, SagaUnknown) as error:
        state = await _state(services, order_id)
        if state is None and isinstance(error, SagaUnknown):
            raise Problem("ORDER_NOT_FOUND") from error
        return 200, _cancelled_before(order_id, state or OrderState.REFUSED)
    if verdict is CancelVerdict.TOO_LATE:
        raise Problem("ORDER_TOO_LATE_TO_CANCEL", order_id=order_id)
    state = await _state(services, order_id)
    if verdict is CancelVerdict.CANCELLED:
        # everything is undone; where the order was refused meanwhile, its state says so
        done = state or OrderState.CANCELLED
        return 200, CancelAnswer(order_id=order_id, outcome="CANCELLED", state=done)
    now = state or OrderState.CREATED
    return 202, CancelAnswer(order_id=order_id, outcome="CANCELLING", state=now)


def _cancelled_before(order_id: str, state: OrderState) -> CancelAnswer:
    if state is OrderState.CANCELLED:
        return CancelAnswer(order_id=order_id, outcome="CANCELLED", state=state)
    unsold = state in _NO_SALE or state in _WAITING
    code = "ORDER_ENDED" if unsold else "ORDER_TOO_LATE_TO_CANCEL"
    detail = f"{code_of(code).sentence} The order is {state.value}."
    raise Problem(code, detail, order_id=order_id, state=state.value)


async def _state(services: Services, order_id: str) -> OrderState | None:
    """The order's state, or None before the saga has written its row."""
    try:
        async with services.database.reading() as session:
            return (await orders.get(session, order_id)).state
    except NotFound:
        return None


PLACE_CODES = (
    *(code for code in CHECKOUT_CODES if code_of(code).status == 422),
    "INSTRUMENT_NOT_USABLE",
    "IDEMPOTENCY_KEY_MISSING",
    "IDEMPOTENCY_KEY_INVALID",
    "IDEMPOTENCY_KEY_REUSED",
    "ORDER_IN_FLIGHT",
)
