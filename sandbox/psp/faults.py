"""Which fault a call meets: the first matching rule, else the instrument's own, else the profile.

A profile's choice is a hash of (seed, operation, merchant reference, nth call), so the same calls
meet the same faults in every run. Every third call of a kind on one payment is left alone, so that
nothing stays unreachable for ever.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.psp.books import Books
from sandbox.psp.instruments import INSTRUMENTS
from sandbox.psp.profiles import (
    AUTHORISE,
    EDGE_FAULTS,
    OPERATIONS,
    OUTCOME_FAULTS,
    PROFILES,
    WEBHOOK,
    WEBHOOK_FAULTS,
)

LEFT_ALONE_EVERY = 3
NO_FAULT = "none"


class BadFaults(ValueError):
    """A fault configuration that cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the sandbox was asked for; durations in milliseconds."""

    profile: str = "none"
    seed: int = 0
    delay_ms: int = 0
    slow_ms: int = 1200
    stale_ms: int = 1500
    late_ms: tuple[int, int] = (3000, 8000)
    webhook_late_ms: tuple[int, int] = (1500, 4000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A fault for the next `times` calls; a reference or instrument left out matches every one."""

    operation: str
    fault: str
    times: int = 1
    merchant_ref: str | None = None
    instrument: str | None = None


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but these parts."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def within(span: tuple[int, int], *parts: object) -> int:
    """A whole number of milliseconds in the span that depends on nothing but these parts."""
    low, high = span
    return low + int(chance(*parts) * (high - low + 1))


def _allowed_for(operation: str) -> frozenset[str]:
    if operation == WEBHOOK:
        return WEBHOOK_FAULTS
    return EDGE_FAULTS | OUTCOME_FAULTS if operation == AUTHORISE else EDGE_FAULTS


class Faults:
    """The faults of one PSP, kept in its books so that a restart goes on with them."""

    def __init__(self, books: Books, manners: frozenset[str]) -> None:
        self._books = books
        self._missing = (OUTCOME_FAULTS | EDGE_FAULTS | WEBHOOK_FAULTS) - manners
        self.settings = self._load()
        self._calm = self._is_calm()

    def _load(self) -> Settings:
        row = self._books.db.execute("SELECT settings FROM fault_settings").fetchone()
        return _settings(json.loads(row[0])) if row else Settings()

    def configure(self, wanted: dict[str, Any]) -> None:
        """Replace settings and rules and count calls anew; BadFaults says what is wrong."""
        rules_wanted = wanted.get("rules", [])
        if not isinstance(rules_wanted, list):
            raise BadFaults("rules must be a list of objects")
        settings = _settings({key: value for key, value in wanted.items() if key != "rules"})
        rules = [self._rule(one) for one in rules_wanted]
        with self._books.transaction():
            db = self._books.db
            db.execute(
                "INSERT INTO fault_settings (only, settings) VALUES (1, ?)"
                " ON CONFLICT (only) DO UPDATE SET settings = excluded.settings",
                (json.dumps(asdict(settings)),),
            )
            db.execute("DELETE FROM fault_rules")
            db.execute("DELETE FROM calls")
            for rule in rules:
                db.execute(
                    "INSERT INTO fault_rules (operation, merchant_ref, instrument, fault,"
                    " remaining) VALUES (?, ?, ?, ?, ?)",
                    (rule.operation, rule.merchant_ref, rule.instrument, rule.fault, rule.times),
                )
        self.settings = settings
        self._calm = self._is_calm()

    def _is_calm(self) -> bool:
        """Whether nothing but an instrument can make a fault, which saves a write for each call."""
        return not PROFILES[self.settings.profile] and not self.describe()["rules"]

    def describe(self) -> dict[str, Any]:
        """The settings in force and the rules with calls left."""
        rows = self._books.db.execute(
            "SELECT operation, merchant_ref, instrument, fault, remaining AS times"
            " FROM fault_rules WHERE remaining > 0 ORDER BY id"
        )
        return {**asdict(self.settings), "rules": [dict(row) for row in rows]}

    def decide(self, operation: str, merchant_ref: str, instrument: str | None) -> str:
        """The fault that this call meets, or "none"; counts the call where that can matter."""
        magic = INSTRUMENTS.get(instrument or "") if operation == AUTHORISE else None
        if self._calm and not (magic and magic.fault):
            return NO_FAULT
        with self._books.transaction():
            n = self._count(operation, merchant_ref)
            ruled = self._by_rule(operation, merchant_ref, instrument)
        if ruled is not None:
            return ruled
        if magic and magic.fault and (magic.every_call or n == 1):
            return magic.fault
        return self._by_profile(operation, merchant_ref, n)

    def _count(self, operation: str, merchant_ref: str) -> int:
        row = self._books.db.execute(
            "INSERT INTO calls (operation, merchant_ref, n) VALUES (?, ?, 1)"
            " ON CONFLICT (operation, merchant_ref) DO UPDATE SET n = n + 1 RETURNING n",
            (operation, merchant_ref),
        ).fetchone()
        return int(row[0])

    def _by_rule(self, operation: str, merchant_ref: str, instrument: str | None) -> str | None:
        row = self._books.db.execute(
            "SELECT id, fault FROM fault_rules WHERE remaining > 0 AND operation = ?"
            " AND (merchant_ref IS NULL OR merchant_ref = ?)"
            " AND (instrument IS NULL OR instrument = ?) ORDER BY id LIMIT 1",
            (operation, merchant_ref, instrument),
        ).fetchone()
        if row is None:
            return None
        self._books.db.execute(
            "UPDATE fault_rules SET remaining = remaining - 1 WHERE id = ?", (row["id"],)
        )
        return str(row["fault"])

    def _by_profile(self, operation: str, merchant_ref: str, n: int) -> str:
        if n % LEFT_ALONE_EVERY == 0:
            return NO_FAULT
        drawn = chance(self.settings.seed, operation, merchant_ref, n) * 1000
        for of_operation, fault, per_thousand in PROFILES[self.settings.profile]:
            if of_operation != operation:
                continue
            drawn -= per_thousand
            if drawn < 0:
                return NO_FAULT if fault in self._missing else fault
        return NO_FAULT

    def _rule(self, wanted: object) -> Rule:
        if not isinstance(wanted, dict):
            raise BadFaults(f"a rule is an object, not {wanted!r}")
        try:
            rule = Rule(**wanted)
        except TypeError as error:
            raise BadFaults(
                f"rule {wanted!r}: a rule has operation, fault, times, merchant_ref, instrument"
            ) from error
        if rule.operation not in OPERATIONS:
            raise BadFaults(f"no operation {rule.operation!r}; there are {', '.join(OPERATIONS)}")
        allowed = sorted(_allowed_for(rule.operation) - self._missing)
        if rule.fault not in allowed:
            raise BadFaults(
                f"no fault {rule.fault!r} for {rule.operation}; there are {', '.join(allowed)}"
            )
        if type(rule.times) is not int or rule.times < 1:
            raise BadFaults(f"times must be a whole number from 1 up, not {rule.times!r}")
        return rule


def _settings(wanted: dict[str, Any]) -> Settings:
    known = Settings.__dataclass_fields__
    for name, value in wanted.items():
        if name not in known:
            raise BadFaults(f"no setting {name!r}; there are {', '.join((*known, 'rules'))}")
        if name == "profile":
            if value not in PROFILES:
                raise BadFaults(f"no profile {value!r}; there are {', '.join(PROFILES)}")
        elif isinstance(getattr(Settings(), name), tuple):
            _check_span(name, value)
        elif type(value) is not int or value < 0:
            raise BadFaults(f"{name} must be a whole number from 0 up, not {value!r}")
    spans_as_tuples: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in wanted.items()
    }
    return Settings(**spans_as_tuples)


def _check_span(name: str, value: object) -> None:
    right = (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(type(part) is int for part in value)
        and 0 <= value[0] <= value[1]
    )
    if not right:
        raise BadFaults(f"{name} must be two whole milliseconds [from, to], not {value!r}")
