"""Refunds and disputes: money that goes back. The money itself moves in `ledger`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import AlreadyRecorded, DoesNotFit, NotFound, constraint_of
from db.sql import columns, execute, fetch, fetch_one, sql, values_of
from domain.refunds import (
    DISPUTE_TRANSITIONS,
    DisputeState,
    RefundKind,
    RefundState,
    Taken,
    check_dispute,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """Money to give back, in paise; `refund_key` is the key of the outward call."""

    id: str
    refund_key: str
    attempt_id: str
    order_id: str
    amount_paise: int
    reason: str
    kind: RefundKind = RefundKind.GIVEN_BACK
    requested_by: str | None = None
    state: RefundState = RefundState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRecord(NewRefund):
    """A refund as stored; `refusals` counts how often its PSP refused it for good."""

    refusals: int
    psp_refund_ref: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDispute:
    """A dispute as its PSP tells of it; `at` is when it became what it is (UTC)."""

    id: str
    psp: str
    psp_dispute_ref: str
    attempt_id: str
    order_id: str
    amount_paise: int
    state: DisputeState
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRecord:
    """A dispute as stored; amount in paise, times in UTC."""

    id: str
    psp: str
    psp_dispute_ref: str
    attempt_id: str
    amount_paise: int
    state: DisputeState
    reason: str | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DisputeMoved:
    """The dispute's state before (None: it is new), and whether this changed it."""

    before: DisputeState | None
    changed: bool


_REFUND = columns(RefundRecord)
_ADD = sql(
    f"""
    INSERT INTO refunds (id, refund_key, attempt_id, order_id, amount_paise, state, reason, kind,
                         requested_by)
    VALUES (:id, :refund_key, :attempt_id, :order_id, :amount_paise, :state, :reason, :kind,
            :requested_by)
    ON CONFLICT (refund_key) DO NOTHING RETURNING {_REFUND}
    """  # noqa: S608 - only column lists are put into these statements
)
_BY_KEY = sql(f"SELECT {_REFUND} FROM refunds WHERE refund_key = :key")  # noqa: S608
_BY_ID = sql(f"SELECT {_REFUND} FROM refunds WHERE id = :key")  # noqa: S608
_OF_ORDER = sql(f"SELECT {_REFUND} FROM refunds WHERE order_id = :order_id ORDER BY id")  # noqa: S608
# DONE is final: what a PSP paid out stays paid out
_SETTLE = sql(
    """
    UPDATE refunds SET state = :state, updated_at = now(),
                       psp_refund_ref = coalesce(:psp_refund_ref, psp_refund_ref)
    WHERE refund_key = :refund_key AND (state <> 'DONE' OR CAST(:state AS text) = 'DONE')
    """
)
_REFUSED = sql(
    """
    UPDATE refunds SET refusals = refusals + 1, updated_at = now()
    WHERE refund_key = :key AND refusals = :refusals AND state <> 'DONE'
    """
)
# the lock makes whoever else gives back wait, so that two sums are never taken of one remainder;
# a statement of its own, as one that had to wait would still add up what it saw before
_LOCK = sql("SELECT id FROM payment_attempts WHERE id = :id FOR NO KEY UPDATE")
_TAKEN = sql(
    """
    SELECT captured_paise AS captured, refunded_paise AS refunded,
           charged_back_paise AS charged_back,
           (SELECT coalesce(sum(amount_paise), 0)::bigint FROM refunds
            WHERE attempt_id = attempt.id AND kind <> 'DOUBLE'
              AND state IN ('PENDING', 'UNKNOWN')) AS under_way
    FROM payment_attempts AS attempt WHERE id = :id
    """
)
_OPEN_DISPUTES = sql(
    "SELECT count(*) AS open FROM disputes WHERE attempt_id = :id AND state = 'OPEN'"
)
_DISPUTES_OF = sql(
    f"SELECT {columns(DisputeRecord)} FROM disputes WHERE order_id = :order_id ORDER BY opened_at"  # noqa: S608
)
_ADD_DISPUTE = sql(
    """
    INSERT INTO disputes (id, psp, psp_dispute_ref, attempt_id, order_id, amount_paise, state,
                          reason, opened_at, closed_at)
    VALUES (:id, :psp, :psp_dispute_ref, :attempt_id, :order_id, :amount_paise, :state, :reason,
            :at, CASE WHEN CAST(:state AS text) = 'OPEN' THEN NULL ELSE CAST(:at AS timestamptz)
                 END)
    ON CONFLICT (psp, psp_dispute_ref) DO NOTHING RETURNING id
    """
)
_DISPUTE = sql(
    """
    SELECT state, coalesce(closed_at, opened_at) AS at FROM disputes
    WHERE psp = :psp AND psp_dispute_ref = :psp_dispute_ref FOR NO KEY UPDATE
    """
)
_MOVE_DISPUTE = sql(
    """
    UPDATE disputes SET state = :state, closed_at = :at, updated_at = now()
    WHERE psp = :psp AND psp_dispute_ref = :psp_dispute_ref
    """
)
_CHARGE_BACK = sql(
    """
    UPDATE payment_attempts SET charged_back_paise = charged_back_paise + :paise,
                                updated_at = now()
    WHERE id = :id
    """
)


async def add(session: AsyncSession, refund: NewRefund) -> RefundRecord:
    """Store a refund before its PSP is asked; a replay finds the one that is stored.

    Raises DoesNotFit when less than that is left of the attempt, and AlreadyRecorded when the
    key belongs to another attempt or amount.
    """
    try:
        row = await fetch_one(session, _ADD, **values_of(refund, NewRefund))
    except IntegrityError as error:
        if constraint_of(error) == "refunds_fit":
            raise DoesNotFit(refund.attempt_id, refund.amount_paise) from error
        raise
    if row is not None:
        return _refund(row)
    found = await by_key(session, refund.refund_key)
    if (found.attempt_id, found.amount_paise) != (refund.attempt_id, refund.amount_paise):
        stored = f"attempt {found.attempt_id} and {found.amount_paise} paise"
        raise AlreadyRecorded("refund", refund.refund_key, stored)
    return found


async def by_key(session: AsyncSession, refund_key: str) -> RefundRecord:
    """The refund under a key; raises NotFound."""
    row = await fetch_one(session, _BY_KEY, key=refund_key)
    if row is None:
        raise NotFound("refund", refund_key)
    return _refund(row)


async def get(session: AsyncSession, refund_id: str) -> RefundRecord:
    """The refund; raises NotFound."""
    row = await fetch_one(session, _BY_ID, key=refund_id)
    if row is None:
        raise NotFound("refund", refund_id)
    return _refund(row)


async def of_order(session: AsyncSession, order_id: str) -> tuple[RefundRecord, ...]:
    """The refunds of an order, oldest first."""
    return tuple(_refund(row) for row in await fetch(session, _OF_ORDER, order_id=order_id))


async def settle(
    session: AsyncSession,
    refund_key: str,
    state: RefundState,
    *,
    psp_refund_ref: str | None = None,
) -> bool:
    """Write down what became of a refund; False when it is DONE and stays so."""
    values = {"refund_key": refund_key, "psp_refund_ref": psp_refund_ref}
    return await execute(session, _SETTLE, state=state, **values) == 1


async def refused(session: AsyncSession, refund: RefundRecord) -> bool:
    """Count one more refusal, so that the next try is a new request; False if counted before."""
    values = {"key": refund.refund_key, "refusals": refund.refusals}
    return await execute(session, _REFUSED, **values) == 1


async def taken(session: AsyncSession, attempt_id: str) -> Taken:
    """What an attempt took and what is left of it, locked until the transaction ends."""
    if await fetch_one(session, _LOCK, id=attempt_id) is None:
        raise NotFound("payment attempt", attempt_id)
    (row,) = await fetch(session, _TAKEN, id=attempt_id)
    return Taken(**row)


async def disputed(session: AsyncSession, attempt_id: str) -> bool:
    """Whether a dispute about the attempt is open."""
    row = await fetch_one(session, _OPEN_DISPUTES, id=attempt_id)
    return row is not None and int(row["open"]) > 0


async def disputes_of(session: AsyncSession, order_id: str) -> tuple[DisputeRecord, ...]:
    """The disputes of an order, oldest first."""
    rows = await fetch(session, _DISPUTES_OF, order_id=order_id)
    return tuple(DisputeRecord(**{**row, "state": DisputeState(row["state"])}) for row in rows)


async def tell_dispute(session: AsyncSession, dispute: NewDispute) -> DisputeMoved:
    """Write down what a PSP says of a dispute; older or repeated news changes nothing."""
    await taken(session, dispute.attempt_id)
    if await fetch_one(session, _ADD_DISPUTE, **values_of(dispute, NewDispute)) is not None:
        return DisputeMoved(None, changed=True)
    key = {"psp": dispute.psp, "psp_dispute_ref": dispute.psp_dispute_ref}
    (row,) = await fetch(session, _DISPUTE, **key)
    before = DisputeState(row["state"])
    if before is dispute.state or dispute.at < row["at"]:
        return DisputeMoved(before, changed=False)
    if dispute.state not in DISPUTE_TRANSITIONS[before]:
        check_dispute(before, dispute.state)
    await execute(session, _MOVE_DISPUTE, state=dispute.state, at=dispute.at, **key)
    return DisputeMoved(before, changed=True)


async def charge_back(session: AsyncSession, attempt_id: str, paise: int) -> None:
    """Count money that a lost dispute took; a negative amount comes back."""
    await execute(session, _CHARGE_BACK, id=attempt_id, paise=paise)


def _refund(row: RowMapping) -> RefundRecord:
    typed = {"state": RefundState(row["state"]), "kind": RefundKind(row["kind"])}
    return RefundRecord(**{**row, **typed})
