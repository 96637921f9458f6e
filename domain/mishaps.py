"""What goes wrong: cash at the door that does not add up, parcels that are lost or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from domain.money import Money
from domain.shipping import RTO_STATES, Direction, ShipmentState, ShippingError


class Cash(StrEnum):
    """How the cash that a carrier collected compares with what was due."""

    EXACT = "EXACT"
    SHORT_BY_COINS = "SHORT_BY_COINS"
    SHORT = "SHORT"
    EXCESS_BY_COINS = "EXCESS_BY_COINS"
    EXCESS = "EXCESS"


class CashStep(StrEnum):
    """What becomes of a difference.

    WRITE_OFF bears it; CLAIM_FROM_CARRIER holds the carrier to what was due, since it handed the
    goods over; KEEP_AS_INCOME books it; GIVE_BACK refunds the customer.
    """

    NOTHING = "NOTHING"
    WRITE_OFF = "WRITE_OFF"
    CLAIM_FROM_CARRIER = "CLAIM_FROM_CARRIER"
    KEEP_AS_INCOME = "KEEP_AS_INCOME"
    GIVE_BACK = "GIVE_BACK"


CASH_RULES: Mapping[Cash, CashStep] = MappingProxyType(
    {
        Cash.EXACT: CashStep.NOTHING,
        Cash.SHORT_BY_COINS: CashStep.WRITE_OFF,
        Cash.SHORT: CashStep.CLAIM_FROM_CARRIER,
        Cash.EXCESS_BY_COINS: CashStep.KEEP_AS_INCOME,
        Cash.EXCESS: CashStep.GIVE_BACK,
    }
)
# couriers round to the coins that people carry
COINS = Money(1_00)


@dataclass(frozen=True, slots=True)
class CashVerdict:
    """How cash compares, what becomes of the difference, and the difference (never negative)."""

    cash: Cash
    step: CashStep
    difference: Money


def judge_cash(due: Money, collected: Money, coins: Money = COINS) -> CashVerdict:
    """Compare what a carrier collected with what was due; `coins` still counts as small change.

    Raises ShippingError AMOUNT_OUT_OF_RANGE for an amount below zero, and CurrencyMismatch.
    """
    if due.is_negative or collected.is_negative:
        raise ShippingError(
            "AMOUNT_OUT_OF_RANGE", f"{collected} collected for {due}: neither is below zero"
        )
    difference = abs(collected - due)
    small = difference <= coins
    if difference.is_zero:
        cash = Cash.EXACT
    elif collected < due:
        cash = Cash.SHORT_BY_COINS if small else Cash.SHORT
    else:
        cash = Cash.EXCESS_BY_COINS if small else Cash.EXCESS
    return CashVerdict(cash, CASH_RULES[cash], difference)


class Leg(StrEnum):
    """On which way it happened: to the customer, back unaccepted, or back as a return."""

    OUTWARD = "OUTWARD"
    RTO = "RTO"
    RETURN = "RETURN"


class Remedy(StrEnum):
    """What the customer gets; CLOSE where nothing was paid and nothing will be delivered."""

    RESHIP = "RESHIP"
    REFUND = "REFUND"
    CLOSE = "CLOSE"


@dataclass(frozen=True, slots=True)
class MishapRule:
    """What follows: `replaceable` and `paid` None hold for both."""

    leg: Leg
    replaceable: bool | None
    paid: bool | None
    remedy: Remedy

    def matches(self, leg: Leg, replaceable: bool, paid: bool) -> bool:
        """Whether the rule is about such a parcel."""
        return (
            self.leg is leg
            and self.replaceable in (None, replaceable)
            and self.paid in (None, paid)
        )


# exactly one rule is about each case
MISHAP_RULES: tuple[MishapRule, ...] = (
    MishapRule(Leg.OUTWARD, True, None, Remedy.RESHIP),
    MishapRule(Leg.OUTWARD, False, True, Remedy.REFUND),
    MishapRule(Leg.OUTWARD, False, False, Remedy.CLOSE),
    # nobody waits for it any more; what was paid goes back as if it had come home
    MishapRule(Leg.RTO, None, True, Remedy.REFUND),
    MishapRule(Leg.RTO, None, False, Remedy.CLOSE),
    # the customer handed the goods over: the rest is between us and the carrier
    MishapRule(Leg.RETURN, None, None, Remedy.REFUND),
)
MAX_RESHIPS = 1


@dataclass(frozen=True, slots=True)
class MishapPlan:
    """What is claimed from the carrier, and what the customer gets."""

    claim: Money
    remedy: Remedy


def after_mishap(
    leg: Leg,
    *,
    value: Money,
    liability: Money | None,
    in_stock: bool,
    reshipped: int,
    paid: bool,
) -> MishapPlan:
    """What follows a parcel that was lost or damaged.

    `value` is the invoice's of its goods, `liability` the most that the carrier's contract makes
    it pay (None: no limit), `reshipped` how often the goods were sent again already, `paid`
    whether the customer's money was taken.
    """
    replaceable = in_stock and reshipped < MAX_RESHIPS
    rule = next(rule for rule in MISHAP_RULES if rule.matches(leg, replaceable, paid))
    claim = value if liability is None else min(value, liability)
    return MishapPlan(claim, rule.remedy)


def leg_of(before: ShipmentState, direction: Direction) -> Leg:
    """The leg on which a parcel was, from its last state before the mishap."""
    if direction is Direction.REVERSE:
        return Leg.RETURN
    return Leg.RTO if before in RTO_STATES else Leg.OUTWARD
