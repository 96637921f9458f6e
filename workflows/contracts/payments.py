"""Paying: attempts at PSPs, capture, giving money back."""

from datetime import datetime, timedelta
from typing import Any

from temporalio.common import RetryPolicy

from domain.payments import PaymentMethod, PaymentState
from saga import Inquiry, Undo, WorkflowRef, activity_ref
from workflows.contracts.base import TRANSACTION, Contract
from workflows.contracts.ids import PAYMENT, PAYMENTS, payment_id


class PaymentTimings(Contract):
    """How long a payment waits, in seconds.

    `action` for a customer to act (UPI, 3-D Secure), `poll` between looks while they do,
    `ladder` between inquiries after an unknown outcome, and `late` for how long a PSP may still
    turn an attempt that we left into a success.
    """

    action: float = 600
    poll: float = 15
    ladder: tuple[float, ...] = (0.2, 0.5, 1, 2, 4, 8, 15, 30)
    late: float = 3 * 24 * 3600
    late_poll: float = 60


class PayOrder(Contract):
    """The input of a payment saga. `instrument` is a PSP token, never a card number.

    `bin` (a card's first digits) and `bank` are for routing and reports; '' where not known.
    `bound_to` names the only PSP that knows the token; '' where any of them may.
    """

    order_id: str
    user_id: str
    amount_paise: int
    currency: str
    method: PaymentMethod
    instrument: str = ""
    bin: str = ""
    bank: str = ""
    bound_to: str = ""
    pincode: str
    timings: PaymentTimings = PaymentTimings()


class RouteStop(Contract):
    """One PSP on the route, with what the saga must know of its manners.

    `resend`: it honours our key, so the same call may be sent again. `late`: it can turn a
    failure into a success afterwards.
    """

    psp: str
    resend: bool
    late: bool
    reason: str


class PaymentPlan(Contract):
    """The opened payment and the order in which PSPs are asked."""

    payment_id: str
    route: list[RouteStop]


class AuthoriseAttempt(Contract):
    """One attempt at one PSP. `attempt_id` is also our reference in the PSP's books."""

    attempt_id: str
    payment_id: str
    order_id: str
    seq: int
    psp: str
    amount_paise: int
    currency: str
    method: PaymentMethod
    instrument: str
    reason: str
    expires_in: int
    three_ds: bool = False
    bank: str = ""


class NextAction(Contract):
    """What the customer has to do, and until when (UTC): follow a link, or scan a code."""

    kind: str
    url: str | None = None
    deep_link: str | None = None
    qr: str | None = None
    expires_at: datetime | None = None


class AttemptResult(Contract):
    """Where an attempt stands at its PSP. Amounts in paise."""

    attempt_id: str
    psp: str
    ref: str
    state: PaymentState
    captured_paise: int = 0
    refunded_paise: int = 0
    next_action: NextAction | None = None


class PaymentAuthorised(Contract):
    """The attempt that holds the money: authorised, captured already (UPI), or due in cash."""

    payment_id: str
    order_id: str
    attempt_id: str
    psp: str
    ref: str
    state: PaymentState
    amount_paise: int
    currency: str


class Captured(Contract):
    """The money is ours, or due in cash. In paise."""

    attempt_id: str
    captured_paise: int


class PSPEvent(Contract):
    """A webhook that concerns one attempt, as the saga hears of it. A hint to look, not proof."""

    attempt_id: str
    kind: str


class WatchLate(Contract):
    """Watch one attempt that was left behind until its PSP can no longer let it succeed."""

    attempt: AuthoriseAttempt
    timings: PaymentTimings


class LateOutcome(Contract):
    """What the watch over a left-behind attempt gave back, in paise."""

    attempt_id: str
    returned_paise: int = 0


_CALL = timedelta(seconds=10)
_ONCE = RetryPolicy(maximum_attempts=1)
_PATIENT = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=5),
)
_OUTWARD: dict[str, Any] = {"task_queue": PAYMENTS, "start_to_close": _CALL}
# Authorise is sent once: what follows an unknown answer is the saga's decision.
# Time in the queue counts too, so that a worker's death does not turn into an unknown at once.
_SENT_ONCE = {**_OUTWARD, "schedule_to_close": timedelta(seconds=90), "retry": _ONCE}
LOOKED_UP: dict[str, Any] = {
    **_OUTWARD,
    "schedule_to_close": timedelta(seconds=30),
    "retry": _PATIENT,
}
GIVEN_BACK: dict[str, Any] = {
    **_OUTWARD,
    "schedule_to_close": timedelta(minutes=3),
    "retry": _PATIENT,
}

OPEN = activity_ref("payments.open", PayOrder, PaymentPlan, **TRANSACTION)
ABANDON = activity_ref("payments.abandon", Undo[PayOrder, PaymentPlan], None, **TRANSACTION)
AUTHORISE = activity_ref("payments.authorise", AuthoriseAttempt, AttemptResult, **_SENT_ONCE)
FIND = activity_ref("payments.find", AuthoriseAttempt, Inquiry[AttemptResult], **LOOKED_UP)
LOOK = activity_ref("payments.look", AuthoriseAttempt, AttemptResult, **LOOKED_UP)
VOID = activity_ref("payments.void", Undo[AuthoriseAttempt, AttemptResult], None, **GIVEN_BACK)
# Capturing again what is captured changes nothing at any PSP, so a lost worker is no riddle.
CAPTURE = activity_ref("payments.capture", PaymentAuthorised, Captured, **LOOKED_UP)
FIND_CAPTURE = activity_ref(
    "payments.find_capture", PaymentAuthorised, Inquiry[Captured], **LOOKED_UP
)
FIND_PAYMENT = activity_ref(
    "payments.find_payment", PayOrder, Inquiry[PaymentAuthorised], **LOOKED_UP
)
GIVE_BACK = activity_ref(
    "payments.give_back", Undo[PayOrder, PaymentAuthorised], None, **GIVEN_BACK
)
RETURN_LATE = activity_ref("payments.return_late", AuthoriseAttempt, LateOutcome, **GIVEN_BACK)

AUTHORISE_PAYMENT: WorkflowRef[PayOrder, PaymentAuthorised] = WorkflowRef(
    name="PaymentSaga",
    takes=PayOrder,
    returns=PaymentAuthorised,
    id_of=lambda request: payment_id(request.order_id),
    kind=PAYMENT,
)
WATCH = "LatePaymentWatch"
