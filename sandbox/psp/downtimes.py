"""What a PSP announces to be down, as somebody told the sandbox: it makes nothing fail itself."""

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.psp.books import Books, now_ms
from sandbox.psp.instruments import METHODS

SEVERITIES = ("high", "medium", "low")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS downtimes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT NOT NULL, bank TEXT, severity TEXT NOT NULL,
  begins INTEGER NOT NULL, ends INTEGER
) STRICT
"""


class BadDowntimes(ValueError):
    """Downtimes that cannot be announced; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """One method that is down, at one bank or wholly; times in epoch milliseconds."""

    method: str
    severity: str = "high"
    bank: str | None = None
    begins: int
    ends: int | None = None


class Downtimes:
    """The announced downtimes of one PSP, kept in its books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        books.db.execute(_SCHEMA)

    def announce(self, wanted: dict[str, Any]) -> None:
        """Replace all of them; BadDowntimes says what is wrong."""
        rows = wanted.get("downtimes")
        if set(wanted) != {"downtimes"} or not isinstance(rows, list):
            raise BadDowntimes("send an object with one field, downtimes: a list of objects")
        told = [_downtime(row) for row in rows]
        with self._books.transaction():
            self._books.db.execute("DELETE FROM downtimes")
            self._books.db.executemany(
                "INSERT INTO downtimes (method, severity, bank, begins, ends)"
                " VALUES (:method, :severity, :bank, :begins, :ends)",
                [asdict(one) for one in told],
            )

    def announced(self) -> list[tuple[int, Downtime]]:
        """Those that are not over, each with its number."""
        rows = self._books.db.execute(
            "SELECT id, method, severity, bank, begins, ends FROM downtimes"
            " WHERE ends IS NULL OR ends > ? ORDER BY id",
            (now_ms(),),
        )
        return [
            (row["id"], Downtime(**{name: row[name] for name in Downtime.__dataclass_fields__}))
            for row in rows
        ]


def _downtime(wanted: object) -> Downtime:
    if not isinstance(wanted, dict):
        raise BadDowntimes(f"a downtime is an object, not {wanted!r}")
    try:
        told = Downtime(**{"begins": now_ms(), **wanted})
    except TypeError as error:
        fields = ", ".join(Downtime.__dataclass_fields__)
        raise BadDowntimes(f"downtime {wanted!r}: a downtime has {fields}") from error
    if told.method not in METHODS:
        raise BadDowntimes(f"no method {told.method!r}; there are {', '.join(METHODS)}")
    if told.severity not in SEVERITIES:
        raise BadDowntimes(f"no severity {told.severity!r}; there are {', '.join(SEVERITIES)}")
    if told.bank is not None and not isinstance(told.bank, str):
        raise BadDowntimes(f"bank must be text or null, not {told.bank!r}")
    if type(told.begins) is not int or (told.ends is not None and type(told.ends) is not int):
        raise BadDowntimes("begins and ends are epoch milliseconds")
    return told
