"""Import a settlement report from a file: all of it or nothing, stored, booked and compared."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from activities.reconciliation import remittances
from activities.reconciliation.compare import compare
from db.repositories import settlements
from db.session import Database
from domain.settlement_file import BadRow, read_settlements
from domain.settlements import CARRIER

STORED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did; with `bad` rows nothing."""

    bad: tuple[BadRow, ...] = ()
    lines: int = 0
    new: int = 0
    changed: int = 0
    found: dict[str, int] = field(default_factory=dict)
    opened: int = 0
    closed: int = 0


async def import_file(database: Database, provider: str, file: Path) -> Imported:
    """Import a file of `provider`; raises BadSettlementFile, UnicodeDecodeError, OSError."""
    with file.open(newline="", encoding="utf-8-sig") as text:
        lines, bad = read_settlements(provider, text)
    if bad or not lines:
        return Imported(bad=bad)
    ordered = sorted(lines, key=lambda line: (line.settled_on, line.line_id))
    new = changed = 0
    async with database.unit_of_work() as session:
        if provider.startswith(CARRIER):
            await remittances.collected(session, provider, ordered)
        for start in range(0, len(ordered), STORED_AT_ONCE):
            batch = ordered[start : start + STORED_AT_ONCE]
            stored = await settlements.store(session, provider, batch)
            new, changed = new + stored.new, changed + stored.changed
        for day, of_day in groupby(ordered, key=lambda line: line.settled_on):
            now = datetime.now(UTC)
            await settlements.day_read(session, provider, day, lines=len(list(of_day)), at=now)
        compared = await compare(session, provider, ordered[-1].settled_on)
        if provider.startswith(CARRIER):
            await remittances.remitted(session, compared.findings)
    return Imported(
        lines=len(lines),
        new=new,
        changed=changed,
        found=dict(compared.found),
        opened=compared.opened,
        closed=compared.closed,
    )
