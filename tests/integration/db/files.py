"""Product files as the tests need them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from db.importing import marketplace, own

SPECIFICATIONS = (
    '{"product_specification"=>[{"key"=>"Fabric", "value"=>"Cotton => soft"}, '
    '{"value"=>"Wash \\"cold\\""}, {"key"=>"Lining", "value"=>nil}]}'
)


def crawled(number: int, **columns: Any) -> dict[str, Any]:
    """A row of the marketplace's format; `number` makes it different from the others."""
    return {
        "uniq_id": f"uniq{number}",
        "crawl_timestamp": "2016-03-25 22:59:23 +0000",
        "product_url": "http://shop.example/p",
        "product_name": f"Kosa Woven Women's Top {number}",
        "product_category_tree": (
            '["Clothing >> Women\'s Clothing >> Western Wear >> Tops >> Kosa Tops >> Kosa Woven"]'
        ),
        "pid": f"PID{number}",
        "retail_price": "999",
        "discounted_price": "379",
        "image": '["http://img.example/1.jpeg", "http://img.example/2.jpeg", "ftp://x"]',
        "is_FK_Advantage_product": "FALSE",
        "description": "Soft,\nwoven  by hand",
        "product_rating": "No rating available",
        "overall_rating": "4.25",
        "brand": "",
        "product_specifications": SPECIFICATIONS,
        **columns,
    }


def ours(product: str, sku: str, **columns: Any) -> dict[str, Any]:
    """A row of our own format."""
    return {
        "product_id": product,
        "title": "Steel Kadai",
        "category": "Kitchen >> Cookware",
        "sku": sku,
        "mrp": "2999",
        "price": "2,149.50",
        **columns,
    }


def marketplace_file(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A file in the marketplace's format."""
    return _file(path, marketplace.COLUMNS, rows)


def own_file(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A file in our own format."""
    return _file(path, own.COLUMNS, rows)


def _file(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path
