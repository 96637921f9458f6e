"""Money that goes back during the day: refunds an agent promises, disputes that banks open."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from stack.demo.customers import Customer, Outcome
from stack.demo.edge import GaveUp, code_of
from stack.invariants import Connections

# Of the orders that were sold: a part goes back, two parts are asked for at once that do not fit
# together, a bank opens a dispute.
PART: Final = 0.06
RIVALS: Final = 0.09
DISPUTE: Final = 0.12
DISPUTED_FOR_S: Final = (1.0, 3.0)
# The sandbox's only PSP with disputes.
DISPUTING: Final = "alphapay"
ANSWERS: Final = frozenset({201, 202, 409, 422})


@dataclass(slots=True)
class Returns:
    """The agent's desk for money back; what came of it is counted by the edge's own words."""

    clerk: Customer
    at: Connections
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    _under_way: list[asyncio.Task[None]] = field(default_factory=list)

    def consider(self, outcome: Outcome) -> None:
        """Perhaps have something happen to an order that was sold."""
        if outcome.state != "CONFIRMED":
            return
        random = Random(f"{self.seed}/returns/{outcome.plan.number}")  # noqa: S311 - to repeat it
        drawn = random.random()
        if drawn < PART:
            self._begin(self._refund(outcome, 3))
        elif drawn < RIVALS:
            self._begin(self._refund(outcome, 0), self._refund(outcome, 2))
        elif drawn < DISPUTE:
            self._begin(self._dispute(outcome, random))

    async def finish(self) -> None:
        """Wait until all of it has been asked for."""
        await asyncio.gather(*self._under_way)

    def _begin(self, *stories: Any) -> None:
        self._under_way += [asyncio.create_task(story) for story in stories]

    async def _refund(self, outcome: Outcome, share: int) -> None:
        """Give one of `share` parts back, or all of it where that is 0."""
        order = await self._read(outcome)
        body: dict[str, Any] = {"reason": "arrived broken"}
        if share and order is not None:
            body["amount_paise"] = max(1, order["total_paise"] // share)
        path = f"/v1/orders/{outcome.order_id}/refunds"
        key = f"demo-{self.seed}-refund-{outcome.plan.number:06d}-{share}"
        try:
            answer = await self.clerk.call("POST", path, json=body, key=key)
        except GaveUp as tired:
            outcome.complain("the edge did not answer for a refund", "an answer", str(tired))
            return
        if answer.status_code not in ANSWERS:
            found = f"{answer.status_code} {code_of(answer)}"
            outcome.complain("a refund was answered oddly", "201, 202, 409 or 422", found)
        self.counts[code_of(answer) or "promised"] += 1

    async def _read(self, outcome: Outcome) -> dict[str, Any] | None:
        with suppress(GaveUp):
            answer = await self.clerk.call("GET", f"/v1/orders/{outcome.order_id}")
            if answer.status_code == 200:
                order: dict[str, Any] = answer.json()
                return order
        return None

    async def _dispute(self, outcome: Outcome, random: Random) -> None:
        """Have the customer's bank take the money back, and decide after a while."""
        url = f"{self.at.psps[DISPUTING]}/_sandbox/disputes"
        for attempt in range(1, 4):
            with suppress(httpx.TransportError):
                wanted = {"merchant_ref": f"{outcome.order_id}-{attempt}"}
                opened = await self.at.http.post(url, json=wanted)
                if opened.status_code == 200:
                    break
        else:
            return  # paid elsewhere, or in cash
        self.counts["disputes"] += 1
        await asyncio.sleep(random.uniform(*DISPUTED_FOR_S))
        outcome_of = {"outcome": random.choice(("won", "lost"))}
        with suppress(httpx.TransportError):
            await self.at.http.post(f"{url}/{opened.json()['id']}", json=outcome_of)
