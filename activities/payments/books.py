"""Write what a PSP said into our own books: the attempt, the payment and the ledger.

Facts arrive late, doubled and out of order, from answers, inquiries and webhooks alike. Writing
one down is idempotent, and an older fact never undoes a newer one.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from activities.payments.psp import PaymentResult
from db.repositories import ledger, payments, refunds
from db.repositories.ledger import COD_DUE, LedgerLine, order_account, psp_account
from db.repositories.payments import AttemptChange, AttemptRecord
from db.repositories.refunds import NewDispute
from db.vocabulary import LedgerKind
from domain.errors import IllegalTransition
from domain.payments import PaymentState
from domain.refunds import DisputeState
from workflows.contracts.payments import PaymentAuthorised

_HOLDING = (PaymentState.CAPTURED, PaymentState.PARTIALLY_CAPTURED)
_PROGRESS = (
    PaymentState.ACTION_REQUIRED,
    PaymentState.PENDING,
    PaymentState.AUTHORISED,
    *_HOLDING,
)


async def learn(session: AsyncSession, attempt: AttemptRecord, told: PaymentResult) -> None:
    """Write down what is now known of an attempt, and book money that was taken."""
    late = told.captured > 0 and await _paid_elsewhere(session, attempt)
    if told.captured > 0:
        await _book_capture(session, attempt, told.captured, late=late)
    state = told.state
    if late and state in _HOLDING:
        state = PaymentState.REFUND_PENDING
    action = told.next_action.to_json() if told.next_action else None
    try:
        await payments.change_attempt(
            session,
            attempt.id,
            AttemptChange(
                state=state,
                psp_ref=told.ref,
                failure_class=told.failure_class,
                failure_code=told.failure_code,
                next_action=action,
                captured_paise=told.captured or None,
            ),
        )
    except IllegalTransition:
        return  # we know something newer
    # An attempt's end is not the payment's: the next attempt may still pay.
    if state in _PROGRESS and not late:
        await move_payment(session, attempt.payment_id, state)


async def move_payment(session: AsyncSession, payment_id: str, state: PaymentState) -> None:
    """Bring the payment to a state, unless it is past it."""
    try:
        await payments.transition(session, payment_id, state)
    except IllegalTransition:
        return


async def book_refund(
    session: AsyncSession, attempt: AttemptRecord, refund_key: str, paise: int
) -> None:
    """Book money that a PSP gave back under a key, once."""
    posted = await ledger.post(
        session,
        f"refund:{refund_key}",
        moved(psp_account(attempt.psp), order_account(attempt.order_id), -paise),
        kind=LedgerKind.REFUND,
        order_id=attempt.order_id,
        payment_id=attempt.payment_id,
        attempt_id=attempt.id,
    )
    if not posted:
        return
    # locked, so that two refunds booked at once both count
    held = await refunds.taken(session, attempt.id)
    after = replace(held, refunded=held.refunded + paise)
    state = after.state(disputed=await refunds.disputed(session, attempt.id))
    await payments.change_attempt(
        session, attempt.id, AttemptChange(state=state, refunded_paise=after.refunded)
    )


async def follow_attempt(session: AsyncSession, attempt_id: str) -> None:
    """Bring the payment of an order that was sold to what its attempt's totals say."""
    held = await refunds.taken(session, attempt_id)
    attempt = await payments.get_attempt(session, attempt_id)
    disputed = await refunds.disputed(session, attempt_id)
    await move_payment(session, attempt.payment_id, held.state(disputed=disputed))


async def book_dispute(session: AsyncSession, dispute: NewDispute, attempt: AttemptRecord) -> bool:
    """Write down what a PSP says of a dispute; the money of a lost one is gone. False: old news."""
    told = await refunds.tell_dispute(session, dispute)
    if not told.changed:
        return False
    was_lost = told.before is DisputeState.LOST
    if was_lost or dispute.state is DisputeState.LOST:
        paise = -dispute.amount_paise if was_lost else dispute.amount_paise
        kind = LedgerKind.CHARGEBACK_REVERSAL if was_lost else LedgerKind.CHARGEBACK
        await ledger.post(
            session,
            f"{kind.lower()}:{dispute.psp}:{dispute.psp_dispute_ref}:{dispute.at.isoformat()}",
            moved(psp_account(attempt.psp), order_account(attempt.order_id), -paise),
            kind=kind,
            order_id=attempt.order_id,
            payment_id=attempt.payment_id,
            attempt_id=attempt.id,
        )
        await refunds.charge_back(session, attempt.id, paise)
    held = await refunds.taken(session, attempt.id)
    state = held.state(disputed=await refunds.disputed(session, attempt.id))
    await mark(session, attempt, state)
    await move_payment(session, attempt.payment_id, state)
    return True


async def book_double(
    session: AsyncSession, attempt: AttemptRecord, ref: str, refund_key: str, paise: int
) -> None:
    """Book a second payment that a PSP made of one request, and its refund: it nets to nothing."""
    for name, kind, amount in (
        (f"capture:{attempt.id}:{ref}", LedgerKind.LATE_CAPTURE, paise),
        (f"refund:{refund_key}", LedgerKind.REFUND, -paise),
    ):
        await ledger.post(
            session,
            name,
            moved(psp_account(attempt.psp), order_account(attempt.order_id), amount),
            kind=kind,
            order_id=attempt.order_id,
            payment_id=attempt.payment_id,
            attempt_id=attempt.id,
        )


async def mark(session: AsyncSession, attempt: AttemptRecord, state: PaymentState) -> None:
    """Bring an attempt to a state, unless it is past it."""
    try:
        await payments.change_attempt(session, attempt.id, AttemptChange(state=state))
    except IllegalTransition:
        return


async def reverse_cash_due(session: AsyncSession, order_id: str, payment_id: str) -> None:
    """Take back what the carrier would have had to collect, if it was booked."""
    lines = await ledger.of_order(session, order_id)
    due = sum(line.amount_paise for line in lines if line.account == COD_DUE)
    if due:
        await ledger.post(
            session,
            f"cod-reversal:{order_id}",
            moved(COD_DUE, order_account(order_id), -due),
            kind=LedgerKind.COD_REVERSAL,
            order_id=order_id,
            payment_id=payment_id,
        )


async def end_payment(session: AsyncSession, order_id: str, code: str) -> None:
    """Close a payment that came to nothing, by what became of its attempts."""
    payment = await payments.of_order(session, order_id)
    if payment is None:
        return None
    states = {attempt.state for attempt in await payments.attempts_of(session, order_id)}
    for end in (PaymentState.REFUNDED, PaymentState.VOIDED):
        if end in states or (end is PaymentState.VOIDED and payment.state is PaymentState.COD_DUE):
            return await move_payment(session, payment.id, end)
    expired = code in ("PAYMENT_EXPIRED", "CANCELLED")
    end = PaymentState.EXPIRED if expired else PaymentState.FAILED
    return await move_payment(session, payment.id, end)


async def book_cash_due(session: AsyncSession, payment: PaymentAuthorised) -> None:
    """Book what the carrier has to collect, once."""
    await ledger.post(
        session,
        f"cod:{payment.order_id}",
        moved(COD_DUE, order_account(payment.order_id), payment.amount_paise),
        kind=LedgerKind.COD_DUE,
        order_id=payment.order_id,
        payment_id=payment.payment_id,
        currency=payment.currency,
    )


async def _paid_elsewhere(session: AsyncSession, attempt: AttemptRecord) -> bool:
    lines = await ledger.of_order(session, attempt.order_id)
    return any(line.kind is LedgerKind.CAPTURE and line.attempt_id != attempt.id for line in lines)


async def _book_capture(
    session: AsyncSession, attempt: AttemptRecord, paise: int, *, late: bool
) -> None:
    await ledger.post(
        session,
        f"capture:{attempt.id}",
        moved(psp_account(attempt.psp), order_account(attempt.order_id), paise),
        kind=LedgerKind.LATE_CAPTURE if late else LedgerKind.CAPTURE,
        order_id=attempt.order_id,
        payment_id=attempt.payment_id,
        attempt_id=attempt.id,
    )


def moved(to: str, from_: str, paise: int) -> Sequence[LedgerLine]:
    """The two lines of a movement, in paise; a negative amount goes the other way."""
    return (LedgerLine(to, paise), LedgerLine(from_, -paise))
