"""The carriers that we can ship with, behind one interface."""

from activities.shipping.carriers.http import carrier_client
from activities.shipping.carriers.port import (
    Adapter,
    Address,
    Booking,
    BookingState,
    Carrier,
    CarrierCapabilities,
    Deed,
    DeedState,
    NdrAction,
    NdrKind,
    Parcel,
    Quotes,
    Reservation,
    Tracking,
)

__all__ = [
    "Adapter",
    "Address",
    "Booking",
    "BookingState",
    "Carrier",
    "CarrierCapabilities",
    "Deed",
    "DeedState",
    "NdrAction",
    "NdrKind",
    "Parcel",
    "Quotes",
    "Reservation",
    "Tracking",
    "carrier_client",
]
