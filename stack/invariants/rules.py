"""An invariant as rules: statements whose every row is a violation."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from db.sql import fetch, sql
from stack.invariants.finding import Finding

# Of one broken rule the first hundreds tell as much as all of them.
MOST: Final = 500


class Rule:
    """One way to break an invariant: what is wrong, and the rows (subject, expected, found)."""

    def __init__(self, message: str, statement: str) -> None:
        self.message = message
        self._statement: TextClause = sql(
            f"SELECT subject::text, expected::text, found::text FROM ({statement}) AS broken "  # noqa: S608
            f"ORDER BY subject LIMIT {MOST}"
        )

    async def findings(self, session: AsyncSession, invariant: int) -> list[Finding]:
        """Every row as a finding."""
        return [
            Finding(invariant, row["subject"], self.message, row["expected"], row["found"])
            for row in await fetch(session, self._statement)
        ]


async def broken(session: AsyncSession, invariant: int, rules: Sequence[Rule]) -> list[Finding]:
    """The findings of all rules, in their order."""
    return [found for rule in rules for found in await rule.findings(session, invariant)]
