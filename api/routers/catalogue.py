"""What is for sale. Open to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from api.identity import ReadLimit
from api.problems import Problem, problems
from api.schemas.base import Listed, Plain
from api.schemas.catalogue import (
    Availability,
    CategoryNode,
    CategoryTree,
    ProductSummary,
    ProductView,
)
from api.services import ServicesDep
from db.errors import NotFound
from db.repositories import catalogue, stock
from db.repositories.catalogue import CategoryRecord, ProductRecord
from domain.pincode import distance_rank, parse_pincode

router = APIRouter(prefix="/v1", tags=["catalogue"], dependencies=[ReadLimit])

Words = Annotated[str | None, Query(min_length=2, max_length=100), Plain]
Path = Annotated[str | None, Query(max_length=400, examples=["Clothing >> Women"]), Plain]
Cursor = Annotated[str | None, Query(max_length=512)]
Pincode = Annotated[str, Query(max_length=16, examples=["560001"])]


@router.get("/products", responses=problems("BAD_CURSOR"))
async def products(
    services: ServicesDep,
    q: Words = None,
    category: Path = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
) -> Listed[ProductSummary]:
    """Products whose title or brand has `q`, in a category and below it."""
    async with services.database.reading() as session:
        page = await catalogue.search(session, category=category, text=q, after=cursor, limit=limit)
    cards = [ProductSummary.model_validate(card) for card in page.items]
    return Listed(items=cards, next=page.next)


@router.get(
    "/products/{product_id}",
    response_model=ProductView,
    responses=problems("PRODUCT_NOT_FOUND", "INVALID_PINCODE"),
)
async def product(
    product_id: str, services: ServicesDep, pincode: Pincode | None = None
) -> ProductRecord:
    """A product with its variants, who sells them, and what is nearest to a PIN code."""
    place = parse_pincode(pincode) if pincode is not None else None
    if not _storable(product_id):
        raise Problem("PRODUCT_NOT_FOUND")
    try:
        async with services.database.reading() as session:
            return await catalogue.product(session, product_id, pincode=place)
    except NotFound as error:
        raise Problem("PRODUCT_NOT_FOUND") from error


@router.get("/categories/tree", responses=problems())
async def category_tree(services: ServicesDep) -> CategoryTree:
    """Every category, nested, with how many products are on show."""
    async with services.database.reading() as session:
        return CategoryTree(items=_nested(await catalogue.categories(session), None))


@router.get("/inventory/availability", responses=problems("SKU_NOT_FOUND", "INVALID_PINCODE"))
async def availability(
    services: ServicesDep,
    sku: Annotated[str, Query(min_length=1, max_length=80), Plain],
    pincode: Pincode,
) -> Availability:
    """Whether a SKU can go to a PIN code now; an order checks again."""
    place = parse_pincode(pincode)
    async with services.database.reading() as session:
        if not await catalogue.for_sale(session, [sku]):
            raise Problem("SKU_NOT_FOUND")
        shelves = [shelf for shelf in await stock.stock_for(session, [sku]) if shelf.available > 0]
    nearest = min(shelves, key=lambda shelf: distance_rank(shelf.pincode, place), default=None)
    return Availability(
        sku=sku,
        pincode=place,
        available=bool(shelves),
        units=sum(shelf.available for shelf in shelves),
        ships_from=nearest.pincode if nearest else None,
    )


def _nested(rows: Sequence[CategoryRecord], parent: str | None) -> list[CategoryNode]:
    below: dict[str | None, list[CategoryRecord]] = {}
    for row in rows:
        below.setdefault(row.parent_id, []).append(row)

    def under(node: str | None) -> list[CategoryNode]:
        return [
            CategoryNode(
                id=row.id,
                name=row.name,
                path=row.path,
                products=row.products,
                children=under(row.id),
            )
            for row in below.get(node, [])
        ]

    return under(parent)


def _storable(text: str) -> bool:
    return text.isprintable() and len(text) <= 80
