"""Giving money back because somebody asked: the refund saga's input, answer and activities."""

from datetime import timedelta

from domain.refunds import RefundState
from saga import Undo, WorkflowRef, activity_ref
from workflows.contracts.base import TRANSACTION, Contract
from workflows.contracts.ids import REFUND, refund_id
from workflows.contracts.payments import GIVEN_BACK, LOOKED_UP

WORKFLOW = "RefundSaga"
# Update with which the API starts a refund and hears whether it goes.
ANSWER = "answer"
# Signal: the PSP has news of the refund. A hint to look, not proof.
REFUND_EVENT = "refund_event"


class RefundTimings(Contract):
    """How long a refund waits for its PSP, in seconds: between looks at first, and in all.

    Banks take up to ten working days (NPCI and the card schemes); after that a person is asked.
    """

    poll: float = 60
    pay_within: float = 14 * 24 * 3600


class RequestRefund(Contract):
    """The input of a refund saga; without an amount (paise) all that is left goes back."""

    refund_id: str
    order_id: str
    amount_paise: int | None = None
    reason: str
    requested_by: str
    timings: RefundTimings = RefundTimings()


class PlannedRefund(Contract):
    """What goes back, from which attempt. Amounts in paise."""

    refund_id: str
    order_id: str
    attempt_id: str
    psp: str
    psp_ref: str
    amount_paise: int
    currency: str


class SentRefund(Contract):
    """Where a refund stands at its PSP."""

    refund_id: str
    state: RefundState
    psp_refund_ref: str = ""


class RefundAnswer(Contract):
    """How a refund stands when whoever asked for it can be told; `code` says why it was refused."""

    refund_id: str
    order_id: str
    amount_paise: int = 0
    state: RefundState
    code: str = ""
    message: str = ""


RESERVE = activity_ref("refunds.reserve", RequestRefund, PlannedRefund, **TRANSACTION)
RELEASE = activity_ref("refunds.release", Undo[RequestRefund, PlannedRefund], None, **TRANSACTION)
# Under its key a refund may be sent again, so neither a lost worker nor a PSP that is down for
# some hours needs a person.
SEND = activity_ref(
    "refunds.send",
    PlannedRefund,
    SentRefund,
    **{**GIVEN_BACK, "schedule_to_close": timedelta(hours=6)},
)
LOOK = activity_ref("refunds.look", PlannedRefund, SentRefund, **LOOKED_UP)
BOOK = activity_ref("refunds.book", PlannedRefund, SentRefund, **GIVEN_BACK)
CLOSE = activity_ref("refunds.close", PlannedRefund, None, **TRANSACTION)

REFUND_ORDER: WorkflowRef[RequestRefund, RefundAnswer] = WorkflowRef(
    name=WORKFLOW,
    takes=RequestRefund,
    returns=RefundAnswer,
    id_of=lambda request: refund_id(request.refund_id),
    kind=REFUND,
)
