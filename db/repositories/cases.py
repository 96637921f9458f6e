"""The cases of what differs between a provider and us: opened, followed and closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import NotFound, StaleVersion
from db.ids import new_ulid
from db.paging import Page, bounded, decode_newest, page_of
from db.repositories import settlements
from db.sql import columns, execute, fetch, fetch_one, sql, values_of
from db.vocabulary import CaseEventKind
from domain.cases import (
    NEXT_STEPS,
    CaseState,
    Facts,
    Outcome,
    check_transition,
    follow,
    second_agrees,
)
from domain.reconciliation import Finding
from domain.settlements import Movement, SettlementLine

BY_ITSELF = "reconciliation"
_FACTS = ("ours", "settled", "fee_due", "fee_taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """A case as stored; amounts in paise, as of domain.cases.Facts.

    `present`: the difference was there when last looked at. `first_approval` is who asked for it
    to be written off; `written_off_paise` is what the ledger has written off for it.
    """

    id: str
    provider: str
    subject: str
    outcome: Outcome
    state: CaseState
    present: bool
    ours_paise: int
    settled_paise: int
    fee_due_paise: int
    fee_taken_paise: int
    difference_paise: int
    currency: str
    day: date
    payment_ref: str
    merchant_ref: str
    owner: str
    first_approval: str | None
    written_off_paise: int
    version: int
    opened_at: datetime
    state_at: datetime

    @property
    def facts(self) -> Facts:
        """What it is about."""
        return Facts(
            outcome=self.outcome, **{name: getattr(self, f"{name}_paise") for name in _FACTS}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """What happened to a case; `actor` is a user's id, or the reconciliation itself."""

    at: datetime
    actor: str
    kind: CaseEventKind
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases a list shows; None means any."""

    provider: str | None = None
    state: CaseState | None = None
    outcome: Outcome | None = None
    owner: str | None = None
    day: date | None = None
    opened_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """How many cases were opened (or opened again), and how many closed by themselves."""

    opened: int
    closed: int


_COLUMNS = columns(CaseRecord)
_OF_SUBJECTS = sql(
    f"""
    SELECT {_COLUMNS}, now() - state_at AS in_state FROM reconciliation_cases
    WHERE provider = :provider AND subject = ANY(CAST(:subjects AS text[]))
    FOR NO KEY UPDATE
    """  # noqa: S608 - column lists and texts of this module
)
_OPEN = sql(
    f"""
    INSERT INTO reconciliation_cases ({_COLUMNS})
    VALUES (:id, :provider, :subject, :outcome, 'OPEN', true, :ours_paise, :settled_paise,
            :fee_due_paise, :fee_taken_paise, :difference_paise, :currency, :day, :payment_ref,
            :merchant_ref, :owner, NULL, 0, 1, now(), now())
    """  # noqa: S608
)
_SAVE = sql(
    """
    UPDATE reconciliation_cases
    SET outcome = :outcome, state = :state, present = :present, ours_paise = :ours_paise,
        settled_paise = :settled_paise, fee_due_paise = :fee_due_paise,
        fee_taken_paise = :fee_taken_paise, difference_paise = :difference_paise, day = :day,
        owner = :owner, first_approval = :first_approval, written_off_paise = :written_off_paise,
        version = :version + 1,
        state_at = CASE WHEN state = CAST(:state AS text) THEN state_at ELSE now() END
    WHERE id = :id AND version = :version
    """
)
_GET = sql(f"SELECT {_COLUMNS} FROM reconciliation_cases WHERE id = :id")  # noqa: S608
_LOCK = sql(f"SELECT {_COLUMNS} FROM reconciliation_cases WHERE id = :id FOR NO KEY UPDATE")  # noqa: S608
_TELL = sql(
    """
    INSERT INTO reconciliation_case_events (case_id, actor, kind, note)
    VALUES (:id, :actor, :kind, :note)
    """
)
_EVENTS = sql(
    """
    SELECT at, actor, kind, note FROM reconciliation_case_events WHERE case_id = :id ORDER BY id
    """
)
_CONDITIONS = {
    **{name: f"{name} = :{name}" for name in ("provider", "state", "outcome", "owner", "day")},
    "opened_before": "opened_at < :opened_before",
    "last_id": "(opened_at, id) < (CAST(:last_at AS timestamptz), :last_id)",
}


async def follow_all(session: AsyncSession, provider: str, findings: Sequence[Finding]) -> Followed:
    """Bring the cases of everything that was compared up to what was found, under the lock."""
    differ = {one.subject: one for one in findings if one.outcome.differs}
    touched = sorted({item for one in findings for item in one.items})
    rows = await fetch(session, _OF_SUBJECTS, provider=provider, subjects=touched)
    known = {row["subject"]: row for row in rows}
    states = [
        await _follow(session, row, differ.get(subject)) for subject, row in sorted(known.items())
    ]
    new = [found for subject, found in sorted(differ.items()) if subject not in known]
    for found in new:
        await _open(session, provider, found)
    return Followed(
        opened=len(new) + states.count(CaseState.OPEN), closed=states.count(CaseState.CORRECTED)
    )


async def get(session: AsyncSession, case_id: str) -> CaseRecord:
    """The case; raises NotFound."""
    return await _one(session, _GET, case_id)


async def events(session: AsyncSession, case_id: str) -> tuple[CaseEvent, ...]:
    """What happened to a case, in order."""
    rows = await fetch(session, _EVENTS, id=case_id)
    return tuple(CaseEvent(**{**row, "kind": CaseEventKind(row["kind"])}) for row in rows)


async def list_cases(
    session: AsyncSession, wanted: CaseFilter, *, after: str | None = None, limit: int = 50
) -> Page[CaseRecord]:
    """Cases newest first; `after` is the `next` of the page before."""
    limit = bounded(limit)
    values: dict[str, Any] = {
        name: value
        for name in CaseFilter.__dataclass_fields__
        if (value := getattr(wanted, name)) is not None
    }
    if after is not None:
        values["last_at"], values["last_id"] = decode_newest(after)
    where = " AND ".join(text for name, text in _CONDITIONS.items() if name in values) or "true"
    statement = sql(
        f"SELECT {_COLUMNS} FROM reconciliation_cases WHERE {where} "  # noqa: S608
        "ORDER BY opened_at DESC, id DESC LIMIT :limit"
    )
    rows = [_case(row) for row in await fetch(session, statement, **values, limit=limit + 1)]
    return page_of(rows, limit, lambda case: (case.opened_at.isoformat(), case.id))


async def note(
    session: AsyncSession, case_id: str, actor: str, words: str, *, take: bool = False
) -> CaseRecord:
    """Say something about a case, and take it over if wanted; raises NotFound."""
    case = await _one(session, _LOCK, case_id)
    if take and case.owner != actor:
        case = await _save(session, case, owner=actor)
    await _tell(
        session, case_id, actor, CaseEventKind.TAKEN if take else CaseEventKind.NOTED, words
    )
    return case


async def resolve(
    session: AsyncSession, case_id: str, state: CaseState, actor: str, words: str
) -> CaseRecord:
    """Close a case. One that is to be written off stays open until a second person agrees.

    Raises NotFound, IllegalTransition and SecondPersonNeeded.
    """
    case = await _one(session, _LOCK, case_id)
    check_transition(case.state, state)
    if state is not CaseState.WRITTEN_OFF:
        return await _ended(session, case, state, actor, words)
    if not second_agrees(case.first_approval, actor):
        await _tell(session, case_id, actor, CaseEventKind.WRITE_OFF_ASKED, words)
        return await _save(session, case, first_approval=actor)
    return await _ended(session, case, state, actor, words)


async def _follow(
    session: AsyncSession, row: RowMapping, found: Finding | None
) -> CaseState | None:
    """Look at a known case again; answers with the state that it came to, None for the same."""
    case = _case(row)
    before, now = case.facts if case.present else None, found.facts if found else None
    state = follow(case.state, before, now, row["in_state"])
    if now == before and state is case.state:
        return None
    changes: dict[str, Any] = {"present": now is not None, "first_approval": None, "state": state}
    if found is not None:
        changes |= {"day": found.day, **_columns_of(found.facts)}
    await _save(session, case, **changes)
    if now is None:
        await _tell(session, case.id, BY_ITSELF, CaseEventKind.CORRECTED, "the difference is gone")
    else:
        kind = CaseEventKind.CHANGED if case.state is state else CaseEventKind.REOPENED
        await _tell(session, case.id, BY_ITSELF, kind, now.words(case.currency))
    return state if state is not case.state else None


async def _open(session: AsyncSession, provider: str, found: Finding) -> None:
    about: tuple[Movement | SettlementLine, ...] = (*found.movements, *found.lines)
    case_id = new_ulid()
    await execute(
        session,
        _OPEN,
        id=case_id,
        provider=provider,
        subject=found.subject,
        currency=found.currency,
        day=found.day,
        payment_ref=next((one.payment_ref for one in about if one.payment_ref), ""),
        merchant_ref=next((one.merchant_ref for one in about if one.merchant_ref), ""),
        owner=NEXT_STEPS[found.outcome].owner,
        **_columns_of(found.facts),
    )
    words = found.facts.words(found.currency)
    await _tell(session, case_id, BY_ITSELF, CaseEventKind.OPENED, words)


async def _ended(
    session: AsyncSession, case: CaseRecord, state: CaseState, actor: str, words: str
) -> CaseRecord:
    await _tell(session, case.id, actor, CaseEventKind(state), words)
    return await _save(session, case, state=state, first_approval=None)


async def _save(session: AsyncSession, case: CaseRecord, **changes: Any) -> CaseRecord:
    """Write a changed case; what is written off for it in the ledger follows its state."""
    changed = replace(case, **changes)
    off = changed.facts.unsettled if changed.state is CaseState.WRITTEN_OFF else 0
    changed = replace(changed, written_off_paise=off)
    await settlements.write_off(
        session,
        case.provider,
        f"write-off:{case.id}:{case.version}",
        off - case.written_off_paise,
        case.currency,
    )
    if await execute(session, _SAVE, **values_of(changed, CaseRecord)) != 1:
        raise StaleVersion("reconciliation case", case.id, case.version, case.version + 1)
    return replace(changed, version=case.version + 1)


async def _one(session: AsyncSession, statement: TextClause, case_id: str) -> CaseRecord:
    row = await fetch_one(session, statement, id=case_id)
    if row is None:
        raise NotFound("reconciliation case", case_id)
    return _case(row)


async def _tell(
    session: AsyncSession, case_id: str, actor: str, kind: CaseEventKind, words: str
) -> None:
    await execute(session, _TELL, id=case_id, actor=actor, kind=kind, note=words)


def _columns_of(facts: Facts) -> dict[str, Any]:
    amounts = {f"{name}_paise": getattr(facts, name) for name in (*_FACTS, "difference")}
    return {"outcome": facts.outcome, **amounts}


def _case(row: RowMapping) -> CaseRecord:
    values: dict[str, Any] = {name: row[name] for name in CaseRecord.__dataclass_fields__}
    typed = {"outcome": Outcome(row["outcome"]), "state": CaseState(row["state"])}
    return CaseRecord(**{**values, **typed})
