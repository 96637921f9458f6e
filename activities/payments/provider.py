"""What the payment activities stand on: the PSPs by name, and how their answers are read."""

from collections.abc import Mapping
from datetime import UTC, datetime

from temporalio.exceptions import ApplicationError

from activities.payments.books import learn
from activities.payments.psp import PSP, Operation, PaymentResult, RefundResult
from db.repositories import payments
from db.repositories.payments import AttemptRecord
from db.session import Database
from domain.payments import Decision, FailureClass, PaymentState, decide
from saga import OutcomeUnknown, StepFailed, key_for
from workflows.contracts.payments import AttemptResult, NextAction

UNSETTLED = (FailureClass.UNKNOWN, FailureClass.IN_PROGRESS)


class Providers:
    """The PSPs we can pay through, and our books about them."""

    def __init__(self, database: Database, psps: Mapping[str, PSP]) -> None:
        self.database = database
        self.psps = psps

    def psp(self, name: str) -> PSP:
        """The PSP with a name; raises StepFailed when it is configured no longer."""
        found = self.psps.get(name)
        if found is None:
            raise StepFailed(f"{FailureClass.CONFIG}/no_such_psp", f"{name} is not configured")
        return found

    async def attempt(self, attempt_id: str) -> AttemptRecord:
        """The attempt as our books have it; raises NotFound."""
        async with self.database.reading() as session:
            return await payments.get_attempt(session, attempt_id)

    async def learn(self, attempt: AttemptRecord, told: PaymentResult) -> None:
        """Write down what a PSP said."""
        async with self.database.unit_of_work() as session:
            await learn(session, attempt, told)

    async def find(self, attempt: AttemptRecord) -> PaymentResult:
        """Ask the PSP about an attempt, by its reference where we have it, and write it down."""
        psp = self.psp(attempt.psp)
        told = (
            await psp.find(ref=attempt.psp_ref)
            if attempt.psp_ref
            else await psp.find(merchant_ref=attempt.merchant_ref)
        )
        if told.found and not unreachable(told):
            await self.learn(attempt, told)
        return told

    def in_grace(self, attempt: AttemptRecord) -> bool:
        """Whether "not found" may still mean "not found yet"."""
        return datetime.now(UTC) - attempt.created_at < self.psp(attempt.psp).caps.grace


def unreachable(told: PaymentResult) -> bool:
    """Whether a look-up brought no word about the payment itself."""
    return told.state is PaymentState.UNKNOWN and told.failure_class is not None


def return_key(attempt: AttemptRecord) -> str:
    """The key under which an attempt's money is given back.

    One per attempt and not per saga: the payment's undo, the checkout's and the late watcher's
    are the same act, and must not give back twice between them.
    """
    return key_for(attempt.id, "give back", "undo", attempt.psp)


def answer_of(attempt_id: str, psp: str, told: PaymentResult) -> AttemptResult:
    """What the saga needs to know of a PSP's answer."""
    action = told.next_action
    return AttemptResult(
        attempt_id=attempt_id,
        psp=psp,
        ref=told.ref or "",
        state=told.state,
        captured_paise=told.captured,
        refunded_paise=told.refunded,
        next_action=None
        if action is None
        else NextAction(
            kind=action.kind,
            url=action.url,
            deep_link=action.deep_link,
            qr=action.qr,
            expires_at=action.expires_at,
        ),
    )


def code_of(told: PaymentResult) -> str:
    """The failure's class and the PSP's own code, as the decision table reads them."""
    return f"{told.failure_class}/{told.failure_code or ''}"


def ask_same(psp: str, operation: Operation, told: PaymentResult | RefundResult) -> bool:
    """Whether the table of decisions has the same request sent again, or its outcome found out."""
    if told.failure_class is None:
        return False
    decision = decide(psp, operation, told.failure_class, told.failure_code or "", None)
    return decision in (Decision.RETRY_SAME, Decision.INQUIRE)


def raise_failure(psp: str, told: PaymentResult) -> None:
    """Raise what an answer means to a saga; returns when it did what was asked."""
    if told.failure_class is None:
        return
    if told.failure_class in UNSETTLED:
        raise OutcomeUnknown(code_of(told), f"{psp} gave no answer that can be trusted")
    raise StepFailed(code_of(told), f"{psp} refused: {told.failure_code or told.failure_class}")


def ask_again(psp: str, why: str) -> ApplicationError:
    """The error that has Temporal run the activity again, under the same keys."""
    return ApplicationError(f"{psp}: {why}", why, type="ASK_AGAIN")
