"""Risk: a score over facts, by rules that are rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.money import Money
from domain.payments import PaymentMethod

HOLD_AT = 50
REJECT_AT = 100


class RiskDecision(StrEnum):
    """Sell, let an agent look first, or refuse."""

    ACCEPT = "ACCEPT"
    HOLD = "HOLD"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFacts:
    """What is known when an order is scored; the counts include this order.

    `blocked` names the block lists that the customer is on, such as 'user' or 'pincode'.
    """

    orders_last_hour_user: int
    orders_last_hour_device: int
    orders_last_hour_pincode: int
    amount: Money
    method: PaymentMethod
    cod_refusals: int
    blocked: tuple[str, ...]
    account_age_hours: int


@dataclass(frozen=True, slots=True)
class RiskRule:
    """Adds `points` under the reason `code` once `measure` reaches `at_least`."""

    code: str
    measure: Callable[[RiskFacts], int]
    at_least: int
    points: int


@dataclass(frozen=True, slots=True)
class RiskVerdict:
    """The decision, the points behind it, and the codes of the rules that gave them."""

    decision: RiskDecision
    score: int
    reasons: tuple[str, ...]


def _cod_paise(facts: RiskFacts) -> int:
    return facts.amount.paise if facts.method is PaymentMethod.COD else 0


def _cod_refusals(facts: RiskFacts) -> int:
    return facts.cod_refusals if facts.method is PaymentMethod.COD else 0


def _first_day_paise(facts: RiskFacts) -> int:
    return facts.amount.paise if facts.account_age_hours < 24 else 0


# amounts in paise; a second row for the same measure adds to the first
RULES: tuple[RiskRule, ...] = (
    RiskRule("BLOCK_LISTED", lambda f: len(f.blocked), 1, 100),
    RiskRule("USER_VELOCITY", lambda f: f.orders_last_hour_user, 10, 50),
    RiskRule("USER_VELOCITY_EXTREME", lambda f: f.orders_last_hour_user, 30, 50),
    RiskRule("DEVICE_VELOCITY", lambda f: f.orders_last_hour_device, 15, 40),
    RiskRule("PINCODE_VELOCITY", lambda f: f.orders_last_hour_pincode, 200, 20),
    RiskRule("HIGH_AMOUNT", lambda f: f.amount.paise, 1_00_000_00, 30),
    RiskRule("VERY_HIGH_AMOUNT", lambda f: f.amount.paise, 5_00_000_00, 30),
    RiskRule("FIRST_DAY_HIGH_AMOUNT", _first_day_paise, 50_000_00, 30),
    RiskRule("COD_HIGH_AMOUNT", _cod_paise, 25_000_00, 50),
    RiskRule("COD_REFUSALS", _cod_refusals, 2, 50),
    RiskRule("COD_REFUSALS_REPEATED", _cod_refusals, 4, 50),
)


def score(facts: RiskFacts, rules: Sequence[RiskRule] = RULES) -> RiskVerdict:
    """Add up the rules that hold: from 50 points an agent looks, from 100 it is refused."""
    hits = [rule for rule in rules if rule.measure(facts) >= rule.at_least]
    points = sum(rule.points for rule in hits)
    return RiskVerdict(_decision(points), points, tuple(rule.code for rule in hits))


def _decision(points: int) -> RiskDecision:
    if points >= REJECT_AT:
        return RiskDecision.REJECT
    return RiskDecision.HOLD if points >= HOLD_AT else RiskDecision.ACCEPT
