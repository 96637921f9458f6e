"""gammapay: wallet and UPI, taken at once; our order id is the key; its webhooks prove little."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx

from activities.payments.psp import port
from activities.payments.psp.dialect import Dialect, not_supported, with_refunds
from activities.payments.psp.http import Answer, JsonObject
from activities.payments.psp.oauth import OAuthHttp
from activities.payments.psp.port import PaymentRequest, PaymentResult, RefundResult, RefundStatus
from activities.payments.psp.settlements import no_settlements
from domain import webhooks
from domain.money import Money
from domain.payments import FailureClass as F
from domain.payments import Operation, PaymentMethod
from domain.payments import PaymentState as S
from domain.routing import Downtime
from domain.settlements import SettlementLine
from domain.webhooks import EventKind, PaymentEvent

METHODS = frozenset({PaymentMethod.WALLET, PaymentMethod.UPI_INTENT, PaymentMethod.UPI_QR})
STATES: Mapping[str, tuple[S, EventKind]] = {
    "PENDING": (S.PENDING, EventKind.OTHER),
    "COMPLETED": (S.CAPTURED, EventKind.PAYMENT_CAPTURED),
    "CANCELLED": (S.VOIDED, EventKind.PAYMENT_VOIDED),
    "FAILED": (S.FAILED, EventKind.PAYMENT_FAILED),
    "EXPIRED": (S.EXPIRED, EventKind.PAYMENT_EXPIRED),
}
_CLASSES: Mapping[F, str] = {
    F.DECLINED_SOFT: "INSUFFICIENT_BALANCE CUSTOMER_DECLINED",
    F.DECLINED_HARD: "ACCOUNT_CLOSED",
    F.FRAUD: "RISK_REJECTED",
    F.AUTH_REQUIRED: "PIN_REQUIRED",
    F.EXPIRED: "CUSTOMER_LEFT ORDER_EXPIRED",
    F.REJECTED_TRANSIENT: "BANK_DOWN SERVICE_DOWN TOO_MANY_REQUESTS",
    # The request that first used the id may have acted.
    F.UNKNOWN: "ORDER_DIFFERS REFUND_DIFFERS",
    F.INVALID_REQUEST: "NOT_FOUND BAD_REQUEST TOO_MUCH ORDER_CANCELLED ORDER_PAID ORDER_UNPAID",
}
CODES = {code: failure for failure, codes in _CLASSES.items() for code in codes.split()}


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _read_action(pay: JsonObject) -> port.NextAction:
    kind, link, until = port.ActionKind(pay["kind"]), pay.get("link"), _time(pay["until_ms"])
    return port.NextAction(kind=kind, url=pay["url"], deep_link=link, qr=link, expires_at=until)


def _read_payment(shown: JsonObject) -> PaymentResult:
    state, pay = STATES.get(shown["state"], (S.UNKNOWN,))[0], shown.get("pay")
    failed = state in (S.FAILED, S.EXPIRED)
    return PaymentResult(
        state=S.ACTION_REQUIRED if pay else with_refunds(state, shown["paid"], shown["refunded"]),
        ref=shown["payment_id"],
        merchant_ref=shown["order_id"],
        amount=Money(shown["amount"], shown["currency"]),
        captured=shown["paid"],
        refunded=shown["refunded"],
        next_action=_read_action(pay) if pay else None,
        # The payment has surely failed: a reason without a row stops, it is not unknown.
        failure_class=CODES.get(shown.get("reason", ""), F.DECLINED_HARD) if failed else None,
        failure_code=shown.get("reason") if failed else None,
        occurred_at=_time(shown["updated_ms"]),
    )


def _read_refund(shown: JsonObject) -> RefundResult:
    done, at = shown["state"] == "COMPLETED", _time(shown["created_ms"])
    status = RefundStatus.DONE if done else RefundStatus.UNKNOWN
    return RefundResult(status=status, ref=shown["id"], amount=shown["amount"], occurred_at=at)


_DIALECT = Dialect(
    codes=CODES,
    read_code=lambda body: body["error"]["code"],
    read_payment=_read_payment,
    read_refund=_read_refund,
    items="items",
)


class GammaPay:
    """The PSP port over gammapay's HTTP; `secrets` are the webhooks' `user:password` valid now."""

    name = "gammapay"
    caps = port.PSPCapabilities(
        methods=METHODS,
        keyed=frozenset(Operation) - {Operation.FIND},
        captures_at_once=METHODS,
        partial_capture=False,
        several_refunds=True,
        void_prevents=True,
        signed_webhooks=False,
        # A look-up is never behind, but a request of ours may still be on its way.
        grace=timedelta(seconds=5),
        late_success=None,
    )

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        self._http = OAuthHttp(client, base_url, api_key, name=self.name, path="/v1/token")
        self._secrets = tuple(secrets)

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Have an order paid; a second request for the same order gets the first's payment."""
        if request.method not in self.caps.methods:
            return not_supported(request)
        money = {"amount": request.amount.paise, "currency": request.amount.currency}
        means = {"method": request.method.lower(), "instrument": request.instrument}
        visit = {"expires_in": request.expires_in_s, "return_url": request.return_url}
        body = {"order_id": request.merchant_ref, **money, **means, **visit}
        return _DIALECT.authorised(await self._http.post("/v1/pay", body), request)

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Look whether the money was taken: gammapay takes it when the customer pays."""
        paid = await self.find(ref=ref)
        if paid.failure_class or (paid.found and paid.captured == amount.paise):
            return paid
        return replace(paid, failure_class=F.INVALID_REQUEST, failure_code="AMOUNT_DIFFERS")

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Cancel an order that nobody has paid yet."""
        return _DIALECT.voided(await self._http.post(f"/v1/orders/{ref}/cancel", {}))

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Cancel by our reference, and have a later request under it refused."""
        answer = await self._http.post(f"/v1/orders/{merchant_ref}/cancel", {})
        if isinstance(answer, Answer) and answer.ok and answer.body.get("payment_id", "") is None:
            return PaymentResult(state=S.VOIDED, found=False, merchant_ref=merchant_ref)
        return _DIALECT.voided(answer)

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give money back; a second request under the same key gets the first's refund."""
        body = {"payment_id": ref, "amount": amount.paise, "refund_id": key}
        return _DIALECT.refund(await self._http.post("/v1/refunds", body))

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look an order up by gammapay's reference, or else by ours."""
        if ref is None and merchant_ref is None:
            raise ValueError("find needs ref or merchant_ref")
        asked = {"payment_id": ref} if ref else {"order_id": merchant_ref or ""}
        return _DIALECT.found_among(await self._http.get("/v1/orders", asked))

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look a refund up by its key."""
        return _DIALECT.refund_among(await self._http.get("/v1/refunds", {"refund_id": key}))

    async def downtimes(self) -> tuple[Downtime, ...]:
        """gammapay has no such feed."""
        return ()

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """gammapay sends its report as a file."""
        return no_settlements(self.name)

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """As `webhook`, with the secrets valid now."""
        return self.webhook(raw, headers, now, self._secrets)

    @staticmethod
    def webhook(
        raw: bytes, headers: Mapping[str, str], now: datetime, secrets: Sequence[str]
    ) -> list[PaymentEvent]:
        """Check the password in `Authorization` and read what is claimed; raises WebhookError."""
        given = webhooks.header_of(headers, "Authorization").encode()
        hashed = [hashlib.sha256(secret.encode()).hexdigest() for secret in secrets if secret]
        if not any(hmac.compare_digest(wanted.encode(), given) for wanted in hashed):
            raise webhooks.BadSignature("Authorization fits none of the secrets valid now")
        return [webhooks.reading("gammapay", lambda: _event(webhooks.json_object(raw), raw))]


def _event(body: JsonObject, raw: bytes) -> PaymentEvent:
    order, whole, text_of = body["order"], webhooks.whole, webhooks.text_of
    told = STATES.get(order["state"], (S.UNKNOWN, EventKind.OTHER))[1]
    return PaymentEvent(
        # By its bytes: under an id that a forger may choose, a forgery could pass for the original.
        event_id=hashlib.sha256(raw).hexdigest(),
        provider="gammapay",
        kind=EventKind.REFUND_SUCCEEDED if "refund" in body else told,
        occurred_at=_time(whole(order["updated_ms"])),
        merchant_ref=text_of(order["order_id"]),
        ref=text_of(order["payment_id"]),
        trust=webhooks.Trust.TOKEN_ONLY,
        amount=whole(order["amount"]),
        currency=text_of(order["currency"]),
        captured=whole(order["paid"]),
        refunded=whole(order["refunded"]),
        refund_merchant_ref=(body.get("refund") or {}).get("refund_id"),
    )
