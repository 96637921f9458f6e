"""Live health for routing: fed by what PSPs answer and announce, and never in a payment's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from activities.payments.psp import PSP, PaymentResult
from db.payment_health import HealthAway, Moved, PaymentHealth
from domain.outcomes import outcome_of
from domain.payments import PaymentMethod
from domain.routing import Downtime, LiveView

# A payment waits this long for Redis, and what was read is good for so long.
PATIENCE_S = 0.25
FRESH_S = 1.0
# A feed that falls silent is believed for so many polls.
_POLLS_KEPT = 5
_log = structlog.get_logger("routing")


class LiveHealth:
    """What is known now of the PSPs; nothing at all without a store, or while it is away."""

    def __init__(
        self,
        store: PaymentHealth | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._clock = clock
        self._away = False
        self._views: dict[tuple[PaymentMethod, tuple[str, ...]], LiveView] = {}

    async def record(self, psp: str, method: PaymentMethod, told: PaymentResult) -> None:
        """Count what a PSP's answer came to. Never fails, and never waits long."""
        if self._store is None:
            return
        outcome = outcome_of(told.state, told.failure_class)
        try:
            async with asyncio.timeout(PATIENCE_S):
                moved = await self._store.record(psp, method, outcome, self._clock())
        except (HealthAway, TimeoutError) as error:
            self._lost(error)
            return
        self._found([moved] if moved else [])

    async def view(self, method: PaymentMethod, psps: Sequence[str]) -> LiveView:
        """What routing may go by: at most FRESH_S old, and without a policy where nothing is."""
        now, about = self._clock(), (method, tuple(psps))
        kept = self._views.get(about)
        if kept is not None and (now - kept.now).total_seconds() < FRESH_S:
            return replace(kept, now=now)
        if kept is not None:
            # one payment reads anew, those beside it go by what was known
            self._views[about] = replace(kept, now=now)
        self._views[about] = await self._read(method, psps, now)
        return self._views[about]

    async def _read(self, method: PaymentMethod, psps: Sequence[str], now: datetime) -> LiveView:
        if self._store is None:
            return LiveView(now=now)
        try:
            async with asyncio.timeout(PATIENCE_S):
                health, moves = await self._store.refreshed(psps, method, now)
                downtimes = await self._store.downtimes(psps)
        except (HealthAway, TimeoutError) as error:
            self._lost(error)
            return LiveView(now=now)
        self._found(moves)
        return LiveView(now=now, policy=self._store.policy, health=health, downtimes=downtimes)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            _log.warning("routing_without_health", error=str(error) or type(error).__name__)
        self._away = True

    def _found(self, moves: Sequence[Moved]) -> None:
        if self._away:
            _log.info("routing_with_health_again")
        self._away = False
        for moved in moves:
            _log.warning(
                "breaker_moved", psp=moved.psp, method=moved.method, old=moved.old, new=moved.new
            )


async def follow_downtimes(psps: Mapping[str, PSP], store: PaymentHealth, every: float) -> None:
    """Poll each PSP's feed of downtimes every so many seconds, until cancelled."""
    known: dict[str, tuple[Downtime, ...]] = {}
    while True:
        told = await asyncio.gather(*(_poll(name, psp) for name, psp in psps.items()))
        for name, downtimes in zip(psps, told, strict=True):
            if downtimes is None:
                continue
            if downtimes != known.get(name, ()):
                _log.warning("downtimes_changed", psp=name, downtimes=len(downtimes))
            known[name] = downtimes
            try:
                await store.keep_downtimes(name, downtimes, every * _POLLS_KEPT)
            except HealthAway as error:
                _log.warning("downtimes_not_kept", psp=name, error=str(error))
        await asyncio.sleep(every)


async def _poll(name: str, psp: PSP) -> tuple[Downtime, ...] | None:
    try:
        told = await psp.downtimes()
    except Exception as error:  # a feed is a hint: nothing wrong with it may stop payments
        _log.error("downtimes_failed", psp=name, error=type(error).__name__)
        return None
    if told is None:
        _log.warning("downtimes_unread", psp=name)
    return told
