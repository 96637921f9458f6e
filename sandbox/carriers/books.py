"""A carrier's books: parcels, what was said of them, and what is planned, in one SQLite file."""

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.carriers.journeys import Planned, Step
from sandbox.psp.books import Books, now_ms

SCHEMA = """
CREATE TABLE IF NOT EXISTS parcels (
  id INTEGER PRIMARY KEY AUTOINCREMENT, merchant_ref TEXT NOT NULL, awb TEXT UNIQUE,
  reverse INTEGER NOT NULL, collect INTEGER NOT NULL, value INTEGER NOT NULL,
  fingerprint TEXT NOT NULL, site TEXT NOT NULL, state TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS parcels_by_ref ON parcels (merchant_ref);
CREATE INDEX IF NOT EXISTS parcels_by_site ON parcels (site, state);
CREATE TABLE IF NOT EXISTS scans (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, parcel INTEGER NOT NULL REFERENCES parcels (id),
  at INTEGER NOT NULL, step TEXT NOT NULL, reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS scans_by_parcel ON scans (parcel, seq);
CREATE TRIGGER IF NOT EXISTS scans_no_update BEFORE UPDATE ON scans BEGIN
  SELECT raise(ABORT, 'scans are append-only'); END;
CREATE TRIGGER IF NOT EXISTS scans_no_delete BEFORE DELETE ON scans BEGIN
  SELECT raise(ABORT, 'scans are append-only'); END;
CREATE TABLE IF NOT EXISTS plans (
  id INTEGER PRIMARY KEY AUTOINCREMENT, parcel INTEGER NOT NULL REFERENCES parcels (id),
  due INTEGER NOT NULL, step TEXT NOT NULL, reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS plans_due ON plans (due);
CREATE TABLE IF NOT EXISTS lifecycles (merchant_ref TEXT PRIMARY KEY, steps TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS waybills (awb TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS pickups (parcel INTEGER PRIMARY KEY REFERENCES parcels (id)) STRICT;
CREATE TABLE IF NOT EXISTS actions (
  id TEXT PRIMARY KEY, awb TEXT NOT NULL, act TEXT NOT NULL, days REAL NOT NULL,
  due INTEGER NOT NULL, outcome TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS clock (
  only INTEGER PRIMARY KEY CHECK (only = 1), day_ms INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A parcel as the books have it: amounts in paise, times in epoch milliseconds."""

    id: int
    merchant_ref: str
    awb: str | None
    reverse: bool
    collect: int
    value: int
    fingerprint: str
    site: str
    state: Step
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One thing said of a parcel, at an epoch millisecond."""

    at: int
    step: Step
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What the merchant asked for after a failed delivery; `outcome` is None until it is done."""

    id: str
    awb: str
    act: str
    days: float
    outcome: str | None


class ParcelBooks:
    """A carrier's tables in the file of `books`; every change inside `books.transaction()`."""

    def __init__(self, books: Books, day_ms: int) -> None:
        self.books = books
        self.db = books.db
        self.db.executescript(SCHEMA)
        self._default_day_ms = day_ms
        self.on_planned: Callable[[], None] = lambda: None

    @property
    def day_ms(self) -> int:
        """How many milliseconds a day lasts here."""
        row = self.db.execute("SELECT day_ms FROM clock").fetchone()
        return int(row[0]) if row else self._default_day_ms

    def set_day_ms(self, day_ms: int) -> None:
        """Have days last so long from now on; what is planned already stays."""
        self.db.execute(
            "INSERT INTO clock (only, day_ms) VALUES (1, ?)"
            " ON CONFLICT (only) DO UPDATE SET day_ms = excluded.day_ms",
            (day_ms,),
        )

    def parcel(self, awb: str) -> Parcel | None:
        """The parcel with an AWB."""
        return next(iter(self._parcels("awb = ?", awb)), None)

    def by_id(self, parcel: int) -> Parcel | None:
        """The parcel with an id of the carrier's."""
        return next(iter(self._parcels("id = ?", parcel)), None)

    def parcels(self, merchant_ref: str | None = None, before: int | None = None) -> list[Parcel]:
        """Parcels oldest first: all, those of one reference, those made until a time."""
        if merchant_ref is None:
            return self._parcels("true")
        until = now_ms() if before is None else before
        return self._parcels("merchant_ref = ? AND created_at <= ?", merchant_ref, until)

    def waiting_at(self, site: str) -> list[Parcel]:
        """The parcels booked from a place whose pickup nobody asked for yet."""
        return self._parcels("site = ? AND state = ? AND NOT reverse", site, Step.BOOKED)

    def _parcels(self, where: str, *values: object) -> list[Parcel]:
        rows = self.db.execute(f"SELECT * FROM parcels WHERE {where} ORDER BY id", values)  # noqa: S608
        return [
            Parcel(**{**dict(row), "state": Step(row["state"]), "reverse": bool(row["reverse"])})
            for row in rows
        ]

    def add(
        self,
        merchant_ref: str,
        *,
        awb: str | None,
        reverse: bool,
        collect: int,
        value: int,
        fingerprint: str,
        site: str = "",
    ) -> Parcel:
        """Enter a new parcel."""
        row = self.db.execute(
            "INSERT INTO parcels (merchant_ref, awb, reverse, collect, value, fingerprint, site,"
            " state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                merchant_ref,
                awb,
                reverse,
                collect,
                value,
                fingerprint,
                site,
                Step.BOOKED,
                now_ms(),
            ),
        ).fetchone()
        return self._parcels("id = ?", row[0])[0]

    def assign(self, parcel: int, awb: str) -> Parcel:
        """Give a parcel its AWB."""
        self.db.execute("UPDATE parcels SET awb = ? WHERE id = ?", (awb, parcel))
        return self._parcels("id = ?", parcel)[0]

    def scan(self, parcel: int, at: int, step: Step, reason: str | None) -> Parcel:
        """Say something of a parcel, and give the parcel as it now is."""
        self.db.execute(
            "INSERT INTO scans (parcel, at, step, reason) VALUES (?, ?, ?, ?)",
            (parcel, at, step, reason),
        )
        self.db.execute("UPDATE parcels SET state = ? WHERE id = ?", (step, parcel))
        return self._parcels("id = ?", parcel)[0]

    def scans(self, parcel: int) -> list[Scan]:
        """What was said of a parcel, oldest first."""
        rows = self.db.execute(
            "SELECT at, step, reason FROM scans WHERE parcel = ? ORDER BY seq", (parcel,)
        )
        return [Scan(at=row["at"], step=Step(row["step"]), reason=row["reason"]) for row in rows]

    def plan(self, parcel: int, begins: int, steps: Iterable[Planned]) -> None:
        """Replace what is planned for a parcel."""
        self.db.execute("DELETE FROM plans WHERE parcel = ?", (parcel,))
        day_ms = self.day_ms
        for days, step, reason in steps:
            self.db.execute(
                "INSERT INTO plans (parcel, due, step, reason) VALUES (?, ?, ?, ?)",
                (parcel, begins + int(days * day_ms), step, reason),
            )
        self.on_planned()

    def take_due(self, now: int) -> list[tuple[Parcel, Step, str | None]]:
        """What is due by now, in the order in which it was planned; it is planned no more."""
        rows = self.db.execute(
            "DELETE FROM plans WHERE id IN"
            " (SELECT id FROM plans WHERE due <= ? ORDER BY due, id LIMIT 200)"
            " RETURNING id, due, parcel, step, reason",
            (now,),
        ).fetchall()
        due = sorted(rows, key=lambda row: (row["due"], row["id"]))
        return [
            (self._parcels("id = ?", row["parcel"])[0], Step(row["step"]), row["reason"])
            for row in due
        ]

    def next_due(self) -> int | None:
        """When the next step or action is due (epoch milliseconds)."""
        row = self.db.execute(
            "SELECT min(due) FROM (SELECT due FROM plans"
            " UNION ALL SELECT due FROM actions WHERE outcome IS NULL)"
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def planned(self) -> int:
        """How many steps are still to come."""
        return int(self.db.execute("SELECT count(*) FROM plans").fetchone()[0])

    def give_lifecycle(self, merchant_ref: str, steps: list[Planned]) -> None:
        """Have parcels of a reference live so, once they are picked up."""
        self.db.execute(
            "INSERT INTO lifecycles (merchant_ref, steps) VALUES (?, ?)"
            " ON CONFLICT (merchant_ref) DO UPDATE SET steps = excluded.steps",
            (merchant_ref, json.dumps(steps)),
        )

    def lifecycle(self, merchant_ref: str) -> list[Planned] | None:
        """The lifecycle that was given for a reference."""
        row = self.db.execute(
            "SELECT steps FROM lifecycles WHERE merchant_ref = ?", (merchant_ref,)
        ).fetchone()
        if row is None:
            return None
        return [(days, Step(step), reason) for days, step, reason in json.loads(row[0])]

    def new_awb(self) -> str:
        """A waybill number that is nobody else's, kept in the book of those given out."""
        awb = str(10**12 + secrets.randbelow(9 * 10**12))
        self.db.execute("INSERT INTO waybills (awb) VALUES (?)", (awb,))
        return awb

    def is_waybill(self, awb: str) -> bool:
        """Whether a waybill number was given out."""
        return bool(self.db.execute("SELECT 1 FROM waybills WHERE awb = ?", (awb,)).fetchone())

    def ask_pickup(self, parcel: int) -> bool:
        """Note that a parcel is to be fetched; false where that was noted already."""
        done = self.db.execute(
            "INSERT INTO pickups (parcel) VALUES (?) ON CONFLICT DO NOTHING", (parcel,)
        )
        return done.rowcount == 1

    def add_action(self, awb: str, act: str, days: float, due: int) -> str:
        """Note what the merchant asked for; its id."""
        action = f"UPL{secrets.randbelow(10**19):019d}"
        self.db.execute(
            "INSERT INTO actions (id, awb, act, days, due) VALUES (?, ?, ?, ?, ?)",
            (action, awb, act, days, due),
        )
        self.on_planned()
        return action

    def action(self, action: str) -> Action | None:
        """One of them."""
        return next(iter(self._actions("id = ?", action)), None)

    def due_actions(self, now: int) -> list[Action]:
        """Those to be done by now."""
        return self._actions("outcome IS NULL AND due <= ?", now)

    def _actions(self, where: str, value: object) -> list[Action]:
        rows = self.db.execute(
            f"SELECT id, awb, act, days, outcome FROM actions WHERE {where} ORDER BY due",  # noqa: S608
            (value,),
        )
        return [Action(**dict(row)) for row in rows]

    def settle_action(self, action: str, outcome: str) -> None:
        """Note what became of it."""
        self.db.execute("UPDATE actions SET outcome = ? WHERE id = ?", (outcome, action))
