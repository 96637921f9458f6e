"""A day's reconciliation as people read it, and as one JSON object."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from db.repositories import settlement_report
from db.repositories.settlement_report import Ageing, DayTotals, Owed, Payout
from db.session import Database
from domain.cases import NEXT_STEPS
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One day over all its providers; the ages of open cases, and what is owed, are of now."""

    day: date
    totals: tuple[DayTotals, ...]
    payouts: tuple[Payout, ...]
    ageing: tuple[Ageing, ...]
    owed: tuple[Owed, ...]

    def to_json(self) -> dict[str, Any]:
        """It as plain JSON values: amounts in paise, days and times in ISO 8601."""
        totals = [
            {**_plain(asdict(each)), "matched_share": each.matched_share} for each in self.totals
        ]
        return {
            "day": self.day.isoformat(),
            "totals": totals,
            "payouts": [asdict(each) for each in self.payouts],
            "ageing": [asdict(each) for each in self.ageing],
            "owed": [asdict(each) for each in self.owed],
        }


async def gather(db: Database, day: date, psp: str | None, now: datetime) -> Report:
    """The report of a day from one snapshot."""
    async with db.reading() as session:
        page = await settlement_report.list_days(
            session, provider=psp, first=day, last=day, limit=200
        )
        return Report(
            day=day,
            totals=page.items[::-1],
            payouts=await settlement_report.payouts(session, day, provider=psp),
            ageing=await settlement_report.ageing(session, now, provider=psp),
            owed=await settlement_report.owed(session, provider=psp),
        )


def in_words(report: Report) -> Iterator[str]:
    """The report as lines."""
    yield f"Settlements of {report.day}"
    if not report.totals:
        yield "No report of that day was read, and nothing differs."
    yield from _table(
        ("provider", "lines", "matched", "held", "gross", "fees", "GST", "net", "read"),
        (
            (
                each.provider,
                str(each.lines),
                "–" if each.matched_share is None else f"{each.matched_share:.1%}",
                str(each.held),
                *(
                    _money(paise, each.currency)
                    for paise in (
                        each.gross_paise, each.fee_paise, each.tax_paise, each.net_paise,
                    )
                ),
                f"{each.read_at:%Y-%m-%d %H:%M} UTC" if each.read_at else "not read",
            )
            for each in report.totals
        ),
    )  # fmt: skip
    yield from _section(
        "Transfers to our bank",
        ("provider", "settlement", "UTR", "lines", "net"),
        (
            (
                each.provider,
                each.settlement_id or "–",
                each.utr or "–",
                str(each.lines),
                _money(each.net_paise, each.currency),
            )
            for each in report.payouts
        ),
    )
    yield from _section(
        "What differs",
        ("provider", "difference", "cases", "open", "amount", "next step"),
        (
            (
                each.provider,
                one.outcome,
                str(one.cases),
                str(one.open),
                _money(one.paise, each.currency),
                NEXT_STEPS[one.outcome].words,
            )
            for each in report.totals
            for one in each.differences
        ),
    )
    yield from _section(
        "Open cases by age, all days",
        ("provider", "0–1 days", "2–7", "8–30", "older", "sum"),
        (
            (
                each.provider,
                *map(str, (each.up_to_1, each.up_to_7, each.up_to_30, each.older)),
                _money(each.paise, each.currency),
            )
            for each in report.ageing
        ),
    )
    yield from _section(
        "To come by itself, within the agreed days",
        ("provider", "movements", "sum"),
        (
            (each.provider, str(each.movements), _money(each.paise, each.currency))
            for each in report.owed
        ),
    )


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = list(_table(head, rows))
    if table:
        yield from ("", title, *table)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, nothing where there are no rows; figures stand to the right."""
    body = list(rows)
    if not body:
        return
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    for row in (head, *body):
        cells = [
            text.rjust(width) if _is_figure(body, place) else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def _is_figure(rows: Sequence[Sequence[str]], place: int) -> bool:
    return all(row[place][:1] in "0123456789₹-–" for row in rows)


def _money(paise: int, currency: str) -> str:
    return str(Money(paise, currency))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
