"""One attempt at one PSP: ask it, find out what became of it, take it back."""

from activities.payments.books import mark
from activities.payments.health import LiveHealth
from activities.payments.provider import (
    UNSETTLED,
    Providers,
    answer_of,
    ask_again,
    code_of,
    raise_failure,
    unreachable,
)
from activities.payments.psp import PaymentRequest, PaymentResult
from activities.payments.returning import give_back
from db.repositories import payments
from db.repositories.payments import AttemptRecord, NewAttempt
from domain.money import Money
from domain.payments import FailureClass, PaymentState
from saga import Call, Inquiry, StepFailed, Undo, Verdict, implements
from workflows.contracts import payments as contract
from workflows.contracts.payments import (
    AttemptResult,
    AuthoriseAttempt,
    LateOutcome,
)

_ALIVE = (
    PaymentState.CREATED,
    PaymentState.ACTION_REQUIRED,
    PaymentState.PENDING,
    PaymentState.AUTHORISED,
    PaymentState.PARTIALLY_CAPTURED,
    PaymentState.CAPTURED,
)
_UNDECIDED = (PaymentState.CREATED, PaymentState.ACTION_REQUIRED, PaymentState.PENDING)


class AttemptActivities:
    """Attempts, at whichever PSP they name; what they come to feeds `health`."""

    def __init__(
        self, providers: Providers, health: LiveHealth | None = None, shop_url: str = ""
    ) -> None:
        self._shop_url = shop_url.rstrip("/")
        self._providers = providers
        self._health = health or LiveHealth()

    @implements(contract.AUTHORISE)
    async def authorise(self, request: AuthoriseAttempt, call: Call) -> AttemptResult:
        """Ask the PSP to hold the money. The attempt is in our books before it is sent."""
        attempt = await self._begin(request, PaymentState.CREATED)
        if attempt.state not in (*_ALIVE, PaymentState.UNKNOWN):
            raise StepFailed("UNDONE_BEFORE", f"attempt {attempt.id} is {attempt.state} already")
        told = await self._providers.psp(request.psp).authorise(
            PaymentRequest(
                merchant_ref=attempt.merchant_ref,
                amount=Money(request.amount_paise, request.currency),
                method=request.method,
                instrument=request.instrument,
                expires_in_s=request.expires_in,
                challenge=request.three_ds,
                # where the customer comes back to after their bank's page
                return_url=f"{self._shop_url}/orders/{request.order_id}"
                if self._shop_url
                else None,
            ),
            key=call.key,
        )
        await self._providers.learn(attempt, told)
        await self._health.record(request.psp, request.method, told)
        raise_failure(request.psp, told)
        return answer_of(attempt.id, request.psp, told)

    @implements(contract.FIND)
    async def find(self, request: AuthoriseAttempt, call: Call) -> Inquiry[AttemptResult]:
        """Ask the PSP what became of an attempt whose answer was lost."""
        attempt = await self._begin(request, PaymentState.CREATED)
        told = await self._providers.find(attempt)
        if unreachable(told):
            # What is found is no news of the PSP: its lost answer has been counted.
            await self._health.record(request.psp, request.method, told)
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, code=code_of(told))
        if not told.found:
            if self._providers.in_grace(attempt):
                return Inquiry(verdict=Verdict.STILL_UNKNOWN, message="not found, not yet proof")
            code = f"{FailureClass.NOT_SENT}/not_found"
            return Inquiry(verdict=Verdict.DID_NOT_HAPPEN, code=code, message="never arrived")
        if told.state in _ALIVE and not told.others:
            answer = answer_of(attempt.id, request.psp, told)
            return Inquiry(verdict=Verdict.HAPPENED, output=answer, message=told.state)
        if told.state in _ALIVE:
            # Our one request became two payments there: keep neither, then go on.
            await give_back(self._providers, attempt)
        return Inquiry(verdict=Verdict.DID_NOT_HAPPEN, code=code_of(told), message=told.state)

    @implements(contract.LOOK)
    async def look(self, request: AuthoriseAttempt, call: Call) -> AttemptResult:
        """Look where an attempt stands; runs again while the PSP cannot be reached."""
        attempt = await self._providers.attempt(request.attempt_id)
        told = await self._providers.find(attempt)
        if unreachable(told) or told.failure_class in UNSETTLED:
            raise ask_again(request.psp, "no word about the payment")
        if not told.found:
            # Nothing is there yet: an answer, and no reason to ask again at once.
            told = PaymentResult(state=PaymentState.CREATED)
        if attempt.state in _UNDECIDED and told.state not in _UNDECIDED:
            # Seen once: a watcher looks at an attempt that was decided long before.
            await self._health.record(request.psp, request.method, told)
        return answer_of(attempt.id, request.psp, told)

    @implements(contract.VOID)
    async def void(self, undo: Undo[AuthoriseAttempt, AttemptResult], call: Call) -> None:
        """Give the attempt's money back: void it, or refund it where it is captured."""
        attempt = await self._begin(undo.input, PaymentState.VOIDING)
        async with self._providers.database.unit_of_work() as session:
            # From here on an authorise that was held up on its way refuses to start.
            await mark(session, attempt, PaymentState.VOIDING)
        await give_back(self._providers, attempt)

    @implements(contract.RETURN_LATE)
    async def return_late(self, request: AuthoriseAttempt, call: Call) -> LateOutcome:
        """Give back what a PSP let succeed after we had left it."""
        attempt = await self._providers.attempt(request.attempt_id)
        returned = await give_back(self._providers, attempt)
        return LateOutcome(attempt_id=attempt.id, returned_paise=returned)

    async def _begin(self, request: AuthoriseAttempt, state: PaymentState) -> AttemptRecord:
        """Find the attempt in our books, or write it there: as a tombstone if it is an undo's."""
        async with self._providers.database.unit_of_work() as session:
            return await payments.add_attempt(
                session,
                NewAttempt(
                    id=request.attempt_id,
                    payment_id=request.payment_id,
                    order_id=request.order_id,
                    seq=request.seq,
                    psp=request.psp,
                    amount_paise=request.amount_paise,
                    merchant_ref=request.attempt_id,
                    reason=request.reason,
                    bank=request.bank or None,
                    state=state,
                ),
            )
