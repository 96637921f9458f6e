"""Parcels: which units travel together, and what they weigh to a carrier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.money import Money
from domain.shipping import ShippingError
from domain.sourcing import Shipment, Wanted

MM3_PER_GRAM = 5_000  # 5,000 cm³ to the kilogram
SLAB_GRAMS = 500
EWAY_BILL_ABOVE = Money(50_000_00)


@dataclass(frozen=True, slots=True)
class ReservedLine:
    """Units of a SKU that an order holds in a warehouse."""

    sku: str
    warehouse_id: str
    qty: int


@dataclass(frozen=True, slots=True)
class Box:
    """The outer measures of a packed parcel in millimetres; raises ShippingError BOX_INVALID."""

    length: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.length, self.width, self.height) < 1:
            raise ShippingError(
                "BOX_INVALID",
                f"{self.length} × {self.width} × {self.height} mm: each side is at least 1 mm",
            )


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one warehouse sends, and the weight of the goods in grams, without the packing."""

    shipment: Shipment
    grams: int


def split(lines: Iterable[ReservedLine], grams: Mapping[str, int]) -> tuple[Parcel, ...]:
    """One parcel for each warehouse, by warehouse id; `grams` is the weight of a piece by SKU.

    Units of a SKU are summed, so the order of lines changes nothing. Raises ShippingError
    NOTHING_TO_SHIP, QUANTITY_OUT_OF_RANGE or WEIGHT_UNKNOWN.
    """
    units: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for line in lines:
        if line.qty < 1:
            raise ShippingError(
                "QUANTITY_OUT_OF_RANGE", f"{line.qty} of {line.sku}: a quantity is at least 1"
            )
        units[line.warehouse_id][line.sku] += line.qty
    if not units:
        raise ShippingError("NOTHING_TO_SHIP", "the reservation has no lines: nothing to ship")
    return tuple(_parcel(warehouse, units[warehouse], grams) for warehouse in sorted(units))


def _parcel(warehouse_id: str, units: Mapping[str, int], grams: Mapping[str, int]) -> Parcel:
    unknown = sorted(sku for sku in units if grams.get(sku, 0) < 1)
    if unknown:
        raise ShippingError(
            "WEIGHT_UNKNOWN", f"no weight is known of {', '.join(unknown)}: add it in grams"
        )
    items = tuple(Wanted(sku, qty) for sku, qty in sorted(units.items()))
    return Parcel(Shipment(warehouse_id, items), sum(grams[i.sku] * i.qty for i in items))


def volumetric_grams(box: Box) -> int:
    """The dimensional weight: length × width × height in cm, divided by 5,000, in kg; rounded up.

    The divisor of express and surface parcels in India as FedEx India and Trackon publish it;
    domestic air cargo often has 6,000.
    """
    return _up(box.length * box.width * box.height, MM3_PER_GRAM)


def chargeable_grams(grams: int, box: Box | None = None) -> int:
    """What a carrier charges for: the greater of both weights, up to the next slab of 500 g.

    `grams` is what the packed parcel weighs. Raises ShippingError WEIGHT_OUT_OF_RANGE below 1.
    """
    if grams < 1:
        raise ShippingError("WEIGHT_OUT_OF_RANGE", f"{grams} g: a parcel weighs at least 1 g")
    heavier = grams if box is None else max(grams, volumetric_grams(box))
    return _up(heavier, SLAB_GRAMS) * SLAB_GRAMS


def needs_eway_bill(value: Money) -> bool:
    """Whether goods of this value (tax included) need an e-way bill to travel."""
    return value > EWAY_BILL_ABOVE


def _up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
