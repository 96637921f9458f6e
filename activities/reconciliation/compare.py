"""Compare what a provider settled with our ledger, and bring the cases up to it."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from db.repositories import cases, reconciliation, settlements
from domain.reconciliation import Finding, reconcile
from domain.settlements import terms_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was found of what was looked at, and how many cases opened and closed."""

    findings: tuple[Finding, ...]
    opened: int
    closed: int

    @property
    def found(self) -> Counter[str]:
        """The findings by outcome."""
        return Counter(str(one.outcome) for one in self.findings)


async def compare(session: AsyncSession, provider: str, day: date) -> Compared:
    """Compare as on `day`, or on the latest day that was compared: what was late stays late."""
    await settlements.lock(session, provider)
    mark = await reconciliation.mark_of(session, provider)
    as_of = max(day, mark.as_of) if mark else day
    given = await reconciliation.to_compare(session, provider, mark)
    findings = reconcile(given.lines, given.movements, as_of=as_of, terms=terms_of(provider))
    await reconciliation.keep_matches(session, provider, findings)
    followed = await cases.follow_all(session, provider, findings)
    await reconciliation.set_mark(session, provider, as_of)
    return Compared(findings=findings, opened=followed.opened, closed=followed.closed)
