"""What a PSP pays out: a report per Indian day out of its books, and lies in it on request."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from sandbox.psp.books import Books, now_ms

IST = timezone(timedelta(hours=5, minutes=30))
GST_BP = 1_800
CHARGEBACK_FEE = 500_00
PAGE = 100
KINDS = ("missing", "extra", "wrong_amount", "wrong_fee", "on_hold", "duplicate", "late")
TYPES = ("payment", "refund", "chargeback")
SCHEMA = """
CREATE TABLE IF NOT EXISTS settlement_discrepancies (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, type TEXT NOT NULL,
  merchant_ref TEXT NOT NULL, amount INTEGER NOT NULL, at INTEGER NOT NULL
) STRICT
"""
# method ('*': any other) -> basis points and something fixed
Fees = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: amounts in minor units, towards the merchant positive; `at` in epoch milliseconds.

    `ref` and `key` are the refund's (or dispute's) own id and the merchant's name of it.
    """

    id: str
    type: str
    payment: str
    merchant_ref: str
    gross: int
    fee: int
    tax: int
    currency: str
    at: int
    ref: str = ""
    key: str = ""
    on_hold: bool = False

    @property
    def net(self) -> int:
        """What reaches the merchant's bank."""
        return self.gross - self.fee - self.tax

    @property
    def day(self) -> date:
        """The Indian day whose report has it."""
        return datetime.fromtimestamp(self.at / 1000, IST).date()


class BadDiscrepancies(ValueError):
    """Discrepancies that cannot be; the message says what to change."""


class Settlements:
    """The settlement reports of one PSP; each day is paid out whole, by one transfer."""

    def __init__(self, psp: str, books: Books, fees: Fees) -> None:
        self._psp = psp
        self._books = books
        self._fees = fees
        books.db.execute(SCHEMA)

    def of_day(self, day: date) -> list[Line]:
        """The report of a day as it now is, oldest line first."""
        # a line may have been moved here from the day before
        first = datetime.combine(day - timedelta(days=1), datetime.min.time(), IST)
        lines = self._true_lines(first, first + timedelta(days=2))
        told = [told for line in lines for told in self._distorted(line)]
        kept = [line for line in (*told, *self._extra()) if line.day == day]
        return sorted(kept, key=lambda line: (line.at, line.id))

    def transfer(self, line: Line) -> tuple[str, str]:
        """The settlement's id and the bank's reference (UTR) of the transfer that has a line."""
        if line.on_hold:
            return "", ""
        name = f"setl_{self._psp}_{line.day:%Y%m%d}"
        return name, f"UTR{int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10**13:013d}"

    def distort(self, wanted: dict[str, Any]) -> None:
        """Replace all discrepancies; BadDiscrepancies says what is wrong."""
        rows = wanted.get("discrepancies")
        if set(wanted) != {"discrepancies"} or not isinstance(rows, list):
            raise BadDiscrepancies("send an object with one field, discrepancies: a list")
        told = [_discrepancy(row) for row in rows]
        with self._books.transaction():
            self._books.db.execute("DELETE FROM settlement_discrepancies")
            self._books.db.executemany(
                "INSERT INTO settlement_discrepancies (kind, type, merchant_ref, amount, at)"
                " VALUES (:kind, :type, :merchant_ref, :amount, :at)",
                told,
            )

    def _true_lines(self, first: datetime, last: datetime) -> Iterator[Line]:
        span = (int(first.timestamp() * 1000), int(last.timestamp() * 1000))
        for row in self._books.db.execute(
            "SELECT seq, at, p.id, p.merchant_ref, p.method, p.currency, m.amount"
            " FROM movements m JOIN payments p ON p.id = m.payment"
            " WHERE m.kind = 'capture' AND m.at >= ? AND m.at < ? ORDER BY seq",
            span,
        ):
            points, fixed = self._fees.get(row["method"], self._fees["*"])
            fee = _share(row["amount"], points) + fixed
            yield _line(row, f"sl_{row['seq']}", "payment", row["amount"], fee)
        for row in self._books.db.execute(
            "SELECT r.id AS ref, r.merchant_ref AS key, r.created_at AS at, p.id, p.merchant_ref,"
            " p.currency, r.amount FROM refunds r JOIN payments p ON p.id = r.payment"
            " WHERE r.created_at >= ? AND r.created_at < ? ORDER BY r.created_at, r.id",
            span,
        ):
            refund = _line(row, f"sl_{row['ref']}", "refund", -row["amount"], 0)
            yield replace(refund, ref=row["ref"], key=row["key"])
        for row in self._books.db.execute(
            "SELECT d.id AS ref, d.updated_at AS at, p.id, p.merchant_ref, p.currency, d.amount"
            " FROM disputes d JOIN payments p ON p.id = d.payment"
            " WHERE d.outcome = 'lost' AND d.updated_at >= ? AND d.updated_at < ?"
            " ORDER BY d.updated_at, d.id",
            span,
        ):
            lost = _line(row, f"sl_{row['ref']}", "chargeback", -row["amount"], CHARGEBACK_FEE)
            yield replace(lost, ref=row["ref"])

    def _distorted(self, line: Line) -> list[Line]:
        """What the report says in place of a true line."""
        told = [line]
        for row in self._books.db.execute(
            "SELECT kind, amount FROM settlement_discrepancies"
            " WHERE merchant_ref = ? AND type = ? AND kind <> 'extra' ORDER BY id",
            (line.merchant_ref, line.type),
        ):
            kind, amount = row["kind"], row["amount"]
            if kind == "missing":
                told = []
            elif kind == "duplicate":
                told += [replace(one, id=f"{one.id}_again") for one in told]
            elif kind == "wrong_amount":
                told = [replace(one, gross=one.gross + amount) for one in told]
            elif kind == "wrong_fee":
                told = [replace(one, fee=one.fee + amount) for one in told]
            elif kind == "on_hold":
                told = [replace(one, on_hold=True) for one in told]
            elif kind == "late":
                told = [replace(one, at=one.at + 86_400_000) for one in told]
        return told

    def _extra(self) -> Iterator[Line]:
        for row in self._books.db.execute(
            "SELECT id, merchant_ref, amount, at FROM settlement_discrepancies"
            " WHERE kind = 'extra' ORDER BY id"
        ):
            payment = {**dict(row), "id": f"pay_extra_{row['merchant_ref']}", "currency": "INR"}
            fee = _share(row["amount"], self._fees["*"][0]) + self._fees["*"][1]
            yield _line(payment, f"sl_extra_{row['id']}", "payment", row["amount"], fee)


def day_of(text: str | None) -> date | None:
    """The day that a query names as YYYY-MM-DD, or nothing."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def epoch_s(day: date) -> int:
    """When a day begins, in epoch seconds."""
    return int(datetime.combine(day, datetime.min.time(), UTC).timestamp())


def _line(row: Any, id_: str, type_: str, gross: int, fee: int) -> Line:
    return Line(
        id=id_,
        type=type_,
        payment=row["id"],
        merchant_ref=row["merchant_ref"],
        gross=gross,
        fee=fee,
        tax=_share(fee, GST_BP),
        currency=row["currency"],
        at=row["at"],
    )


def _share(amount: int, basis_points: int) -> int:
    return (amount * basis_points + 5_000) // 10_000


def _discrepancy(wanted: object) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        raise BadDiscrepancies(f"a discrepancy is an object, not {wanted!r}")
    told = {"type": "payment", "amount": 0, "at": now_ms(), **wanted}
    if set(told) != {"kind", "type", "merchant_ref", "amount", "at"}:
        raise BadDiscrepancies("a discrepancy has kind, merchant_ref, type and amount")
    if told["kind"] not in KINDS:
        raise BadDiscrepancies(f"no kind {told['kind']!r}; there are {', '.join(KINDS)}")
    if told["type"] not in TYPES:
        raise BadDiscrepancies(f"no type {told['type']!r}; there are {', '.join(TYPES)}")
    if not isinstance(told["merchant_ref"], str) or not told["merchant_ref"]:
        raise BadDiscrepancies("name the payment by its merchant_ref")
    if type(told["amount"]) is not int or (told["kind"] == "extra" and told["amount"] <= 0):
        raise BadDiscrepancies(f"amount must be whole minor units, not {told['amount']!r}")
    return told
