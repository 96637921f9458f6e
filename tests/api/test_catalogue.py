"""Catalogue reads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import shop
from tests.api.conftest import Edge
from tests.api.shop import refused


async def _get(edge: Edge, path: str, **params: Any) -> Any:
    return await edge.http.get(path, params=params)


async def test_products_with_their_cheapest_price(edge: Edge) -> None:
    page = (await _get(edge, "/v1/products", q="shirt")).json()
    assert page == {
        "items": [
            {
                "id": shop.SHIRT_PAGE,
                "title": "Cotton shirt",
                "brand": "Sahyadri",
                "category": "Things >> Shirts",
                "image_url": None,
                "rating": None,
                "sku": shop.SHIRT,
                "price_paise": 599_00,
                "mrp_paise": 999_00,
                "in_stock": True,
            }
        ],
        "next": None,
    }


async def test_a_category_and_what_is_below_it(edge: Edge) -> None:
    async def found(**params: Any) -> set[str]:
        page = (await _get(edge, "/v1/products", **params)).json()
        return {product["title"] for product in page["items"]}

    assert await found(category="Things") == {"Cotton shirt", "Kettle, 100% steel"}
    assert await found(category="Things >> Shirts") == {"Cotton shirt"}
    assert await found(category="Nothing") == set()
    assert await found(q="100%") == {"Kettle, 100% steel"}
    assert await found(q="%%") == set()


async def test_pages_meet_without_gap(edge: Edge) -> None:
    first = (await _get(edge, "/v1/products", limit=1)).json()
    second = (await _get(edge, "/v1/products", limit=1, cursor=first["next"])).json()
    seen = [product["id"] for page in (first, second) for product in page["items"]]
    assert seen == sorted([shop.SHIRT_PAGE, shop.KETTLE_PAGE])
    assert second["next"] is None
    refused(await _get(edge, "/v1/products", cursor="x"), 422, "BAD_CURSOR")


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"q": "x"}, {"q": "a\0b"}])
async def test_a_search_that_is_wrong(edge: Edge, params: dict[str, Any]) -> None:
    body = refused(await _get(edge, "/v1/products", **params), 422, "VALIDATION_FAILED")
    assert [error["field"] for error in body["errors"]] == list(params)


async def test_a_product_with_its_sellers(edge: Edge) -> None:
    product = (await _get(edge, f"/v1/products/{shop.SHIRT_PAGE}", pincode="560 001")).json()
    (variant,) = product["variants"]
    assert [(each["seller"], each["price_paise"]) for each in variant["listings"]] == [
        ("Sahyadri", 599_00),
        ("Deccan", 649_00),
    ]
    assert (variant["available"], variant["nearest_warehouse"]) == (7, "BLR")
    assert (product["tax_class"], product["category"]) == ("STANDARD", "Things >> Shirts")


@pytest.mark.parametrize("product_id", ["nothing", "x" * 300, "a%00b", shop.HOME])
async def test_a_product_that_is_not_there(edge: Edge, product_id: str) -> None:
    refused(await _get(edge, f"/v1/products/{product_id}"), 404, "PRODUCT_NOT_FOUND")


async def test_the_tree_counts_what_is_below(edge: Edge) -> None:
    tree = (await _get(edge, "/v1/categories/tree")).json()
    shirts = {
        "id": "shirts",
        "name": "Shirts",
        "path": "Things >> Shirts",
        "products": 1,
        "children": [],
    }
    assert tree == {
        "items": [
            {
                "id": "things",
                "name": "Things",
                "path": "Things",
                "products": 2,
                "children": [shirts],
            }
        ]
    }


async def test_availability_for_a_pin_code(edge: Edge) -> None:
    path = "/v1/inventory/availability"
    near_delhi = await _get(edge, path, sku=shop.SHIRT, pincode="110001")
    assert near_delhi.json() == {
        "sku": shop.SHIRT,
        "pincode": "110001",
        "available": True,
        "units": 7,
        "ships_from": "122503",
    }
    none_left = (await _get(edge, path, sku=shop.KETTLE, pincode="110001")).json()
    assert (none_left["available"], none_left["units"], none_left["ships_from"]) == (False, 0, None)
    refused(await _get(edge, path, sku="NONE", pincode="110001"), 404, "SKU_NOT_FOUND")
    refused(await _get(edge, path, sku=shop.SHIRT, pincode="012345"), 422, "INVALID_PINCODE")
    refused(await _get(edge, path, sku=shop.SHIRT), 422, "VALIDATION_FAILED")


@pytest.mark.parametrize("pincode", ["0", "999999x", "١٢٣٤٥٦"])
async def test_a_wrong_pin_code(edge: Edge, pincode: str) -> None:
    answer = await _get(edge, f"/v1/products/{shop.SHIRT_PAGE}", pincode=pincode)
    assert repr(pincode) in refused(answer, 422, "INVALID_PINCODE")["detail"]
