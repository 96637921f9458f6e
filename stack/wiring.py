"""From settings to what our processes are told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from activities.payments.registry import PROVIDERS
from activities.payments.rules_file import read_rules
from domain.breaker import BreakerPolicy
from domain.routing import EVEN, RoutingRules
from stack.settings import Settings
from workers.config import ProviderConfig, WorkerConfig
from workflows.contracts.checkout import CheckoutTimings
from workflows.contracts.payments import PaymentTimings
from workflows.contracts.reconciliation import ReconciliationTimings
from workflows.contracts.refunds import RefundTimings

if TYPE_CHECKING:
    from api.config import ApiConfig

# `demo` runs the same sagas with minutes as seconds and days as half a minute.
PACES: Final[Mapping[str, CheckoutTimings]] = {
    "real": CheckoutTimings(),
    "demo": CheckoutTimings(
        hold=600,
        review=6,
        payment=PaymentTimings(
            action=8, poll=1, ladder=(0.2, 0.5, 1, 1, 2, 2, 3, 4), late=25, late_poll=2
        ),
    ),
}
_REFUNDS: Final[Mapping[str, RefundTimings]] = {
    "real": RefundTimings(),
    "demo": RefundTimings(poll=1, pay_within=25),
}
_SWEEP_EVERY: Final[Mapping[str, float]] = {"real": 60.0, "demo": 5.0}
# In production each morning.
_RECONCILE_EVERY: Final[Mapping[str, float | None]] = {"real": None, "demo": 20.0}
REPORTS: Final[Mapping[str, ReconciliationTimings]] = {
    "real": ReconciliationTimings(),
    "demo": ReconciliationTimings(report=(1, 2, 4)),
}
_DOWNTIMES_EVERY: Final[Mapping[str, float]] = {"real": 30.0, "demo": 2.0}
_BREAKERS: Final[Mapping[str, BreakerPolicy]] = {
    "real": BreakerPolicy(),
    "demo": BreakerPolicy(window=12, pause=3, rate_window=60, slot=2),
}
# In development every customer comes from one machine.
_DEVELOPMENT_ALLOWANCE: Final = 100


def worker_config(settings: Settings) -> WorkerConfig:
    """What a worker process of this stack is told; raises SettingsError for a missing address."""
    return WorkerConfig(
        temporal_address=settings.needed("temporal_address"),
        namespace=settings.temporal_namespace,
        postgres_url=settings.needed("postgres_url"),
        redis_url=settings.needed("redis_url"),
        providers={
            name: ProviderConfig(
                url=settings.needed(f"{name}_url"),
                patience_s=PROVIDERS[name].patience_s,
                key=settings.needed(f"{name}_api_key"),
                webhook_secrets=_secrets(settings, name),
            )
            for name in settings.providers
        },
        routes=_rules(settings),
        breaker=_BREAKERS[settings.pace],
        downtimes_every=_DOWNTIMES_EVERY[settings.pace],
        shop_url=settings.public_url or settings.url,
        timings=PACES[settings.pace].payment,
        sweep_every=_SWEEP_EVERY[settings.pace],
        reconcile_every=_RECONCILE_EVERY[settings.pace],
        reports=REPORTS[settings.pace],
    )


def api_config(settings: Settings) -> ApiConfig:
    """What the API of this stack is told; raises SettingsError for a missing address."""
    from api.config import ApiConfig, RateLimits  # a second's work, which workers need not do

    development = settings.environment == "development"
    return ApiConfig(
        postgres_url=settings.needed("postgres_url"),
        redis_url=settings.needed("redis_url"),
        temporal_address=settings.needed("temporal_address"),
        namespace=settings.temporal_namespace,
        jwt_secret=settings.needed("jwt_secret"),
        webhooks={
            name: partial(PROVIDERS[name].load().webhook, secrets=_secrets(settings, name))
            for name in settings.providers
        },
        routes=_rules(settings),
        offers={name: PROVIDERS[name].load().caps.methods for name in settings.providers},
        breaker=_BREAKERS[settings.pace],
        metrics_token=settings.needed("metrics_token") if settings.metrics_token else "",
        environment=settings.environment,
        timings=PACES[settings.pace],
        refunds=_REFUNDS[settings.pace],
        limits=RateLimits.relaxed(_DEVELOPMENT_ALLOWANCE) if development else RateLimits(),
    )


def _rules(settings: Settings) -> RoutingRules:
    return read_rules(settings.routing_file, PROVIDERS) if settings.routing_file else EVEN


def _secrets(settings: Settings, provider: str) -> tuple[str, ...]:
    # Two secrets, with a comma between, are valid while one replaces the other.
    return tuple(settings.needed(f"{provider}_webhook_secret").split(","))
