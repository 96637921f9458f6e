"""What a worker process is told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from domain.breaker import BreakerPolicy
from domain.routing import EVEN, RoutingRules
from workflows.contracts.payments import PaymentTimings
from workflows.contracts.reconciliation import ReconciliationTimings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """How to reach a PSP, and how many seconds its answers are waited for."""

    url: str
    patience_s: float = 3.0
    key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Addresses, secrets and sizes of one worker process.

    `routes` are the rules by which PSPs are chosen; without a `breaker` by nothing else. Every
    `downtimes_every` seconds the PSPs are asked what they know to be down.
    Every `reconcile_every` seconds the present day is reconciled; without it each morning the day
    before. `shop_url` is where customers come back to from a PSP's page. `sandboxed` runs
    workflows in Temporal's sandbox: tests do, production need not.
    """

    temporal_address: str
    namespace: str
    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    providers: Mapping[str, ProviderConfig]
    routes: RoutingRules = EVEN
    breaker: BreakerPolicy | None = None
    downtimes_every: float = 30.0
    timings: PaymentTimings = field(default_factory=PaymentTimings)
    shop_url: str = ""
    sandboxed: bool = False
    sweep_every: float = 60.0
    reconcile_every: float | None = None
    reports: ReconciliationTimings = field(default_factory=ReconciliationTimings)
    at_once: int = 100


class Lifetime(Protocol):
    """The process's life: `stop` is set when it has to end; `ready` says that it works."""

    @property
    def stop(self) -> asyncio.Event:
        """Set once the process has to end."""

    def ready(self) -> None:
        """Say that the process does its work."""
