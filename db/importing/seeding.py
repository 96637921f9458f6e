"""The small catalogue of our own that a new shop starts with."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.ids import stable_ulid
from db.importing.importer import import_file
from db.importing.rows import EPOCH, ImportReport
from db.session import Database
from db.sql import dumps, execute, fetch, sql

_OFFERS = sql(
    """
    INSERT INTO offers (id, code, kind, value, min_order_paise, max_discount_paise, active_from,
                        active_to)
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS offer (
        id text, code text, kind text, value bigint, min_order_paise bigint,
        max_discount_paise bigint, active_from timestamptz, active_to timestamptz)
    ON CONFLICT (code) DO NOTHING
    """
)
_PLANTED = sql(
    """
    SELECT EXISTS (SELECT FROM offers WHERE id = ANY(CAST(:ids AS text[]))) AS planted
    """
)


async def seed(db: Database, folder: Path) -> ImportReport | None:
    """Import `seed.csv` and `offers.csv` of the folder; None when that was done before.

    The offers come last, so that one that was interrupted is done again.
    """
    offers = _read_offers(folder / "offers.csv")
    async with db.reading() as session:
        rows = await fetch(session, _PLANTED, ids=[offer["id"] for offer in offers])
    if rows[0]["planted"]:
        return None
    report = await import_file(db, folder / "seed.csv")
    async with db.unit_of_work() as session:
        await _write_offers(session, offers, report)
    return report


async def _write_offers(
    session: AsyncSession, offers: list[dict[str, Any]], report: ImportReport
) -> None:
    report.count("offers", added=await execute(session, _OFFERS, rows=dumps(offers)))


def _read_offers(path: Path) -> list[dict[str, Any]]:
    """Coupons: a PERCENT's value in basis points, a FLAT's in paise, limits in whole rupees."""
    with path.open(newline="", encoding="utf-8") as file:
        return [_offer(row) for row in csv.DictReader(file)]


def _offer(row: dict[str, str]) -> dict[str, Any]:
    most = row["max_discount_rupees"]
    return {
        "id": stable_ulid(EPOCH, "offer", row["code"]),
        "code": row["code"],
        "kind": row["kind"],
        "value": int(row["value"]),
        "min_order_paise": int(row["min_order_rupees"]) * 100,
        "max_discount_paise": int(most) * 100 if most else None,
        "active_from": datetime.fromisoformat(row["active_from"]),
        "active_to": datetime.fromisoformat(row["active_to"]),
    }
