"""Shiprocket's words as data: its two tables of statuses, its times, its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType

from activities.payments.psp.http import JsonObject
from activities.shipping.carriers.http import Tongue
from domain.payments import FailureClass as F
from domain.scans import Scan
from domain.shipping import ShipmentState as S

# Its times name no zone: they are Indian.
IST = timezone(timedelta(hours=5, minutes=30))
SCAN_TIME = "%Y-%m-%d %H:%M:%S"
EVENT_TIME = "%d %m %Y %H:%M:%S"

# Ids of a shipment's status (`shipment_status_id`, `sr-status`). Orders have another table with
# the same numbers for other things, under `current_status_id`, which is never read: 20 there is "in
# transit", and here a pickup that failed.
FORWARD: Mapping[int, S] = MappingProxyType(
    {
        1: S.BOOKED,  # AWB assigned
        2: S.BOOKED,  # label generated
        3: S.PICKUP_SCHEDULED,
        4: S.PICKUP_SCHEDULED,  # queued
        5: S.PICKUP_SCHEDULED,  # manifest generated
        6: S.IN_TRANSIT,  # shipped
        7: S.DELIVERED,
        8: S.CANCELLED,
        9: S.RTO_INITIATED,
        10: S.RTO_DELIVERED,
        12: S.LOST,
        13: S.PICKUP_FAILED,  # pickup error
        14: S.RTO_DELIVERED,  # the seller acknowledged it
        15: S.PICKUP_SCHEDULED,  # rescheduled
        17: S.OUT_FOR_DELIVERY,
        18: S.IN_TRANSIT,
        19: S.PICKUP_SCHEDULED,  # out for pickup
        20: S.PICKUP_FAILED,  # pickup exception
        21: S.NDR,
        22: S.IN_TRANSIT,  # delayed
        24: S.DAMAGED,  # destroyed
        25: S.DAMAGED,
        27: S.PICKUP_SCHEDULED,  # pickup booked
        38: S.IN_TRANSIT,  # at the destination's hub
        39: S.IN_TRANSIT,  # misrouted
        40: S.RTO_IN_TRANSIT,  # the return was not accepted
        41: S.RTO_OUT_FOR_DELIVERY,
        42: S.PICKED_UP,
        45: S.CANCELLED,  # before dispatch
        46: S.RTO_IN_TRANSIT,
        48: S.IN_TRANSIT,  # reached a warehouse
        50: S.IN_TRANSIT,  # in flight
        51: S.IN_TRANSIT,  # handed over to the courier
        52: S.BOOKED,
        75: S.RTO_INITIATED,  # locked for return
        78: S.RTO_IN_TRANSIT,  # back in the seller's city
    }
)
# What the same ids mean on a parcel that was fetched from a customer.
REVERSE: Mapping[int, S] = MappingProxyType(
    {
        1: S.RVP_SCHEDULED,
        2: S.RVP_SCHEDULED,
        3: S.RVP_SCHEDULED,
        4: S.RVP_SCHEDULED,
        5: S.RVP_SCHEDULED,
        6: S.RVP_PICKED,
        7: S.DTO_DELIVERED,
        8: S.CANCELLED,
        12: S.LOST,
        13: S.PICKUP_FAILED,
        15: S.RVP_SCHEDULED,
        17: S.RVP_PICKED,
        18: S.RVP_PICKED,
        19: S.RVP_SCHEDULED,
        20: S.PICKUP_FAILED,
        22: S.RVP_PICKED,
        24: S.DAMAGED,
        25: S.DAMAGED,
        27: S.RVP_SCHEDULED,
        38: S.RVP_PICKED,
        39: S.RVP_PICKED,
        42: S.RVP_PICKED,
        45: S.CANCELLED,
        47: S.QC_FAILED,
        48: S.RVP_PICKED,
        50: S.RVP_PICKED,
        51: S.RVP_PICKED,
        52: S.RVP_SCHEDULED,
    }
)

# Errors have no codes, so these are its sentences; what is missing here goes by its HTTP status,
# so a 503 is UNKNOWN: it does not say that nothing was done.
ALREADY_ASSIGNED = "AWB is already assigned"
ALREADY_QUEUED = "Already in Pickup Queue."
PICKED_UP = "Cancellation is not possible after pickup"
ENDED = "The shipment has reached its end"
SERVER_SAID: Mapping[str, F] = MappingProxyType(
    {
        ALREADY_ASSIGNED: F.INVALID_REQUEST,
        ALREADY_QUEUED: F.INVALID_REQUEST,
        PICKED_UP: F.INVALID_REQUEST,
        ENDED: F.INVALID_REQUEST,
        "AWB is not assigned yet": F.INVALID_REQUEST,
        "Shipment not found": F.INVALID_REQUEST,
        "The order is cancelled": F.INVALID_REQUEST,
        "Shipment is not in NDR": F.INVALID_REQUEST,
        "The deferred date is too far ahead": F.INVALID_REQUEST,
        "The given data was invalid.": F.INVALID_REQUEST,
    }
)


def sentence(body: JsonObject) -> str | None:
    """What an error says."""
    message = body.get("message")
    return None if message is None else str(message)


def may_be_taken(body: JsonObject) -> bool:
    """Whether an order's id is complained about: it may be there already, however that is worded.

    A look-up finds out, where "invalid" would send the parcel elsewhere.
    """
    errors = body.get("errors")
    return isinstance(errors, dict) and "order_id" in errors


def is_error(body: JsonObject) -> bool:
    """Whether a body is an error, whatever its HTTP status says."""
    status = body.get("status_code")
    return bool(body.get("errors")) or (isinstance(status, int) and status >= 400)


TONGUE = Tongue(codes=SERVER_SAID, read_code=sentence)


def scan_of(awb: str, shown: JsonObject, *, reverse: bool) -> Scan:
    """One of a parcel's activities; ValueError or KeyError for what is none.

    Where Shiprocket itself does not know what the courier said, the courier's own code is kept.
    """
    said = str(shown["sr-status"])
    known = said.isascii() and said.isdigit()
    table = REVERSE if reverse else FORWARD
    return Scan(
        awb=awb,
        status=table.get(int(said), S.UNMAPPED) if known else S.UNMAPPED,
        at=datetime.strptime(shown["date"], SCAN_TIME).replace(tzinfo=IST),
        carrier_status_id=said if known else f"courier:{shown['status']}",
        location=str(shown.get("location") or ""),
        reason=str(shown.get("activity") or ""),
    )


def scans_of(body: JsonObject) -> list[Scan]:
    """The scans that a webhook tells of.

    Its own status is one only where no scan has it: its time is that of the telling, so the same
    failed delivery would count twice.
    """
    awb, reverse = str(body["awb"]), bool(int(body.get("is_return") or 0))
    scans = [scan_of(awb, one, reverse=reverse) for one in body.get("scans") or ()]
    status_id = str(int(body["shipment_status_id"]))
    if any(scan.carrier_status_id == status_id for scan in scans):
        return scans
    table = REVERSE if reverse else FORWARD
    own = Scan(
        awb=awb,
        status=table.get(int(status_id), S.UNMAPPED),
        at=datetime.strptime(body["current_timestamp"], EVENT_TIME).replace(tzinfo=IST),
        carrier_status_id=status_id,
        reason=str(body.get("shipment_status") or ""),
    )
    return [*scans, own]
