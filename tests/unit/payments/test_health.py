"""Live health never holds a payment up and never fails one; feeds are polled and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from activities.payments.health import FRESH_S, LiveHealth, follow_downtimes
from activities.payments.psp import PSP, PaymentResult
from db.payment_health import HealthAway, Moved, PaymentHealth
from domain.breaker import BreakerPolicy, Health
from domain.outcomes import Outcome
from domain.payments import FailureClass, PaymentMethod, PaymentState
from domain.routing import Downtime, LiveView

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
CARD, QR = PaymentMethod.CARD, PaymentMethod.UPI_QR
DOWN = Downtime(psp="alphapay", begins=NOW)
POLICY = BreakerPolicy()


class Store:
    """A store as the tests direct it: `answer` may fail or hang."""

    def __init__(self) -> None:
        self.policy = POLICY
        self.recorded: list[tuple[str, PaymentMethod, Outcome]] = []
        self.reads: list[PaymentMethod] = []
        self.kept: list[tuple[str, tuple[Downtime, ...], float]] = []
        self.announced = (DOWN,)
        self.answer: Callable[[], Any] = lambda: None

    async def _answered(self) -> None:
        waited = self.answer()
        if waited is not None:
            await waited

    async def record(
        self, psp: str, method: PaymentMethod, outcome: Outcome, now: datetime
    ) -> Moved | None:
        await self._answered()
        self.recorded.append((psp, method, outcome))
        return None

    async def refreshed(
        self, psps: Sequence[str], method: PaymentMethod, now: datetime
    ) -> tuple[dict[str, Health], list[Moved]]:
        self.reads.append(method)
        await self._answered()
        return {psp: Health() for psp in psps}, []

    async def downtimes(self, psps: Sequence[str]) -> tuple[Downtime, ...]:
        return self.announced

    async def keep_downtimes(self, psp: str, told: Sequence[Downtime], seconds: float) -> None:
        await self._answered()
        self.kept.append((psp, tuple(told), seconds))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(store: Store, clock: Clock) -> LiveHealth:
    return LiveHealth(cast(PaymentHealth, store), clock=clock)


def away() -> None:
    raise HealthAway("ConnectionError")


async def test_what_an_answer_came_to_is_recorded(live: LiveHealth, store: Store) -> None:
    declined = PaymentResult(state=PaymentState.FAILED, failure_class=FailureClass.DECLINED_SOFT)
    await live.record("alphapay", CARD, PaymentResult(state=PaymentState.AUTHORISED))
    await live.record("betapay", QR, declined)
    assert store.recorded == [
        ("alphapay", CARD, Outcome.APPROVED),
        ("betapay", QR, Outcome.DECLINED),
    ]


async def test_a_view_is_read_once_while_it_is_fresh(
    live: LiveHealth, store: Store, clock: Clock
) -> None:
    first = await live.view(CARD, ["alphapay"])
    assert first == LiveView(
        now=NOW, policy=POLICY, health={"alphapay": Health()}, downtimes=(DOWN,)
    )
    clock.now += timedelta(seconds=FRESH_S / 2)
    again = await live.view(CARD, ["alphapay"])
    assert (again.now, again.health) == (clock.now, first.health)
    await live.view(QR, ["alphapay"])
    assert store.reads == [CARD, QR]
    # what is known of one PSP must not pass for what is known of two
    both = await live.view(QR, ["alphapay", "betapay"])
    assert set(both.health) == {"alphapay", "betapay"}
    store.reads.pop()
    clock.now = NOW + timedelta(seconds=FRESH_S)
    store.announced = ()
    assert (await live.view(CARD, ["alphapay"])).downtimes == ()
    assert store.reads == [CARD, QR, CARD]


async def test_one_payment_reads_anew_and_the_others_do_not_wait(
    live: LiveHealth, store: Store, clock: Clock
) -> None:
    await live.view(CARD, ["alphapay"])
    go = asyncio.Event()
    store.answer = go.wait
    clock.now += timedelta(seconds=FRESH_S)
    reading = asyncio.create_task(live.view(CARD, ["alphapay"]))
    await asyncio.sleep(0)
    views = [await live.view(CARD, ["alphapay"]) for _ in range(5)]
    assert {one.downtimes for one in views} == {(DOWN,)}
    assert not reading.done()
    store.announced = ()
    go.set()
    assert (await reading).downtimes == ()
    assert store.reads == [CARD, CARD]


@pytest.mark.parametrize("trouble", [away, asyncio.Event().wait], ids=["away", "hangs"])
async def test_without_the_store_payments_go_on(
    live: LiveHealth, store: Store, clock: Clock, trouble: Callable[[], Any]
) -> None:
    store.answer = trouble
    async with asyncio.timeout(2):
        await live.record("alphapay", CARD, PaymentResult(state=PaymentState.AUTHORISED))
        assert await live.view(CARD, ["alphapay"]) == LiveView(now=NOW)
    assert store.recorded == []
    # while it is away it is not asked for each payment
    assert await live.view(CARD, ["alphapay"]) == LiveView(now=NOW)
    assert store.reads == [CARD]
    store.answer = lambda: None
    clock.now += timedelta(seconds=FRESH_S)
    assert (await live.view(CARD, ["alphapay"])).policy == POLICY


async def test_no_store_at_all() -> None:
    live = LiveHealth(clock=lambda: NOW)
    await live.record("alphapay", CARD, PaymentResult(state=PaymentState.AUTHORISED))
    assert await live.view(CARD, ["alphapay"]) == LiveView(now=NOW)


class Feed:
    """A PSP with a feed of downtimes; an exception is raised."""

    def __init__(self, *told: tuple[Downtime, ...] | Exception | None) -> None:
        self.told = list(told)
        self.polled = asyncio.Semaphore(0)

    async def downtimes(self) -> tuple[Downtime, ...] | None:
        self.polled.release()
        now = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(now, Exception):
            raise now
        return now


async def _followed(feeds: dict[str, Feed], store: Store, polls: int) -> None:
    psps = cast(dict[str, PSP], feeds)
    task = asyncio.create_task(follow_downtimes(psps, cast(PaymentHealth, store), 0.01))
    async with asyncio.timeout(5):
        for feed in feeds.values():
            for _ in range(polls):
                await feed.polled.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_feeds_are_followed(store: Store) -> None:
    await _followed({"alphapay": Feed((DOWN,), ()), "betapay": Feed(())}, store, 3)
    assert store.kept[:2] == [("alphapay", (DOWN,), 0.05), ("betapay", (), 0.05)]
    assert store.kept[2][:2] == ("alphapay", ())


async def test_a_feed_that_cannot_be_read_says_nothing_and_stops_nobody(store: Store) -> None:
    feeds = {"alphapay": Feed((DOWN,), None, KeyError("x")), "betapay": Feed(())}
    await _followed(feeds, store, 4)
    assert [one for one in store.kept if one[0] == "alphapay"] == [("alphapay", (DOWN,), 0.05)]
    assert len([one for one in store.kept if one[0] == "betapay"]) >= 3


async def test_feeds_outlive_the_store(store: Store) -> None:
    feed = Feed((DOWN,))
    store.answer = away
    await _followed({"alphapay": feed}, store, 3)
    assert store.kept == []
