"""The names of everything in Redis, in one place. All of it may be lost: none is the truth."""

from __future__ import annotations


def rate_limit(rule: str, who: str) -> str:
    """How much of a rate limit somebody has used; `who` is a user id or a network address."""
    return f"rate:{rule}:{who}"


def velocity(kind: str, value: str) -> str:
    """Recent orders by a user, device or PIN code: a sorted set of order ids by time."""
    return f"velocity:{kind}:{value}"


def idempotency(user_id: str, key: str) -> str:
    """The fast path of an idempotency key: the answer that was given under it."""
    return f"idempotency:{user_id}:{key}"


def stream(topic: str) -> str:
    """The stream that the outbox relay publishes a topic to."""
    return f"events:{topic}"


def dead_letters(topic: str) -> str:
    """The stream of a topic's events that could not be handled."""
    return f"events:{topic}:dead"


def payment_health(psp: str, method: str) -> str:
    """A PSP's breaker for a method, and its latest results: a hash, kept for a day."""
    return f"payments:health:{psp}:{method}"


def downtimes(psp: str) -> str:
    """What a PSP says is down: JSON, kept for some polls of its feed."""
    return f"payments:downtimes:{psp}"
