"""The refund saga: what is left is reserved, paid by its PSP under one key, and booked once."""

from datetime import timedelta

from temporalio import workflow

from domain.refunds import RefundState
from saga import RolledBack, Saga, SagaWorkflow
from workflows.contracts import refunds
from workflows.contracts.ids import REFUND
from workflows.contracts.payments import PSPEvent
from workflows.contracts.refunds import PlannedRefund, RefundAnswer, RequestRefund, SentRefund
from workflows.contracts.sagas import RECORD

_GROWTH = 1.5
_LONGEST_PAUSE = timedelta(hours=1)


@workflow.defn(name=refunds.WORKFLOW)
class RefundSaga(SagaWorkflow):
    """Reserve, then only forward: a refund that was promised is paid, or a person sees to it."""

    kind = REFUND
    recorder = RECORD

    @workflow.init
    def __init__(self, request: RequestRefund) -> None:
        super().__init__()
        self._request = request
        self._heard = False
        self._answer: RefundAnswer | None = None

    @workflow.run
    async def run(self, request: RequestRefund) -> RefundAnswer:
        """Return how the refund ended."""
        try:
            async with self.saga as saga:
                paid = await self._pay_back(saga, request)
        except RolledBack as ended:
            return await self._end(RefundState.FAILED, 0, ended.code, ended.message)
        return await self._end(*paid)

    async def _pay_back(self, saga: Saga, request: RequestRefund) -> tuple[RefundState, int]:
        saga.about(request.order_id)
        planned = await saga.step("reserve refund", refunds.RESERVE, request, undo=refunds.RELEASE)
        saga.go_forward("the customer is promised the money")
        self._tell(RefundState.PENDING, planned.amount_paise)
        sent = await saga.must(
            "send refund",
            refunds.SEND,
            planned,
            scope=planned.psp,
            money=True,
            park_as="REFUND_REFUSED",
        )
        if sent is None:
            return await self._close(saga, planned)
        if sent.state is not RefundState.DONE:
            await self._wait_until_paid(saga, planned)
        booked = await saga.must(
            "book refund",
            refunds.BOOK,
            planned,
            scope=planned.psp,
            money=True,
            park_as="REFUND_NOT_PAID",
        )
        if booked is None:
            return await self._close(saga, planned)
        return RefundState.DONE, planned.amount_paise

    async def _wait_until_paid(self, saga: Saga, planned: PlannedRefund) -> None:
        timings = self._request.timings
        deadline = workflow.now() + timedelta(seconds=timings.pay_within)
        pause = timedelta(seconds=timings.poll)
        with saga.waiting("the PSP to pay the refund"):
            while workflow.now() < deadline:
                await saga.until(lambda: self._heard, min(pause, deadline - workflow.now()))
                self._heard = False
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
                seen: SentRefund | None = await saga.look(
                    "look at the refund", refunds.LOOK, planned
                )
                if seen is not None and seen.state is not RefundState.PENDING:
                    return

    async def _close(self, saga: Saga, planned: PlannedRefund) -> tuple[RefundState, int]:
        """Leave a refund that a person settled in another way; the note says how."""
        await saga.must("close refund", refunds.CLOSE, planned, park_as="REFUND_NOT_CLOSED")
        return RefundState.FAILED, planned.amount_paise

    @workflow.update(name=refunds.ANSWER)
    async def answer(self) -> RefundAnswer:
        """Answer once the money is promised, or refused."""
        await workflow.wait_condition(lambda: self._answer is not None)
        assert self._answer is not None  # noqa: S101 - for the type checker
        return self._answer

    @workflow.signal(name=refunds.REFUND_EVENT)
    def refund_event(self, event: PSPEvent) -> None:
        """Hear that the PSP has news of the refund: look at once."""
        self._heard = True

    async def _end(
        self, state: RefundState, paise: int, code: str = "", message: str = ""
    ) -> RefundAnswer:
        return await self.drained(self._tell(state, paise, code, message))

    def _tell(
        self, state: RefundState, paise: int, code: str = "", message: str = ""
    ) -> RefundAnswer:
        self._answer = RefundAnswer(
            refund_id=self._request.refund_id,
            order_id=self._request.order_id,
            amount_paise=paise,
            state=state,
            code=code,
            message=message,
        )
        return self._answer
