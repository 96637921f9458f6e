"""From what is stored of an order to what its customer reads."""

from __future__ import annotations

from collections.abc import Sequence

from api.codes import code_of
from api.schemas.orders import (
    NextActionView,
    OrderLineView,
    OrderSummaryView,
    OrderView,
    PaymentView,
    Refusal,
)
from db.repositories.edge import UnopenedOrder
from db.repositories.orders import OrderRecord, OrderSummary
from db.repositories.payments import AttemptRecord, PaymentRecord
from domain.orders import OrderState
from domain.payments import PaymentState


def summary_view(order: OrderSummary) -> OrderSummaryView:
    """An order in a list."""
    return OrderSummaryView(
        order_id=order.id,
        state=order.state,
        total_paise=order.total_paise,
        currency=order.currency,
        payment_method=order.payment_method,
        created_at=order.created_at,
        updated_at=order.updated_at,
    )


def order_view(order: OrderRecord, payment: PaymentView | None) -> OrderView:
    """An order in full."""
    return OrderView(
        order_id=order.id,
        state=order.state,
        total_paise=order.total_paise,
        currency=order.currency,
        payment_method=order.payment_method,
        coupon_code=order.coupon_code,
        lines=[OrderLineView.model_validate(item) for item in order.items],
        price=order.price_breakdown,
        address=order.address_snapshot,
        payment=payment,
        refusal=_refusal(order.refusal_code or "", order.refusal_reason or ""),
        created_at=order.created_at,
        updated_at=order.updated_at,
        confirmed_at=order.confirmed_at,
    )


def unopened_view(order: UnopenedOrder) -> OrderView:
    """An order whose saga has not opened it yet, or refused to."""
    refusal = _refusal(order.code or "ORDER_REFUSED", order.reason) if order.refused else None
    return OrderView(
        order_id=order.order_id,
        state=OrderState.REFUSED if order.refused else OrderState.CREATED,
        total_paise=0,
        currency="INR",
        payment_method=None,
        coupon_code=None,
        lines=[],
        price={},
        address={},
        payment=None,
        refusal=refusal,
        created_at=order.asked_at,
        updated_at=order.asked_at,
        confirmed_at=None,
    )


def payment_view(payment: PaymentRecord, attempts: Sequence[AttemptRecord]) -> PaymentView:
    """A payment over all its attempts, with what its customer has to do at the latest."""
    latest = attempts[-1] if attempts else None
    action = None
    if latest is not None and latest.state is PaymentState.ACTION_REQUIRED and latest.next_action:
        action = NextActionView.model_validate(latest.next_action, from_attributes=False)
    return PaymentView(
        method=payment.method,
        state=payment.state,
        amount_paise=payment.amount_paise,
        captured_paise=sum(attempt.captured_paise for attempt in attempts),
        refunded_paise=sum(attempt.refunded_paise for attempt in attempts),
        next_action=action,
    )


def _refusal(code: str, reason: str) -> Refusal | None:
    return Refusal(code=code, reason=reason or code_of(code).sentence) if code else None
