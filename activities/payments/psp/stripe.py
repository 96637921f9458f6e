"""Stripe: cards over PaymentIntents, held and captured apart, with 3-D Secure by redirect.

An attempt is one PaymentIntent, created and confirmed in one call. Its idempotency key is named
for our reference, so there is one payment under a reference whoever asks, and a void by reference
can take the key itself: a request that is still on its way is then refused.

Looking up by our reference reads the list. Stripe's search would find by metadata, but it lags by
a minute or more and is not offered to accounts in India; the list has a new payment at once.
UPI is left out: Stripe offers it to accounts in the United States only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import httpx
from ulid import ULID

from activities.payments.psp.dialect import WITHOUT_MONEY, not_supported
from activities.payments.psp.http import UNREADABLE, Answer, JsonObject, PSPHttp, Trouble
from activities.payments.psp.port import (
    PaymentRequest,
    PaymentResult,
    PSPCapabilities,
    RefundResult,
    RefundStatus,
    weightiest,
)
from activities.payments.psp.settlements import no_settlements
from activities.payments.psp.stripe_objects import DIALECT, KEY, MERCHANT_REF, plain
from activities.payments.psp.stripe_webhooks import verify_stripe
from domain.money import Money
from domain.payments import FailureClass, Operation, PaymentMethod, PaymentState
from domain.routing import Downtime
from domain.settlements import SettlementLine
from domain.webhooks import PaymentEvent

# The version whose objects are read here, whatever the account's own is.
API_VERSION = "2026-10-28.endive"

CAPABILITIES = PSPCapabilities(
    methods=frozenset({PaymentMethod.CARD}),
    # A void (cancel) has the same effect however often it is sent.
    keyed=frozenset({Operation.AUTHORISE, Operation.CAPTURE, Operation.VOID, Operation.REFUND}),
    captures_at_once=frozenset(),
    partial_capture=True,
    several_refunds=True,
    void_prevents=True,
    signed_webhooks=True,
    # The list does not lag: what is not in it may be with the bank still. The void settles that.
    grace=timedelta(seconds=10),
    late_success=None,
)

# The codes of "not in this state": what was asked may have been done before.
_OTHER_STATE = frozenset(
    {"payment_intent_unexpected_state", "intent_invalid_state", "charge_already_captured"}
)
_TOKEN = "pm_"  # noqa: S105 - how Stripe's tokens begin
_EXPANDED = {"expand[]": "latest_charge"}
_EXPANDED_ROWS = {"expand[]": "data.latest_charge"}
_PAGE = 100
# An activity has ten seconds: what needs more pages than this is a person's to look for.
_PAGES = 10
_TOO_MANY = Trouble(FailureClass.UNKNOWN, "too_many_to_list")
_NOT_LISTED_YET = Trouble(FailureClass.UNKNOWN, "not_listed_yet")
# How far Stripe's clock may be behind the one that made an order's id.
_SKEW_S = 300
# Stripe forgets no payment: one that it does not know belongs to another account or mode.
_NOT_THIS_ACCOUNT = Trouble(FailureClass.CONFIG, "payment_of_another_account")


class Stripe:
    """The PSP port over Stripe's HTTP; `secrets` are the webhook secrets valid now."""

    name = "stripe"
    caps = CAPABILITIES

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, api_key: str, secrets: Sequence[str]
    ) -> None:
        auth = httpx.BasicAuth(api_key, "")
        self._http = PSPHttp(client, base_url, auth, headers={"Stripe-Version": API_VERSION})
        self._secrets = tuple(secrets)

    async def authorise(self, request: PaymentRequest, *, key: str) -> PaymentResult:
        """Create and confirm a payment; a replay gets the first answer again.

        The instrument is a PaymentMethod's id, after its Customer's id and a colon if it has one.
        """
        customer, _, token = request.instrument.rpartition(":")
        if request.method not in self.caps.methods:
            return not_supported(request)
        if not token.startswith(_TOKEN):
            return _not_a_token(request)
        form = {
            **_EXPANDED,
            "amount": str(request.amount.paise),
            "currency": request.amount.currency.lower(),
            "payment_method": token,
            "payment_method_types[]": "card",
            "capture_method": "manual",
            "confirm": "true",
            f"metadata[{MERCHANT_REF}]": request.merchant_ref,
            **({"customer": customer} if customer else {}),
            **_authentication(request),
        }
        return DIALECT.authorised(await self._create(request.merchant_ref, form), request)

    async def capture(self, ref: str, amount: Money, *, key: str) -> PaymentResult:
        """Take `amount` of what is held; the rest is let go of."""
        form = {**_EXPANDED, "amount_to_capture": str(amount.paise)}
        path = f"/v1/payment_intents/{ref}/capture"
        result = DIALECT.payment(await self._post(path, form, f"capture:{key}"))
        if result.failure_code not in _OTHER_STATE:
            return result
        held = await self.find(ref=ref)
        return held if held.captured == amount.paise else _refused(held, result)

    async def void(self, ref: str, *, key: str) -> PaymentResult:
        """Cancel: let go of what is held, and keep a payment from being confirmed again."""
        # Without a key: a refusal would be replayed for a day, long after the payment moved on.
        path = f"/v1/payment_intents/{ref}/cancel"
        result = DIALECT.voided(await self._post(path, _EXPANDED))
        if result.failure_code not in _OTHER_STATE:
            return result
        held = await self.find(ref=ref)
        return held if held.state in WITHOUT_MONEY else _refused(held, result)

    async def void_by_merchant_ref(self, merchant_ref: str, *, key: str) -> PaymentResult:
        """Void all under our reference, and have a later request under it refused."""
        told = await self.find(merchant_ref=merchant_ref)
        if not told.found:
            taken = await self._take_key(merchant_ref)
            if taken is not None:
                return taken
            # The key was used, so there is a payment: it came since we looked.
            told = await self.find(merchant_ref=merchant_ref)
        if told.ref is None:
            return told if told.found else DIALECT.payment(_NOT_LISTED_YET)
        return weightiest([await self.void(ref, key=key) for ref in (told.ref, *told.others)])

    async def refund(self, ref: str, amount: Money, *, key: str) -> RefundResult:
        """Give money back; the key is kept with the refund, to find it by."""
        form = {"payment_intent": ref, "amount": str(amount.paise), f"metadata[{KEY}]": key}
        return DIALECT.refund(await self._post("/v1/refunds", form, f"refund:{key}"))

    async def find(
        self, *, ref: str | None = None, merchant_ref: str | None = None
    ) -> PaymentResult:
        """Look a payment up by Stripe's reference, or else by ours."""
        if ref is not None:
            answer = plain(await self._http.get(f"/v1/payment_intents/{ref}", _EXPANDED))
            missing = isinstance(answer, Answer) and answer.status == httpx.codes.NOT_FOUND
            ours = missing and ref.startswith("pi_")
            return DIALECT.payment(_NOT_THIS_ACCOUNT) if ours else DIALECT.found(answer)
        if merchant_ref is None:
            raise ValueError("find needs ref or merchant_ref")
        since = _since(merchant_ref)
        query = {**_EXPANDED_ROWS, **({"created[gte]": str(since)} if since else {})}
        return DIALECT.found_among(
            await self._rows("/v1/payment_intents", query, MERCHANT_REF, merchant_ref)
        )

    async def find_refund(self, *, key: str, payment_ref: str | None = None) -> RefundResult:
        """Look a refund up by its key among those of its payment."""
        if payment_ref is None:
            # Stripe lists refunds by payment; all of the account's would be no answer in time.
            return RefundResult(
                status=RefundStatus.UNKNOWN,
                failure_class=FailureClass.INVALID_REQUEST,
                failure_code="payment_ref_needed",
            )
        query = {"payment_intent": payment_ref}
        return DIALECT.refund_among(await self._rows("/v1/refunds", query, KEY, key))

    async def downtimes(self) -> tuple[Downtime, ...]:
        """Stripe has no such feed."""
        return ()

    def settlements(self, day: date) -> AsyncIterator[SettlementLine]:
        """Stripe's payout report comes as a file."""
        return no_settlements(self.name)

    def verify(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> list[PaymentEvent]:
        """As stripe_webhooks.verify_stripe."""
        return verify_stripe(raw, headers, now, self._secrets)

    webhook = staticmethod(verify_stripe)

    async def _create(self, merchant_ref: str, form: Mapping[str, str]) -> Answer | Trouble:
        return await self._post("/v1/payment_intents", form, f"authorise:{merchant_ref}")

    async def _post(
        self, path: str, form: Mapping[str, str], key: str | None = None
    ) -> Answer | Trouble:
        headers = {"Idempotency-Key": key} if key else None
        return plain(await self._http.post_form(path, form, headers))

    async def _take_key(self, merchant_ref: str) -> PaymentResult | None:
        """Use a reference's key for a payment that nobody can pay; None where it was used before.

        From then on Stripe refuses a request to pay under this reference: other parameters.
        """
        form = {
            "amount": "100",
            "currency": "inr",
            "payment_method_types[]": "card",
            "capture_method": "manual",
            f"metadata[voided_{MERCHANT_REF}]": merchant_ref,
        }
        answer = await self._create(merchant_ref, form)
        placeholder = DIALECT.payment(answer)
        if placeholder.failure_code == "idempotency_error":
            return None
        if placeholder.failure_class is not None or placeholder.ref is None:
            return replace(placeholder, state=PaymentState.UNKNOWN, ref=None)
        # Only for tidiness: it has no payment method, so no money can come of it.
        await self.void(placeholder.ref, key=merchant_ref)
        return PaymentResult(state=PaymentState.VOIDED, found=False, merchant_ref=merchant_ref)

    async def _rows(
        self, path: str, query: Mapping[str, str], field: str, value: str
    ) -> Answer | Trouble:
        """The newest page of a listing with rows whose metadata has the value, those rows only."""
        asked = {**query, "limit": str(_PAGE)}
        for _ in range(_PAGES):
            answer = plain(await self._http.get(path, asked))
            if isinstance(answer, Trouble) or not answer.ok:
                return answer
            try:
                rows: list[JsonObject] = answer.body["data"]
                mine = [row for row in rows if row["metadata"].get(field) == value]
                if mine or not answer.body["has_more"]:
                    return Answer(answer.status, {"data": mine})
                asked["starting_after"] = rows[-1]["id"]
            except (KeyError, TypeError, AttributeError, IndexError):
                return UNREADABLE
        return _TOO_MANY


def _authentication(request: PaymentRequest) -> Mapping[str, str]:
    """How the customer is asked to authenticate, and where they come back to."""
    asked = (
        {"payment_method_options[card][request_three_d_secure]": "any"} if request.challenge else {}
    )
    if request.return_url:
        return {**asked, "return_url": request.return_url}
    # Nobody could be sent anywhere: better refused at once than waited for.
    return {**asked, "error_on_requires_action": "true"}


def _refused(held: PaymentResult, refusal: PaymentResult) -> PaymentResult:
    """A payment as it stands, with why the call did nothing; as it is where that is not known."""
    if held.state is PaymentState.UNKNOWN:
        return held
    failure = refusal.failure_class
    if held.state is PaymentState.PENDING:
        failure = FailureClass.IN_PROGRESS
    return replace(held, failure_class=failure, failure_code=refusal.failure_code)


def _not_a_token(request: PaymentRequest) -> PaymentResult:
    return replace(not_supported(request), failure_code="instrument_is_no_token")


def _since(merchant_ref: str) -> int | None:
    """When the order of an attempt was made, from the ULID that its id begins with."""
    try:
        made = ULID.from_str(merchant_ref[:26])
    except ValueError:
        return None
    return int(made.timestamp) - _SKEW_S
