"""What stands between the adapter and localstripe: what Stripe has and it lacks, and faults.

It adds idempotency keys, the listing by time, refusals with a code, the limit on refunds, a page to
authenticate at, and the events that localstripe does not send. It charges nothing itself: every
payment is localstripe's.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx
from aiohttp import web

from tests.stripe import shapes
from tests.stripe.events import Hooks

Form = dict[str, str]
# By the last words of a path; the rest is a look-up.
OPERATIONS = {
    ("POST", "payment_intents"): "authorise",
    ("POST", "capture"): "capture",
    ("POST", "cancel"): "cancel",
    ("POST", "refunds"): "refund",
    ("GET", "payment_intents"): "list",
}
THREE_D_SECURE_CARD = "4000002500003155"
NOT_KEPT = (401, 404, 429)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: shapes.Shown
    replayed: bool = False


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    operation: str
    method: str
    path: str
    key: str | None
    version: str | None
    form: Form


@dataclass
class Kept:
    """The first answer under a key; None while it is made."""

    asked: tuple[str, tuple[tuple[str, str], ...]]
    reply: Reply | None = None


@dataclass
class Proxy:
    """A stand-in for Stripe on a port of its own, in front of localstripe at `upstream`.

    `faults[operation]` has a fault for each next call, or None for none:
    `drop_before`, `drop_after`, `500_before`, `500_after`, `slow`, or a Reply to give.
    """

    upstream: str
    api_key: str
    hooks: Hooks
    url: str = ""
    faults: dict[str, deque[str | Reply | None]] = field(default_factory=lambda: defaultdict(deque))
    calls: list[Call] = field(default_factory=list)
    slow_s: float = 0.3
    _keys: dict[str, Kept] = field(default_factory=dict)
    _returns: dict[str, bool] = field(default_factory=dict)
    _captures: dict[str, int] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _runner: web.AppRunner | None = None

    async def open(self) -> "Proxy":
        self.client = httpx.AsyncClient(
            base_url=self.upstream, auth=(self.api_key, ""), trust_env=False, timeout=10
        )
        app = web.Application()
        app.router.add_post("/_relay", self._relay)
        app.router.add_post("/authenticate/{ref}/{choice}", self._authenticate)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        hook = {"url": f"{self.url}/_relay", "secret": self.hooks.upstream_secret}
        (await self.client.post("/_config/webhooks/proxy", json=hook)).raise_for_status()
        return self

    async def close(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await self.client.aclose()

    # -- a request -------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        form = dict(parse_qsl(await request.text()))
        name = OPERATIONS.get((request.method, request.path.rsplit("/", 1)[-1]), "look")
        key = request.headers.get("Idempotency-Key")
        version = request.headers.get("Stripe-Version")
        call = Call(name, request.method, request.path, key, version, form)
        self.calls.append(call)
        fault = self.faults[name].popleft() if self.faults[name] else None
        if fault == "drop_before":
            return _cut(request)
        if isinstance(fault, Reply):
            reply = fault
        elif self._stranger(request):
            reply = Reply(401, shapes.error("Invalid API Key provided: sk_test_***"))
        else:
            reply = await self._once(call, lambda: self._act(call, request, fault))
        if fault == "drop_after":
            return _cut(request)
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        headers = {"Idempotent-Replayed": "true"} if reply.replayed else {}
        return web.json_response(reply.body, status=reply.status, headers=headers)

    def _stranger(self, request: web.Request) -> bool:
        sent = request.headers.get("Authorization")
        return sent != httpx.BasicAuth(self.api_key, "")._auth_header

    async def _once(self, call: Call, act: Callable[[], Awaitable[Reply]]) -> Reply:
        """Under a key: the first answer again, a refusal of other parameters, or of a race."""
        if call.method != "POST" or call.key is None:
            return await act()
        asked = (call.path, tuple(sorted(call.form.items())))
        kept = self._keys.get(call.key)
        if kept is None:
            kept = self._keys[call.key] = Kept(asked)
            kept.reply = reply = await act()
            if reply.status in NOT_KEPT:
                del self._keys[call.key]
            return reply
        if kept.asked != asked:
            message = "Keys for idempotent requests can only be used with the same parameters."
            return Reply(400, {"error": {"type": "idempotency_error", "message": message}})
        if kept.reply is None:
            return Reply(409, shapes.error("Another request", code="idempotency_key_in_use"))
        return Reply(kept.reply.status, kept.reply.body, replayed=True)

    async def _act(self, call: Call, request: web.Request, fault: str | None) -> Reply:
        broken = Reply(500, {"error": {"type": "api_error", "message": "Something went wrong."}})
        if fault == "500_before":
            return broken
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        ref = call.form.get("payment_intent") or _payment_in(call.path) or call.key or ""
        async with self._locks[ref]:
            reply = await self._forward(call, dict(request.query))
        return broken if fault == "500_after" else reply

    # -- what localstripe does, as Stripe would ------------------------------------------------

    async def _forward(self, call: Call, query: Mapping[str, str]) -> Reply:
        if call.operation == "authorise":
            return await self._create(call.form)
        if call.operation in ("capture", "cancel"):
            return await self._change(call)
        if call.operation == "refund":
            return await self._refund(call.form)
        if call.operation == "list":
            return await self._list(query)
        answer = await self.client.request(
            call.method, call.path, params=_known(query), data=_known(call.form)
        )
        if answer.status_code == 404:
            return Reply(404, shapes.error("No such object", code="resource_missing"))
        body = answer.json()
        if body.get("object") == "payment_intent":
            body = self._complete(body, expanded="expand[]" in query)
        return Reply(answer.status_code, body)

    async def _create(self, form: Form) -> Reply:
        if form.get("payment_method_options[card][request_three_d_secure]") == "any":
            form = {**form, "payment_method": await self.token(THREE_D_SECURE_CARD)}
        answer = await self.client.post("/v1/payment_intents", data=_known(form))
        if answer.status_code == 404:
            return Reply(404, shapes.error("No such PaymentMethod", code="resource_missing"))
        body = answer.json()
        if answer.status_code == 402:
            left = self._complete(await self._last_of(form), expanded=False)
            return Reply(402, {"error": {**left["last_payment_error"], "payment_intent": left}})
        if answer.status_code != 200:
            return Reply(answer.status_code, shapes.error(body["error"]["message"]))
        self._returns[body["id"]] = "return_url" in form
        if body["status"] == "requires_action" and "error_on_requires_action" in form:
            return await self._unhandled(body)
        made = self._complete(body, expanded="expand[]" in form)
        if made["status"] == "requires_capture":
            self.hooks.tell("payment_intent.amount_capturable_updated", made)
        return Reply(200, made)

    async def _unhandled(self, body: shapes.Shown) -> Reply:
        failed = await self._pass(body["id"], passed=False)
        named = {"code": "card_declined", "decline_code": "authentication_not_handled"}
        cause = {"type": "card_error", "message": "needs authentication", **named}
        return Reply(402, {"error": {**cause, "payment_intent": failed}})

    async def _change(self, call: Call) -> Reply:
        ref = call.path.split("/")[-2]
        form = _known(call.form)
        there = await self.client.get(f"/v1/payment_intents/{ref}")
        if there.status_code == 404:
            return Reply(404, shapes.error("No such payment_intent", code="resource_missing"))
        held = self._complete(there.json(), expanded=False)
        # localstripe would capture a payment that was cancelled
        fits = call.operation == "cancel" or held["status"] == "requires_capture"
        answer = await self.client.post(call.path, data=form) if fits else None
        if answer is None or answer.status_code != 200:
            too_much = int(form.get("amount_to_capture", 0)) > held["amount_capturable"] > 0
            code = "amount_too_large" if too_much else "payment_intent_unexpected_state"
            return Reply(400, shapes.error("Not now", code=code, payment_intent=held))
        if "amount_to_capture" in form:
            self._captures[ref] = int(form["amount_to_capture"])
        changed = self._complete(answer.json(), expanded="expand[]" in call.form)
        if call.operation == "cancel":
            self.hooks.tell("payment_intent.canceled", changed)
        return Reply(200, changed)

    async def _refund(self, form: Form) -> Reply:
        held = await self._payment(form["payment_intent"], expanded=True)
        charge = held["latest_charge"] or {}
        left = charge.get("amount", 0) - charge.get("amount_refunded", 0)
        if held["amount_received"] == 0 or left == 0:
            code = "charge_already_refunded" if held["amount_received"] else "charge_not_refundable"
            return Reply(400, shapes.error("Nothing to refund", code=code))
        if int(form["amount"]) > left:
            return Reply(400, shapes.error("Refund amount is greater than unrefunded amount"))
        answer = await self.client.post("/v1/refunds", data=_known(form))
        now = await self._payment(form["payment_intent"], expanded=True)
        self.hooks.tell("charge.refunded", now["latest_charge"])
        return Reply(answer.status_code, answer.json())

    async def _list(self, query: Mapping[str, str]) -> Reply:
        since = int(query.get("created[gte]", 0))
        rows = [row for row in reversed(await self._all()) if row["created"] >= since]
        after = query.get("starting_after")
        if after is not None:
            rows = rows[[row["id"] for row in rows].index(after) + 1 :]
        limit = int(query.get("limit", 10))
        expanded = query.get("expand[]") == "data.latest_charge"
        page = [self._complete(row, expanded=expanded) for row in rows[:limit]]
        return Reply(200, {"object": "list", "data": page, "has_more": len(rows) > limit})

    async def _all(self) -> list[shapes.Shown]:
        answer = await self.client.get("/v1/payment_intents", params={"limit": 100_000})
        rows: list[shapes.Shown] = answer.json()["data"]
        return rows

    async def _last_of(self, form: Form) -> shapes.Shown:
        ref = form["metadata[merchant_ref]"]
        return [row for row in await self._all() if row["metadata"].get("merchant_ref") == ref][-1]

    async def _payment(self, ref: str, *, expanded: bool = False) -> shapes.Shown:
        answer = await self.client.get(f"/v1/payment_intents/{ref}")
        return self._complete(answer.json(), expanded=expanded)

    def _complete(self, body: shapes.Shown, *, expanded: bool) -> shapes.Shown:
        ref = body["id"]
        page = f"{self.url}/authenticate/{ref}" if self._returns.get(ref) else None
        return shapes.payment(body, captured=self._captures.get(ref), expanded=expanded, page=page)

    # -- the customer ----------------------------------------------------------------------------

    async def token(self, number: str = "4242424242424242") -> str:
        """What a card becomes in the customer's browser, so that we never see it."""
        card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
        form = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
        answer = await self.client.post("/v1/payment_methods", data=form)
        made: str = answer.raise_for_status().json()["id"]
        return made

    async def _authenticate(self, request: web.Request) -> web.Response:
        ref, passed = request.match_info["ref"], request.match_info["choice"] == "pass"
        made = await self._pass(ref, passed=passed)
        if made["status"] == "requires_capture":
            self.hooks.tell("payment_intent.amount_capturable_updated", made)
        return web.json_response({"status": made["status"]})

    async def _pass(self, ref: str, *, passed: bool) -> shapes.Shown:
        secret = (await self._payment(ref))["client_secret"]
        form = {"client_secret": secret, "success": str(passed).lower()}
        await self.client.post(f"/v1/payment_intents/{ref}/_authenticate", data=form)
        return await self._payment(ref)

    async def _relay(self, request: web.Request) -> web.Response:
        """Take localstripe's own event, and pass it on completed."""
        raw = await request.read()
        self.hooks.originals.append((raw, request.headers["Stripe-Signature"]))
        told = json.loads(raw)
        about = told["data"]["object"]
        if about["object"] == "payment_intent":
            self.hooks.tell(told["type"], self._complete(about, expanded=False))
        return web.Response()


def _known(form: Mapping[str, str]) -> Form:
    return {name: value for name, value in form.items() if name not in shapes.STRIPPED}


def _payment_in(path: str) -> str:
    """The payment that a path names, if it names one."""
    return path.removeprefix("/v1/payment_intents").strip("/").partition("/")[0]


def _cut(request: web.Request) -> web.Response:
    """End the connection without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
