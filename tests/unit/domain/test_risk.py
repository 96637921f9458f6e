"""Every risk rule holds from its threshold on, and points add up to a decision."""

from dataclasses import replace
from typing import Any

import pytest

from domain.money import Money
from domain.payments import PaymentMethod
from domain.risk import RULES, RiskDecision, RiskFacts, RiskRule, RiskVerdict, score

CALM = RiskFacts(
    orders_last_hour_user=1,
    orders_last_hour_device=1,
    orders_last_hour_pincode=1,
    amount=Money.from_rupees("999"),
    method=PaymentMethod.UPI_INTENT,
    cod_refusals=0,
    blocked=(),
    account_age_hours=1000,
)
COD = PaymentMethod.COD


def scored(**changes: Any) -> tuple[RiskDecision, int, tuple[str, ...]]:
    verdict = score(replace(CALM, **changes))
    return verdict.decision, verdict.score, verdict.reasons


def test_an_ordinary_order_is_accepted() -> None:
    assert score(CALM) == RiskVerdict(RiskDecision.ACCEPT, 0, ())


@pytest.mark.parametrize(
    ("below", "at", "decision", "points", "reasons"),
    [
        ({}, {"blocked": ("user",)}, "REJECT", 100, "BLOCK_LISTED"),
        (
            {"orders_last_hour_user": 9},
            {"orders_last_hour_user": 10},
            "HOLD",
            50,
            "USER_VELOCITY",
        ),
        (
            {"orders_last_hour_device": 14},
            {"orders_last_hour_device": 15},
            "ACCEPT",
            40,
            "DEVICE_VELOCITY",
        ),
        (
            {"orders_last_hour_pincode": 199},
            {"orders_last_hour_pincode": 200},
            "ACCEPT",
            20,
            "PINCODE_VELOCITY",
        ),
        (
            {"amount": Money(99_999_99)},
            {"amount": Money(100_000_00)},
            "ACCEPT",
            30,
            "HIGH_AMOUNT",
        ),
        (
            {"amount": Money(49_999_99), "account_age_hours": 23},
            {"amount": Money(50_000_00), "account_age_hours": 23},
            "ACCEPT",
            30,
            "FIRST_DAY_HIGH_AMOUNT",
        ),
        (
            {"amount": Money(50_000_00), "account_age_hours": 24},
            {"amount": Money(50_000_00), "account_age_hours": 0},
            "ACCEPT",
            30,
            "FIRST_DAY_HIGH_AMOUNT",
        ),
        (
            {"amount": Money(24_999_99), "method": COD},
            {"amount": Money(25_000_00), "method": COD},
            "HOLD",
            50,
            "COD_HIGH_AMOUNT",
        ),
        (
            {"cod_refusals": 1, "method": COD},
            {"cod_refusals": 2, "method": COD},
            "HOLD",
            50,
            "COD_REFUSALS",
        ),
    ],
)
def test_each_rule_at_its_threshold(
    below: dict[str, Any], at: dict[str, Any], decision: str, points: int, reasons: str
) -> None:
    assert scored(**below) == (RiskDecision.ACCEPT, 0, ())
    assert scored(**at) == (RiskDecision(decision), points, (reasons,))


def test_second_rows_add_to_the_first() -> None:
    assert scored(orders_last_hour_user=29)[1] == 50
    assert scored(orders_last_hour_user=30) == (
        RiskDecision.REJECT,
        100,
        ("USER_VELOCITY", "USER_VELOCITY_EXTREME"),
    )
    assert scored(amount=Money(499_999_99))[1] == 30
    assert scored(amount=Money(500_000_00)) == (
        RiskDecision.HOLD,
        60,
        ("HIGH_AMOUNT", "VERY_HIGH_AMOUNT"),
    )
    assert scored(cod_refusals=3, method=COD)[1] == 50
    assert scored(cod_refusals=4, method=COD) == (
        RiskDecision.REJECT,
        100,
        ("COD_REFUSALS", "COD_REFUSALS_REPEATED"),
    )


def test_cash_rules_are_for_cash() -> None:
    assert scored(cod_refusals=9, amount=Money(25_000_00)) == (RiskDecision.ACCEPT, 0, ())


@pytest.mark.parametrize(
    ("points", "decision"), [(49, "ACCEPT"), (50, "HOLD"), (99, "HOLD"), (100, "REJECT")]
)
def test_decisions_by_points(points: int, decision: str) -> None:
    rules = [RiskRule("ANY", lambda facts: 1, 1, points)]
    assert score(CALM, rules) == RiskVerdict(RiskDecision(decision), points, ("ANY",))


def test_codes_are_unique() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
