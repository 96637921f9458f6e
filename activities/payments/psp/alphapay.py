"""alphapay: keys on every POST, separate capture, void by our reference, signed webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx

from activities.payments.psp.dialect import (
    Dialect,
    downtimes_in,
    not_supported,
    with_refunds,
)
from activities.payments.psp.http import Answer, BearerAuth, JsonObject, PSPHttp
from activities.payments.psp.port import (
    ActionKind,
    NextAction,
    PaymentRequest,
    PaymentResult,
    PSPCapabilities,
    RefundResult,
    RefundStatus,
)
from activities.payments.psp.settlements import settlement_lines
from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from domain.routing import Downtime, Severity
from domain.settlements import LineKind, SettlementLine
from domain.webhooks import PaymentEvent, verify_alphapay

CAPABILITIES = PSPCapabilities(
    methods=frozenset(PaymentMethod) - {PaymentMethod.COD},
    keyed=frozenset({Operation.AUTHORISE, Operation.CAPTURE, Operation.VOID, Operation.REFUND}),
    captures_at_once=frozenset(),
    partial_capture=True,
    several_refunds=True,
    void_prevents=True,
    signed_webhooks=True,
    grace=timedelta(seconds=5),
    late_success=None,
    settlements=True,
)

STATES: Mapping[str, PaymentState] = {
    "requires_action": PaymentState.ACTION_REQUIRED,
    "processing": PaymentState.PENDING,
    "authorised": PaymentState.AUTHORISED,
    "partially_captured": PaymentState.PARTIALLY_CAPTURED,
    "captured": PaymentState.CAPTURED,
    "voided": PaymentState.VOIDED,
    "failed": PaymentState.FAILED,
    "expired": PaymentState.EXPIRED,
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "pending": RefundStatus.PENDING,
    "succeeded": RefundStatus.DONE,
    "failed": RefundStatus.FAILED,
}

CODES: Mapping[str, FailureClass] = {
    "insufficient_funds": FailureClass.DECLINED_SOFT,
    "customer_declined": FailureClass.DECLINED_SOFT,
    "lost_card": FailureClass.DECLINED_HARD,
    "suspected_fraud": FailureClass.FRAUD,
    "authentication_required": FailureClass.AUTH_REQUIRED,
    "customer_cancelled": FailureClass.EXPIRED,
    "payment_expired": FailureClass.EXPIRED,
    "bank_unavailable": FailureClass.REJECTED_TRANSIENT,
    "gateway_down": FailureClass.REJECTED_TRANSIENT,
    "rate_limited": FailureClass.REJECTED_TRANSIENT,
    "in_progress": FailureClass.IN_PROGRESS,
    "unauthenticated": FailureClass.CONFIG,
    # The request that first used the key may have acted.
    "idempotency_mismatch": FailureClass.UNKNOWN,
    "invalid_request": FailureClass.INVALID_REQUEST,
    "merchant_ref_voided": FailureClass.INVALID_REQUEST,
    "no_such_payment": FailureClass.INVALID_REQUEST,
    "already_captured": FailureClass.INVALID_REQUEST,
    "not_authorised": FailureClass.INVALID_REQUEST,
    "not_captured": FailureClass.INVALID_REQUEST,
    "amount_too_large": FailureClass.INVALID_REQUEST,
    "payment_disputed": FailureClass.INVALID_REQUEST,
}
ACTIONS: Mapping[str, ActionKind] = {
    "redirect": ActionKind.REDIRECT,
    "upi_intent": ActionKind.UPI_INTENT,
    "upi_qr": ActionKind.UPI_QR,
}


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _read_action(shown: JsonObject) -> NextAction:
    return NextAction(
        kind=ACTIONS[shown["type"]],
        url=shown["url"],
        deep_link=shown.get("deep_link"),
        qr=shown.get("qr"),
        expires_at=_time(shown["expires_at"]),
    )


def _read_payment(shown: JsonObject) -> PaymentResult:
    state = STATES.get(shown["status"], PaymentState.UNKNOWN)
    captured, refunded = shown["captured"], shown["refunded"]
    failed = state in (PaymentState.FAILED, PaymentState.EXPIRED)
    code = _read_code(shown) if failed else None
    action = shown.get("next_action")
    return PaymentResult(
        state=with_refunds(state, captured, refunded),
        ref=shown["id"],
        merchant_ref=shown["merchant_ref"],
        amount=Money(shown["amount"], shown["currency"]),
        captured=captured,
        refunded=refunded,
        next_action=_read_action(action) if action else None,
        # The payment has surely failed: a code without a row stops, it is not unknown.
        failure_class=CODES.get(code or "", FailureClass.DECLINED_HARD) if failed else None,
        failure_code=code,
        occurred_at=_time(shown["updated"]),
    )


def _read_refund(shown: JsonObject) -> RefundResult:
    return RefundResult(
        status=REFUND_STATUSES[shown["status"]],
        ref=shown["id"],
        amount=shown["amount"],
        occurred_at=_time(shown["created"]),
    )


def _read_downtime(shown: JsonObject) -> Downtime | None:
    method = shown["method"].upper()
    if method not in PaymentMethod.__members__:
        return None
    return Downtime(
        psp="alphapay",
        methods=frozenset({PaymentMethod(method)}),
        bank=shown["bank"] or "",
        begins=_time(shown["begins"]),
        ends=None if shown["ends"] is None else _time(shown["ends"]),
        severity=Severity(shown["severity"].upper()),
    )


def _read_line(shown: JsonObject) -> SettlementLine:
    currency = shown["currency"]
    return SettlementLine(
        provider="alphapay",
        line_id=shown["id"],
        kind=LineKind(shown["type"].upper()),
        gross=Money(shown["gross"], currency),
        fee=Money(shown["fee"], currency),
        tax=Money(shown["tax"], currency),
        net=Money(shown["net"], currency),
        occurred_at=_time(shown["created"]),
        settled_on=date.fromisoformat(shown["settled_on"]),
        payment_ref=shown["payment"],
        merchant_ref=shown["merchant_ref"],
        return_ref=shown["return"] or "",
        return_key=shown["return_ref"] or "",
        settlement_id=shown["settlement"] or "",
        utr=shown["utr"] or "",
        on_hold=shown["on_hold"],
    )


def _read_code(body: JsonObject) -> str | None:
    code: str | None = body["error"]["code"]
    return code


_DIALECT = Dialect(
    codes=CODES,
    read_code=_read_code,
    read_payment=_read_payment,
    read_refund=_read_refund,
    items="data",
)


class AlphaPay:
    """The PSP port over alphapay's HTTP; `secrets` are the webhook secrets valid now."""

    name = "alphapay"
    caps = CAPABILITIES

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        self._http = PSPHttp(client, base_url, BearerAuth(api_key))
        self._secrets = tuple(secrets)

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Create a payment; a replay under the same key gets the first answer again."""
        if request.method not in self.caps.methods:
            return not_supported(request)
        body = {
            "amount": request.amount.paise,
            "currency": request.amount.currency,
            "method": request.method.lower(),
            "instrument": request.instrument,
            "merchant_ref": request.merchant_ref,
            "expires_in": request.expires_in_s,
            "return_url": request.return_url,
            "challenge": request.challenge,
        }
        answer = await self._http.post("/v1/payments", body, _keyed("authorise", key))
        return _DIALECT.authorised(answer, request)

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Take `amount` of what is held."""
        body = {"amount": amount.paise}
        answer = await self._http.post(f"/v1/payments/{ref}/capture", body, _keyed("capture", key))
        result = _DIALECT.payment(answer)
        done = result.failure_code == "already_captured" and result.captured == amount.paise
        return replace(result, failure_class=None, failure_code=None) if done else result

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Let go of what is held."""
        return _DIALECT.voided(
            await self._http.post(f"/v1/payments/{ref}/void", {}, _keyed("void", key))
        )

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Void all under our reference, and have a later request under it refused."""
        body = {"merchant_ref": merchant_ref}
        answer = await self._http.post("/v1/payments/void-by-ref", body, _keyed("void-by-ref", key))
        if isinstance(answer, Answer) and answer.ok and answer.body.get("id", "") is None:
            return PaymentResult(state=PaymentState.VOIDED, found=False, merchant_ref=merchant_ref)
        return _DIALECT.voided(answer)

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give money back; the key is the refund's merchant reference too."""
        body = {"payment": ref, "amount": amount.paise, "merchant_ref": key}
        return _DIALECT.refund(await self._http.post("/v1/refunds", body, _keyed("refund", key)))

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look a payment up by alphapay's reference, or else by ours."""
        if ref is not None:
            return _DIALECT.found(await self._http.get(f"/v1/payments/{ref}"))
        if merchant_ref is None:
            raise ValueError("find needs ref or merchant_ref")
        answer = await self._http.get("/v1/payments", {"merchant_ref": merchant_ref})
        return _DIALECT.found_among(answer)

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look a refund up by its key."""
        return _DIALECT.refund_among(await self._http.get("/v1/refunds", {"merchant_ref": key}))

    async def downtimes(self) -> tuple[Downtime, ...] | None:
        """What alphapay announces."""
        return downtimes_in(await self._http.get("/v1/downtimes"), "data", _read_downtime)

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """The lines of a day; a page names the one after it."""
        asked = {"day": day.isoformat()}
        return settlement_lines(
            self._http,
            _DIALECT,
            psp=self.name,
            path="/v1/settlements",
            params=asked,
            read=_read_line,
            next_page=lambda body, _: {**asked, "after": body["next"]} if body["next"] else None,
        )

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """As domain.webhooks.verify_alphapay."""
        return verify_alphapay(raw, headers, now, self._secrets)

    webhook = staticmethod(verify_alphapay)


def _keyed(operation: str, key: str) -> Mapping[str, str]:
    # alphapay has one space of keys for all paths: one key of ours may serve a void and a refund.
    return {"Idempotency-Key": f"{operation}:{key}"}
