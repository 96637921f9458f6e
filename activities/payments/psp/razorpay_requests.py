"""What is sent to Razorpay to be paid: links, orders, and charges of saved cards."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from activities.payments.psp.http import JsonObject
from activities.payments.psp.port import PaymentRequest
from activities.payments.psp.razorpay_objects import METHODS, OUR_METHOD, OUR_REF, PAY_BY
from domain.payments import PaymentMethod

# An authorisation that nobody captures is refunded after this, as long as a late one can come.
CAPTURE_WINDOW = timedelta(days=3)
SHORTEST_LINK = timedelta(minutes=16)  # Razorpay asks for 15 minutes, by its own clock
_SAVED_CARD = re.compile(r"(cust_[A-Za-z0-9]+):(token_[A-Za-z0-9_]+)")
_REFUND_KEY = re.compile(r"[A-Za-z0-9_-]{10,40}")


def saved_card(request: PaymentRequest) -> tuple[str, str] | None:
    """(customer, token) of a card that may be charged as it is; None where a page must ask."""
    known = _SAVED_CARD.fullmatch(request.instrument)
    if known is None or request.challenge or request.method is not PaymentMethod.CARD:
        return None
    return known[1], known[2]


def link_body(request: PaymentRequest, now: datetime) -> JsonObject:
    """A payment link for one method; it outlives the time to pay, so a void has to close it."""
    pay_by = now + timedelta(seconds=request.expires_in_s)
    body: dict[str, Any] = {
        "amount": request.amount.paise,
        "currency": request.amount.currency,
        "accept_partial": False,
        "reference_id": request.merchant_ref,
        "expire_by": int(max(pay_by, now + SHORTEST_LINK).timestamp()),
        "notify": {"sms": False, "email": False},
        "reminder_enable": False,
        "notes": {
            **_notes(request),
            OUR_METHOD: str(request.method),
            PAY_BY: str(int(pay_by.timestamp())),
        },
    }
    if request.return_url is not None:
        body |= {"callback_url": request.return_url, "callback_method": "get"}
    if request.method is PaymentMethod.UPI_INTENT:
        return {**body, "upi_link": True}
    offered = {name: request.method in ours for name, ours in METHODS.items()}
    return {**body, "options": {"checkout": {"method": offered}}}


def order_body(request: PaymentRequest) -> JsonObject:
    """An order whose payment waits for our capture; asked for again, it is the same order."""
    minutes = CAPTURE_WINDOW // timedelta(minutes=1)
    return {
        "amount": request.amount.paise,
        "currency": request.amount.currency,
        "receipt": request.merchant_ref,
        "unique_receipt": True,
        "notes": _notes(request),
        "payment": {
            "capture": "manual",
            "capture_options": {"manual_expiry_period": minutes, "refund_speed": "normal"},
        },
    }


def charge_body(
    request: PaymentRequest, order_id: str, token: str, customer: Mapping[str, Any]
) -> JsonObject:
    """A charge of a saved card; who the customer is, Razorpay has told us itself."""
    return {
        "amount": request.amount.paise,
        "currency": request.amount.currency,
        "order_id": order_id,
        "customer_id": customer["id"],
        "token": token,
        "email": customer.get("email"),
        "contact": customer.get("contact"),
        "recurring": True,
        "notes": _notes(request),
    }


def refund_receipt(key: str) -> str:
    """Our key as Razorpay takes it: at least ten letters, digits, hyphens and underscores."""
    return key if _REFUND_KEY.fullmatch(key) else str(uuid.uuid5(uuid.NAMESPACE_OID, key))


def _notes(request: PaymentRequest) -> dict[str, str]:
    return {OUR_REF: request.merchant_ref}
