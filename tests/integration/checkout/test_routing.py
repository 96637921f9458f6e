"""Live health in routes: fed by real answers and feeds, and never in a payment's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from activities.payments.attempts import AttemptActivities
from activities.payments.health import LiveHealth, follow_downtimes
from activities.payments.provider import Providers
from activities.payments.settling import PaymentActivities
from db.payment_health import PaymentHealth
from db.repositories import payments
from domain.breaker import BreakerPolicy, Health, Tally
from domain.outcomes import Outcome
from domain.payments import PaymentMethod, PaymentState
from domain.routing import Condition, RoutingRules, Rule
from saga import StepFailed, Verdict
from tests.integration.checkout.books import PRICE
from tests.integration.checkout.market import Life, Market
from tests.integration.checkout.orders import PSPS, Order
from tests.integration.checkout.test_guards import Hand, call
from tests.integration.checkout.wire import Fault
from tests.integration.db.postgres import free_port
from workers import connections
from workers.main import run_activities
from workflows.contracts.payments import AttemptResult, AuthoriseAttempt, PaymentPlan

ALPHA, BETA = PSPS
CARD, INTENT = PaymentMethod.CARD, PaymentMethod.UPI_INTENT
# every order tries a half-open PSP, so that tests need not look for one that does
POLICY = BreakerPolicy(minimum=3, pause=30, closing_successes=2, probe_percent=100)
DOWN = {"error": {"code": "gateway_down", "reason": "gateway_down"}}
HDFC_FIRST = RoutingRules(
    (Rule(name="HDFC", when=Condition(banks=frozenset({"HDFC"})), order=(BETA, ALPHA)),)
)


class Clock:
    """Goes on by itself, and is put forward by tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pause(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Desk:
    """The payment activities with live health, called by hand."""

    def __init__(self, market: Market, providers: Providers, store: PaymentHealth) -> None:
        self.market = market
        self.clock = Clock()
        self.store = store
        self.providers = providers
        self.payments = PaymentActivities(providers, HDFC_FIRST, self._live())
        self.attempts = AttemptActivities(providers, self._live())

    def _live(self) -> LiveHealth:
        return LiveHealth(self.store, clock=self.clock)

    async def order(self, name: str, first: str = ALPHA) -> Order:
        order = await self.market.order(f"routed-{name}", first=first)
        await Hand(self.market, order, self.providers).open()
        # what was read for the payment before is no longer fresh
        self.clock.pause(2)
        return order

    async def plan(self, order: Order, method: PaymentMethod = CARD, bank: str = "") -> PaymentPlan:
        asked = Hand(self.market, order, self.providers).pay()
        asked = asked.model_copy(update={"method": method, "bank": bank, "bin": "411111"})
        return await self.payments.open(asked, call("open payment"))

    async def ask(
        self, order: Order, plan: PaymentPlan, instrument: str = "tok_ok", *, bank: str = ""
    ) -> AttemptResult:
        """Ask the first of the route."""
        return await self.attempts.authorise(
            self.attempt(order, plan, instrument, bank=bank), call("authorise")
        )

    def attempt(
        self, order: Order, plan: PaymentPlan, instrument: str = "tok_ok", *, bank: str = ""
    ) -> AuthoriseAttempt:
        return AuthoriseAttempt(
            attempt_id=order.ref(1),
            payment_id=plan.payment_id,
            order_id=order.id,
            seq=1,
            psp=plan.route[0].psp,
            amount_paise=PRICE,
            currency="INR",
            method=INTENT if instrument.endswith("@upi") else CARD,
            instrument=instrument,
            reason=plan.route[0].reason,
            expires_in=60,
            bank=bank,
        )

    async def tally(self, method: PaymentMethod = CARD, psp: str = ALPHA) -> Tally:
        found = await self.store.read([psp], [method], self.clock())
        return found[psp, method].rate


@pytest_asyncio.fixture(loop_scope="session")
async def desk(market: Market) -> AsyncIterator[Desk]:
    # another database of the same server than the workers'
    client = Redis.from_url(market.config.redis_url.removesuffix("/0") + "/1")
    await client.flushdb()
    async with connections.providers(market.config) as psps:
        yield Desk(market, Providers(market.db, psps), PaymentHealth(client, POLICY))
    await client.aclose()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - others change it and tell nobody
            await asyncio.sleep(0.05)


def named(plan: PaymentPlan) -> list[str]:
    return [stop.psp for stop in plan.route]


async def test_a_breaker_opens_is_tried_and_closes(desk: Desk) -> None:
    market = desk.market
    for number in range(POLICY.minimum):
        order = await desk.order(f"down-{number}")
        plan = await desk.plan(order)
        assert named(plan) == [ALPHA, BETA]
        market.wires[ALPHA].fail("authorise", order.ref(1), Fault.REFUSE, answer=(503, DOWN))
        with pytest.raises(StepFailed):
            await desk.ask(order, plan)
    # the next order that would have asked alphapay asks betapay, and says why
    order = await desk.order("instead")
    plan = await desk.plan(order)
    assert named(plan) == [BETA, ALPHA]
    assert [stop.resend for stop in plan.route] == [False, True]
    assert plan.route[1].reason.startswith("choice 2 of 2 for CARD, by even share; 3 results in")
    assert "put last: breaker open since " in plan.route[1].reason
    # support reads it on the attempt
    await desk.ask(order, plan, bank="SBIN")
    async with market.db.reading() as session:
        [attempt] = await payments.attempts_of(session, order.id)
    assert (attempt.psp, attempt.reason, attempt.bank) == (BETA, plan.route[0].reason, "SBIN")
    assert attempt.reason == (
        "choice 1 of 2 for CARD, by even share; 0 results in 10 min, too few to judge; "
        "breaker closed"
    )
    # UPI at alphapay is another matter
    assert named(await desk.plan(await desk.order("upi"), INTENT)) == [ALPHA, BETA]
    desk.clock.pause(POLICY.pause)
    for number in range(POLICY.closing_successes):
        order = await desk.order(f"tried-{number}")
        plan = await desk.plan(order)
        assert named(plan) == [ALPHA, BETA]
        assert plan.route[0].reason.endswith("breaker half open: this order tries it")
        await desk.ask(order, plan)
    plan = await desk.plan(await desk.order("closed"))
    assert plan.route[0].reason.endswith("too few to judge; breaker closed")
    assert await desk.tally() == Tally(technical=3, approved=2)


async def test_a_customers_decline_is_the_psp_at_work(desk: Desk) -> None:
    for number in range(POLICY.minimum + 1):
        order = await desk.order(f"declined-{number}")
        plan = await desk.plan(order)
        assert named(plan) == [ALPHA, BETA]
        with pytest.raises(StepFailed):
            await desk.ask(order, plan, "tok_declined_funds")
    assert await desk.tally() == Tally(declined=POLICY.minimum + 1)


async def test_upi_counts_once_its_customer_has_decided(desk: Desk) -> None:
    order = await desk.order("auto-upi")
    plan = await desk.plan(order, INTENT)
    attempt = desk.attempt(order, plan, "auto@upi")
    waiting = await desk.attempts.authorise(attempt, call("authorise"))
    assert waiting.state is PaymentState.ACTION_REQUIRED
    assert await desk.tally(INTENT) == Tally(other=1)

    async def decided() -> bool:
        state = (await desk.attempts.look(attempt, call("look"))).state
        return state not in (PaymentState.ACTION_REQUIRED, PaymentState.PENDING)

    await until(decided)
    assert await desk.tally(INTENT) == Tally(other=1, approved=1)
    # who looks again, as a watcher does, has no news of the PSP
    await desk.attempts.look(attempt, call("look"))
    assert await desk.tally(INTENT) == Tally(other=1, approved=1)


async def test_a_lost_answer_counts_once_it_is_lost_and_not_when_it_is_found(desk: Desk) -> None:
    order = await desk.order("lost")
    attempt = desk.attempt(order, await desk.plan(order))
    desk.market.wires[ALPHA].fail("authorise", order.ref(1), Fault.DROP_AFTER)
    with pytest.raises(Exception, match="no answer that can be trusted"):
        await desk.attempts.authorise(attempt, call("authorise"))
    assert await desk.tally() == Tally(technical=1)
    found = await desk.attempts.find(attempt, call("find"))
    assert found.verdict is Verdict.HAPPENED
    assert await desk.tally() == Tally(technical=1)


async def test_rules_over_banks(desk: Desk) -> None:
    order = await desk.order("hdfc")
    plan = await desk.plan(order, bank="HDFC")
    assert named(plan) == [BETA, ALPHA]
    assert plan.route[0].reason.startswith("choice 1 of 2 for CARD, rule 'HDFC': place 1; ")


async def test_a_token_is_asked_of_the_psp_that_made_it(desk: Desk) -> None:
    """Even if its breaker is open; and the next payment still knows about all of them."""
    for _ in range(POLICY.minimum):
        await desk.store.record(ALPHA, CARD, Outcome.TECHNICAL, desk.clock())
    order = await desk.order("bound")
    asked = Hand(desk.market, order, desk.providers).pay()
    bound = asked.model_copy(update={"bound_to": BETA})
    plan = await desk.payments.open(bound, call("open payment"))
    assert named(plan) == [BETA]
    other = await desk.market.order("routed-unbound", first=ALPHA)
    await Hand(desk.market, other, desk.providers).open()
    assert named(await desk.plan(other)) == [BETA, ALPHA]
    last = await desk.order("bound-to-open")
    asked = Hand(desk.market, last, desk.providers).pay()
    bound = asked.model_copy(update={"bound_to": ALPHA})
    plan = await desk.payments.open(bound, call("open payment"))
    assert named(plan) == [ALPHA]
    assert "put last: breaker open since " in plan.route[0].reason


async def test_what_a_psp_announces_is_routed_by(desk: Desk) -> None:
    market = desk.market
    box = market.psps[ALPHA]
    psps = {ALPHA: desk.providers.psp(ALPHA)}
    feeds = asyncio.create_task(follow_downtimes(psps, desk.store, 0.1))

    async def announced() -> bool:
        return bool(await desk.store.downtimes([ALPHA]))

    async def over() -> bool:
        return not await announced()

    try:
        async with box.client() as client:
            await client.post("/_sandbox/downtimes", json={"downtimes": [{"method": "card"}]})
            await until(announced)
            plan = await desk.plan(await desk.order("announced"))
            assert named(plan) == [BETA, ALPHA]
            assert plan.route[1].reason.endswith("says itself that it is down (high severity)")
            assert named(await desk.plan(await desk.order("not-upi"), INTENT)) == [ALPHA, BETA]
            await client.post("/_sandbox/downtimes", json={"downtimes": []})
            await until(over)
    finally:
        feeds.cancel()
    assert named(await desk.plan(await desk.order("over"))) == [ALPHA, BETA]


async def test_payments_go_on_without_redis(desk: Desk) -> None:
    nowhere = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")
    lost = LiveHealth(PaymentHealth(nowhere, replace(POLICY, minimum=1)))
    desk.payments = PaymentActivities(desk.providers, HDFC_FIRST, lost)
    desk.attempts = AttemptActivities(desk.providers, lost)
    order = await desk.order("no-redis")
    plan = await desk.plan(order)
    assert [stop.reason for stop in plan.route] == [
        "choice 1 of 2 for CARD, by even share; health unknown",
        "choice 2 of 2 for CARD, by even share; health unknown",
    ]
    held = await desk.ask(order, plan)
    await nowhere.aclose()
    assert (held.psp, held.state) == (ALPHA, PaymentState.AUTHORISED)


async def test_the_worker_follows_the_feeds(quiet: Market) -> None:
    """Wired in the process that talks to PSPs, where there is a breaker."""
    url = quiet.config.redis_url.removesuffix("/0") + "/2"
    config = replace(quiet.config, redis_url=url, breaker=POLICY, downtimes_every=0.1)
    client = Redis.from_url(url)
    store = PaymentHealth(client, POLICY)
    life = Life()

    async def announced() -> bool:
        return bool(await store.downtimes(PSPS))

    async with quiet.psps[BETA].client() as box:
        await box.post("/_sandbox/downtimes", json={"downtimes": [{"method": "wallet"}]})
        worker = asyncio.create_task(run_activities(config, life))
        await until(announced)
        told = await store.downtimes(PSPS)
        life.stop.set()
        await worker
        await box.post("/_sandbox/downtimes", json={"downtimes": []})
    await client.aclose()
    assert [(one.psp, one.methods) for one in told] == [(BETA, {PaymentMethod.WALLET})]


async def test_workers_without_a_policy_count_nothing(market: Market) -> None:
    """The market's own have none: its tests fail payments as they like."""
    client = Redis.from_url(market.config.redis_url)
    found = await PaymentHealth(client, POLICY).read(PSPS, PaymentMethod, datetime.now(UTC))
    await client.aclose()
    assert set(found.values()) == {Health()}
