"""Cash that does not add up, and parcels that do not arrive."""

import pytest

from domain.errors import CurrencyMismatch
from domain.mishaps import (
    CASH_RULES,
    MISHAP_RULES,
    Cash,
    CashStep,
    CashVerdict,
    Leg,
    MishapPlan,
    Remedy,
    after_mishap,
    judge_cash,
    leg_of,
)
from domain.money import Money
from domain.shipping import Direction, ShippingError
from domain.shipping import ShipmentState as S


@pytest.mark.parametrize(
    ("collected", "verdict"),
    [
        (500_00, CashVerdict(Cash.EXACT, CashStep.NOTHING, Money(0))),
        (499_99, CashVerdict(Cash.SHORT_BY_COINS, CashStep.WRITE_OFF, Money(1))),
        (499_00, CashVerdict(Cash.SHORT_BY_COINS, CashStep.WRITE_OFF, Money(1_00))),
        (498_99, CashVerdict(Cash.SHORT, CashStep.CLAIM_FROM_CARRIER, Money(1_01))),
        (0, CashVerdict(Cash.SHORT, CashStep.CLAIM_FROM_CARRIER, Money(500_00))),
        (501_00, CashVerdict(Cash.EXCESS_BY_COINS, CashStep.KEEP_AS_INCOME, Money(1_00))),
        (501_01, CashVerdict(Cash.EXCESS, CashStep.GIVE_BACK, Money(1_01))),
    ],
)
def test_cash_that_does_not_add_up(collected: int, verdict: CashVerdict) -> None:
    assert judge_cash(Money(500_00), Money(collected)) == verdict


def test_cash_that_is_none() -> None:
    assert CASH_RULES.keys() == set(Cash)
    with pytest.raises(ShippingError) as refused:
        judge_cash(Money(500_00), Money(-1))
    assert refused.value.code == "AMOUNT_OUT_OF_RANGE"
    with pytest.raises(CurrencyMismatch):
        judge_cash(Money(500_00), Money(500_00, "USD"))


@pytest.mark.parametrize("leg", Leg)
@pytest.mark.parametrize("replaceable", [False, True])
@pytest.mark.parametrize("paid", [False, True])
def test_one_rule_for_each_mishap(leg: Leg, replaceable: bool, paid: bool) -> None:
    rules = [rule for rule in MISHAP_RULES if rule.matches(leg, replaceable, paid)]
    assert len(rules) == 1
    # nothing that was paid is kept without goods
    assert not (paid and rules[0].remedy is Remedy.CLOSE)


def plan_of(leg: Leg, **changes: bool | int | Money | None) -> MishapPlan:
    facts = {"in_stock": True, "reshipped": 0, "paid": True, "value": Money(900_00)}
    return after_mishap(leg, **{"liability": Money(500_00), **facts, **changes})  # type: ignore[arg-type]


def test_what_follows_a_mishap() -> None:
    claim = Money(500_00)
    assert plan_of(Leg.OUTWARD) == MishapPlan(claim, Remedy.RESHIP)
    assert plan_of(Leg.OUTWARD, paid=False) == MishapPlan(claim, Remedy.RESHIP)
    assert plan_of(Leg.OUTWARD, in_stock=False) == MishapPlan(claim, Remedy.REFUND)
    # what is lost twice is not sent a third time
    assert plan_of(Leg.OUTWARD, reshipped=1) == MishapPlan(claim, Remedy.REFUND)
    assert plan_of(Leg.OUTWARD, reshipped=1, paid=False) == MishapPlan(claim, Remedy.CLOSE)
    assert plan_of(Leg.RTO) == MishapPlan(claim, Remedy.REFUND)
    assert plan_of(Leg.RTO, paid=False) == MishapPlan(claim, Remedy.CLOSE)
    assert plan_of(Leg.RETURN) == MishapPlan(claim, Remedy.REFUND)


def test_a_claim_is_what_the_contract_allows() -> None:
    assert plan_of(Leg.RTO, liability=None).claim == Money(900_00)
    assert plan_of(Leg.RTO, liability=Money(1_000_00)).claim == Money(900_00)


def test_the_leg_of_a_mishap() -> None:
    assert leg_of(S.IN_TRANSIT, Direction.FORWARD) is Leg.OUTWARD
    assert leg_of(S.RTO_IN_TRANSIT, Direction.FORWARD) is Leg.RTO
    assert leg_of(S.RVP_PICKED, Direction.REVERSE) is Leg.RETURN
