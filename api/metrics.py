"""Payments as Prometheus metrics, computed from the stores when they are asked for.

Gauges alone: what an attempt came to may still change, so that no count of it only grows. Every
process of the edge shows the same; scrape one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric

from db.payment_health import HealthAway, PaymentHealth
from db.repositories import payment_reports
from db.repositories.payment_reports import AttemptCount, Failover, Queues, RefundBacklog
from db.session import Database
from domain.breaker import BreakerPolicy, BreakerState, Health
from domain.payments import PaymentMethod
from domain.routing import Downtime

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Scrapes that come more often see the same page.
_FRESH: Final = timedelta(seconds=10)
_COUNTED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """All that a page shows; `health` is None while its store is away."""

    now: datetime
    policy: BreakerPolicy
    attempts: tuple[AttemptCount, ...]
    failover: Failover
    backlog: tuple[RefundBacklog, ...]
    unknown: int
    unknown_oldest: float
    queues: Queues
    health: Mapping[tuple[str, PaymentMethod], Health] | None
    downtimes: tuple[Downtime, ...]


class Metrics:
    """The page of metrics, kept for a moment; `offers` are the configured PSPs' methods."""

    def __init__(
        self,
        database: Database,
        health: PaymentHealth,
        offers: Mapping[str, frozenset[PaymentMethod]],
    ) -> None:
        self._database = database
        self._health = health
        self._offers = offers
        self._page = b""
        self._made_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    async def page(self, now: datetime) -> bytes:
        """The metrics in Prometheus' text format, at most ten seconds old."""
        async with self._one_at_a_time:
            if self._made_at is None or not now - self._made_at < _FRESH:
                registry = CollectorRegistry()
                registry.register(_Collector(await self._look(now)))
                self._page, self._made_at = generate_latest(registry), now
            return self._page

    async def _look(self, now: datetime) -> _Snapshot:
        async with self._database.reading() as session:
            attempts = await payment_reports.attempts_between(session, now - _COUNTED, now)
            failover = await payment_reports.failover_between(session, now - _COUNTED, now)
            backlog = await payment_reports.refund_backlog(session, now)
            unknown, oldest = await payment_reports.unknown_attempts(session, now, limit=1)
            waiting = await payment_reports.queues(session, now)
        health, downtimes = await self._live(now)
        return _Snapshot(
            now=now,
            policy=self._health.policy,
            attempts=attempts,
            failover=failover,
            backlog=backlog,
            unknown=unknown,
            unknown_oldest=(now - oldest[0].created_at).total_seconds() if oldest else 0.0,
            queues=waiting,
            health=health,
            downtimes=downtimes,
        )

    async def _live(
        self, now: datetime
    ) -> tuple[Mapping[tuple[str, PaymentMethod], Health] | None, tuple[Downtime, ...]]:
        try:
            health = await self._health.read(self._offers, PaymentMethod, now)
            downtimes = await self._health.downtimes(self._offers)
        except HealthAway:
            return None, ()
        wanted = {about: one for about, one in health.items() if about[1] in self._offers[about[0]]}
        return wanted, tuple(one for one in downtimes if one.holds(now))


class _Collector:
    """One snapshot as metric families."""

    def __init__(self, seen: _Snapshot) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """Every family, those without a sample too."""
        yield from self._payments()
        yield from self._money_on_its_way()
        yield from self._waiting()
        yield from self._health()

    def _payments(self) -> Iterator[Metric]:
        yield _family(
            "sagakart_payment_attempts_last_hour",
            "Attempts at payments opened within the last hour, by what they came to.",
            ("psp", "method", "outcome"),
            _by_outcome(self._seen.attempts),
        )
        failover = self._seen.failover
        yield _single(
            "sagakart_payments_last_hour",
            "Payments opened within the last hour that a PSP was asked for.",
            failover.payments,
        )
        yield _single(
            "sagakart_payments_failed_over_last_hour",
            "Those of them that more than one PSP was asked for.",
            failover.failed_over,
        )
        yield _single(
            "sagakart_payments_saved_paise_last_hour",
            "The worth in paise of those that were sold and paid at another PSP than the first.",
            failover.saved_paise,
        )

    def _money_on_its_way(self) -> Iterator[Metric]:
        rows = self._seen.backlog
        yield _family(
            "sagakart_refunds_pending",
            "Refunds that are not paid out.",
            ("state",),
            [((row.state,), row.refunds) for row in rows],
        )
        yield _family(
            "sagakart_refunds_pending_paise",
            "What they come to, in paise.",
            ("state",),
            [((row.state,), row.paise) for row in rows],
        )
        yield _family(
            "sagakart_refunds_pending_oldest_seconds",
            "The age of the oldest of them.",
            ("state",),
            [((row.state,), (self._seen.now - row.oldest).total_seconds()) for row in rows],
        )
        yield _single(
            "sagakart_payment_attempts_unknown",
            "Attempts of which nobody knows yet whether money moved.",
            self._seen.unknown,
        )
        yield _single(
            "sagakart_payment_attempts_unknown_oldest_seconds",
            "The age of the oldest of them; 0 without any.",
            self._seen.unknown_oldest,
        )

    def _waiting(self) -> Iterator[Metric]:
        waiting = self._seen.queues
        yield _single(
            "sagakart_inbox_undelivered",
            "Webhooks that no saga has heard of.",
            waiting.inbox_undelivered,
        )
        yield _single(
            "sagakart_inbox_undelivered_oldest_seconds",
            "The age of the oldest of them; 0 without any.",
            waiting.inbox_oldest_seconds,
        )
        yield _single(
            "sagakart_outbox_unpublished",
            "Events that are not published.",
            waiting.outbox_unpublished,
        )
        yield _family(
            "sagakart_sagas_parked",
            "Sagas that wait for a person, by why.",
            ("kind", "code"),
            [((kind, code), sagas) for kind, code, sagas in waiting.sagas_parked],
        )

    def _health(self) -> Iterator[Metric]:
        seen = self._seen
        yield _single(
            "sagakart_payment_health_known",
            "1 while the store of breakers can be read, else 0.",
            int(seen.health is not None),
        )
        health = seen.health or {}
        yield _family(
            "sagakart_breaker",
            "1 for the state that the breaker of a PSP and method is in.",
            ("psp", "method", "state"),
            [
                ((psp, method, state), int(one.breaker.at(seen.now, seen.policy).state is state))
                for (psp, method), one in health.items()
                for state in BreakerState
            ],
        )
        yield _family(
            "sagakart_payment_success_percent",
            "Approved of the decided results of a PSP and method, lately.",
            ("psp", "method"),
            [
                (about, one.rate.success)
                for about, one in health.items()
                if one.rate.success is not None
            ],
        )
        yield _family(
            "sagakart_downtimes",
            "Downtimes that a PSP says it has now.",
            ("psp", "severity"),
            _count((one.psp, one.severity) for one in seen.downtimes).items(),
        )


Labels = tuple[str, ...]


def _family(
    name: str, text: str, labels: Labels, samples: Iterable[tuple[Labels, float]]
) -> Metric:
    family = Gauge(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _single(name: str, text: str, value: float) -> Metric:
    return Gauge(name, text, value=value)


def _by_outcome(counts: Iterable[AttemptCount]) -> list[tuple[Labels, float]]:
    sums: dict[Labels, float] = {}
    for one in counts:
        about = (one.psp, one.method, one.outcome)
        sums[about] = sums.get(about, 0) + one.attempts
    return list(sums.items())


def _count(labels: Iterable[Labels]) -> dict[Labels, int]:
    counts: dict[Labels, int] = {}
    for one in labels:
        counts[one] = counts.get(one, 0) + 1
    return counts
