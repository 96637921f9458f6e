"""What a check of the invariants answers with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

TITLES: Mapping[int, str] = MappingProxyType(
    {
        1: "our money is the PSPs' money, and the ledger adds up to nothing",
        2: "stock only moves: nothing appears, vanishes or is oversold",
        3: "an order is paid once, over all PSPs",
        4: "what was not sold is wholly given back",
        5: "a reservation ends once, as its order does",
        6: "every saga has ended, waits on something named, or asks a person",
        7: "every webhook and event arrived, and every projection adds up",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: which invariant, of what, in words, and what was expected and found."""

    invariant: int
    subject: str
    message: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Over how much the invariants were checked."""

    orders: int = 0
    payments: int = 0
    attempts: int = 0
    psp_payments: int = 0
    stock_levels: int = 0
    reservations: int = 0
    sagas: int = 0
    webhooks: int = 0
    events: int = 0

    def words(self) -> str:
        """The counts in one line."""
        return ", ".join(
            f"{value} {name.replace('_', ' ')}" for name, value in asdict(self).items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every finding of one check. `notes` say what could not be judged, and why."""

    findings: Sequence[Finding]
    counts: Counts
    notes: Sequence[str] = field(default=())
    seconds: float = 0.0

    @property
    def violations(self) -> int:
        """How many findings there are."""
        return len(self.findings)

    def to_json(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "violations": self.violations,
            "invariants": len(TITLES),
            "checked": asdict(self.counts),
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 2),
        }
