"""Every code the edge answers with: its HTTP status, its title, and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means. `retry_after` (seconds) is said where trying again makes sense."""

    status: int
    title: str
    sentence: str
    retry_after: int | None = None


# The request itself.
_REQUEST = {
    "MALFORMED_JSON": Code(
        400, "The body is not JSON", "The body could not be read as JSON; send a valid document."
    ),
    "UNSUPPORTED_MEDIA_TYPE": Code(
        415,
        "The body is not declared as JSON",
        "Send the body with the header Content-Type: application/json.",
    ),
    "BODY_TOO_LARGE": Code(
        413, "The body is too large", "A body may have 262144 bytes at most; send less."
    ),
    "VALIDATION_FAILED": Code(
        422, "The request is not valid", "Correct the fields listed under 'errors' and send again."
    ),
    "INVALID_HOST": Code(
        400, "The host is not served here", "The Host header names no host of this service."
    ),
    "ROUTE_NOT_FOUND": Code(
        404, "There is no such resource", "No resource of this service has this path."
    ),
    "METHOD_NOT_ALLOWED": Code(
        405, "The method does not fit", "This resource does not take this method; see 'Allow'."
    ),
    "BAD_REQUEST": Code(400, "The request is not valid", "The request could not be understood."),
    "BAD_CURSOR": Code(
        422, "The cursor is not one of ours", "Pass the 'next' of an earlier page, or no cursor."
    ),
    "RATE_LIMITED": Code(
        429, "Too many requests", "Wait as long as 'Retry-After' says, then go on.", 1
    ),
    "TEMPORARILY_UNAVAILABLE": Code(
        503,
        "A part of the service is not reachable",
        "Nothing is lost: send the same request again in a moment.",
        2,
    ),
    "INTERNAL": Code(
        500,
        "Something went wrong on our side",
        "It has been recorded under this request's id; tell support that id.",
    ),
}

# Who is asking.
_IDENTITY = {
    "UNAUTHENTICATED": Code(
        401, "Nobody is signed in", "Send the header Authorization: Bearer <access token>."
    ),
    "TOKEN_INVALID": Code(
        401, "The access token is not valid", "Sign in again to get a valid token."
    ),
    "TOKEN_EXPIRED": Code(
        401, "The access token has expired", "Get a new one at POST /v1/auth/refresh."
    ),
    "LOGIN_FAILED": Code(
        401, "E-mail or password is wrong", "Check both; or sign up if there is no account yet."
    ),
    "ACCOUNT_BLOCKED": Code(
        403, "The account is blocked", "Ask support what happened to this account."
    ),
    "REFRESH_TOKEN_INVALID": Code(
        401, "The refresh token is not valid", "Sign in again to start a new session."
    ),
    "REFRESH_TOKEN_EXPIRED": Code(
        401, "The refresh token has expired", "Sign in again to start a new session."
    ),
    "REFRESH_TOKEN_REUSED": Code(
        401,
        "The refresh token was used before",
        "The whole session was ended, as the token may have been stolen; sign in again.",
    ),
    "FORBIDDEN": Code(
        403, "The role does not allow this", "Sign in with an account that has the needed role."
    ),
    "EMAIL_TAKEN": Code(
        409, "The e-mail address has an account", "Sign in instead, or use another address."
    ),
}

# What is asked for.
_RESOURCES = {
    "PRODUCT_NOT_FOUND": Code(
        404, "There is no such product", "No product with this id is on show; search again."
    ),
    "SKU_NOT_FOUND": Code(404, "There is no such SKU", "No variant with this SKU is on show."),
    "CATEGORY_NOT_FOUND": Code(
        404, "There is no such category", "Take a category's path from GET /v1/categories/tree."
    ),
    "ORDER_NOT_FOUND": Code(
        404, "There is no such order", "None of your orders has this id; see GET /v1/orders."
    ),
    "PAYMENT_NOT_FOUND": Code(
        404, "There is no payment yet", "The order has not come to its payment; look again."
    ),
    "SAGA_NOT_FOUND": Code(404, "There is no such saga", "No saga has this id; see GET /v1/sagas."),
    "PROVIDER_NOT_FOUND": Code(
        404, "There is no such provider", "No payment provider of this name sends webhooks here."
    ),
    "INSTRUMENT_NOT_FOUND": Code(
        404, "There is no such saved instrument", "See GET /v1/users/me/instruments."
    ),
    "INSTRUMENT_NOT_USABLE": Code(
        422, "The saved instrument cannot be used", "Choose another one, or pay without one."
    ),
    "INVALID_PINCODE": Code(
        422, "The PIN code is not valid", "Write six digits, the first not 0, such as 560001."
    ),
}

# Idempotency keys.
_KEYS = {
    "IDEMPOTENCY_KEY_MISSING": Code(
        400,
        "The idempotency key is missing",
        "Send a header Idempotency-Key that is new for each order and the same for each retry.",
    ),
    "IDEMPOTENCY_KEY_INVALID": Code(
        400,
        "The idempotency key is not valid",
        "An Idempotency-Key has 16 to 128 printable ASCII characters without spaces.",
    ),
    "IDEMPOTENCY_KEY_REUSED": Code(
        422,
        "The idempotency key belongs to another request",
        "The key was sent before with another body; take a new key for a new order.",
    ),
    "ORDER_IN_FLIGHT": Code(
        409,
        "The order is being placed",
        "A request with this key is at work; send the same request again in a moment.",
        2,
    ),
}

# Why a checkout refuses an order.
_CHECKOUT = {
    "CARD_NUMBER_REFUSED": Code(
        422,
        "A card number was sent",
        "Card numbers are not accepted here; send the token that the payment form returned.",
    ),
    "ADDRESS_UNKNOWN": Code(
        422, "The address is not known", "None of your addresses has this id; add it first."
    ),
    "UNKNOWN_SKU": Code(
        422, "A product is not for sale", "A line names a SKU that nobody sells; remove it."
    ),
    "NOT_SOLD_BY_SELLER": Code(
        422, "The seller does not sell this", "Choose another seller for the line, or none."
    ),
    "OUT_OF_STOCK": Code(
        422, "A product is out of stock", "Less is in stock than was ordered; order fewer."
    ),
    "PRICE_CHANGED": Code(
        422, "The price has changed", "Show the customer the new total, then order with it."
    ),
    "QUANTITY_OUT_OF_RANGE": Code(
        422, "The quantity is out of range", "Order 1 to 20 pieces a line."
    ),
    "COUPON_UNKNOWN": Code(422, "There is no such coupon", "Correct the coupon, or remove it."),
    "COUPON_NOT_ACTIVE": Code(422, "The coupon is not active", "Remove the coupon."),
    "COUPON_MINIMUM_NOT_MET": Code(
        422, "The coupon needs a larger order", "Add something, or remove the coupon."
    ),
    "COUPON_INVALID": Code(422, "The coupon is not valid", "Remove the coupon."),
    "CASH_NOT_AVAILABLE": Code(
        422, "Cash is not taken for this order", "Pay another way: see the detail for the limit."
    ),
    "RISK_REJECTED": Code(
        422, "The order was not accepted", "Pay in another way, or ask support about this order."
    ),
    "RISK_REVIEW_TIMED_OUT": Code(
        422, "The order was not reviewed in time", "Nothing was charged; order again later."
    ),
    "PAYMENT_DECLINED": Code(
        422, "The payment was declined", "Nothing was charged; pay in another way."
    ),
    "PAYMENT_UNAVAILABLE": Code(
        422, "No payment provider could be reached", "Nothing was charged; order again later."
    ),
    "PAYMENT_EXPIRED": Code(
        422, "The payment was not completed in time", "Nothing is reserved any more; order again."
    ),
    "ORDER_EXPIRED": Code(
        422, "The order has expired", "Nothing is reserved any more; order again."
    ),
    "ORDER_REFUSED": Code(
        422, "The order was refused", "Nothing was charged and nothing is reserved."
    ),
    "CANCELLED": Code(
        422, "The order was cancelled", "What was reserved or paid for it has been given back."
    ),
    "ORDER_TOO_LATE_TO_CANCEL": Code(
        409, "It is too late to cancel", "The order is paid; return the goods once they arrive."
    ),
    "ORDER_ENDED": Code(
        409, "The order has ended", "There is nothing left to cancel: see the order's state."
    ),
}

# Why money does not go back.
_REFUNDS = {
    "REFUND_TOO_LARGE": Code(
        422, "The refund is too large", "Ask for no more than is left of what was taken."
    ),
    "NOTHING_TO_REFUND": Code(
        409, "There is nothing to refund", "Nothing was taken for the order, or all went back."
    ),
    "ORDER_NOT_PAID": Code(
        409, "The order is not paid yet", "Cancel the order; what was reserved goes back by itself."
    ),
    "PAYMENT_DISPUTED": Code(
        409,
        "The payment is disputed",
        "Wait for the bank's decision; a refund now could pay twice.",
    ),
    "REFUND_NOT_POSSIBLE": Code(
        422, "The refund is not possible", "The provider cannot give back this amount; see detail."
    ),
}

# Webhooks, and people who help sagas along.
_SUPPORT = {
    "SIGNATURE_INVALID": Code(
        401,
        "The signature is not valid",
        "Sign the exact bytes of the body with our shared secret.",
    ),
    "SIGNATURE_STALE": Code(
        401, "The signature is too old", "Sign each delivery anew, with the time of the delivery."
    ),
    "EVENT_UNREADABLE": Code(
        422, "The event cannot be read", "The body is signed, but is no event of this provider."
    ),
    "SAGA_ENDED": Code(409, "The saga has ended", "Nothing is parked: the saga is over."),
    "SAGA_NOT_IN_ENGINE": Code(
        404,
        "The saga's history is gone",
        "The engine keeps no history of this saga any more; its timeline is still here.",
    ),
    "NOT_PARKED": Code(
        409, "The step is not parked", "Somebody may have resolved it: look at the saga again."
    ),
    "ACTION_NOT_ALLOWED": Code(
        422, "The action does not fit the step", "Choose one of the actions listed for the step."
    ),
    "NOTE_MISSING": Code(422, "A note is missing", "Say in a note why the step is resolved so."),
    "RESULT_NEEDED": Code(
        422, "The step's result is missing", "Marking this step as done needs its result."
    ),
    "CASE_NOT_FOUND": Code(
        404,
        "There is no such case",
        "No reconciliation case has this id; see GET /v1/admin/reconciliation/cases.",
    ),
    "CASE_CLOSED": Code(
        409, "The case cannot go there", "Somebody may have closed it: look at the case again."
    ),
    "SECOND_PERSON_NEEDED": Code(
        409, "A second person must agree", "Ask a colleague to send the same resolution."
    ),
}

CODES: Mapping[str, Code] = MappingProxyType(
    {**_REQUEST, **_IDENTITY, **_RESOURCES, **_KEYS, **_CHECKOUT, **_REFUNDS, **_SUPPORT}
)
CHECKOUT_CODES = tuple(_CHECKOUT)
REFUND_CODES = tuple(_REFUNDS)


def code_of(name: str) -> Code:
    """What a code means; a code that only the saga knows is a refusal of the order."""
    return CODES.get(name, CODES["ORDER_REFUSED"])
