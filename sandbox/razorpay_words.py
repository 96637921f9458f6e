"""How Razorpay words things: errors with source, step and reason, and its entities, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.psp import desk
from sandbox.psp.books import Payment, Refund, Status
from sandbox.psp.disputes import Dispute, Outcome
from sandbox.psp.edge import Answer
from sandbox.psp.instruments import UPI_METHODS
from sandbox.razorpay_books import Link, Order

BAD, GATEWAY, SERVER = "BAD_REQUEST_ERROR", "GATEWAY_ERROR", "SERVER_ERROR"
SILENT = "NA"
FEE_BP, GST_BP = 200, 1800

# A payment that lapsed or was voided was never captured: Razorpay calls that refunded.
STATUSES = {
    Status.REQUIRES_ACTION: "created",
    Status.PROCESSING: "created",
    Status.AUTHORISED: "authorized",
    Status.CAPTURED: "captured",
    Status.VOIDED: "refunded",
    Status.FAILED: "failed",
    Status.EXPIRED: "failed",
}
DISPUTES = {Outcome.OPENED: "open", Outcome.WON: "won", Outcome.LOST: "lost"}


@dataclass(frozen=True, slots=True)
class Words:
    """An error's HTTP status and its parts."""

    status: int
    code: str
    source: str
    step: str
    reason: str
    description: str

    def answer(self, **about: Any) -> Answer:
        """The error as an answer; `about` goes into its metadata."""
        return Answer(self.status, {"error": self.shown(about)})

    def shown(self, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `error` object."""
        return {
            "code": self.code,
            "description": self.description,
            "source": self.source,
            "step": self.step,
            "reason": self.reason,
            "metadata": dict(about or {}),
        }


_ASKED, _PROVED, _HELD = "payment_initiation", "payment_authentication", "payment_authorization"

# Why a payment failed.
ERRORS: dict[str, Words] = {
    desk.FUNDS: Words(
        400, BAD, "customer", _HELD, "insufficient_funds", "The account holds too little."
    ),
    desk.LOST_CARD: Words(
        400, GATEWAY, "issuer_bank", _HELD, "debit_instrument_blocked", "The card is blocked."
    ),
    desk.FRAUD: Words(
        400, BAD, "issuer_bank", _HELD, "payment_risk_check_failed", "The risk check failed."
    ),
    desk.AUTHENTICATION: Words(
        400, BAD, "business", _ASKED, "pre_debit_notification_not_sent", "No notice was given."
    ),
    desk.TECHNICAL: Words(
        502, GATEWAY, "gateway", _HELD, "payment_timed_out", "The bank did not answer in time."
    ),
    desk.CUSTOMER_DECLINED: Words(
        400, BAD, "customer", _PROVED, "payment_declined", "The customer declined."
    ),
    desk.CUSTOMER_LEFT: Words(
        400, BAD, "customer", _PROVED, "payment_cancelled", "The customer went back."
    ),
    desk.TIMED_OUT: Words(
        400, BAD, "customer", _PROVED, "payment_timed_out", "The customer took too long."
    ),
}

# Why a request was refused; several have nothing but a sentence to tell them apart.
REFUSALS: dict[str, Words] = {
    "unauthenticated": Words(401, BAD, SILENT, SILENT, SILENT, "The api key provided is invalid"),
    "no_such_id": Words(
        400, BAD, "business", _ASKED, "input_validation_failed", "The id provided does not exist"
    ),
    "reference_used": Words(
        400,
        BAD,
        "business",
        _ASKED,
        "input_validation_failed",
        "payment link creation with reference ID already attempted",
    ),
    "link_closed": Words(
        400, BAD, "business", _ASKED, "input_validation_failed", "Only a created link is cancelled"
    ),
    "order_paid": Words(
        400, BAD, "business", _ASKED, "order_already_paid", "The order has its successful payment."
    ),
    "order_amount": Words(
        400, BAD, "business", _ASKED, "order_amount_mismatch", "The order has another amount."
    ),
    "already_captured": Words(
        400, BAD, SILENT, SILENT, SILENT, "This payment has already been captured"
    ),
    "not_authorised": Words(
        400, BAD, SILENT, SILENT, SILENT, "Only an authorized payment can be captured"
    ),
    "amount_differs": Words(
        400,
        BAD,
        "business",
        "payment_capture",
        "input_validation_failed",
        "Capture amount must be equal to the amount authorized",
    ),
    "not_captured": Words(
        400, BAD, SILENT, SILENT, SILENT, "The payment status should be captured"
    ),
    "payment_disputed": Words(400, BAD, SILENT, SILENT, SILENT, "The payment is under dispute"),
    "amount_too_large": Words(
        400,
        BAD,
        "business",
        _ASKED,
        "input_validation_failed",
        "The refund amount provided is greater than amount captured",
    ),
    "key_in_progress": Words(
        409, BAD, SILENT, SILENT, SILENT, "A request with the same idempotency key is in progress"
    ),
    "key_differs": Words(
        409, BAD, SILENT, SILENT, SILENT, "Another request has used this idempotency key"
    ),
    "http_500_before": Words(500, SERVER, "internal", _ASKED, "server_error", "Our server failed."),
    "http_500_after": Words(500, SERVER, "internal", _ASKED, "server_error", "Our server failed."),
    "rate_limited": Words(429, BAD, SILENT, SILENT, SILENT, "Too many requests"),
    "gateway_down": Words(
        502, GATEWAY, "gateway", _ASKED, "gateway_technical_error", "The gateway is down."
    ),
}


def refuse(code: str) -> Answer:
    """A refusal in Razorpay's words."""
    return REFUSALS[code].answer()


def bad_field(name: str, message: str) -> Answer:
    """A refusal of one field."""
    words = Words(400, BAD, "business", _ASKED, "input_validation_failed", message)
    return Answer(400, {"error": {**words.shown(), "field": name}})


def collection(items: list[dict[str, Any]]) -> Answer:
    """A listing."""
    return Answer(200, {"entity": "collection", "count": len(items), "items": items})


def fee_of(amount: int) -> tuple[int, int]:
    """(fee with its tax, the tax) on a captured amount, in paise, halves rounded up."""
    bare = (amount * FEE_BP + 5_000) // 10_000
    tax = (bare * GST_BP + 5_000) // 10_000
    return bare + tax, tax


def shown_payment(payment: Payment, order: Order) -> dict[str, Any]:
    """The payment entity."""
    lapsed = payment.status is Status.VOIDED
    back = payment.authorised if lapsed else payment.refunded
    whole = back == payment.amount
    captured = payment.captured > 0
    fee, tax = fee_of(payment.amount) if captured else (None, None)
    failed = ERRORS.get(payment.error or "") if STATUSES[payment.status] == "failed" else None
    return {
        "id": payment.id,
        "entity": "payment",
        "amount": payment.amount,
        "currency": payment.currency,
        "status": "refunded" if captured and whole else STATUSES[payment.status],
        "order_id": order.id,
        "invoice_id": None,
        "international": False,
        "method": "upi" if payment.method in UPI_METHODS else payment.method,
        "amount_refunded": back,
        "refund_status": None if not back else "full" if whole else "partial",
        "captured": captured,
        "description": None,
        "card_id": None,
        "bank": None,
        "wallet": None,
        "vpa": None,
        "email": "customer@example.com",
        "contact": "+919000090000",
        "notes": order.notes or [],
        "fee": fee,
        "tax": tax,
        "error_code": failed.code if failed else None,
        "error_description": failed.description if failed else None,
        "error_source": failed.source if failed else None,
        "error_step": failed.step if failed else None,
        "error_reason": failed.reason if failed else None,
        "acquirer_data": {},
        "created_at": payment.created_at // 1000,
    }


def shown_order(order: Order, payments: list[Payment]) -> dict[str, Any]:
    """The order entity."""
    paid = order.amount if any(one.captured for one in payments) else 0
    return {
        "id": order.id,
        "entity": "order",
        "amount": order.amount,
        "amount_paid": paid,
        "amount_due": order.amount - paid,
        "currency": order.currency,
        "receipt": order.receipt,
        "offer_id": None,
        "status": "paid" if paid else "attempted" if payments else "created",
        "attempts": len(payments),
        "notes": order.notes or [],
        "created_at": order.created_at // 1000,
    }


def shown_link(
    link: Link, status: str, order: Order | None, payments: list[Payment], base: str
) -> dict[str, Any]:
    """The payment link entity; only captured payments are shown in it."""
    taken = [one for one in payments if one.captured]
    return {
        "id": link.id,
        "accept_partial": False,
        "amount": link.amount,
        "amount_paid": link.amount if taken else 0,
        "cancelled_at": (link.cancelled_at or 0) // 1000,
        "created_at": link.created_at // 1000,
        "currency": link.currency,
        "customer": {},
        "description": "",
        "expire_by": link.expire_by // 1000,
        "expired_at": link.expire_by // 1000 if status == "expired" else 0,
        "notes": link.notes or None,
        **({"order_id": order.id} if order else {}),
        "payments": [
            {"payment_id": one.id, "amount": one.amount, "status": "captured"} for one in taken
        ]
        or None,
        "reference_id": link.reference_id,
        "short_url": f"{base}l/{link.id}",
        "status": status,
        "updated_at": (link.cancelled_at or link.created_at) // 1000,
        "upi_link": link.upi_link,
        "user_id": "",
    }


def shown_refund(refund: Refund) -> dict[str, Any]:
    """The refund entity."""
    return {
        "id": f"rfnd_{refund.id.removeprefix('rfd_')}",
        "entity": "refund",
        "amount": refund.amount,
        "currency": "INR",
        "payment_id": refund.payment,
        "notes": [],
        "receipt": refund.merchant_ref or None,
        "acquirer_data": {"arn": None},
        "created_at": refund.created_at // 1000,
        "batch_id": None,
        "status": "processed",
        "speed_processed": "normal",
        "speed_requested": "normal",
    }


def shown_dispute(dispute: Dispute) -> dict[str, Any]:
    """The dispute entity."""
    lost = dispute.outcome is Outcome.LOST
    return {
        "id": dispute.id.replace("dsp_", "disp_", 1),
        "entity": "dispute",
        "payment_id": dispute.payment,
        "amount": dispute.amount,
        "currency": "INR",
        "amount_deducted": dispute.amount if lost else 0,
        "reason_code": dispute.reason,
        "status": DISPUTES[dispute.outcome],
        "phase": "chargeback",
        "created_at": dispute.created_at // 1000,
    }


def event(name: str, at: int, **entities: dict[str, Any]) -> dict[str, Any]:
    """A webhook's body; `at` in epoch milliseconds."""
    return {
        "entity": "event",
        "account_id": "acc_sandbox",
        "event": name,
        "contains": list(entities),
        "payload": {kind: {"entity": entity} for kind, entity in entities.items()},
        "created_at": at // 1000,
    }
