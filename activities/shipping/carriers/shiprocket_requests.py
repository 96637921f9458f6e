"""What Shiprocket is asked, in its words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from activities.shipping.carriers.http import rupees
from activities.shipping.carriers.port import Address, Parcel
from activities.shipping.carriers.shiprocket_words import IST


def _side(prefix: str, address: Address) -> dict[str, Any]:
    return {
        f"{prefix}_customer_name": address.name,
        f"{prefix}_address": address.line,
        f"{prefix}_city": address.city[:30],
        f"{prefix}_pincode": address.pincode,
        f"{prefix}_state": address.state,
        f"{prefix}_country": "India",
        f"{prefix}_phone": address.phone,
        f"{prefix}_email": address.email or "",
    }


def _common(parcel: Parcel) -> dict[str, Any]:
    # What a courier collects is the sub_total that we name.
    total = parcel.collect if parcel.collect.paise else parcel.value
    item = {"name": parcel.contents, "sku": parcel.merchant_ref, "units": 1}
    return {
        "order_id": parcel.merchant_ref,
        "order_date": parcel.ordered_at.astimezone(IST).strftime("%Y-%m-%d %H:%M"),
        "order_items": [{**item, "selling_price": rupees(total)}],
        "payment_method": "COD" if parcel.collect.paise else "Prepaid",
        "sub_total": rupees(total),
        "length": str(Decimal(parcel.length_mm) / 10),
        "breadth": str(Decimal(parcel.breadth_mm) / 10),
        "height": str(Decimal(parcel.height_mm) / 10),
        "weight": str(Decimal(parcel.grams) / 1000),
    }


def order_of(parcel: Parcel) -> dict[str, Any]:
    """A parcel as it is booked: kilograms, centimetres, rupees."""
    pickup = {"pickup_location": parcel.origin.site or "", "shipping_is_billing": True}
    return {**_common(parcel), **_side("billing", parcel.destination), **pickup}


def return_of(parcel: Parcel) -> dict[str, Any]:
    """A reverse pickup as it is booked: `pickup_*` is the customer."""
    sides = {**_side("pickup", parcel.origin), **_side("shipping", parcel.destination)}
    return {**_common(parcel), **sides}
