"""What the customers see for sale, read through the public catalogue."""

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from stack.demo.edge import Edge
from stack.errors import StackError

PAGE: Final = 100
MOST_PAGES: Final = 50
LOOKED_AT: Final = 40
ORDINARY: Final = 8_000_00  # paise


@dataclass(frozen=True, slots=True)
class Ware:
    """Something that can be bought; `available` is over all warehouses, -1 where not looked up."""

    sku: str
    price_paise: int
    available: int = -1


@dataclass(frozen=True, slots=True)
class Shelf:
    """Wares for everyday baskets, those whose stock is known, and the one that is nearly gone."""

    ordinary: tuple[Ware, ...]
    known: tuple[Ware, ...]
    scarce: Ware


async def look_around(edge: Edge, seed: int) -> Shelf:
    """Read the catalogue; raises StackError where there is nothing to sell."""
    cards = [card for card in await _cards(edge) if card["in_stock"]]
    ordinary = tuple(
        Ware(card["sku"], card["price_paise"]) for card in cards if card["price_paise"] <= ORDINARY
    )
    if not ordinary:
        raise StackError(
            f"the catalogue at {edge.url} has nothing in stock for up to ₹{ORDINARY // 100}; "
            "import one with --catalogue FILE"
        )
    known = [ware for card in _sample(cards, seed) for ware in await _wares(edge, card["id"])]
    scarce = min(
        (ware for ware in known if ware.available > 0 and ware.price_paise <= ORDINARY),
        key=lambda ware: (ware.available, ware.sku),
        default=ordinary[0],
    )
    # Those who hunt for the scarce one must not meet everybody else there.
    others = tuple(ware for ware in ordinary if ware.sku != scarce.sku)
    return Shelf(others or ordinary, tuple(known), scarce)


def _sample(cards: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Some at random, and the costliest: they are what risk has an eye on."""
    costly = sorted(cards, key=lambda card: (-card["price_paise"], card["sku"]))
    some = Random(f"{seed}/shelf").sample(cards, min(LOOKED_AT, len(cards)))  # noqa: S311
    chosen = {card["id"]: card for card in (*costly[: LOOKED_AT // 2], *some)}
    return list(chosen.values())


async def _cards(edge: Edge) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        params = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
        page = (await edge.call("GET", "/v1/products", params=params)).json()
        cards += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return cards


async def _wares(edge: Edge, product_id: str) -> list[Ware]:
    product = (await edge.call("GET", f"/v1/products/{product_id}")).json()
    return [
        Ware(variant["sku"], variant["listings"][0]["price_paise"], variant["available"])
        for variant in product["variants"]
        if variant["listings"]
    ]
