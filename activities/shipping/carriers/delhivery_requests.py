"""What Delhivery is asked, in its words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from activities.shipping.carriers.delhivery_words import IST
from activities.shipping.carriers.http import rupees
from activities.shipping.carriers.port import Address, NdrAction, NdrKind, Parcel

_REFUSED_CHARACTERS = str.maketrans("&\\%#;", "     ")


def action_of(awb: str, action: NdrAction) -> dict[str, Any]:
    """An NDR action as it is asked for."""
    if action.kind is NdrKind.DEFER and action.on is not None:
        data = {"deferred_date": action.on.isoformat()}
        return {"waybill": awb, "act": "DEFER_DLV", "action_data": data}
    if action.kind is NdrKind.EDIT_ADDRESS and action.address is not None:
        told = {"name": action.address.name, "phone": action.address.phone}
        data = {**told, "add": _plain(action.address.line)}
        return {"waybill": awb, "act": "EDIT_DETAILS", "action_data": data}
    return {"waybill": awb, "act": "RE-ATTEMPT"}


def _plain(text: str) -> str:
    """Without the characters that it refuses."""
    return text.translate(_REFUSED_CHARACTERS)


def shipment_of(
    parcel: Parcel, awb: str, mode: str, customer: Address, ours: Address
) -> dict[str, Any]:
    """A parcel as it is booked: grams, centimetres, rupees."""
    return {
        "waybill": awb,
        "order": parcel.merchant_ref,
        "payment_mode": mode,
        "name": _plain(customer.name),
        "add": _plain(customer.line),
        "city": _plain(customer.city),
        "state": customer.state,
        "country": "India",
        "phone": customer.phone,
        "pin": customer.pincode,
        "return_name": _plain(ours.name),
        "return_add": _plain(ours.line),
        "return_city": _plain(ours.city),
        "return_state": ours.state,
        "return_country": "India",
        "return_phone": ours.phone,
        "return_pin": ours.pincode,
        "products_desc": _plain(parcel.contents),
        "cod_amount": rupees(parcel.collect),
        "total_amount": rupees(parcel.value),
        "order_date": parcel.ordered_at.astimezone(IST).isoformat(),
        "weight": str(parcel.grams),
        "shipment_length": str(Decimal(parcel.length_mm) / 10),
        "shipment_width": str(Decimal(parcel.breadth_mm) / 10),
        "shipment_height": str(Decimal(parcel.height_mm) / 10),
        "quantity": "1",
        "shipping_mode": "Surface",
    }
