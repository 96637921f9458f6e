"""What a file does not say, as data: taxes, sizes and weights by category, sellers, warehouses.

Where a choice is free it is drawn from a hash, so that every import draws the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.gst import TaxClass


@dataclass(frozen=True, slots=True)
class Shelf:
    """What products below `path` have in common unless their file says otherwise."""

    path: tuple[str, ...]
    tax_class: TaxClass
    hsn: str
    grams: int
    sizes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SellerRow:
    """A company that sells, under a made-up registration in the state of its PIN code."""

    key: str
    legal_name: str
    display_name: str
    gstin: str
    pincode: str


@dataclass(frozen=True, slots=True)
class WarehouseRow:
    """A warehouse, by its code."""

    code: str
    name: str
    pincode: str


_T = TaxClass
_ADULTS = ("S", "M", "L", "XL")
_CHILDREN = ("2-3Y", "4-5Y", "6-7Y", "8-9Y")
_FEET = ("UK 5", "UK 6", "UK 7", "UK 8", "UK 9")
_SMALL_FEET = ("UK 10C", "UK 12C", "UK 1", "UK 3")

# the longest matching path wins; the last row matches everything
SHELVES: Final = (
    Shelf(("Clothing",), _T.APPAREL, "6204", 300, _ADULTS),
    Shelf(("Clothing", "Kids' Clothing"), _T.APPAREL, "6111", 200, _CHILDREN),
    Shelf(("Clothing", "Kids"), _T.APPAREL, "6111", 200, _CHILDREN),
    Shelf(("Clothing", "Men's Clothing", "Accessories & Combo Sets"), _T.APPAREL, "6217", 150),
    Shelf(("Clothing", "Women's Clothing", "Accessories"), _T.APPAREL, "6214", 150),
    Shelf(("Clothing", "Women's Clothing", "Ethnic Wear", "Sarees"), _T.ESSENTIAL, "5407", 600),
    Shelf(("Clothing", "Women", "Sarees"), _T.ESSENTIAL, "5407", 600),
    Shelf(("Footwear",), _T.FOOTWEAR, "6404", 800, _FEET),
    Shelf(("Footwear", "Kids' & Infant Footwear"), _T.FOOTWEAR, "6404", 400, _SMALL_FEET),
    Shelf(("Jewellery",), _T.STANDARD, "7117", 40),
    Shelf(("Jewellery", "Rings"), _T.STANDARD, "7117", 15, ("12", "14", "16")),
    Shelf(("Watches",), _T.STANDARD, "9102", 150),
    Shelf(("Sunglasses",), _T.STANDARD, "9004", 60),
    Shelf(("Bags, Wallets & Belts",), _T.STANDARD, "4202", 500),
    Shelf(("Home Furnishing",), _T.APPAREL, "6304", 900),
    Shelf(("Home Decor & Festive Needs",), _T.REDUCED, "4420", 800),
    Shelf(("Furniture",), _T.STANDARD, "9403", 20_000),
    Shelf(("Kitchen",), _T.REDUCED, "7323", 900),
    Shelf(("Mobiles & Accessories",), _T.STANDARD, "8517", 250),
    Shelf(("Electronics",), _T.STANDARD, "8518", 350),
    Shelf(("Computers",), _T.STANDARD, "8471", 600),
    Shelf(("Appliances",), _T.DURABLE, "8516", 2_500),
    Shelf(("Tools & Hardware",), _T.STANDARD, "8205", 700),
    Shelf(("Automotive",), _T.DURABLE, "8708", 1_000),
    Shelf(("Sports & Fitness",), _T.REDUCED, "9506", 900),
    Shelf(("Toys & School Supplies",), _T.REDUCED, "9503", 400),
    Shelf(("Baby Care",), _T.REDUCED, "9619", 400),
    Shelf(("Pet Supplies",), _T.STANDARD, "4201", 500),
    Shelf(("Beauty and Personal Care",), _T.STANDARD, "3304", 200),
    Shelf(("Grocery",), _T.ESSENTIAL, "0902", 500),
    Shelf(("Food & Nutrition",), _T.ESSENTIAL, "2106", 1_000),
    Shelf(("Books",), _T.ZERO, "4901", 350),
    Shelf(("Pens & Stationery",), _T.STANDARD, "9608", 200),
    Shelf(("Pens & Stationery", "Diaries & Notebooks"), _T.ZERO, "4820", 300),
    Shelf((), _T.STANDARD, "8517", 500),
)

DEPARTMENTS: Final = frozenset(shelf.path[0] for shelf in SHELVES if shelf.path)

# for rows whose category tree is only the product's own name; the first word found decides
TITLE_HINTS: Final = (
    ("maternity", ("Clothing", "Women's Clothing", "Western Wear")),
    ("kurta", ("Clothing", "Women's Clothing", "Ethnic Wear")),
    ("stole", ("Clothing", "Women's Clothing", "Accessories")),
    ("clutch", ("Bags, Wallets & Belts", "Wallets & Clutches")),
    ("running shoes", ("Footwear", "Sports Shoes")),
    ("shoes", ("Footwear", "Casual Shoes")),
    ("lace up", ("Footwear", "Formal Shoes")),
    ("showpiece", ("Home Decor & Festive Needs", "Showpieces")),
    ("paper weight", ("Home Decor & Festive Needs", "Showpieces")),
    ("artificial plant", ("Home Decor & Festive Needs", "Plants")),
)
OTHER: Final = ("Everything else",)

SELLERS: Final = (
    SellerRow("deccan", "Deccan Retail Services Private Limited", "Deccan Retail",
              "29AADCD4821K1ZI", "560048"),
    SellerRow("sahyadri", "Sahyadri Traders LLP", "Sahyadri Traders",
              "27ABKFS6310P1ZM", "400072"),
    SellerRow("yamuna", "Yamuna E-Commerce Private Limited", "Yamuna Store",
              "07AAACY7754R1ZE", "110020"),
    SellerRow("hooghly", "Hooghly Commercial Company", "Hooghly Commercial",
              "19AAFFH2098M1ZU", "700019"),
    SellerRow("charminar", "Charminar Distribution Private Limited", "Charminar Direct",
              "36AAGCC5567N1Z2", "500032"),
    SellerRow("coromandel", "Coromandel Goods Private Limited", "Coromandel Goods",
              "33AAHCC9043Q1Z6", "600032"),
)  # fmt: skip

WAREHOUSES: Final = (
    WarehouseRow("BLR", "Bengaluru", "562149"),
    WarehouseRow("BOM", "Mumbai, Bhiwandi", "421302"),
    WarehouseRow("DEL", "Delhi, Gurugram", "122503"),
    WarehouseRow("CCU", "Kolkata", "711302"),
    WarehouseRow("HYD", "Hyderabad", "501401"),
    WarehouseRow("MAA", "Chennai", "602105"),
    WarehouseRow("AMD", "Ahmedabad", "382110"),
    WarehouseRow("GAU", "Guwahati", "781101"),
)


def shelf_for(category: Sequence[str]) -> Shelf:
    """The row of the longest path that `category` begins with."""
    matching = (s for s in SHELVES if tuple(category[: len(s.path)]) == s.path)
    return max(matching, key=lambda shelf: len(shelf.path))


def category_of_title(title: str) -> tuple[str, ...]:
    """A category from the words of a title."""
    text = title.casefold()
    return next((path for word, path in TITLE_HINTS if word in text), OTHER)


def draw(low: int, high: int, *parts: str) -> int:
    """A number from `low` to `high` that belongs to `parts`."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


def grams(shelf: Shelf, sku: str) -> int:
    """A weight within a fifth of the category's usual one."""
    return max(1, shelf.grams * draw(80, 120, "grams", sku) // 100)


def sellers_of(product: str) -> list[SellerRow]:
    """The two or three sellers of a product, the one that lists it first in front."""
    ranked = sorted(SELLERS, key=lambda seller: draw(0, 2**32, "seller", product, seller.key))
    return ranked[: draw(2, 3, "sellers", product)]


def price_of(seller: int, price_paise: int, mrp_paise: int, sku: str) -> int:
    """What the product's nth seller asks: the first the file's price, others near it.

    In whole rupees where the file's price is, and never above the MRP.
    """
    if seller == 0:
        return price_paise
    percent = draw(97, 106, "price", sku, str(seller))
    near = price_paise * percent // 100
    whole = near // 100 * 100 if price_paise % 100 == 0 and near >= 100 else near
    return min(max(whole, 1), mrp_paise)


def stock_of(sku: str, total: int | None = None) -> dict[str, int]:
    """Units by warehouse code: `total` shared out, or 5 to 60 in each of 2 to 5 warehouses."""
    ranked = sorted(WAREHOUSES, key=lambda w: draw(0, 2**32, "warehouse", sku, w.code))
    chosen = [w.code for w in ranked[: draw(2, 5, "warehouses", sku)]]
    if total is None:
        return {code: draw(5, 60, "stock", sku, code) for code in chosen}
    share, rest = divmod(total, len(chosen))
    units = {code: share + (place < rest) for place, code in enumerate(chosen)}
    return {code: qty for code, qty in units.items() if qty > 0}
