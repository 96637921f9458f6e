"""Which warehouses send what: fewest shipments first, nearest first among equals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from domain.errors import SourcingError
from domain.pincode import distance_rank

# beyond these an exact search costs more than the shipment that it may save
MAX_EXACT_SHIPMENTS = 3
MAX_EXACT_WAREHOUSES = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many units of a SKU."""

    sku: str
    qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockAt:
    """Units of a SKU that are free to promise in a warehouse."""

    sku: str
    warehouse_id: str
    pincode: str
    available: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """What one warehouse sends, by SKU."""

    warehouse_id: str
    items: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class SourcingPlan:
    """Shipments that together are the order, nearest warehouse first."""

    shipments: tuple[Shipment, ...]


@dataclass(frozen=True, slots=True)
class ShortItem:
    """A SKU of which fewer units are free than wanted."""

    sku: str
    wanted: int
    available: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """Every SKU that the order cannot have in full."""

    items: tuple[ShortItem, ...]


Shelves = Mapping[str, Mapping[str, int]]  # warehouse → SKU → units, nearest warehouse first


def plan(
    lines: Sequence[Wanted], stock: Sequence[StockAt], destination: str
) -> SourcingPlan | Shortage:
    """Source `lines`, summed by SKU, for a PIN code.

    The answer does not depend on the order of lines or stock. Raises SourcingError for no
    lines or a quantity below 1, and InvalidPincode.
    """
    wanted = _summed(lines)
    shelves = _nearest_first(wanted, stock, destination)
    free = {sku: sum(units[sku] for units in shelves.values()) for sku in wanted}
    short = tuple(ShortItem(sku, n, free[sku]) for sku, n in wanted.items() if free[sku] < n)
    if short:
        return Shortage(short)
    return _pick(wanted, _fewest(wanted, shelves))


def _summed(lines: Sequence[Wanted]) -> dict[str, int]:
    if not lines:
        raise SourcingError("EMPTY_ORDER", "there is nothing to source: add a line")
    wanted: Counter[str] = Counter()
    for line in lines:
        if line.qty < 1:
            raise SourcingError(
                "QUANTITY_OUT_OF_RANGE", f"{line.qty} of {line.sku}: a quantity is at least 1"
            )
        wanted[line.sku] += line.qty
    return dict(sorted(wanted.items()))


def _nearest_first(
    wanted: Mapping[str, int], stock: Sequence[StockAt], destination: str
) -> dict[str, Counter[str]]:
    """The shelves that hold something wanted; a rank tie goes to the smaller warehouse id."""
    shelves: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ranks: dict[str, tuple[int, int]] = {}
    for at in stock:
        if at.sku in wanted and at.available > 0:
            shelves[at.warehouse_id][at.sku] += at.available
            ranks[at.warehouse_id] = distance_rank(at.pincode, destination)
    return {w: shelves[w] for w in sorted(shelves, key=lambda w: (ranks[w], w))}


def _fewest(wanted: Mapping[str, int], shelves: Shelves) -> Shelves:
    """The nearest of the smallest sets of warehouses that hold it all, or else all of them."""
    for chosen in _small_sets(shelves):
        if all(sum(shelves[w][sku] for w in chosen) >= n for sku, n in wanted.items()):
            return {w: shelves[w] for w in chosen}
    return shelves


def _small_sets(shelves: Shelves) -> Iterator[tuple[str, ...]]:
    yield from combinations(shelves, 1)
    nearest = list(islice(shelves, MAX_EXACT_WAREHOUSES))
    for size in range(2, MAX_EXACT_SHIPMENTS + 1):
        yield from combinations(nearest, size)


def _pick(wanted: Mapping[str, int], shelves: Shelves) -> SourcingPlan:
    """Take each SKU whole from the nearest that has it all, else from the nearest onward."""
    picks: dict[str, list[Wanted]] = {warehouse: [] for warehouse in shelves}
    for sku, missing in wanted.items():
        whole = [w for w, units in shelves.items() if units[sku] >= missing]
        for warehouse in whole or shelves:
            taken = min(missing, shelves[warehouse][sku])
            missing -= taken
            if taken:
                picks[warehouse].append(Wanted(sku, taken))
    return SourcingPlan(tuple(Shipment(w, tuple(items)) for w, items in picks.items() if items))
