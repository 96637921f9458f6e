"""betapay: no keys on payments, UPI taken at once, late authorisation, no void by reference."""

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
from activities.payments.psp.http import Answer, JsonObject, PSPHttp, Trouble
from activities.payments.psp.port import (
    ActionKind,
    NextAction,
    PaymentRequest,
    PaymentResult,
    PSPCapabilities,
    RefundResult,
    RefundStatus,
    weightiest,
)
from activities.payments.psp.settlements import settlement_lines
from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from domain.routing import Downtime, Severity
from domain.settlements import LineKind, SettlementLine
from domain.webhooks import PaymentEvent, verify_betapay

DEFAULT_KEY_ID = "betapay"
UPI = frozenset({PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR})

CAPABILITIES = PSPCapabilities(
    methods=frozenset(PaymentMethod) - {PaymentMethod.COD},
    # A void (cancel) has the same effect however often it is sent.
    keyed=frozenset({Operation.VOID, Operation.REFUND}),
    captures_at_once=UPI,
    partial_capture=False,
    several_refunds=True,
    void_prevents=False,
    signed_webhooks=True,
    grace=timedelta(seconds=8),
    late_success=timedelta(seconds=30),
    settlements=True,
)

STATES: Mapping[str, PaymentState] = {
    "created": PaymentState.ACTION_REQUIRED,
    "authorized": PaymentState.AUTHORISED,
    "captured": PaymentState.CAPTURED,
    "refunded": PaymentState.REFUNDED,
    "cancelled": PaymentState.VOIDED,
    "failed": PaymentState.FAILED,
    "expired": PaymentState.EXPIRED,
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "pending": RefundStatus.PENDING,
    "processed": RefundStatus.DONE,
    "failed": RefundStatus.FAILED,
}

# By the error's reason: its code is too coarse to tell.
REASONS: Mapping[str, FailureClass] = {
    "insufficient_funds": FailureClass.DECLINED_SOFT,
    "payment_declined": FailureClass.DECLINED_SOFT,
    "card_lost_or_stolen": FailureClass.DECLINED_HARD,
    "payment_risk_check_failed": FailureClass.FRAUD,
    "authentication_required": FailureClass.AUTH_REQUIRED,
    "payment_cancelled": FailureClass.EXPIRED,
    "payment_expired": FailureClass.EXPIRED,
    "gateway_timeout": FailureClass.REJECTED_TRANSIENT,
    "gateway_down": FailureClass.REJECTED_TRANSIENT,
    "rate_limited": FailureClass.REJECTED_TRANSIENT,
    "in_progress": FailureClass.IN_PROGRESS,
    "unauthenticated": FailureClass.CONFIG,
    "invalid_field": FailureClass.INVALID_REQUEST,
    "no_such_payment": FailureClass.INVALID_REQUEST,
    "already_captured": FailureClass.INVALID_REQUEST,
    "not_authorized": FailureClass.INVALID_REQUEST,
    "not_captured": FailureClass.INVALID_REQUEST,
    "amount_mismatch": FailureClass.INVALID_REQUEST,
    "amount_too_large": FailureClass.INVALID_REQUEST,
    # The request that first used the key may have acted.
    "key_mismatch": FailureClass.UNKNOWN,
}
# Failures that betapay may still turn into an authorisation.
NOT_FINAL = frozenset({"gateway_timeout"})


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _read_actions(steps: Sequence[JsonObject], method: str) -> NextAction | None:
    by_kind = {step["action"]: step for step in steps}
    page, upi = by_kind.get("redirect"), by_kind.get("upi")
    until = _time((upi or page or {})["expire_by"])
    url = page["url"] if page else None
    if upi is None:
        return NextAction(kind=ActionKind.REDIRECT, url=url, expires_at=until)
    link = upi["intent_url"]
    kind = ActionKind.UPI_QR if method == "upi_qr" else ActionKind.UPI_INTENT
    return NextAction(kind=kind, url=url, deep_link=link, qr=link, expires_at=until)


def _read_payment(shown: JsonObject) -> PaymentResult:
    state = STATES.get(shown["status"], PaymentState.UNKNOWN)
    captured, refunded = shown["amount_captured"], shown["amount_refunded"]
    failed = state in (PaymentState.FAILED, PaymentState.EXPIRED)
    reason = _read_reason(shown) if failed else None
    steps = shown.get("next")
    return PaymentResult(
        state=with_refunds(state, captured, refunded),
        ref=shown["id"],
        merchant_ref=shown["receipt"],
        amount=Money(shown["amount"], shown["currency"]),
        captured=captured,
        refunded=refunded,
        next_action=_read_actions(steps, shown["method"]) if steps else None,
        # The payment has failed: a reason without a row stops, it is not unknown.
        failure_class=REASONS.get(reason or "", FailureClass.DECLINED_HARD) if failed else None,
        failure_code=reason,
        occurred_at=_time(shown["updated_at"]),
        final=not (state is PaymentState.FAILED and (reason in NOT_FINAL or reason not in REASONS)),
    )


def _read_refund(shown: JsonObject) -> RefundResult:
    return RefundResult(
        status=REFUND_STATUSES[shown["status"]],
        ref=shown["id"],
        amount=shown["amount"],
        occurred_at=_time(shown["created_at"]),
    )


def _read_downtime(shown: JsonObject) -> Downtime | None:
    method = shown["method"].upper()
    if method not in PaymentMethod.__members__:
        return None
    return Downtime(
        psp="betapay",
        methods=frozenset({PaymentMethod(method)}),
        bank=shown["instrument"].get("bank", ""),
        begins=_time(shown["begin"]),
        ends=None if shown["end"] is None else _time(shown["end"]),
        severity=Severity(shown["severity"].upper()),
    )


def _read_line(shown: JsonObject) -> SettlementLine:
    currency, net = shown["currency"], shown["credit"] - shown["debit"]
    tax = shown["tax"]
    return SettlementLine(
        provider="betapay",
        line_id=shown["id"],
        kind=LineKind(shown["type"].upper()),
        # betapay tells what it pays out, and a fee that has its tax in it
        gross=Money(net + shown["fee"], currency),
        fee=Money(shown["fee"] - tax, currency),
        tax=Money(tax, currency),
        net=Money(net, currency),
        occurred_at=_time(shown["created_at"]),
        settled_on=_time(shown["settled_at"]).date(),
        payment_ref=shown["payment_id"],
        merchant_ref=shown["receipt"],
        return_ref=shown["refund_id"] or "",
        return_key=shown["refund_receipt"] or "",
        settlement_id=shown["settlement_id"] or "",
        utr=shown["settlement_utr"] or "",
        on_hold=shown["on_hold"],
    )


def _read_reason(body: JsonObject) -> str | None:
    reason: str | None = body["error"]["reason"]
    return reason


_DIALECT = Dialect(
    codes=REASONS,
    read_code=_read_reason,
    read_payment=_read_payment,
    read_refund=_read_refund,
    items="items",
)


class BetaPay:
    """The PSP port over betapay's HTTP; `secrets` are the webhook secrets valid now.

    `api_key` is `<key id>:<key secret>`, or the secret alone for the key id betapay.
    """

    name = "betapay"
    caps = CAPABILITIES

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        key_id, colon, secret = api_key.partition(":")
        auth = (
            httpx.BasicAuth(key_id, secret) if colon else httpx.BasicAuth(DEFAULT_KEY_ID, api_key)
        )
        self._http = PSPHttp(client, base_url, auth)
        self._secrets = tuple(secrets)

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Create a payment; betapay takes no key here, so a second call is a second payment."""
        if request.method not in self.caps.methods:
            return not_supported(request)
        body = {
            "amount": request.amount.paise,
            "currency": request.amount.currency,
            "method": request.method.lower(),
            "instrument": request.instrument,
            "receipt": request.merchant_ref,
            "expires_in": request.expires_in_s,
            "return_url": request.return_url,
            "challenge": request.challenge,
        }
        answer = await self._http.post("/v1/payments", body)
        return _with_failed_payment(_DIALECT.authorised(answer, request), answer)

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Take what is held, which `amount` must equal."""
        answer = await self._http.post(f"/v1/payments/{ref}/capture", {"amount": amount.paise})
        result = _DIALECT.payment(answer)
        if result.failure_code != "already_captured":
            return result
        # betapay captures whole payments only, but shows none here: look before saying so.
        held = await self.find(ref=ref)
        return held if held.failure_class or held.captured == amount.paise else result

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Cancel: let go of what is held, and keep a failed payment from being authorised late."""
        result = _DIALECT.voided(await self._http.post(f"/v1/payments/{ref}/cancel", {}))
        too_late = result.failure_code == "already_captured"
        return replace(result, ref=ref, state=PaymentState.CAPTURED if too_late else result.state)

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Cancel what a listing shows under our reference; a payment on its way is not stopped."""
        answer = await self._http.get("/v1/payments", {"receipt": merchant_ref})
        listed = _DIALECT.found_among(answer)
        if listed.failure_class is not None and listed.ref is None:
            return listed
        refs = [ref for ref in (listed.ref, *listed.others) if ref is not None]
        return weightiest([await self.void(ref, key=key) for ref in refs])

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give money back; the key is the refund's receipt too."""
        body = {"amount": amount.paise, "receipt": key}
        headers = {"X-Refund-Idempotency": key}
        return _DIALECT.refund(await self._http.post(f"/v1/payments/{ref}/refund", body, headers))

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look a payment up by betapay's reference, or else by ours; a listing may lag behind."""
        if ref is not None:
            return _DIALECT.found(await self._http.get(f"/v1/payments/{ref}"))
        if merchant_ref is None:
            raise ValueError("find needs ref or merchant_ref")
        return _DIALECT.found_among(await self._http.get("/v1/payments", {"receipt": merchant_ref}))

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look a refund up by its key."""
        return _DIALECT.refund_among(await self._http.get("/v1/refunds", {"receipt": key}))

    async def downtimes(self) -> tuple[Downtime, ...] | None:
        """What betapay announces."""
        answer = await self._http.get("/v1/payments/downtimes")
        return downtimes_in(answer, "items", _read_downtime)

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """The lines of a day; the page after the last is empty."""
        asked = {"day": day.isoformat()}
        return settlement_lines(
            self._http,
            _DIALECT,
            psp=self.name,
            path="/v1/settlements",
            params=asked,
            read=_read_line,
            next_page=lambda body, seen: {**asked, "skip": str(seen)} if body["items"] else None,
        )

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """As domain.webhooks.verify_betapay."""
        return verify_betapay(raw, headers, now, self._secrets)

    webhook = staticmethod(verify_betapay)


def _with_failed_payment(result: PaymentResult, answer: Answer | Trouble) -> PaymentResult:
    """An authorisation's error names the failed payment that it left behind."""
    if isinstance(answer, Trouble) or answer.ok:
        return result
    error = answer.body.get("error")
    about = error.get("metadata") if isinstance(error, dict) else None
    ref = about.get("payment_id") if isinstance(about, dict) else None
    if not isinstance(ref, str):
        return result
    final = result.failure_code in REASONS and result.failure_code not in NOT_FINAL
    return replace(result, state=PaymentState.FAILED, ref=ref, final=final)
