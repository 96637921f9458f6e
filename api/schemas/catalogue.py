"""The catalogue as customers read it. Amounts in paise."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainSerializer

from api.schemas.base import Paise, Told

Rating = Annotated[Decimal | None, PlainSerializer(lambda value: value and float(value))]


class ProductSummary(Told):
    """A product in a list, by its cheapest offer."""

    id: str
    title: str
    brand: str | None
    category: str
    image_url: str | None
    rating: Rating
    sku: str
    price_paise: Paise
    mrp_paise: Paise
    in_stock: bool


class ListingView(Told):
    """One seller's price for a variant."""

    id: str
    seller_id: str
    seller: str
    price_paise: Paise


class VariantView(Told):
    """A form of a product that can be bought, its listings cheapest first."""

    sku: str
    attributes: dict[str, Any]
    mrp_paise: Paise
    grams: int
    listings: list[ListingView]
    available: int
    nearest_warehouse: str | None


class ProductView(Told):
    """A product's page."""

    id: str
    title: str
    brand: str | None
    category: str
    description: str
    tax_class: str
    hsn: str
    image_urls: list[str]
    specifications: dict[str, Any]
    rating: Rating
    variants: list[VariantView]


class CategoryNode(Told):
    """A category and those below it; `products` counts what is on show in all of them."""

    id: str
    name: str
    path: str
    products: int
    children: list[CategoryNode]


class CategoryTree(Told):
    """The whole tree, from its roots."""

    items: list[CategoryNode]


class Availability(Told):
    """Whether a SKU can be delivered to a PIN code, how many, and from the PIN code of where."""

    sku: str
    pincode: str
    available: bool
    units: int
    ships_from: str | None
