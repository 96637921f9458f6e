"""Delhivery's words as data: what a status means is the pair of its type and itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType

from activities.payments.psp.http import JsonObject
from domain.scans import Scan
from domain.shipping import ShipmentState as S

# Its times name no zone: they are Indian.
IST = timezone(timedelta(hours=5, minutes=30))

# (status type, status): "Dispatched" is on its way to the customer under UD, to us under RT.
STATUSES: Mapping[tuple[str, str], S] = MappingProxyType(
    {
        ("UD", "Manifested"): S.BOOKED,
        ("UD", "Not Picked"): S.PICKUP_FAILED,
        ("UD", "In Transit"): S.IN_TRANSIT,
        ("UD", "Pending"): S.IN_TRANSIT,
        ("UD", "Scheduled"): S.IN_TRANSIT,
        ("UD", "Dispatched"): S.OUT_FOR_DELIVERY,
        ("DL", "Delivered"): S.DELIVERED,
        ("DL", "RTO"): S.RTO_DELIVERED,
        ("DL", "DTO"): S.DTO_DELIVERED,
        ("RT", "In Transit"): S.RTO_IN_TRANSIT,
        ("RT", "Pending"): S.RTO_IN_TRANSIT,
        ("RT", "Dispatched"): S.RTO_OUT_FOR_DELIVERY,
        ("LT", "Lost"): S.LOST,
        ("PP", "Open"): S.RVP_SCHEDULED,
        ("PP", "Scheduled"): S.RVP_SCHEDULED,
        ("PP", "Dispatched"): S.RVP_SCHEDULED,  # the courier is on his way to the customer
        ("PU", "In Transit"): S.RVP_PICKED,
        ("PU", "Pending"): S.RVP_PICKED,
        ("PU", "Dispatched"): S.RVP_PICKED,
        ("CN", "Canceled"): S.CANCELLED,
        ("CN", "Cancelled"): S.CANCELLED,
        ("CN", "Closed"): S.CANCELLED,
    }
)
# Where the code beside them says more: (type, status, how the code begins).
CLOSER: Mapping[tuple[str, str, str], S] = MappingProxyType(
    {
        ("UD", "Manifested", "FMPUR-101"): S.PICKUP_SCHEDULED,
        ("UD", "In Transit", "X-PPOM"): S.PICKED_UP,
        # The end of a courier's day with the parcel still in the van.
        ("UD", "Pending", "EOD-"): S.NDR,
    }
)


def meaning(kind: str, status: str, code: str) -> S:
    """What a status is to us; UNMAPPED where nobody said yet."""
    for (of_kind, of_status, begins), state in CLOSER.items():
        if (kind, status) == (of_kind, of_status) and code.startswith(begins):
            return state
    return STATUSES.get((kind, status), S.UNMAPPED)


def scan_in_list(awb: str, shown: JsonObject) -> Scan:
    """One of a package's scans; KeyError or ValueError for what is none."""
    kind, status, code = str(shown["ScanType"]), str(shown["Scan"]), str(shown["StatusCode"])
    return _scan(awb, (kind, status, code), shown["StatusDateTime"], shown)


def scan_in_event(body: JsonObject) -> Scan:
    """The scan that a webhook tells of."""
    shipment = body["Shipment"]
    told = shipment["Status"]
    words = (str(told["StatusType"]), str(told["Status"]), str(shipment.get("NSLCode") or ""))
    return _scan(str(shipment["AWB"]), words, told["StatusDateTime"], told)


def _scan(awb: str, words: tuple[str, str, str], at: str, shown: JsonObject) -> Scan:
    read = datetime.fromisoformat(at)
    return Scan(
        awb=awb,
        status=meaning(*words),
        at=read.replace(tzinfo=IST) if read.tzinfo is None else read,
        carrier_status_id="/".join(words),
        location=str(shown.get("StatusLocation") or shown.get("ScannedLocation") or ""),
        reason=str(shown.get("Instructions") or ""),
    )
