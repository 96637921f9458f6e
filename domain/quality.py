"""The quality check of goods that came back: what is accepted, and where the pieces go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from domain.returns import Fault, ReturnRefused


class Grade(StrEnum):
    """In what state a piece came back; OTHER_ITEM is not what was sold, MISSING did not come."""

    AS_NEW = "AS_NEW"
    DAMAGED = "DAMAGED"
    USED = "USED"
    OTHER_ITEM = "OTHER_ITEM"
    MISSING = "MISSING"


class Shelf(StrEnum):
    """Where a piece goes: HOLD keeps it, not ours, until the dispute over it ends."""

    RESTOCK = "RESTOCK"
    WRITE_OFF = "WRITE_OFF"
    HOLD = "HOLD"
    NOWHERE = "NOWHERE"


@dataclass(frozen=True, slots=True)
class GradeRule:
    """Whether a piece is accepted, and where it goes."""

    accepted: bool
    shelf: Shelf


_SOLD = GradeRule(True, Shelf.RESTOCK)
_BORNE = GradeRule(True, Shelf.WRITE_OFF)
_HELD = GradeRule(False, Shelf.HOLD)
_GONE = GradeRule(False, Shelf.NOWHERE)

RULES: Mapping[tuple[Grade, Fault], GradeRule] = MappingProxyType(
    {
        (Grade.AS_NEW, Fault.OURS): _SOLD,
        (Grade.AS_NEW, Fault.NOBODYS): _SOLD,
        # goods that we sent broken come back broken
        (Grade.DAMAGED, Fault.OURS): _BORNE,
        (Grade.DAMAGED, Fault.NOBODYS): _HELD,
        (Grade.USED, Fault.OURS): _HELD,
        (Grade.USED, Fault.NOBODYS): _HELD,
        # "you sent me something else" and "here is something else" look alike: a person decides
        (Grade.OTHER_ITEM, Fault.OURS): _HELD,
        (Grade.OTHER_ITEM, Fault.NOBODYS): _HELD,
        (Grade.MISSING, Fault.OURS): _GONE,
        (Grade.MISSING, Fault.NOBODYS): _GONE,
    }
)


class Verdict(StrEnum):
    """PASS accepts every piece, FAIL none, PARTIAL some; what is not accepted is disputed."""

    PASS = "PASS"  # noqa: S105 - no password
    PARTIAL = "PARTIAL"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """So many pieces of an order line (by its position) that came back in one state."""

    line: int
    qty: int
    grade: Grade
    fault: Fault


@dataclass(frozen=True, slots=True)
class Settled:
    """So many pieces of an order line that share a fate."""

    line: int
    qty: int
    fault: Fault
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class Checked:
    """What a quality check comes to: accepted pieces are refunded or replaced."""

    verdict: Verdict
    accepted: tuple[Settled, ...]
    disputed: tuple[Settled, ...]


def judge(graded: Iterable[Graded]) -> Checked:
    """The outcome for all pieces of a return.

    Raises ReturnRefused NOTHING_CHECKED or QUANTITY_OUT_OF_RANGE.
    """
    accepted: list[Settled] = []
    disputed: list[Settled] = []
    for some in graded:
        if some.qty < 1:
            raise ReturnRefused(
                "QUANTITY_OUT_OF_RANGE",
                f"{some.qty} pieces of line {some.line}: a quantity is at least 1",
            )
        rule = RULES[some.grade, some.fault]
        settled = Settled(some.line, some.qty, some.fault, rule.shelf)
        (accepted if rule.accepted else disputed).append(settled)
    if not accepted and not disputed:
        raise ReturnRefused("NOTHING_CHECKED", "the check graded no piece: grade each of them")
    mixed_or_none = Verdict.PARTIAL if accepted else Verdict.FAIL
    verdict = mixed_or_none if disputed else Verdict.PASS
    return Checked(verdict, tuple(accepted), tuple(disputed))
