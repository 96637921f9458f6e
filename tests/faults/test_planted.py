"""The check sees what is wrong: for every rule there is a forgery that it finds."""

from __future__ import annotations

import pytest

from stack.invariants import Finding, captures, messages, money, reservations, sagas, stock, unsold
from tests.faults.conftest import Plant
from tests.faults.forgeries import FORGERIES, Forgery

JUDGES = (money, stock, captures, unsold, reservations, sagas, messages)


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.rule)
async def test_a_forgery_is_found(forgery: Forgery, planted: Plant) -> None:
    found = await planted(*forgery.statements, books=forgery.books)
    assert [one for one in found if shows(forgery, one.invariant, one.message)]


def shows(forgery: Forgery, invariant: int, message: str) -> bool:
    return forgery.invariant == invariant and message.startswith(forgery.rule)


def test_every_rule_has_a_forgery() -> None:
    rules = [(number, rule) for number, judge in enumerate(JUDGES, 1) for rule in judge.RULES]
    assert len(rules) == 37
    without = [
        rule.message
        for number, rule in rules
        if not any(shows(forgery, number, rule.message) for forgery in FORGERIES)
    ]
    assert without == []


async def test_a_finding_says_what_was_expected_and_found(planted: Plant) -> None:
    found = await planted(
        """INSERT INTO refunds (id, refund_key, attempt_id, order_id, amount_paise, state, reason)
           VALUES ('r', 'forged', {paid}, {sold}, 100, 'UNKNOWN', 'forged')"""
    )
    message = "a refund of a settled order is not known to be done"
    assert found == [Finding(1, "forged", message, "DONE", "UNKNOWN")]


async def test_without_a_forgery_nothing_is_found(planted: Plant) -> None:
    assert await planted() == []
