"""Razorpay, over its documented API: orders, payment links, saved cards, refunds.

How each method is paid:
- UPI_INTENT: a UPI payment link, which opens the apps of an Android phone (live keys only).
- UPI_QR, NETBANKING, WALLET, and CARD where the customer must type or prove themselves: a standard
  payment link that offers this method alone; its page shows the QR code, or asks for 3-D Secure.
- CARD with `<customer id>:<token id>` as the instrument: an order, and a recurring payment on it.
Links take what the customer allows at once; the saved card's order waits for our capture.

No key exists for a payment. A link's `reference_id` is unique, so a second link is refused. An
order is looked for first, asked for as unique by its receipt, and admits one success. So what is
there under a reference comes back in place of a second payment.

There is no void. A link is cancelled, and what got through is seen right after. A payment that is
only authorised would be refunded by Razorpay itself, but days later: it is captured instead, and
reads as CAPTURED for whoever voids it to refund, as Razorpay's own guide on late authorisation
advises. A payment under way cannot be stopped: it reads as VOIDING, and `late_success` has it
watched. A try that failed may be authorised for three days yet, unless the bank itself declined it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx

from activities.payments.psp.dialect import MALFORMED, UNDECIDED, downtimes_in, not_supported
from activities.payments.psp.http import UNREADABLE, Answer, JsonObject, PSPHttp, Trouble
from activities.payments.psp.port import (
    PaymentRequest,
    PaymentResult,
    PSPCapabilities,
    RefundResult,
    RefundStatus,
    weightiest,
)
from activities.payments.psp.razorpay_errors import failed_payment_in
from activities.payments.psp.razorpay_events import verify_razorpay
from activities.payments.psp.razorpay_lookup import LINK, Lookup, Unanswered, failure_in
from activities.payments.psp.razorpay_objects import (
    DIALECT,
    read_downtime,
    read_link,
    read_refund,
    read_settled,
)
from activities.payments.psp.razorpay_requests import (
    charge_body,
    link_body,
    order_body,
    refund_receipt,
    saved_card,
)
from activities.payments.psp.razorpay_results import (
    asked_for,
    is_unread,
    not_acted,
    not_sent,
    refund_untold,
    refused,
    unknown,
    with_failure,
    without_failure,
)
from activities.payments.psp.settlements import settlement_lines
from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from domain.routing import Downtime
from domain.settlements import SettlementLine
from domain.webhooks import PaymentEvent

CAPABILITIES = PSPCapabilities(
    methods=frozenset(PaymentMethod) - {PaymentMethod.COD},
    # A void has the same end however often it is asked for.
    keyed=frozenset({Operation.VOID, Operation.REFUND}),
    captures_at_once=frozenset(PaymentMethod) - {PaymentMethod.COD, PaymentMethod.CARD},
    partial_capture=False,
    several_refunds=True,
    void_prevents=False,
    signed_webhooks=True,
    # Not documented: ten times the read time-out.
    grace=timedelta(seconds=30),
    late_success=timedelta(days=3),
    settlements=True,
)
LINES_A_PAGE = 1000
# A look that ended so leaves open what is there.
_NO_WORD = UNDECIDED | {FailureClass.NOT_SENT, FailureClass.REJECTED_TRANSIENT}


class Razorpay:
    """The PSP port over Razorpay; `api_key` is `<key id>:<key secret>`.

    A payment's `ref` is its link's id where it is paid by link, and else its own.
    """

    name = "razorpay"
    caps = CAPABILITIES

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        key_id, _, secret = api_key.partition(":")
        self._http = PSPHttp(client, base_url, httpx.BasicAuth(key_id, secret))
        self._look = Lookup(self._http)
        self._secrets = tuple(secrets)

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Open a link, or charge a saved card; what exists under the reference is given back."""
        if request.method not in self.caps.methods:
            return not_supported(request)
        saved = saved_card(request)
        if saved is None:
            return await self._open_link(request)
        try:
            return await self._charge(request, *saved)
        except Unanswered as unanswered:
            return not_sent(request, unanswered.failure)

    async def _open_link(self, request: PaymentRequest) -> PaymentResult:
        answer = await self._http.post("/v1/payment_links", link_body(request, datetime.now(UTC)))
        failure = failure_in(answer)
        if failure is None and isinstance(answer, Answer):
            try:
                return asked_for(request, read_link(answer.body, []).told)
            except MALFORMED:
                failure = UNREADABLE
        if failure is not None and failure.failure_class is FailureClass.INVALID_REQUEST:
            # One refusal of many is "this reference is used": no code tells, so look.
            there = await self.find(merchant_ref=request.merchant_ref)
            if there.found and not is_unread(there):
                return asked_for(request, there)
            if there.failure_class in _NO_WORD:
                failure = Trouble(FailureClass.UNKNOWN, there.failure_code or failure.code)
        return DIALECT.authorised(failure or UNREADABLE, request)

    async def _charge(self, request: PaymentRequest, customer_id: str, token: str) -> PaymentResult:
        listed, customer = await asyncio.gather(
            self._look.listed(request.merchant_ref), self._look.customer(customer_id)
        )
        if listed:
            return asked_for(request, weightiest([seen.told for seen in listed]))
        ordered = await self._http.post("/v1/orders", order_body(request))
        failure = failure_in(ordered)
        order_id = ordered.body.get("id") if isinstance(ordered, Answer) else None
        if failure is not None or not isinstance(order_id, str):
            # An order takes no money: whatever became of it, no payment was asked for.
            raise Unanswered(failure or UNREADABLE)
        body = charge_body(request, order_id, token, {"id": customer_id, **customer})
        return await self._charged(
            request, await self._http.post("/v1/payments/create/recurring", body)
        )

    async def _charged(self, request: PaymentRequest, answer: Answer | Trouble) -> PaymentResult:
        """What became of a charge, in the payment's own words where the answer names one."""
        if isinstance(answer, Trouble):
            return DIALECT.authorised(answer, request)
        named = answer.body.get("razorpay_payment_id") if answer.ok else None
        ref = named or failed_payment_in(answer.body)
        failure = failure_in(answer)
        if not isinstance(ref, str):
            return DIALECT.authorised(failure or UNREADABLE, request)
        told = await self.find(ref=ref)
        if told.found and not is_unread(told):
            return asked_for(request, told)
        # It is there, and where it stands is not known yet; a failure may still be taken back.
        made = PaymentResult(state=PaymentState.PENDING, ref=ref)
        if failure is not None:
            made = replace(with_failure(made, failure), state=PaymentState.FAILED, final=False)
        return asked_for(request, made)

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Take what is held, which `amount` must equal; links have taken it already."""
        try:
            seen = await self._look.seen(ref)
        except Unanswered as unanswered:
            return with_failure(unknown(ref), not_acted(unanswered.failure))
        if is_unread(seen.told):
            return seen.told
        if seen.told.captured == amount.paise:
            return without_failure(seen.told)
        if seen.payment_id is None or seen.told.state is not PaymentState.AUTHORISED:
            return refused(seen.told, "not_authorised")
        body = {"amount": amount.paise, "currency": amount.currency}
        answer = await self._http.post(f"/v1/payments/{seen.payment_id}/capture", body)
        result = replace(DIALECT.payment(answer), ref=ref)
        if result.failure_class in (None, *UNDECIDED):
            return result
        # Refused: somebody else's capture may have been first, and no code tells.
        now = await self.find(ref=ref)
        return now if now.captured == amount.paise else result

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Close the link, and capture what is held so that it can be refunded (see the module)."""
        closed: Trouble | None = None
        if ref.startswith(LINK):
            closed = failure_in(await self._http.post(f"/v1/payment_links/{ref}/cancel", {}))
            if closed is not None and closed.failure_class is not FailureClass.INVALID_REQUEST:
                return with_failure(unknown(ref), closed)
            # Refused: closed or paid before, which the look tells.
        told = await self.find(ref=ref)
        if told.state is PaymentState.AUTHORISED and told.amount is not None:
            told = await self._take(ref, told.amount, key)
        if told.failure_class in UNDECIDED or told.state is PaymentState.AUTHORISED:
            return told
        if told.captured > told.refunded:
            return refused(told, "already_captured")
        if told.state is PaymentState.PENDING:
            return replace(told, state=PaymentState.VOIDING, final=False)
        if closed is not None and told.state is PaymentState.ACTION_REQUIRED:
            return with_failure(told, closed)
        return told if is_unread(told) else without_failure(told)

    async def _take(self, ref: str, amount: Money, key: str) -> PaymentResult:
        """Capture what nobody wants; it may lapse, or be taken by another, in that moment."""
        taken = await self.capture(ref, amount, key=key)
        if taken.failure_class is not FailureClass.INVALID_REQUEST:
            return taken
        now = await self.find(ref=ref)
        if now.state is not PaymentState.AUTHORISED:
            return now
        return refused(now, taken.failure_code or "capture_refused")

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Void all that is listed under our reference; a payment on its way is not stopped."""
        listed = await self.find(merchant_ref=merchant_ref)
        if listed.ref is None:
            return listed
        return weightiest([await self.void(ref, key=key) for ref in (listed.ref, *listed.others)])

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give money back; the key is the refund's receipt too, by which it is looked for first."""
        receipt = refund_receipt(key)
        try:
            seen = await self._look.seen(ref)
            if seen.payment_id is None:
                raise Unanswered(Trouble(FailureClass.INVALID_REQUEST, "not_captured"))
            # How long Razorpay remembers a key is not documented; a receipt it keeps.
            there = await self._look.refund(seen.payment_id, receipt)
        except Unanswered as unanswered:
            failure = not_acted(unanswered.failure)
            return refund_untold(RefundStatus.FAILED, failure)
        if there is not None:
            return DIALECT.refund(Answer(200, there))
        body = {"amount": amount.paise, "speed": "normal", "receipt": receipt}
        headers = {"X-Refund-Idempotency": receipt}
        path = f"/v1/payments/{seen.payment_id}/refund"
        return DIALECT.refund(await self._http.post(path, body, headers))

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look a payment up by Razorpay's reference, or else by ours."""
        try:
            if ref is not None:
                return (await self._look.seen(ref)).told
            if merchant_ref is None:
                raise ValueError("find needs ref or merchant_ref")
            return weightiest([seen.told for seen in await self._look.listed(merchant_ref)])
        except Unanswered as unanswered:
            return with_failure(unknown(ref), unanswered.failure)

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look a refund up among its payment's; Razorpay lists none by the key alone."""
        try:
            if payment_ref is None:
                raise Unanswered(Trouble(FailureClass.INVALID_REQUEST, "payment_ref_needed"))
            seen = await self._look.seen(payment_ref)
            if seen.payment_id is None and is_unread(seen.told):
                raise Unanswered(UNREADABLE)
            found = seen.payment_id and await self._look.refund(
                seen.payment_id, refund_receipt(key)
            )
            return read_refund(found) if found else RefundResult(status=RefundStatus.NOT_FOUND)
        except Unanswered as unanswered:
            return refund_untold(RefundStatus.UNKNOWN, unanswered.failure)
        except MALFORMED:
            return refund_untold(RefundStatus.UNKNOWN, UNREADABLE)

    async def downtimes(self) -> tuple[Downtime, ...] | None:
        """What Razorpay says is down or will be; a method that we do not offer is left out."""
        answer = await self._http.get("/v1/payments/downtimes")
        return downtimes_in(answer, "items", lambda shown: read_downtime(self.name, shown))

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """The lines of what was settled on a day; a page that is not full is the last."""
        asked = {"year": f"{day:%Y}", "month": f"{day:%m}", "day": f"{day:%d}"}
        asked["count"] = str(LINES_A_PAGE)

        def next_page(body: JsonObject, seen: int) -> Mapping[str, str] | None:
            full = len(body["items"]) >= LINES_A_PAGE
            return {**asked, "skip": str(seen)} if full else None

        return settlement_lines(
            self._http,
            DIALECT,
            psp=self.name,
            path="/v1/settlements/recon/combined",
            params=asked,
            read=lambda row: read_settled(self.name, row, day),
            next_page=next_page,
        )

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """As razorpay_events.verify_razorpay."""
        return verify_razorpay(raw, headers, now, self._secrets)

    webhook = staticmethod(verify_razorpay)
