"""The customers: they sign up, order, pay or not, change their minds, and read how it ended."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from stack.demo.edge import Edge, GaveUp, code_of
from stack.demo.places import PLACES
from stack.demo.plan import AtPsp, Plan, Regret

UNSOLD: Final = frozenset({"REFUSED", "CANCELLED", "EXPIRED"})
FINAL: Final = UNSOLD | {"CONFIRMED"}
FOLLOW_S: Final = 180.0
LOOK_EVERY_S: Final = 0.25
LOOK_RARELY_S: Final = 1.0
CLICK_TRIES: Final = 5
PASSWORD_LENGTH: Final = 24


@dataclass(slots=True)
class Outcome:
    """What a customer saw of one order. `latency_s` is None where it was not the shop's alone."""

    plan: Plan
    order_id: str = ""
    state: str = ""
    code: str = ""
    latency_s: float | None = None
    held: bool = False
    acted: list[str] = field(default_factory=list)
    complaints: list[tuple[str, str, str]] = field(default_factory=list)

    def complain(self, message: str, expected: str, found: str) -> None:
        """Note that the edge did not keep its word."""
        self.complaints.append((message, expected, found))


@dataclass(slots=True)
class Customer:
    """A person with an account and an address; the password is known to nobody else."""

    edge: Edge
    number: int
    email: str
    password: str = field(repr=False)
    user_id: str = ""
    address_id: str = ""
    _token: str = field(default="", repr=False)

    async def arrive(self) -> None:
        """Sign up, sign in and give an address."""
        name = f"Customer {self.number + 1}"
        body = {"email": self.email, "name": name, "password": self.password}
        made = await self.edge.call("POST", "/v1/users", json=body)
        # After a lost answer the account is there already.
        if made.status_code not in (201, 409):
            raise GaveUp(f"sign-up answered {made.status_code} {code_of(made)}")
        await self.sign_in()
        self.user_id = (await self.call("GET", "/v1/users/me")).json()["id"]
        city, pincode = PLACES[self.number % len(PLACES)]
        address = {
            "name": name,
            "line1": f"{self.number + 1} Station Road",
            "city": city,
            "pincode": pincode,
            "phone": f"+9198{self.number:08d}",
        }
        answer = await self.call("POST", "/v1/users/me/addresses", json=address)
        self.address_id = answer.json()["id"]

    async def sign_in(self) -> None:
        """Get a new access token."""
        body = {"email": self.email, "password": self.password}
        answer = await self.edge.call("POST", "/v1/auth/login", json=body)
        if answer.status_code != 200:
            raise GaveUp(f"login answered {answer.status_code} {code_of(answer)}")
        self._token = answer.json()["access_token"]

    async def call(
        self, method: str, path: str, *, json: Any = None, key: str = "", **params: str
    ) -> httpx.Response:
        """Call the edge as this customer, signing in again when the token is over."""
        answer = await self._once(method, path, json, key, params)
        if answer.status_code == 401:
            await self.sign_in()
            answer = await self._once(method, path, json, key, params)
        return answer

    async def _once(
        self, method: str, path: str, json: Any, key: str, params: Mapping[str, str]
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        if key:
            headers["Idempotency-Key"] = key
        return await self.edge.call(method, path, json=json, params=params, headers=headers)

    async def buy(self, plan: Plan, seed: int) -> Outcome:
        """Place one order and see it through to its end."""
        outcome = Outcome(plan)
        await asyncio.sleep(plan.pause_s)
        try:
            await self._buy(plan, f"demo-{seed}-order-{plan.number:06d}", outcome)
        except GaveUp as tired:
            outcome.complain("the edge did not answer", "an answer", str(tired))
        return outcome

    async def _buy(self, plan: Plan, key: str, outcome: Outcome) -> None:
        body = self._order(plan)
        began = time.perf_counter()
        answers = await asyncio.gather(
            *(self.call("POST", "/v1/orders", json=body, key=key) for _ in range(1 + plan.twice))
        )
        first = answers[0]
        _hear(first, outcome)
        if outcome.order_id:
            # Who changes their mind may have paid a moment ago: both go on side by side.
            await asyncio.gather(self._change_mind(plan, outcome), self._follow(outcome))
        undisturbed = not outcome.acted and not outcome.held and plan.regret is None
        if outcome.state in FINAL and undisturbed and _needs_nobody(plan):
            outcome.latency_s = time.perf_counter() - began
        if plan.twice:
            late = await self.call("POST", "/v1/orders", json=body, key=key)
            for other in (*answers[1:], late):
                _compare(first, other, outcome, calm=self.edge.calm)

    def _order(self, plan: Plan) -> dict[str, Any]:
        payment = {"method": plan.story.method.value, "instrument": plan.story.instrument}
        return {
            "lines": [{"sku": sku, "qty": qty} for sku, qty in plan.lines],
            "address_id": self.address_id,
            "payment": payment,
            "device_id": f"device-{self.number}",
            **({"coupon": plan.coupon} if plan.coupon else {}),
        }

    async def _change_mind(self, plan: Plan, outcome: Outcome) -> None:
        if plan.regret is Regret.SOON:
            await asyncio.sleep(plan.think_s)
            await self._cancel(outcome)

    async def _cancel(self, outcome: Outcome) -> None:
        path = f"/v1/orders/{outcome.order_id}/cancel"
        answer = await self.call("POST", path, json={"reason": "I changed my mind"})
        if answer.status_code not in (200, 202, 409):
            found = f"{answer.status_code} {code_of(answer)}"
            outcome.complain("a cancellation was answered oddly", "200, 202 or 409", found)

    async def _follow(self, outcome: Outcome) -> None:
        """Look at the order until it has ended, and do what it asks for."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + FOLLOW_S, LOOK_EVERY_S
        while outcome.state not in FINAL and loop.time() < deadline:
            order = await self._look(outcome)
            if order is None or outcome.state in FINAL:
                return
            await self._act((order["payment"] or {}).get("next_action"), outcome)
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, LOOK_RARELY_S)

    async def look_again(self, outcome: Outcome) -> None:
        """Come back later to an order whose end was not seen."""
        if outcome.order_id and outcome.state not in FINAL:
            try:
                await self._look(outcome)
            except GaveUp as tired:
                outcome.complain("an order cannot be read", "an answer", str(tired))

    async def _look(self, outcome: Outcome) -> dict[str, Any] | None:
        answer = await self.call("GET", f"/v1/orders/{outcome.order_id}")
        if answer.status_code != 200:
            found = f"{answer.status_code} {code_of(answer)}"
            outcome.complain("an order cannot be read", "200", found)
            return None
        order: dict[str, Any] = answer.json()
        outcome.state = order["state"]
        outcome.held = outcome.held or outcome.state == "ON_HOLD"
        if outcome.state in FINAL:
            outcome.code = (order["refusal"] or {}).get("code", "")
        return order

    async def _act(self, action: Mapping[str, Any] | None, outcome: Outcome) -> None:
        """Do at the PSP what the plan says, once for each thing that is asked for."""
        url = str((action or {}).get("url") or "")
        if not url or url in outcome.acted:
            return
        outcome.acted.append(url)
        choice = outcome.plan.story.at_psp
        if choice is AtPsp.IGNORE:
            return
        await asyncio.sleep(outcome.plan.think_s)
        for _ in range(CLICK_TRIES):
            try:
                # 409 says that the time to pay is over: the order will say so too.
                await self.edge.http.post(f"{url}/{choice}")
                break
            except httpx.TransportError:
                await asyncio.sleep(LOOK_EVERY_S)
        if outcome.plan.regret is Regret.ON_PAYING:
            await self._cancel(outcome)


def _needs_nobody(plan: Plan) -> bool:
    return plan.story.instrument in ("tok_ok", "tok_slow", "")


def _hear(answer: httpx.Response, outcome: Outcome) -> None:
    """Take down what the edge said to the order."""
    body = answer.json()
    outcome.order_id = str(body.get("order_id", ""))
    outcome.state = str(body.get("state", ""))
    outcome.held = outcome.state == "ON_HOLD"
    if answer.status_code == 422:
        outcome.code = code_of(answer)
    elif answer.status_code not in (201, 202):
        found = f"{answer.status_code} {code_of(answer)}"
        outcome.complain("an order was answered oddly", "201, 202 or 422", found)
    if not outcome.order_id:
        outcome.complain("an order was answered without its id", "an order id", answer.text[:200])


def _compare(first: httpx.Response, other: httpx.Response, outcome: Outcome, *, calm: bool) -> None:
    """The same key and body must bring the same order; with the same status, unless the database
    died before it had stored that: then the order itself is asked how it stands by now.
    """
    said = f"{first.json().get('order_id')}"
    again = f"{other.json().get('order_id')}"
    if calm:
        said, again = f"{first.status_code} {said}", f"{other.status_code} {again}"
    if said != again:
        outcome.complain("the same order sent twice was answered differently", said, again)
