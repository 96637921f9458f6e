"""Product files, row by row: what is read from them, and why a row is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.importing import rules
from db.importing.reader import ProductFile
from db.importing.rows import BadRow, NewProduct, UnknownFormat
from tests.integration.db.files import crawled, marketplace_file, ours, own_file

A_PRICE = "a price is ₹ 0.01 to ₹ 1 crore, in whole paise"
WRITE_RUPEES = "write rupees, such as 379 or 1299.50"


def read(path: Path) -> list[NewProduct | BadRow]:
    return list(ProductFile(path))


def one(path: Path) -> NewProduct:
    (row,) = read(path)
    assert isinstance(row, NewProduct)
    return row


def test_a_crawled_row_is_read(tmp_path: Path) -> None:
    product = one(marketplace_file(tmp_path / "f.csv", [crawled(1)]))
    assert product.line == 2
    assert product.external_id == "uniq1"
    assert product.made_at == datetime(2016, 3, 25, 22, 59, 23, tzinfo=UTC)
    assert product.title == "Kosa Woven Women's Top 1"
    assert product.category == ("Clothing", "Women's Clothing", "Western Wear", "Tops")
    assert (product.brand, product.rating) == (None, Decimal("4.2"))
    assert product.description == "Soft, woven by hand"
    assert product.image_urls == ["http://img.example/1.jpeg", "http://img.example/2.jpeg"]
    assert product.specifications == {"Fabric": "Cotton => soft", "notes": ['Wash "cold"']}
    assert (product.tax_class, product.hsn) == ("APPAREL", "6204")
    assert [(v.sku, v.attributes, v.mrp_paise, v.price_paise) for v in product.variants] == [
        ("PID1-S", {"size": "S"}, 999_00, 379_00),
        ("PID1-M", {"size": "M"}, 999_00, 379_00),
        ("PID1-L", {"size": "L"}, 999_00, 379_00),
        ("PID1-XL", {"size": "XL"}, 999_00, 379_00),
    ]


@pytest.mark.parametrize(
    ("tree", "title", "category"),
    [
        ('["Watches >> Wrist Watches >> Skmei Wrist Watches"]', "Skmei Sports Watch",
         ("Watches", "Wrist Watches")),
        ('["Sunglasses"]', "Any Sunglasses", ("Sunglasses",)),
        ('["Asha Printed Women\'s Kurta"]', "Asha Printed Women's Kurta",
         ("Clothing", "Women's Clothing", "Ethnic Wear")),
        ('["A Very Long Name That Is Cut..."]', "A Very Long Name That Is Cut Off", rules.OTHER),
        ('["A >> B >> C >> D >> E"]', "Some Thing", ("A", "B", "C", "D")),
    ],
)  # fmt: skip
def test_a_category_path_ends_where_the_product_begins(
    tmp_path: Path, tree: str, title: str, category: tuple[str, ...]
) -> None:
    row = crawled(1, product_category_tree=tree, product_name=title)
    assert one(marketplace_file(tmp_path / "f.csv", [row])).category == category


@pytest.mark.parametrize("text", ["", "nonsense", '{"product_specification"=>nil}', "{]", '"x"'])
def test_unreadable_specifications_are_left_out(tmp_path: Path, text: str) -> None:
    row = crawled(1, product_specifications=text)
    assert one(marketplace_file(tmp_path / "f.csv", [row])).specifications == {}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"retail_price": ""}, "retail_price is empty"),
        ({"discounted_price": " "}, "discounted_price is empty"),
        ({"retail_price": "cheap"}, f"retail_price is 'cheap': {WRITE_RUPEES}"),
        ({"retail_price": "1.2.3"}, f"retail_price is '1.2.3': {WRITE_RUPEES}"),
        ({"retail_price": "0"}, f"retail_price is '0': {A_PRICE}"),
        ({"retail_price": "-5"}, f"retail_price is '-5': {A_PRICE}"),
        ({"retail_price": "NaN"}, f"retail_price is 'NaN': {A_PRICE}"),
        ({"retail_price": "10000001"}, f"retail_price is '10000001': {A_PRICE}"),
        ({"discounted_price": "1000"}, "discounted_price 1000 is above retail_price 999"),
        ({"product_name": ""}, "product_name is empty"),
        ({"uniq_id": ""}, "uniq_id is empty"),
        ({"pid": ""}, "pid is empty"),
        ({"product_category_tree": "[]"}, "product_category_tree is '[]': it names no category"),
        ({"product_category_tree": "x"}, "product_category_tree is 'x': it names no category"),
        ({"brand": "a\0b"}, "the row has a NUL character"),
    ],
)
def test_a_bad_crawled_row_says_why(tmp_path: Path, columns: dict[str, Any], reason: str) -> None:
    rows = [crawled(1, description="two\nlines"), crawled(2, **columns), crawled(3)]
    first, bad, third = read(marketplace_file(tmp_path / "f.csv", rows))
    # the description of each row runs over two lines
    assert bad == BadRow(4, reason)
    assert isinstance(first, NewProduct)
    assert isinstance(third, NewProduct)
    assert (first.external_id, third.external_id, third.line) == ("uniq1", "uniq3", 6)


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = marketplace_file(tmp_path / "f.csv", [crawled(1), crawled(2)])
    text = path.read_text()
    path.write_bytes(
        ("\ufeff" + text).encode()
        + b"\n,,,\n"
        + b"only,three,columns\n"
        + text.splitlines()[1].encode().replace(b"Kosa", b"K\xf6sa", 1)
        + b"\n"
    )
    rows = read(path)
    assert [row.line for row in rows] == [2, 4, 6, 7, 8, 9]
    assert [row.reason for row in rows if isinstance(row, BadRow)] == [
        "the row is blank",
        "the row is blank",
        "the row has 3 columns, the header 15",
        "the row has 11 columns, the header 15",
    ]


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = marketplace_file(tmp_path / "f.csv", [crawled(1), crawled(2), crawled(3)])
    path.write_bytes(path.read_bytes().replace(b"Top 2", b"T\xf6p 2"))
    rows = read(path)
    assert [row.line for row in rows if isinstance(row, NewProduct)] == [2, 6]
    assert [row for row in rows if isinstance(row, BadRow)] == [
        BadRow(4, "the row is not UTF-8 text")
    ]


def test_an_unclosed_quote_does_not_swallow_the_rest(tmp_path: Path) -> None:
    path = marketplace_file(tmp_path / "f.csv", [crawled(1)])
    rest = "".join(f"{number},x\n" for number in range(200_000))
    path.write_text(path.read_text() + '"never closed,' + rest, encoding="utf-8")
    rows = read(path)
    assert isinstance(rows[0], NewProduct)
    assert rows[1] == BadRow(
        4,
        "the row cannot be read, perhaps for an open quote: "
        "field larger than field limit (1000000)",
    )
    assert isinstance(rows[-1], BadRow)
    assert rows[-1].line == 200_003


def test_a_sku_is_refused_the_second_time(tmp_path: Path) -> None:
    rows = [crawled(1), crawled(2, pid="PID1"), crawled(3)]
    assert read(marketplace_file(tmp_path / "f.csv", rows))[1] == BadRow(
        4, "SKU PID1-S is on line 2 too"
    )


def test_our_rows_are_read(tmp_path: Path) -> None:
    rows = [
        ours("K1", "K1-A", brand="Tamra", image_urls="https://a.example/1 https://a.example/1"),
        {"product_id": "K1", "sku": "K1-B", "size": "3 L", "mrp": "₹3,499", "price": "3499",
         "grams": "1700", "stock": "7"},
        ours("K2", "K2", tax_class="demerit", hsn="220210"),
    ]  # fmt: skip
    first, second, third = read(own_file(tmp_path / "f.csv", rows))
    assert isinstance(first, NewProduct)
    assert isinstance(second, NewProduct)
    assert isinstance(third, NewProduct)
    assert (second.title, second.brand, second.category) == (
        "Steel Kadai",
        "Tamra",
        ("Kitchen", "Cookware"),
    )
    assert second.image_urls == ["https://a.example/1"]
    assert (first.tax_class, first.hsn) == ("REDUCED", "7323")
    assert (third.tax_class, third.hsn) == ("DEMERIT", "220210")
    (variant,) = second.variants
    assert (variant.sku, variant.attributes) == ("K1-B", {"size": "3 L"})
    assert (variant.mrp_paise, variant.price_paise) == (3_499_00, 3_499_00)
    assert (variant.grams, variant.stock) == (1_700, 7)
    assert first.variants[0].price_paise == 2_149_50
    assert first.variants[0].stock is None


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"product_id": ""}, "product_id is empty"),
        ({"title": ""}, "title is empty"),
        ({"category": ">>"}, "category is only '>>': write levels, such as Clothing >> Women"),
        ({"sku": ""}, "sku is empty"),
        ({"price": "1.005"}, f"price is '1.005': {A_PRICE}"),
        ({"grams": "0"}, "grams is '0': it is a whole number from 1 to 200000"),
        ({"stock": "-1"}, "stock is '-1': it is a whole number from 0 to 100000"),
        ({"stock": "many"}, "stock is 'many': it is a whole number from 0 to 100000"),
        ({"hsn": "12345"}, "hsn is '12345': it has 4, 6 or 8 digits"),
        ({"product_id": "K1"}, "product K1 is on line 2 too: keep its rows together"),
        ({"product_id": "K2", "title": "Pan"},
         "title differs from the row above, of the same product"),
    ],
)  # fmt: skip
def test_a_bad_row_of_ours_says_why(tmp_path: Path, columns: dict[str, Any], reason: str) -> None:
    rows = [ours("K1", "K1"), ours("K2", "K2"), {**ours("K3", "K3"), **columns}, ours("K4", "K4")]
    _, _, bad, last = read(own_file(tmp_path / "f.csv", rows))
    assert bad == BadRow(4, reason)
    assert isinstance(last, NewProduct)


def test_an_unknown_tax_class_names_the_known(tmp_path: Path) -> None:
    (bad,) = read(own_file(tmp_path / "f.csv", [ours("K1", "K1", tax_class="LUXURY")]))
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("tax_class is 'LUXURY': it is one of ZERO, ESSENTIAL, ")


@pytest.mark.parametrize("content", ["", "name,price\n", "\x00\x01\x02"])
def test_another_file_is_refused_whole(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(UnknownFormat, match=r"is no product file: docs/catalogue-format\.md"):
        read(path)


def test_the_choices_stay_within_their_bounds() -> None:
    for number in range(500):
        sku = f"SKU{number}"
        sellers = rules.sellers_of(sku)
        assert len(sellers) in (2, 3)
        assert len({seller.key for seller in sellers}) == len(sellers)
        asked = [rules.price_of(place, 379_00, 390_00, sku) for place in range(len(sellers))]
        assert asked[0] == 379_00
        assert all(367_00 <= price <= 390_00 for price in asked)
        assert all(price % 100 == 0 for price in asked)
        stock = rules.stock_of(sku)
        assert 2 <= len(stock) <= 5
        assert all(5 <= qty <= 60 for qty in stock.values())
        assert sum(rules.stock_of(sku, 7).values()) == 7
        assert 240 <= rules.grams(rules.shelf_for(("Clothing", "Women")), sku) <= 360
    assert rules.stock_of("SKU1", 0) == {}
