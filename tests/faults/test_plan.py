"""What the demo plans, and what it and the check say to those who ask wrongly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stack import check
from stack.demo import app
from stack.demo.account import percentile
from stack.demo.plan import (
    HELD_IN_CASH,
    ORDINARY_TOTAL,
    REFUSED_IN_CASH,
    STORIES,
    Basket,
    Plan,
    customers_for,
    plans,
)
from stack.demo.shelf import Shelf, Ware
from stack.errors import StackError

WARES = tuple(Ware(f"SKU-{number}", 250_00 * (number + 1), 40) for number in range(30))
COSTLY = Ware("COSTLY", 9_000_00, 40)
RARE = Ware("RARE", 1_000_00, 8)
SHELF = Shelf(WARES, (*WARES, COSTLY, RARE), RARE)
PRICES = {ware.sku: ware.price_paise for ware in SHELF.known}


def total(plan: Plan) -> int:
    return sum(PRICES[sku] * qty for sku, qty in plan.lines)


def test_the_same_seed_plans_the_same_day() -> None:
    assert plans(7, 200, 40, SHELF) == plans(7, 200, 40, SHELF)
    assert plans(7, 200, 40, SHELF) != plans(8, 200, 40, SHELF)


def test_every_story_has_its_share() -> None:
    whole = sum(story.weight for story in STORIES)
    told = Counter(plan.story for plan in plans(7, whole, whole, SHELF))
    assert told == {story: story.weight for story in STORIES}


def test_only_those_who_are_meant_to_are_held_or_refused() -> None:
    for plan in plans(3, 500, 100, SHELF):
        if plan.story.basket is Basket.HELD:
            assert HELD_IN_CASH[0] <= total(plan) <= HELD_IN_CASH[1]
        elif plan.story.basket is Basket.REFUSED:
            assert REFUSED_IN_CASH[0] <= total(plan) <= REFUSED_IN_CASH[1]
        else:
            assert total(plan) <= ORDINARY_TOTAL


def test_those_who_hunt_for_the_rare_one_want_more_than_there_is() -> None:
    hunters = [plan for plan in plans(7, 200, 40, SHELF) if plan.story.basket is Basket.SCARCE]
    assert {plan.lines for plan in hunters} == {(("RARE", 2),)}
    assert 2 * len(hunters) > RARE.available


@pytest.mark.parametrize(("orders", "customers"), [(1, 1), (20, 20), (40, 25), (200, 40)])
def test_nobody_orders_so_often_that_risk_takes_them_for_a_robot(
    orders: int, customers: int
) -> None:
    assert customers_for(orders) == customers
    mine = Counter(plan.customer for plan in plans(7, orders, customers, SHELF))
    assert max(mine.values()) < 10


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, of) for of in (50, 95, 99)] == [50.0, 95.0, 99.0]
    assert percentile([3.0], 50) == 3.0
    assert percentile([], 50) == 0.0


def test_a_catalogue_that_is_not_there_is_said() -> None:
    with pytest.raises(StackError, match=r"nowhere\.csv is no file; give the path of a CSV file"):
        app(["--catalogue", "nowhere.csv"], standalone_mode=False)


def test_a_folder_where_nothing_runs_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nothing runs in .*; start it with: \./sagakart up"):
        check.app(["--data", str(tmp_path)], standalone_mode=False)
