"""Payments and the attempts at them. The money itself moves in `ledger`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import AlreadyRecorded, NotFound
from db.sql import columns, dumps, fetch, fetch_one, sql, values_of
from domain.payments import (
    TRANSITIONS,
    FailureClass,
    PaymentMethod,
    PaymentState,
    check_transition,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """What is owed for an order, in paise."""

    id: str
    order_id: str
    method: PaymentMethod
    amount_paise: int
    currency: str = "INR"
    state: PaymentState = PaymentState.CREATED


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord(NewPayment):
    """A payment as stored."""

    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """One PSP to be asked once; `reason` says why this one, `seq` counts from 1."""

    id: str
    payment_id: str
    order_id: str
    seq: int
    psp: str
    amount_paise: int
    merchant_ref: str
    reason: str | None = None
    bank: str | None = None
    state: PaymentState = PaymentState.CREATED


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord(NewAttempt):
    """An attempt as stored. Amounts in paise."""

    psp_ref: str | None
    failure_class: FailureClass | None
    failure_code: str | None
    next_action: dict[str, Any] | None
    captured_paise: int
    refunded_paise: int
    charged_back_paise: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptChange:
    """What became known of an attempt; None leaves a column as it is.

    Totals only grow: an older answer that comes late takes nothing back.
    """

    state: PaymentState
    psp_ref: str | None = None
    failure_class: FailureClass | None = None
    failure_code: str | None = None
    next_action: dict[str, Any] | None = None
    captured_paise: int | None = None
    refunded_paise: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentMoved:
    """The state before, and whether it changed: False when it was there already."""

    before: PaymentState
    changed: bool


_PAYMENT = columns(PaymentRecord)
_ATTEMPT = columns(AttemptRecord)
_OPEN = sql(
    f"""
    INSERT INTO payments (id, order_id, method, amount_paise, currency, state)
    VALUES (:id, :order_id, :method, :amount_paise, :currency, :state)
    ON CONFLICT (order_id) DO NOTHING RETURNING {_PAYMENT}
    """  # noqa: S608 - only column lists are put into these statements
)
_GET = sql(f"SELECT {_PAYMENT} FROM payments WHERE id = :id")  # noqa: S608
_OF_ORDER = sql(f"SELECT {_PAYMENT} FROM payments WHERE order_id = :id")  # noqa: S608
_MOVE = sql(
    """
    UPDATE payments SET state = :state, version = version + 1, updated_at = now()
    WHERE id = :id AND state = ANY(CAST(:sources AS text[])) RETURNING old.state AS before
    """
)
_STATE = sql("SELECT state FROM payments WHERE id = :id FOR NO KEY UPDATE")
_ADD_ATTEMPT = sql(
    f"""
    INSERT INTO payment_attempts (id, payment_id, order_id, seq, psp, state, amount_paise,
                                  merchant_ref, reason, bank)
    VALUES (:id, :payment_id, :order_id, :seq, :psp, :state, :amount_paise,
            :merchant_ref, :reason, :bank)
    ON CONFLICT (id) DO NOTHING RETURNING {_ATTEMPT}
    """,  # noqa: S608
    json=("next_action",),
)


def _find_attempt(condition: str) -> TextClause:
    statement = f"SELECT {_ATTEMPT} FROM payment_attempts WHERE {condition} ORDER BY seq"  # noqa: S608
    return sql(statement, json=("next_action",))


_ATTEMPT_BY_ID = _find_attempt("id = :id")
_ATTEMPTS_OF = _find_attempt("order_id = :order_id")
_BY_MERCHANT_REF = _find_attempt("merchant_ref = :merchant_ref")
_BY_PSP_REF = _find_attempt("psp = :psp AND psp_ref = :psp_ref")
_ATTEMPT_STATE = sql("SELECT state FROM payment_attempts WHERE id = :id FOR NO KEY UPDATE")
_CHANGE = sql(
    """
    UPDATE payment_attempts
    SET state = :state, updated_at = now(),
        psp_ref = coalesce(:psp_ref, psp_ref),
        failure_class = coalesce(:failure_class, failure_class),
        failure_code = coalesce(:failure_code, failure_code),
        next_action = coalesce(CAST(:next_action AS jsonb), next_action),
        captured_paise = greatest(CAST(:captured_paise AS bigint), captured_paise),
        refunded_paise = greatest(CAST(:refunded_paise AS bigint), refunded_paise)
    WHERE id = :id AND (state = :state OR state = ANY(CAST(:sources AS text[])))
    RETURNING old.state AS before
    """
)


async def open_payment(session: AsyncSession, payment: NewPayment) -> PaymentRecord:
    """Store what an order owes, or find what is stored.

    Raises AlreadyRecorded when the order owes another amount or is paid another way.
    """
    row = await fetch_one(session, _OPEN, **values_of(payment, NewPayment))
    if row is not None:
        return _payment(row)
    found = _payment((await fetch(session, _OF_ORDER, id=payment.order_id))[0])
    facts = (found.method, found.amount_paise, found.currency)
    if facts != (payment.method, payment.amount_paise, payment.currency):
        stored = f"{found.method}, {found.amount_paise} paise {found.currency}"
        raise AlreadyRecorded("payment of order", payment.order_id, stored)
    return found


async def get(session: AsyncSession, payment_id: str) -> PaymentRecord:
    """The payment; raises NotFound."""
    return _payment(await _one(session, _GET, "payment", id=payment_id))


async def of_order(session: AsyncSession, order_id: str) -> PaymentRecord | None:
    """The payment of an order, if one was opened."""
    row = await fetch_one(session, _OF_ORDER, id=order_id)
    return None if row is None else _payment(row)


async def transition(session: AsyncSession, payment_id: str, new: PaymentState) -> PaymentMoved:
    """Bring a payment to a state; one that is there already is left alone.

    Raises IllegalTransition, NotFound.
    """
    row = await fetch_one(session, _MOVE, id=payment_id, state=new, sources=_sources(new))
    if row is not None:
        return PaymentMoved(PaymentState(row["before"]), changed=True)
    found = await _one(session, _STATE, "payment", id=payment_id)
    return _stayed(PaymentState(found["state"]), new)


async def add_attempt(session: AsyncSession, attempt: NewAttempt) -> AttemptRecord:
    """Store an attempt before its PSP is asked; a replay finds the one that is stored."""
    row = await fetch_one(session, _ADD_ATTEMPT, **values_of(attempt, NewAttempt))
    return await get_attempt(session, attempt.id) if row is None else _attempt(row)


async def get_attempt(session: AsyncSession, attempt_id: str) -> AttemptRecord:
    """The attempt; raises NotFound."""
    return _attempt(await _one(session, _ATTEMPT_BY_ID, "payment attempt", id=attempt_id))


async def attempts_of(session: AsyncSession, order_id: str) -> tuple[AttemptRecord, ...]:
    """The attempts at an order's payment, in their sequence."""
    return tuple(_attempt(row) for row in await fetch(session, _ATTEMPTS_OF, order_id=order_id))


async def attempt_by_ref(
    session: AsyncSession,
    psp: str,
    *,
    merchant_ref: str | None = None,
    psp_ref: str | None = None,
) -> AttemptRecord | None:
    """The attempt that a PSP's event is about, by our reference first, else by the PSP's."""
    if merchant_ref is not None:
        row = await fetch_one(session, _BY_MERCHANT_REF, merchant_ref=merchant_ref)
        if row is not None and row["psp"] == psp:
            return _attempt(row)
    if psp_ref is not None:
        row = await fetch_one(session, _BY_PSP_REF, psp=psp, psp_ref=psp_ref)
        return None if row is None else _attempt(row)
    return None


async def change_attempt(
    session: AsyncSession, attempt_id: str, change: AttemptChange
) -> PaymentMoved:
    """Write down what a PSP said about an attempt; raises IllegalTransition, NotFound."""
    action = None if change.next_action is None else dumps(change.next_action)
    row = await fetch_one(
        session,
        _CHANGE,
        **{**values_of(change, AttemptChange), "next_action": action},
        id=attempt_id,
        sources=_sources(change.state),
    )
    if row is not None:
        before = PaymentState(row["before"])
        return PaymentMoved(before, changed=before is not change.state)
    found = await _one(session, _ATTEMPT_STATE, "payment attempt", id=attempt_id)
    return _stayed(PaymentState(found["state"]), change.state)


async def _one(session: AsyncSession, statement: TextClause, what: str, **key: str) -> RowMapping:
    row = await fetch_one(session, statement, **key)
    if row is None:
        raise NotFound(what, next(iter(key.values())))
    return row


def _stayed(state: PaymentState, new: PaymentState) -> PaymentMoved:
    if state is not new:
        check_transition(state, new)
    return PaymentMoved(state, changed=False)


def _sources(new: PaymentState) -> list[PaymentState]:
    return [state for state, after in TRANSITIONS.items() if new in after]


def _payment(row: RowMapping) -> PaymentRecord:
    method, state = PaymentMethod(row["method"]), PaymentState(row["state"])
    return PaymentRecord(**{**row, "method": method, "state": state})


def _attempt(row: RowMapping) -> AttemptRecord:
    failure = row["failure_class"]
    typed = {
        "state": PaymentState(row["state"]),
        "failure_class": None if failure is None else FailureClass(failure),
    }
    return AttemptRecord(**{**row, **typed})
