"""Give an attempt's money back, whatever became of it: void, refund, or make sure of nothing."""

from activities.payments.books import book_double, book_refund
from activities.payments.provider import (
    UNSETTLED,
    Providers,
    ask_again,
    ask_same,
    code_of,
    return_key,
    unreachable,
)
from activities.payments.psp import Operation, PaymentResult, RefundResult, RefundStatus
from db.ids import new_ulid
from db.repositories import refunds
from db.repositories.payments import AttemptRecord
from db.repositories.refunds import NewRefund
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from domain.refunds import RefundKind, RefundState
from saga import StepFailed

_VOIDABLE = (
    PaymentState.CREATED,
    PaymentState.ACTION_REQUIRED,
    PaymentState.PENDING,
    PaymentState.AUTHORISED,
    PaymentState.VOIDING,
)
_WITHOUT_MONEY = (PaymentState.VOIDED, PaymentState.FAILED, PaymentState.EXPIRED)
_TAKEN = (
    PaymentState.CAPTURED,
    PaymentState.PARTIALLY_CAPTURED,
    PaymentState.PARTIALLY_REFUNDED,
    PaymentState.REFUND_PENDING,
)


async def give_back(providers: Providers, attempt: AttemptRecord) -> int:
    """Leave the customer with nothing taken and nothing held; returns what was refunded, in paise.

    Runs again (by raising) while the PSP cannot say; raises StepFailed when it refuses for good.
    """
    told = await providers.find(attempt)
    if unreachable(told):
        raise ask_again(attempt.psp, "the payment cannot be looked up")
    if not told.found:
        return await _forbid(providers, attempt)
    returned = await _return_one(providers, attempt, told)
    for ref in told.others:
        other = await providers.psp(attempt.psp).find(ref=ref)
        if unreachable(other):
            raise ask_again(attempt.psp, "a second payment cannot be looked up")
        returned += await _return_one(providers, attempt, other, second=True)
    return returned


async def _return_one(
    providers: Providers, attempt: AttemptRecord, told: PaymentResult, *, second: bool = False
) -> int:
    if told.state in _VOIDABLE or (told.state is PaymentState.FAILED and not told.final):
        told = await _void(providers, attempt, told)
    if told.refunded > 0 and not second:
        await _book_paid_refunds(providers, attempt)
    if told.state in _TAKEN:
        return await _refund(providers, attempt, told, second=second)
    return 0


async def _book_paid_refunds(providers: Providers, attempt: AttemptRecord) -> None:
    """Book refunds that the PSP has paid while we died before writing it down."""
    async with providers.database.reading() as session:
        booked = await refunds.of_order(session, attempt.order_id)
    for refund in booked:
        if refund.attempt_id != attempt.id or refund.state is RefundState.DONE:
            continue
        answer = await providers.psp(attempt.psp).find_refund(
            key=refund.refund_key, payment_ref=attempt.psp_ref
        )
        if answer.status is RefundStatus.DONE:
            await _settle(providers, attempt, refund.refund_key, answer, refund.amount_paise)


async def _settle(
    providers: Providers, attempt: AttemptRecord, key: str, answer: RefundResult, paise: int
) -> None:
    async with providers.database.unit_of_work() as session:
        await refunds.settle(session, key, RefundState.DONE, psp_refund_ref=answer.ref)
        await book_refund(session, attempt, key, paise)


async def _forbid(providers: Providers, attempt: AttemptRecord) -> int:
    """The PSP knows no such payment: have it refuse one that is still on its way, or wait."""
    psp = providers.psp(attempt.psp)
    told = await psp.void_by_merchant_ref(attempt.merchant_ref, key=return_key(attempt))
    if unreachable(told) or told.failure_class in UNSETTLED:
        raise ask_again(attempt.psp, "the void by our reference is not confirmed")
    if not told.found and not psp.caps.void_prevents and providers.in_grace(attempt):
        raise ask_again(attempt.psp, "not found, which is no proof yet")
    if told.found and told.state in _TAKEN:
        await providers.learn(attempt, told)
        return await _refund(providers, attempt, told)
    if told.found and told.failure_class is not None and told.state not in _WITHOUT_MONEY:
        raise StepFailed(code_of(told), f"{attempt.psp} refuses to void: {told.failure_code}")
    gone = PaymentResult(state=PaymentState.VOIDED, ref=told.ref)
    await providers.learn(attempt, gone)
    return 0


async def _void(providers: Providers, attempt: AttemptRecord, told: PaymentResult) -> PaymentResult:
    psp = providers.psp(attempt.psp)
    if told.ref is None:
        raise ask_again(attempt.psp, "the payment has no reference yet")
    voided = await psp.void(told.ref, key=return_key(attempt))
    if voided.state in _TAKEN:
        found = await psp.find(ref=told.ref)
        if unreachable(found) or not found.found:
            raise ask_again(attempt.psp, "what the void came too late for cannot be looked up")
        await providers.learn(attempt, found)
        return found
    if ask_same(attempt.psp, Operation.VOID, voided):
        raise ask_again(attempt.psp, "the void is not confirmed")
    if voided.failure_class is not None and voided.state not in _WITHOUT_MONEY:
        raise StepFailed(code_of(voided), f"{attempt.psp} refuses to void: {voided.failure_code}")
    await providers.learn(attempt, voided)
    return voided


async def _refund(
    providers: Providers, attempt: AttemptRecord, told: PaymentResult, *, second: bool = False
) -> int:
    """Refund all that is still taken, under one key for ever."""
    psp = providers.psp(attempt.psp)
    if told.ref is None:
        raise ask_again(attempt.psp, "the payment has no reference yet")
    key = return_key(attempt) + (f":{told.ref}" if second else "")
    async with providers.database.unit_of_work() as session:
        refund = await refunds.add(
            session,
            NewRefund(
                id=new_ulid(),
                refund_key=key,
                attempt_id=attempt.id,
                order_id=attempt.order_id,
                amount_paise=told.captured - told.refunded,
                reason="given back",
                kind=RefundKind.DOUBLE if second else RefundKind.GIVEN_BACK,
            ),
        )
    answer = await psp.refund(told.ref, Money(refund.amount_paise), key=key)
    unsettled = answer.status in (RefundStatus.UNKNOWN, RefundStatus.PENDING)
    if unsettled or ask_same(attempt.psp, Operation.REFUND, answer):
        raise ask_again(attempt.psp, "the refund is not confirmed")
    if answer.status is not RefundStatus.DONE:
        async with providers.database.unit_of_work() as session:
            await refunds.settle(session, key, RefundState.FAILED)
        failure = answer.failure_class or FailureClass.DECLINED_HARD
        raise StepFailed(
            f"{failure}/{answer.failure_code or ''}", f"{attempt.psp} refuses the refund"
        )
    if second:
        async with providers.database.unit_of_work() as session:
            await refunds.settle(session, key, RefundState.DONE, psp_refund_ref=answer.ref)
            await book_double(session, attempt, told.ref, key, refund.amount_paise)
    else:
        await _settle(providers, attempt, key, answer, refund.amount_paise)
    return refund.amount_paise
