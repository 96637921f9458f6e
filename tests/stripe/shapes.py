"""localstripe's objects and errors, completed to the form that Stripe documents.

localstripe lacks fields that Stripe always has (`amount_received`, a charge's `amount_captured`),
always expands `latest_charge`, and refuses without a code.
"""

from collections.abc import Mapping
from typing import Any

Shown = dict[str, Any]

# Fields of Stripe's that localstripe refuses; none of them moves money.
STRIPPED = ("expand[]", "return_url", "error_on_requires_action", "cancellation_reason")


def payment(shown: Shown, *, captured: int | None, expanded: bool, page: str | None) -> Shown:
    """A PaymentIntent; `captured` is what a capture asked for, `page` where to authenticate."""
    charge = shown["latest_charge"]
    full = charge and completed_charge(charge, shown, captured)
    held = shown["status"] == "requires_capture"
    error = shown["last_payment_error"]
    known = {name: value for name, value in shown.items() if name != "charges"}
    return {
        **known,
        "amount_capturable": shown["amount"] if held else 0,
        "amount_received": full["amount_captured"] if full else 0,
        "latest_charge": full if expanded or full is None else full["id"],
        "last_payment_error": error and declined(error),
        "next_action": shown["next_action"] and action(page),
        "canceled_at": None,
    }


def completed_charge(charge: Shown, payment: Shown, captured: int | None) -> Shown:
    """A charge, with the payment's metadata as Stripe copies them."""
    taken = charge["captured"] and charge["status"] == "succeeded"
    amount = charge["amount"] if captured is None else captured
    known = {name: value for name, value in charge.items() if name != "refunds"}
    return {
        **known,
        "amount_captured": amount if taken else 0,
        "metadata": payment["metadata"],
        "payment_intent": payment["id"],
    }


def action(page: str | None) -> Shown:
    """What the customer has to do: at a page, where we said where they come back to."""
    if page is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    return {"type": "redirect_to_url", "redirect_to_url": {"url": page, "return_url": None}}


def declined(error: Shown) -> Shown:
    """A card's error; localstripe names no decline code."""
    generic = {"decline_code": "generic_decline"} if error["code"] == "card_declined" else {}
    return {"type": "card_error", **generic, **error}


def error(message: str, **named: Any) -> Shown:
    """An error's body."""
    return {"error": {"type": "invalid_request_error", "message": message, **named}}


def event(kind: str, shown: Shown, number: int, created: int) -> Shown:
    """An event, as Stripe sends it: `latest_charge` is not expanded."""
    charge = shown.get("latest_charge")
    charge_id = charge["id"] if isinstance(charge, Mapping) else charge
    about = {**shown, "latest_charge": charge_id} if "latest_charge" in shown else shown
    return {
        "id": f"evt_{number:06d}",
        "object": "event",
        "type": kind,
        "created": created,
        "data": {"object": about},
    }
