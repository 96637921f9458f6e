"""The desk: what may be done with a payment, and what each deed writes in the books."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.psp.books import Books, Movement, Payment, Refund, Status, now_ms
from sandbox.psp.faults import Faults, within
from sandbox.psp.instruments import INSTRUMENTS, Outcome, challenged
from sandbox.psp.profiles import OUTCOME_FAULTS

AUTO_MS, PENDING_MS = 300, 1000
EXPIRE, APPROVE, DECLINE, LATE = "expire", "approve", "decline", "late_authorise"

OPEN = frozenset({Status.REQUIRES_ACTION, Status.PROCESSING})
HOLDING = frozenset({Status.AUTHORISED, Status.PARTIALLY_CAPTURED})
TAKEN = frozenset({Status.PARTIALLY_CAPTURED, Status.CAPTURED})

# What went wrong, in words that each PSP puts in its own way.
FUNDS, LOST_CARD, FRAUD, AUTHENTICATION = "funds", "lost_card", "fraud", "authentication"
TECHNICAL, CUSTOMER_DECLINED, CUSTOMER_LEFT, TIMED_OUT = (
    "technical",
    "customer_declined",
    "customer_left",
    "timed_out",
)
DECLINES = {
    Outcome.DECLINE_SOFT: FUNDS,
    Outcome.DECLINE_HARD: LOST_CARD,
    Outcome.DECLINE_FRAUD: FRAUD,
    Outcome.DECLINE_AUTH: AUTHENTICATION,
    Outcome.TECHNICAL: TECHNICAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a merchant asks to be paid: amount in minor units, seconds until it lapses."""

    amount: int
    currency: str
    method: str
    instrument: str
    merchant_ref: str
    expires_in: int
    return_url: str | None = None
    challenge: bool = False


class Refused(Exception):
    """A deed that the payment's status forbids: a code, and the payment where there is one."""

    def __init__(self, code: str, payment: Payment | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.payment = payment


# (kind of event, the payment after the deed, the refund if the event tells one)
Emit = Callable[[str, Payment, Refund | None], None]


class Desk:
    """Deeds on payments; each is called inside a transaction and tells what it did by `emit`."""

    def __init__(
        self,
        books: Books,
        faults: Faults,
        emit: Emit,
        *,
        captures_at_once: frozenset[str],
        authorises_late: bool,
        disputed: Callable[[str], bool],
    ) -> None:
        self.books = books
        self._disputed = disputed
        self._faults = faults
        self._emit = emit
        self._captures_at_once = captures_at_once
        self._authorises_late = authorises_late

    def authorise(self, order: Order, fault: str) -> Payment:
        """Open a payment and take it as far as its instrument, or the fault, lets it go."""
        if self.books.buried(order.merchant_ref):
            raise Refused("merchant_ref_voided")
        outcome = INSTRUMENTS[order.instrument].outcome
        if order.challenge:
            outcome = challenged(outcome)
        if fault in OUTCOME_FAULTS:
            outcome = Outcome(fault)
        payment = self._open(order, outcome)
        if outcome is Outcome.APPROVE:
            return self.approve(payment)
        if outcome in DECLINES:
            return self._decline_at_once(payment, DECLINES[outcome])
        self.books.set_timer(payment.id, EXPIRE, payment.expires_at)
        if outcome in (Outcome.AUTO, Outcome.PENDING):
            wait = AUTO_MS if outcome is Outcome.AUTO else PENDING_MS
            self.books.set_timer(payment.id, APPROVE, now_ms() + wait)
        elif outcome is Outcome.DECLINE_UPI:
            self.books.set_timer(payment.id, DECLINE, now_ms() + AUTO_MS)
        return payment

    def _open(self, order: Order, outcome: Outcome) -> Payment:
        now = now_ms()
        opened = Payment(
            id=f"pay_{secrets.token_hex(10)}",
            merchant_ref=order.merchant_ref,
            amount=order.amount,
            currency=order.currency,
            method=order.method,
            instrument=order.instrument,
            return_url=order.return_url,
            status=Status.PROCESSING if outcome is Outcome.PENDING else Status.REQUIRES_ACTION,
            error=None,
            authorised=0,
            captured=0,
            refunded=0,
            charged_back=0,
            created_at=now,
            updated_at=now,
            expires_at=now + order.expires_in * 1000,
        )
        self.books.add_payment(opened)
        return self.books.move(opened.id, Movement.OPEN, 0, opened.status)

    def _decline_at_once(self, payment: Payment, error: str) -> Payment:
        if error == TECHNICAL and self._authorises_late:
            wait = within(self._faults.settings.late_ms, payment.merchant_ref, "late")
            self.books.set_timer(payment.id, LATE, now_ms() + wait)
        return self._fail(payment, error)

    def _fail(self, payment: Payment, error: str) -> Payment:
        failed = self.books.move(payment.id, Movement.FAIL, 0, Status.FAILED, error)
        self._emit("failed", failed, None)
        return failed

    def approve(self, payment: Payment, kind: Movement = Movement.AUTHORISE) -> Payment:
        """Hold the money, and take it too where the method knows no separate capture."""
        self.books.clear_timers(payment.id)
        held = self.books.move(payment.id, kind, payment.amount, Status.AUTHORISED)
        if payment.method in self._captures_at_once:
            return self.capture(held, held.amount)
        self._emit("authorised", held, None)
        return held

    def by_customer(self, payment: Payment, choice: str) -> Payment:
        """What the customer did: approve, decline or cancel; Refused once it is too late."""
        if payment.status is Status.REQUIRES_ACTION and now_ms() >= payment.expires_at:
            payment = self.expire(payment)
        if choice == "approve" and payment.status in HOLDING | TAKEN:
            return payment
        if payment.status not in OPEN:
            raise Refused("payment_closed", payment)
        if choice == "approve":
            return self.approve(payment)
        self.books.clear_timers(payment.id)
        return self._fail(payment, CUSTOMER_DECLINED if choice == "decline" else CUSTOMER_LEFT)

    def capture(self, payment: Payment, amount: int) -> Payment:
        """Take held money; Refused where nothing, or less, is held."""
        if payment.status is Status.CAPTURED:
            raise Refused("already_captured", payment)
        if payment.status not in HOLDING:
            raise Refused("not_authorised", payment)
        if amount > payment.authorised - payment.captured:
            raise Refused("amount_too_large", payment)
        whole = payment.captured + amount == payment.authorised
        status = Status.CAPTURED if whole else Status.PARTIALLY_CAPTURED
        taken = self.books.move(payment.id, Movement.CAPTURE, amount, status)
        self._emit("captured", taken, None)
        return taken

    def void(self, payment: Payment) -> Payment:
        """Let go of the money and make sure that none is held later; Refused once it is taken."""
        if payment.status in TAKEN:
            raise Refused("already_captured", payment)
        if payment.status is Status.VOIDED:
            return payment
        self.books.clear_timers(payment.id)
        gone = self.books.move(
            payment.id, Movement.VOID, payment.authorised, Status.VOIDED, payment.error
        )
        self._emit("voided", gone, None)
        return gone

    def refund(self, payment: Payment, amount: int, merchant_ref: str) -> Refund:
        """Give captured money back; Refused beyond what was taken and not given back yet."""
        if payment.status not in TAKEN:
            raise Refused("not_captured", payment)
        if self._disputed(payment.id):
            raise Refused("payment_disputed", payment)
        if amount > payment.captured - payment.refunded - payment.charged_back:
            raise Refused("amount_too_large", payment)
        refund = Refund(
            id=f"rfd_{secrets.token_hex(10)}",
            payment=payment.id,
            merchant_ref=merchant_ref,
            amount=amount,
            created_at=now_ms(),
        )
        self.books.add_refund(refund)
        after = self.books.move(payment.id, Movement.REFUND, amount, payment.status)
        self._emit("refunded", after, refund)
        return refund

    def expire(self, payment: Payment) -> Payment:
        """The customer never came."""
        self.books.clear_timers(payment.id)
        gone = self.books.move(payment.id, Movement.EXPIRE, 0, Status.EXPIRED, TIMED_OUT)
        self._emit("expired", gone, None)
        return gone

    def on_timer(self, ref: str, kind: str) -> None:
        """What happens by itself when a timer goes off; nothing where it no longer applies."""
        payment = self.books.payment(ref)
        if payment is None:
            return
        self.books.db.execute("DELETE FROM timers WHERE payment = ? AND kind = ?", (ref, kind))
        if kind == LATE and payment.status is Status.FAILED:
            self.approve(payment, Movement.LATE_AUTHORISE)
        elif payment.status not in OPEN:
            return
        elif kind == EXPIRE:
            self.expire(payment)
        elif kind in (APPROVE, DECLINE):
            self.by_customer(payment, kind)
