"""What a worker process is told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.payments import PaymentMethod
from workflows.contracts.payments import PaymentTimings

_ALL = ("alphapay", "betapay")
ROUTES: Mapping[PaymentMethod, Sequence[str]] = {
    method: _ALL for method in PaymentMethod if method is not PaymentMethod.COD
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """How to reach a PSP."""

    url: str
    key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Addresses, secrets and sizes of one worker process.

    `sandboxed` runs workflows in Temporal's sandbox: tests do, production need not.
    """

    temporal_address: str
    namespace: str
    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    providers: Mapping[str, ProviderConfig]
    routes: Mapping[PaymentMethod, Sequence[str]] = field(default_factory=lambda: ROUTES)
    timings: PaymentTimings = field(default_factory=PaymentTimings)
    sandboxed: bool = False
    sweep_every: float = 60.0
    at_once: int = 100


class Lifetime(Protocol):
    """The process's life: `stop` is set when it has to end; `ready` says that it works."""

    @property
    def stop(self) -> asyncio.Event:
        """Set once the process has to end."""

    def ready(self) -> None:
        """Say that the process does its work."""
