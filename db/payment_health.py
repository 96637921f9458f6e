"""The health of PSPs in Redis: results in slots of time, breakers, announced downtimes.

None of it is the truth: what is lost is counted anew. The rules are in `domain.breaker`; a script
here only counts, and moves a breaker if it still is what the rules were applied to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db import redis_keys
from domain.breaker import (
    COUNTED_AS,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Health,
    Tally,
    check_transition,
    due,
    health_of,
)
from domain.outcomes import Outcome
from domain.payments import PaymentMethod
from domain.routing import Downtime, Severity

_KEPT_SECONDS: Final = 24 * 3600

# KEYS: the hash. ARGV: slot, name of the count, oldest slot that a breaker is judged by, oldest
# to keep, seconds to keep the hash. Answers with what a breaker is judged by, and no more.
_COUNT: Final = """
redis.call('HINCRBY', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 1)
if redis.call('HGET', KEYS[1], 'state') == 'HALF_OPEN' then
  redis.call('HINCRBY', KEYS[1], ARGV[2] == 'technical' and 'bad' or 'good', 1)
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
local all, told = redis.call('HGETALL', KEYS[1]), {}
local judged, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 1, #all, 2 do
  local slot = tonumber(string.match(all[i], '^(%d+):'))
  if slot and slot < kept then
    redis.call('HDEL', KEYS[1], all[i])
  elseif not slot or slot >= judged then
    told[#told + 1] = all[i]
    told[#told + 1] = all[i + 1]
  end
end
return told
"""
# KEYS: the hash. ARGV: state and time it must have, state and time it gets, seconds to keep it.
_MOVE: Final = """
local state = redis.call('HGET', KEYS[1], 'state') or 'CLOSED'
local since = redis.call('HGET', KEYS[1], 'since') or '0'
if state ~= ARGV[1] or since ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'since', ARGV[4], 'good', 0, 'bad', 0)
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""

Fields = Mapping[str, str]


class HealthAway(Exception):
    """Redis cannot be reached, or answered nonsense: nothing is known of any PSP's health."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A breaker that went from one state to another."""

    psp: str
    method: PaymentMethod
    old: BreakerState
    new: BreakerState


class PaymentHealth:
    """Results, breakers and downtimes of PSPs, shared by all processes. Raises HealthAway."""

    def __init__(self, redis: Redis, policy: BreakerPolicy) -> None:
        self.policy = policy
        self._redis = redis
        self._count = redis.register_script(_COUNT)
        self._move = redis.register_script(_MOVE)

    async def record(
        self, psp: str, method: PaymentMethod, outcome: Outcome, now: datetime
    ) -> Moved | None:
        """Count one result; answers with the move of the breaker, if it was this one that did it.

        Everything in one script, so that of many results at once none is lost.
        """
        policy = self.policy
        arguments: list[str | int] = [
            policy.slot_of(now),
            COUNTED_AS[outcome],
            policy.first_slot(now, policy.window),
            policy.first_slot(now, max(policy.rate_window, policy.window)),
            _KEPT_SECONDS,
        ]
        key = redis_keys.payment_health(psp, method)
        try:
            answer = await self._count(keys=[key], args=arguments)
        except (RedisError, OSError) as error:
            raise HealthAway(type(error).__name__) from error
        words = [_text(word) for word in answer]
        stored = dict(zip(words[::2], words[1::2], strict=True))
        return await self._bring_on(psp, method, self._health(stored, now), now)

    async def read(
        self, psps: Iterable[str], methods: Iterable[PaymentMethod], now: datetime
    ) -> dict[tuple[str, PaymentMethod], Health]:
        """The health of each PSP for each method."""
        asked = [(psp, method) for psp in psps for method in methods]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for psp, method in asked:
                    pipe.hgetall(redis_keys.payment_health(psp, method))
                answers = await pipe.execute()
        except (RedisError, OSError) as error:
            raise HealthAway(type(error).__name__) from error
        stored = [{_text(name): _text(value) for name, value in one.items()} for one in answers]
        return {
            about: self._health(fields, now) for about, fields in zip(asked, stored, strict=True)
        }

    async def refreshed(
        self, psps: Iterable[str], method: PaymentMethod, now: datetime
    ) -> tuple[dict[str, Health], list[Moved]]:
        """As `read` for one method, with the breakers moved whose time has come."""
        found = {psp: one for (psp, _), one in (await self.read(psps, [method], now)).items()}
        moves = []
        for psp, health in found.items():
            moved = await self._bring_on(psp, method, health, now)
            if moved is not None:
                found[psp] = replace(health, breaker=Breaker(state=moved.new, since=now))
                moves.append(moved)
        return found, moves

    async def keep_downtimes(self, psp: str, told: Iterable[Downtime], seconds: float) -> None:
        """Replace what a PSP says is down; forgotten after so many seconds without news."""
        body = orjson.dumps([_downtime_to_json(one) for one in told])
        try:
            await self._redis.set(redis_keys.downtimes(psp), body, px=max(1, round(seconds * 1000)))
        except (RedisError, OSError) as error:
            raise HealthAway(type(error).__name__) from error

    async def downtimes(self, psps: Iterable[str]) -> tuple[Downtime, ...]:
        """What the PSPs say is down, as last polled."""
        names = list(psps)
        if not names:
            return ()
        try:
            kept = await self._redis.mget([redis_keys.downtimes(psp) for psp in names])
        except (RedisError, OSError) as error:
            raise HealthAway(type(error).__name__) from error
        try:
            return tuple(
                _downtime(psp, one)
                for psp, body in zip(names, kept, strict=True)
                if body is not None
                for one in orjson.loads(body)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise HealthAway("what is stored cannot be read") from error

    async def _bring_on(
        self, psp: str, method: PaymentMethod, health: Health, now: datetime
    ) -> Moved | None:
        old, new = health.breaker.state, due(health, self.policy, now)
        if new is old:
            return None
        check_transition(old, new)
        arguments: list[str | int] = [old, _ms(health.breaker.since), new, _ms(now), _KEPT_SECONDS]
        key = redis_keys.payment_health(psp, method)
        try:
            moved = await self._move(keys=[key], args=arguments)
        except (RedisError, OSError) as error:
            raise HealthAway(type(error).__name__) from error
        return Moved(psp, method, old, new) if moved else None

    def _health(self, stored: Fields, now: datetime) -> Health:
        try:
            return health_of(_breaker(stored), _slots(stored), self.policy, now)
        except (TypeError, ValueError) as error:
            raise HealthAway("what is stored cannot be read") from error


def _slots(stored: Fields) -> dict[int, Tally]:
    slots: dict[int, dict[str, int]] = {}
    for name, value in stored.items():
        slot, colon, counted = name.partition(":")
        if colon:
            slots.setdefault(int(slot), {})[counted] = int(value)
    return {slot: Tally(**counts) for slot, counts in slots.items()}


def _breaker(stored: Fields) -> Breaker:
    return Breaker(
        state=BreakerState(stored.get("state", BreakerState.CLOSED)),
        since=datetime.fromtimestamp(int(stored.get("since", "0")) / 1000, UTC),
        good=int(stored.get("good", "0")),
        bad=int(stored.get("bad", "0")),
    )


def _downtime_to_json(one: Downtime) -> dict[str, Any]:
    return {
        "methods": sorted(one.methods),
        "bank": one.bank,
        "begins": _ms(one.begins),
        "ends": None if one.ends is None else _ms(one.ends),
        "severity": one.severity,
    }


def _downtime(psp: str, kept: Mapping[str, Any]) -> Downtime:
    return Downtime(
        psp=psp,
        methods=frozenset(PaymentMethod(method) for method in kept["methods"]),
        bank=kept["bank"],
        begins=_time(kept["begins"]),
        ends=None if kept["ends"] is None else _time(kept["ends"]),
        severity=Severity(kept["severity"]),
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _text(word: str | bytes) -> str:
    # the edge's client does not decode, the workers' does
    return word.decode() if isinstance(word, bytes) else word
