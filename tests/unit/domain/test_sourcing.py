"""Orders are sourced in the fewest shipments, from nearby, and never from stock that is not."""

from collections import Counter
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidPincode, SourcingError
from domain.sourcing import (
    Shipment,
    Shortage,
    ShortItem,
    SourcingPlan,
    StockAt,
    Wanted,
    plan,
)

HOME = "560034"
PINCODES = {"BLR": "560001", "MYS": "570001", "MAA": "600001", "DEL": "110001"}


def at(warehouse: str, **units: int) -> list[StockAt]:
    return [
        StockAt(sku=sku, warehouse_id=warehouse, pincode=PINCODES[warehouse], available=n)
        for sku, n in units.items()
    ]


def test_the_nearest_that_has_it_all() -> None:
    stock = [*at("DEL", A=9, B=9), *at("MYS", A=1, B=2), *at("BLR", A=9)]
    assert plan([Wanted("A", 1), Wanted("B", 2)], stock, HOME) == SourcingPlan(
        (Shipment("MYS", (Wanted("A", 1), Wanted("B", 2))),)
    )


def test_two_lines_of_one_sku_are_one_want() -> None:
    stock = [*at("BLR", A=3), *at("DEL", A=4)]
    assert plan([Wanted("A", 2), Wanted("A", 2)], stock, HOME) == SourcingPlan(
        (Shipment("DEL", (Wanted("A", 4),)),)
    )
    assert plan([Wanted("A", 4), Wanted("A", 4)], stock, HOME) == Shortage((ShortItem("A", 8, 7),))


def test_a_sku_is_split_when_no_warehouse_has_enough() -> None:
    stock = [*at("MAA", A=2), *at("BLR", A=3), *at("DEL", A=2)]
    assert plan([Wanted("A", 5)], stock, HOME) == SourcingPlan(
        (Shipment("BLR", (Wanted("A", 3),)), Shipment("MAA", (Wanted("A", 2),)))
    )


def test_two_shipments_rather_than_three_though_farther() -> None:
    stock = [*at("BLR", A=1), *at("MYS", B=1), *at("MAA", C=1, B=1), *at("DEL", A=1)]
    assert plan([Wanted("A", 1), Wanted("B", 1), Wanted("C", 1)], stock, HOME) == SourcingPlan(
        (
            Shipment("BLR", (Wanted("A", 1),)),
            Shipment("MAA", (Wanted("B", 1), Wanted("C", 1))),
        )
    )


def test_a_sku_stays_whole_where_it_can() -> None:
    stock = [*at("BLR", A=1, B=1), *at("DEL", A=2)]
    assert plan([Wanted("A", 2), Wanted("B", 1)], stock, HOME) == SourcingPlan(
        (Shipment("BLR", (Wanted("B", 1),)), Shipment("DEL", (Wanted("A", 2),)))
    )


def test_more_shipments_than_are_searched_exactly() -> None:
    stock = [*at("DEL", A=1), *at("MAA", A=1), *at("MYS", A=1), *at("BLR", A=1)]
    assert plan([Wanted("A", 4)], stock, HOME) == SourcingPlan(
        tuple(Shipment(w, (Wanted("A", 1),)) for w in ("BLR", "MYS", "MAA", "DEL"))
    )


def test_many_warehouses_do_not_explode() -> None:
    stock = [
        StockAt(sku="A", warehouse_id=f"W{n:03}", pincode=str(560001 + n), available=1)
        for n in range(300)
    ]
    sourced = plan([Wanted("A", 20)], stock, "560001")
    assert isinstance(sourced, SourcingPlan)
    assert [s.warehouse_id for s in sourced.shipments] == [f"W{n:03}" for n in range(20)]


def test_shortage_names_every_short_sku_and_no_other() -> None:
    stock = [*at("BLR", A=3, B=1, C=0), *at("DEL", A=2, B=1, C=-4)]
    lines = [Wanted("C", 1), Wanted("B", 2), Wanted("A", 6), Wanted("D", 1)]
    assert plan(lines, stock, HOME) == Shortage(
        (ShortItem("A", 6, 5), ShortItem("C", 1, 0), ShortItem("D", 1, 0))
    )


def test_refusals() -> None:
    with pytest.raises(SourcingError, match="nothing to source") as refused:
        plan([], at("BLR", A=1), HOME)
    assert refused.value.code == "EMPTY_ORDER"
    with pytest.raises(SourcingError, match="0 of A") as refused:
        plan([Wanted("A", 0)], at("BLR", A=1), HOME)
    assert refused.value.code == "QUANTITY_OUT_OF_RANGE"
    with pytest.raises(InvalidPincode):
        plan([Wanted("A", 1)], at("BLR", A=1), "56003")


LINES = st.lists(
    st.builds(Wanted, st.sampled_from("ABC"), st.integers(1, 4)), min_size=1, max_size=5
)
STOCK = st.dictionaries(
    st.tuples(st.sampled_from(sorted(PINCODES)), st.sampled_from("ABC")), st.integers(0, 8)
).map(lambda cells: [s for (w, sku), n in cells.items() for s in at(w, **{sku: n})])


@given(LINES, STOCK, st.randoms(use_true_random=False))
def test_a_plan_is_exact_possible_and_smallest(
    lines: list[Wanted], stock: list[StockAt], random: Random
) -> None:
    wanted = Counter[str]()
    for line in lines:
        wanted[line.sku] += line.qty
    units = {(s.warehouse_id, s.sku): s.available for s in stock}

    def suffices(chosen: tuple[str, ...]) -> bool:
        return all(sum(units.get((w, s), 0) for w in chosen) >= n for s, n in wanted.items())

    sizes = [
        size for size in range(1, 5) if any(map(suffices, combinations(sorted(PINCODES), size)))
    ]
    sourced = plan(lines, stock, HOME)
    for shuffled in (lines, stock):
        random.shuffle(shuffled)
    assert plan(lines, stock, HOME) == sourced
    if not sizes:
        assert isinstance(sourced, Shortage)
        assert {i.sku for i in sourced.items} == {
            sku for sku, n in wanted.items() if sum(units.get((w, sku), 0) for w in PINCODES) < n
        }
        return
    assert isinstance(sourced, SourcingPlan)
    assert len(sourced.shipments) == sizes[0]
    sent = [(s.warehouse_id, item) for s in sourced.shipments for item in s.items]
    assert all(0 < item.qty <= units[w, item.sku] for w, item in sent)
    assert len({(w, item.sku) for w, item in sent}) == len(sent)
    taken = Counter[str]()
    for _, item in sent:
        taken[item.sku] += item.qty
    assert taken == wanted
