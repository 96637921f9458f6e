"""Write what a PSP said into our own books: the attempt, the payment and the ledger.

Facts arrive late, doubled and out of order, from answers, inquiries and webhooks alike. Writing
one down is idempotent, and an older fact never undoes a newer one.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from activities.payments.psp import PaymentResult
from db.repositories import ledger, payments
from db.repositories.ledger import COD_DUE, LedgerLine, order_account, psp_account
from db.repositories.payments import AttemptChange, AttemptRecord
from db.vocabulary import LedgerKind
from domain.errors import IllegalTransition
from domain.payments import PaymentState
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
        _moved(psp_account(attempt.psp), attempt.order_id, -paise),
        kind=LedgerKind.REFUND,
        order_id=attempt.order_id,
        payment_id=attempt.payment_id,
        attempt_id=attempt.id,
    )
    if not posted:
        return
    held = await payments.get_attempt(session, attempt.id)
    refunded = held.refunded_paise + paise
    whole = refunded >= held.captured_paise
    state = PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED
    await payments.change_attempt(
        session, attempt.id, AttemptChange(state=state, refunded_paise=refunded)
    )


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
            _moved(psp_account(attempt.psp), attempt.order_id, amount),
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
            _moved(COD_DUE, order_id, -due),
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
        _moved(COD_DUE, payment.order_id, payment.amount_paise),
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
        _moved(psp_account(attempt.psp), attempt.order_id, paise),
        kind=LedgerKind.LATE_CAPTURE if late else LedgerKind.CAPTURE,
        order_id=attempt.order_id,
        payment_id=attempt.payment_id,
        attempt_id=attempt.id,
    )


def _moved(account: str, order_id: str, paise: int) -> Sequence[LedgerLine]:
    return (LedgerLine(account, paise), LedgerLine(order_account(order_id), -paise))
