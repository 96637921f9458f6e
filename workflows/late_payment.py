"""Watch an attempt that was left behind, and give back what still comes of it."""

from datetime import timedelta

from temporalio import workflow

from domain.payments import PaymentState
from saga import Saga, SagaWorkflow
from workflows.contracts import checkout, payments
from workflows.contracts.ids import LATE_PAYMENT
from workflows.contracts.payments import LateOutcome, PSPEvent, WatchLate
from workflows.contracts.sagas import RECORD

_GROWTH = 1.5
_LONGEST_PAUSE = timedelta(hours=1)
_SUCCEEDED = (
    PaymentState.AUTHORISED,
    PaymentState.PARTIALLY_CAPTURED,
    PaymentState.CAPTURED,
    PaymentState.PARTIALLY_REFUNDED,
)
_OVER = (PaymentState.VOIDED, PaymentState.REFUNDED)


@workflow.defn(name=payments.WATCH)
class LatePaymentWatch(SagaWorkflow):
    """Look at one attempt, ever less often, until its PSP can no longer let it succeed."""

    kind = LATE_PAYMENT
    recorder = RECORD

    @workflow.init
    def __init__(self, request: WatchLate) -> None:
        super().__init__()
        self._request = request
        self._heard = False

    @workflow.run
    async def run(self, request: WatchLate) -> LateOutcome:
        """Return what was given back; nothing when the attempt stayed a failure."""
        outcome = LateOutcome(attempt_id=request.attempt.attempt_id)
        async with self.saga as saga:
            saga.about(request.attempt.order_id)
            if await self._succeeds_late(saga):
                saga.go_forward("the money is not ours")
                outcome = (
                    await saga.must(
                        "give back what came late",
                        payments.RETURN_LATE,
                        request.attempt,
                        scope=request.attempt.psp,
                        money=True,
                        park_as="LATE_PAYMENT_NOT_RETURNED",
                    )
                    or outcome
                )
        return await self.drained(outcome)

    async def _succeeds_late(self, saga: Saga) -> bool:
        timings = self._request.timings
        deadline = workflow.now() + timedelta(seconds=timings.late)
        pause = timedelta(seconds=timings.late_poll)
        with saga.waiting("a late success that would have to be given back"):
            while workflow.now() < deadline:
                await saga.until(lambda: self._heard, min(pause, deadline - workflow.now()))
                self._heard = False
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
                seen = await saga.look(
                    "look at what was left", payments.LOOK, self._request.attempt
                )
                if seen is not None and seen.state in _SUCCEEDED:
                    return True
                if seen is not None and seen.state in _OVER:
                    return False
        return False

    @workflow.signal(name=checkout.PSP_EVENT)
    def psp_event(self, event: PSPEvent) -> None:
        """Hear that the PSP has news of the attempt: look at once."""
        self._heard = True
