"""Score an order: velocity from Valkey, history and block lists from PostgreSQL."""

from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db import redis_keys
from db.repositories import risk
from db.session import Database
from domain.money import Money
from domain.risk import RULES, RiskFacts, RiskRule, score
from saga import Call, implements
from workflows.contracts import risk as contract
from workflows.contracts.risk import RiskScored, ScoreRisk

_WINDOW_SECONDS = 3600
_log = structlog.get_logger("risk")


class RiskActivities:
    """Gathers the facts; the domain judges them. `rules` are data."""

    def __init__(
        self, database: Database, redis: "Redis", rules: tuple[RiskRule, ...] = RULES
    ) -> None:
        self._database = database
        self._redis = redis
        self._rules = rules

    @implements(contract.SCORE)
    async def score(self, request: ScoreRisk, call: Call) -> RiskScored:
        """Score an order; scoring it again counts it only once."""
        async with self._database.reading() as session:
            history = await risk.history(
                session,
                user_id=request.user_id,
                device_id=request.device_id,
                pincode=request.pincode,
            )
        user, device, pincode = await self._velocity(request, call)
        now = datetime.now(UTC)
        verdict = score(
            RiskFacts(
                orders_last_hour_user=user,
                orders_last_hour_device=device,
                orders_last_hour_pincode=pincode,
                amount=Money(request.amount_paise),
                method=request.method,
                cod_refusals=history.cod_refusals,
                blocked=history.blocked,
                account_age_hours=int((now - history.registered_at).total_seconds() // 3600),
            ),
            self._rules,
        )
        return RiskScored(
            decision=verdict.decision, score=verdict.score, reasons=list(verdict.reasons)
        )

    async def _velocity(self, request: ScoreRisk, call: Call) -> tuple[int, int, int]:
        subjects = (
            ("user", request.user_id),
            ("device", request.device_id),
            ("pincode", request.pincode),
        )
        now = datetime.now(UTC).timestamp()
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for kind, value in subjects:
                    key = redis_keys.velocity(kind, value)
                    # The order is the member: a retry adds nothing.
                    pipe.zadd(key, {request.order_id: now})
                    pipe.zremrangebyscore(key, 0, now - _WINDOW_SECONDS)
                    pipe.zcard(key)
                    pipe.expire(key, _WINDOW_SECONDS)
                answers = await pipe.execute()
        except (RedisError, OSError) as lost:
            # Valkey is never the truth: without it velocity is unknown, and sales go on.
            _log.warning(
                "velocity_unknown",
                order_id=request.order_id,
                saga_id=call.saga_id,
                error=type(lost).__name__,
            )
            return 1, 1, 1
        counts = [int(answers[4 * index + 2]) for index in range(len(subjects))]
        # An unnamed device says nothing about how many orders come from one.
        return counts[0], counts[1] if request.device_id else 1, counts[2]
