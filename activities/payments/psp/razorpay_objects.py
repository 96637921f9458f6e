"""Razorpay's orders, payments, links and refunds, read into our terms.

An order, and so the order behind a payment link, has many tries and at most one success: further
ones Razorpay refunds by itself. What counts is therefore the try that has money, else the link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from activities.payments.psp.dialect import Dialect, with_refunds
from activities.payments.psp.http import Answer, JsonObject, Trouble
from activities.payments.psp.port import (
    ActionKind,
    NextAction,
    PaymentResult,
    RefundResult,
    RefundStatus,
)
from activities.payments.psp.razorpay_errors import failure_of, named, row_for
from domain.money import Money
from domain.payments import FailureClass, PaymentMethod, PaymentState
from domain.routing import Downtime, Severity
from domain.settlements import LineKind, SettlementLine

STATES: Mapping[str, PaymentState] = {
    "created": PaymentState.PENDING,
    "authorized": PaymentState.AUTHORISED,
    "captured": PaymentState.CAPTURED,
    # never captured, and so given back by Razorpay itself; captured ones are told apart below
    "refunded": PaymentState.VOIDED,
    "failed": PaymentState.FAILED,
}
LINK_STATES: Mapping[str, PaymentState] = {
    "created": PaymentState.ACTION_REQUIRED,
    "cancelled": PaymentState.VOIDED,
    "expired": PaymentState.EXPIRED,
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "pending": RefundStatus.PENDING,
    "processed": RefundStatus.DONE,
    "failed": RefundStatus.FAILED,
}
# Razorpay's word for a method -> ours; the customer's app is the same for both kinds of UPI.
METHODS: Mapping[str, frozenset[PaymentMethod]] = {
    "card": frozenset({PaymentMethod.CARD}),
    "netbanking": frozenset({PaymentMethod.NETBANKING}),
    "wallet": frozenset({PaymentMethod.WALLET}),
    "upi": frozenset({PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR}),
}
_LINE_KINDS: Mapping[str, LineKind] = {"payment": LineKind.PAYMENT, "refund": LineKind.REFUND}
# What a downtime may narrow itself to.
_PARTS = ("bank", "issuer", "psp", "vpa_handle", "wallet", "network")

# The notes that we hang on links and orders; payments inherit them.
OUR_REF, OUR_METHOD, PAY_BY = "merchant_ref", "method", "pay_by"

_LIVE = (PaymentState.AUTHORISED, PaymentState.PENDING)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an attempt, and the payment at Razorpay that has its money, if any."""

    told: PaymentResult
    payment_id: str | None = None


class RazorpayDialect(Dialect):
    """A dialect whose errors need more than one word to be understood."""

    def failure(self, answer: Answer | Trouble) -> Trouble:
        """As razorpay_errors.failure_of."""
        return answer if isinstance(answer, Trouble) else failure_of(answer)


def time_of(seconds: int) -> datetime:
    """A time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def notes_of(shown: JsonObject) -> Mapping[str, str]:
    """An entity's notes; Razorpay shows none as an empty list, or as null."""
    notes = shown.get("notes")
    return notes if isinstance(notes, dict) else {}


def read_payment(shown: JsonObject) -> PaymentResult:
    """A payment as GET /payments shows it."""
    state = STATES.get(shown["status"], PaymentState.UNKNOWN)
    taken = shown["captured"] is True
    captured = shown["amount"] if taken else 0
    refunded = shown["amount_refunded"] if taken else 0
    result = PaymentResult(
        state=with_refunds(PaymentState.CAPTURED, captured, refunded) if taken else state,
        ref=shown["id"],
        merchant_ref=notes_of(shown).get(OUR_REF),
        amount=Money(shown["amount"], shown["currency"]),
        captured=captured,
        refunded=refunded,
        occurred_at=time_of(shown["created_at"]),
    )
    if state is PaymentState.UNKNOWN:
        strange = replace(result, failure_code=f"status_{shown['status']}")
        return replace(strange, failure_class=FailureClass.UNKNOWN)
    return _with_failure(result, shown) if state is PaymentState.FAILED else result


def _with_failure(result: PaymentResult, shown: JsonObject) -> PaymentResult:
    code, reason = shown.get("error_code"), shown.get("error_reason")
    row = row_for(code, shown.get("error_source"), shown.get("error_step"), reason)
    return replace(
        result,
        # The payment has failed: an error without a row stops, and may yet be taken back.
        failure_class=row.failure if row else FailureClass.DECLINED_HARD,
        failure_code=named(code, reason),
        final=row.final if row else False,
    )


def read_refund(shown: JsonObject) -> RefundResult:
    """A refund as GET /payments/{id}/refunds shows it."""
    return RefundResult(
        status=REFUND_STATUSES.get(shown["status"], RefundStatus.UNKNOWN),
        ref=shown["id"],
        amount=shown["amount"],
        occurred_at=time_of(shown["created_at"]),
    )


def _that_matters(tries: Sequence[PaymentResult]) -> PaymentResult | None:
    """Of the tries on one order the one that has money, or may soon; None where none does."""
    for found in (
        [one for one in tries if one.captured > 0],
        *([one for one in tries if one.state is state] for state in _LIVE),
        [one for one in tries if one.state is PaymentState.UNKNOWN],
    ):
        if found:
            return found[0]
    return None


def read_order(merchant_ref: str, payments: Sequence[JsonObject]) -> Seen | None:
    """What the payments of one order amount to, oldest first; None where there is none."""
    tries = [read_payment(one) for one in _oldest_first(payments)]
    if not tries:
        return None
    # Without any money the last failure tells most; but one that may come back comes first.
    hopeful = [one for one in tries if not one.final]
    chosen = _that_matters(tries) or (hopeful or tries)[-1]
    return Seen(replace(chosen, merchant_ref=merchant_ref), chosen.ref)


def read_link(link: JsonObject, payments: Sequence[JsonObject]) -> Seen:
    """What a payment link and the payments of its order amount to, under the link's own id."""
    tries = [read_payment(one) for one in _oldest_first(payments)]
    shown = _that_matters(tries)
    if shown is not None:
        return Seen(replace(_under(link, shown), final=True), shown.ref)
    state = LINK_STATES.get(link["status"], PaymentState.UNKNOWN)
    if state is PaymentState.ACTION_REQUIRED:
        return Seen(replace(_of(link, state), next_action=_action(link)))
    hopeful = [one for one in tries if not one.final]
    if state in (PaymentState.VOIDED, PaymentState.EXPIRED) and hopeful:
        # The link is closed, but a try on it may still be authorised late.
        return Seen(_under(link, hopeful[-1]))
    if state is PaymentState.EXPIRED:
        lapsed = replace(_of(link, state), failure_code="payment_link_expired")
        return Seen(replace(lapsed, failure_class=FailureClass.EXPIRED))
    if state is PaymentState.UNKNOWN:
        # Paid, says the link, and shows no payment: not to be guessed.
        unlisted = replace(_of(link, state), failure_code="payment_not_listed")
        return Seen(replace(unlisted, failure_class=FailureClass.UNKNOWN))
    return Seen(_of(link, state))


def _of(link: JsonObject, state: PaymentState) -> PaymentResult:
    return PaymentResult(
        state=state,
        ref=link["id"],
        merchant_ref=link["reference_id"],
        amount=Money(link["amount"], link["currency"]),
        occurred_at=time_of(link["created_at"]),
    )


def _under(link: JsonObject, shown: PaymentResult) -> PaymentResult:
    """A try, under the link's id, which stays the same whichever try succeeds."""
    return replace(shown, ref=link["id"], merchant_ref=link["reference_id"])


def _action(link: JsonObject) -> NextAction:
    notes, url = notes_of(link), link["short_url"]
    until = time_of(int(notes.get(PAY_BY) or link["expire_by"]))
    if notes.get(OUR_METHOD) not in (PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR):
        return NextAction(kind=ActionKind.REDIRECT, url=url, expires_at=until)
    kind = ActionKind(notes[OUR_METHOD])
    return NextAction(kind=kind, url=url, deep_link=url, qr=url, expires_at=until)


def _oldest_first(payments: Sequence[JsonObject]) -> list[JsonObject]:
    return sorted(payments, key=lambda one: (one["created_at"], one["id"]))


def read_downtime(psp: str, shown: JsonObject) -> Downtime | None:
    """A downtime; None for one that is over, or of a method that we do not offer.

    One that is narrower than its method concerns the bank, app or network that it names.
    """
    if shown["status"] == "resolved" or shown["method"] not in METHODS:
        return None
    instrument = shown.get("instrument") or {}
    parts = (str(instrument[part]) for part in _PARTS if instrument.get(part))
    ends = shown.get("end")
    return Downtime(
        psp=psp,
        methods=METHODS[shown["method"]],
        bank=next((part for part in parts if part != "ALL"), ""),
        begins=time_of(shown["begin"]),
        ends=None if ends is None else time_of(ends),
        severity=Severity(shown["severity"].upper()),
    )


def read_settled(psp: str, shown: JsonObject, day: date) -> SettlementLine:
    """A line of the reconciliation report; Razorpay's `fee` has the tax on it in it.

    What a dispute took or gave back comes as an adjustment that names the dispute.
    """
    currency, dispute = shown["currency"], shown.get("dispute_id") or ""
    net, fee, tax = shown["credit"] - shown["debit"], shown["fee"], shown["tax"]
    kind = _LINE_KINDS.get(shown["type"], LineKind.ADJUSTMENT)
    if kind is LineKind.ADJUSTMENT and dispute:
        kind = LineKind.CHARGEBACK if net < 0 else LineKind.CHARGEBACK_REVERSAL
    entity = shown["entity_id"]
    return SettlementLine(
        provider=psp,
        line_id=entity,
        kind=kind,
        gross=Money(net + fee, currency),
        fee=Money(fee - tax, currency),
        tax=Money(tax, currency),
        net=Money(net, currency),
        occurred_at=time_of(shown["created_at"]),
        settled_on=day,
        payment_ref=shown.get("payment_id") or (entity if kind is LineKind.PAYMENT else ""),
        merchant_ref=shown.get("order_receipt") or "",
        return_ref=entity if kind is LineKind.REFUND else dispute,
        settlement_id=shown.get("settlement_id") or "",
        utr=shown.get("settlement_utr") or "",
        on_hold=shown["on_hold"] is True,
    )


DIALECT = RazorpayDialect(
    codes={},
    read_code=lambda body: None,
    read_payment=read_payment,
    read_refund=read_refund,
    items="items",
)
