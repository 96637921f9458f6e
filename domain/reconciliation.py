"""Hold what a provider settled against what our ledger says moved there.

Pure, and the same for every order of its input. Every line and every movement ends in exactly one
finding; what differs becomes a case (domain.cases).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from domain.cases import Facts, Outcome
from domain.money import Money, total
from domain.settlements import LineKind, Movement, SettlementLine, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How some lines and movements that belong together compare.

    `subject` stays the same as long as the movement (or, without one, the line) does.
    """

    outcome: Outcome
    lines: tuple[SettlementLine, ...] = ()
    movements: tuple[Movement, ...] = ()
    fee_due: Money | None = None

    @property
    def subject(self) -> str:
        """The first movement's key, else the first line's item."""
        return self.movements[0].key if self.movements else item_of(self.lines[0])

    @property
    def items(self) -> tuple[str, ...]:
        """Every line and movement in it, by name."""
        return (*map(item_of, self.lines), *(one.key for one in self.movements))

    @property
    def currency(self) -> str:
        """The currency of all its amounts."""
        return (self.movements[0].amount if self.movements else self.lines[0].gross).currency

    @property
    def ours(self) -> Money:
        """What our ledger says."""
        return total((one.amount for one in self.movements), self.currency)

    @property
    def theirs(self) -> Money:
        """What their lines say, whether paid or held back."""
        return total((line.gross for line in self.lines), self.currency)

    @property
    def day(self) -> date:
        """The day of its first line, else of its first movement."""
        return self.lines[0].settled_on if self.lines else self.movements[0].day

    @property
    def facts(self) -> Facts:
        """What a case about it says."""
        judged = self.fee_due is not None
        taken = total((line.fee + line.tax for line in self.lines), self.currency)
        return Facts(
            outcome=self.outcome,
            ours=self.ours.paise,
            settled=total((line.paid for line in self.lines), self.currency).paise,
            fee_due=self.fee_due.paise if self.fee_due is not None else 0,
            fee_taken=taken.paise if judged else 0,
        )


def item_of(line: SettlementLine) -> str:
    """A line's name among lines and movements of its provider."""
    return f"line:{line.line_id}"


def reconcile(
    lines: Iterable[SettlementLine],
    movements: Iterable[Movement],
    *,
    as_of: date,
    terms: Terms,
) -> tuple[Finding, ...]:
    """Judge lines and movements of one provider, of whole payments, as on the day `as_of`.

    A line or movement that is given twice counts once.
    """
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    ours = sorted({one.key: one for one in movements}.values(), key=lambda one: (one.at, one.key))
    theirs = sorted(
        {line.line_id: line for line in lines}.values(),
        key=lambda line: (line.settled_on, line.line_id),
    )
    for movement in ours:
        groups[_own(movement)].movements.append(movement)
    find = _Index(ours)
    for line in theirs:
        groups[find.group_of(line)].lines.append(line)
    found = [one for key in sorted(groups) for one in groups[key].judged(as_of, terms)]
    return tuple(sorted(found, key=lambda one: one.subject))


def _own(movement: Movement) -> tuple[str, str]:
    return movement.kind, f"{movement.payment} {movement.amount.currency}"


class _Index:
    """Finds the payment of ours that a line belongs to: by its return, its payment, our name."""

    def __init__(self, movements: Sequence[Movement]) -> None:
        self._by: dict[tuple[str, LineKind, str], Movement] = {}
        for one in movements:
            for name, value in _names(one):
                if value:
                    self._by.setdefault((name, one.kind, value), one)

    def group_of(self, line: SettlementLine) -> tuple[str, str]:
        for name, value in _names(line):
            found = self._by.get((name, line.kind, value)) if value else None
            if found is None or found.amount.currency != line.gross.currency:
                continue
            # under our name the provider may have a second payment that we know nothing of
            if name == "merchant" and line.payment_ref and found.payment_ref:
                break
            return _own(found)
        unknown = line.payment_ref or line.merchant_ref or line.return_ref or line.line_id
        return line.kind, f"? {unknown} {line.gross.currency}"


def _names(one: Movement | SettlementLine) -> tuple[tuple[str, str], ...]:
    return (
        ("return", one.return_ref),
        ("return key", one.return_key),
        ("payment", one.payment_ref),
        ("merchant", one.merchant_ref),
    )


@dataclass(slots=True)
class _Group:
    """The lines and movements of one kind of one payment."""

    lines: list[SettlementLine] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)

    def judged(self, as_of: date, terms: Terms) -> list[Finding]:
        """Every line and movement in exactly one finding."""
        paid = [line for line in self.lines if not line.on_hold]
        held = [line for line in self.lines if line.on_hold]
        found, paid, left = _pairs(paid, self.movements)
        known = bool(self.movements)
        if paid and left:
            found.append((tuple(paid), tuple(left)))
            paid, left = [], []
        on_hold, held, left = _pairs(held, left)
        if held and left:
            on_hold.append((tuple(held), tuple(left)))
            held, left = [], []
        unasked = Outcome.DUPLICATE if known else Outcome.MISSING_HERE
        return [
            *(_compared(lines, ours, terms) for lines, ours in found),
            *(Finding(outcome=Outcome.ON_HOLD, lines=ls, movements=ms) for ls, ms in on_hold),
            *(Finding(outcome=unasked, lines=(line,)) for line in (*paid, *held)),
            *(Finding(outcome=_unsettled(one, as_of, terms), movements=(one,)) for one in left),
        ]


_Pair = tuple[tuple[SettlementLine, ...], tuple[Movement, ...]]


def _pairs(
    lines: Sequence[SettlementLine], movements: Sequence[Movement]
) -> tuple[list[_Pair], list[SettlementLine], list[Movement]]:
    """Lines and movements of one amount: first those that name one return, then any."""
    pairs: list[_Pair] = []
    for same_return in (True, False):
        rest: list[Movement] = []
        free = list(lines)
        for one in movements:
            fit = next((line for line in free if _fits(line, one, same_return=same_return)), None)
            if fit is None:
                rest.append(one)
            else:
                free.remove(fit)
                pairs.append(((fit,), (one,)))
        lines, movements = free, rest
    return pairs, list(lines), list(movements)


def _fits(line: SettlementLine, one: Movement, *, same_return: bool) -> bool:
    if line.gross != one.amount:
        return False
    named = (line.return_ref, line.return_key)
    ours = (one.return_ref, one.return_key)
    return not same_return or any(a and a == b for a, b in zip(named, ours, strict=True))


def _compared(
    lines: tuple[SettlementLine, ...], ours: tuple[Movement, ...], terms: Terms
) -> Finding:
    judged = Finding(outcome=Outcome.AMOUNT_DIFFERS, lines=lines, movements=ours)
    if judged.theirs != judged.ours:
        return judged
    agreed = [terms.fee(line.kind, ours[0].method, line.gross) for line in lines]
    fees = [each for each in agreed if each is not None]
    if len(fees) < len(lines):
        return Finding(outcome=Outcome.MATCHED, lines=lines, movements=ours)
    off = any(
        abs(taken.paise - due.paise) > terms.tolerance_paise
        for line, (fee, tax) in zip(lines, fees, strict=True)
        for taken, due in ((line.fee, fee), (line.tax, tax))
    )
    return Finding(
        outcome=Outcome.FEE_DIFFERS if off else Outcome.MATCHED,
        lines=lines,
        movements=ours,
        fee_due=total((fee + tax for fee, tax in fees), judged.currency),
    )


def _unsettled(one: Movement, as_of: date, terms: Terms) -> Outcome:
    late = (as_of - one.day).days > terms.grace_days
    return Outcome.MISSING_THERE if late else Outcome.PENDING
