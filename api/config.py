"""What the edge is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.breaker import BreakerPolicy
from domain.payments import PaymentMethod
from domain.routing import EVEN, RoutingRules
from domain.webhooks import WebhookReader
from workflows.contracts.checkout import CheckoutTimings
from workflows.contracts.refunds import RefundTimings

ISSUER = "sagakart"
AUDIENCE = "sagakart-api"
MAX_BODY_BYTES = 256 * 1024
_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """How often each caller may do what; a caller is a user where one is known, else an address."""

    sign_up: RateLimit = RateLimit(60, 60)
    login_per_email: RateLimit = RateLimit(10, 60)
    login_per_address: RateLimit = RateLimit(120, 60)
    refresh: RateLimit = RateLimit(60, 60)
    orders: RateLimit = RateLimit(60, 60)
    reads: RateLimit = RateLimit(1200, 60)
    webhooks: RateLimit = RateLimit(6000, 60)

    @classmethod
    def relaxed(cls, factor: int) -> RateLimits:
        """The same limits, `factor` times as high: for load that comes from one machine."""
        limits = cls()
        return cls(
            **{
                name: RateLimit(getattr(limits, name).count * factor, getattr(limits, name).seconds)
                for name in cls.__slots__
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Addresses, secrets and times of the edge.

    `routes`, `offers` (the methods of each configured PSP) and `breaker` are what payments are
    routed by, to be shown. `metrics_token` is what /metrics asks for.

    `webhooks` reads each provider's webhooks, with every secret of it that is valid now.
    `answer_within` bounds, in seconds, how long an order or a cancellation is waited for before
    202 is answered; `lock_for` is how long a key counts as in flight after its process died.
    Raises ValueError for a signing secret that can be guessed.
    """

    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    temporal_address: str
    jwt_secret: str = field(repr=False)
    webhooks: Mapping[str, WebhookReader] = field(repr=False)
    routes: RoutingRules = EVEN
    offers: Mapping[str, frozenset[PaymentMethod]] = field(default_factory=dict)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    metrics_token: str = field(default="", repr=False)
    namespace: str = "default"
    environment: str = "development"
    timings: CheckoutTimings = field(default_factory=CheckoutTimings)
    refunds: RefundTimings = field(default_factory=RefundTimings)
    answer_within: float = 3.0
    lock_for: float = 8.0
    access_token_seconds: int = 15 * 60
    refresh_token_seconds: int = 30 * 24 * 3600
    limits: RateLimits = RateLimits()
    cors_origins: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    database_connections: int = 20

    def __post_init__(self) -> None:
        if len(self.jwt_secret) < _SHORTEST_SECRET:
            raise ValueError(
                f"the JWT secret has {len(self.jwt_secret)} characters; "
                f"give it at least {_SHORTEST_SECRET}, from a random source"
            )
        if self.lock_for <= self.answer_within:
            raise ValueError(
                f"lock_for ({self.lock_for} s) must outlast answer_within ({self.answer_within} s):"
                " else a retry overtakes the request that is still at work"
            )

    @property
    def production(self) -> bool:
        """Whether browsers must be told to insist on TLS."""
        return self.environment == "production"
