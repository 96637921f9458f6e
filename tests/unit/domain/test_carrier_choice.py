"""Carriers are ranked by what they would really cost, and the same every time."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.carriers import (
    POLICY,
    ParcelToSend,
    PassedOver,
    Quote,
    Record,
    prefix_of,
    rank,
    usual_returns_bp,
)
from domain.errors import InvalidMoney
from domain.money import Money
from domain.shipping import ShippingError

PREPAID = ParcelToSend(pincode="560034", grams=900)
CASH = replace(PREPAID, cash=Money(2_000_00))
SWIFT = Quote(carrier="swift", promised_days=2, cost=Money(80_00))
TURTLE = Quote(carrier="turtle", promised_days=5, cost=Money(50_00))


def names(quotes: list[Quote], parcel: ParcelToSend, **records: Record) -> list[str]:
    return [stop.quote.carrier for stop in rank(quotes, records, parcel).stops]


def test_the_reason_by_hand() -> None:
    record = Record(delivered=160, returned=20, late=16)
    ranking = rank([SWIFT, TURTLE], {"swift": record}, CASH)
    swift, turtle = ranking.stops
    # (20 + 22 % of 20) of 200 come back, (16 + 10 % of 20) of 180 come late
    assert swift.reason == (
        "choice 1 of 2: ₹ 80.00, 2 days, 12.2 % come back and 10.0 % come late "
        "(180 parcels to 560); ₹ 117.08 in all"
    )
    assert swift.expected == Money(80_00 + 2 * 8_00 + 17_08 + 4_00)
    assert turtle.reason == (
        "choice 2 of 2: ₹ 50.00, 5 days, 27.0 % come back and 10.0 % come late "
        "(0 parcels to 560); ₹ 123.70 in all"
    )
    assert ranking.passed_over == ()


def test_what_is_prepaid_goes_the_cheaper_way_and_cash_the_quicker() -> None:
    assert names([SWIFT, TURTLE], PREPAID) == ["turtle", "swift"]
    near = replace(SWIFT, cost=Money(74_00))
    assert names([near, TURTLE], PREPAID) == ["turtle", "swift"]
    assert names([near, TURTLE], CASH) == ["swift", "turtle"]


def test_a_bad_record_puts_a_carrier_back_once_it_is_long_enough() -> None:
    quotes = [replace(SWIFT, carrier="a"), replace(SWIFT, carrier="b", cost=Money(81_00))]
    assert names(quotes, PREPAID) == ["a", "b"]
    assert names(quotes, PREPAID, a=Record(delivered=60, returned=40)) == ["b", "a"]
    assert names(quotes, PREPAID, a=Record(delivered=100, late=60)) == ["b", "a"]
    # one bad parcel proves little
    dear = replace(quotes[1], cost=Money(90_00))
    assert names([quotes[0], dear], PREPAID, a=Record(returned=1)) == ["a", "b"]


def test_equals_go_by_days_then_name() -> None:
    b, a = replace(SWIFT, carrier="b"), replace(SWIFT, carrier="a")
    assert names([b, a], PREPAID) == ["a", "b"]
    # a day less for ₹ 7.84 more, and 2 % of that more at risk: ₹ 92.20 and 10 % of ₹ 40 both
    b = replace(TURTLE, carrier="b", promised_days=4, cost=Money(57_84))
    ranking = rank([replace(TURTLE, carrier="a"), b], {}, PREPAID)
    assert [s.expected for s in ranking.stops] == [Money(96_20), Money(96_20)]
    assert [s.quote.carrier for s in ranking.stops] == ["b", "a"]


def test_who_cannot_take_it_is_named_with_the_reason() -> None:
    quotes = [
        replace(SWIFT, carrier="nowhere", serviceable=False),
        replace(SWIFT, carrier="light", max_grams=899),
        replace(SWIFT, carrier="nocash", takes_cash=False),
        replace(SWIFT, carrier="littlecash", cash_limit=Money(1_999_99)),
        replace(SWIFT, carrier="able", max_grams=900, cash_limit=Money(2_000_00)),
    ]
    ranking = rank(quotes, {}, CASH)
    assert [stop.quote.carrier for stop in ranking.stops] == ["able"]
    assert ranking.passed_over == (
        PassedOver("light", "takes up to 899 g, and it weighs 900 g"),
        PassedOver("littlecash", "collects up to ₹ 1,999.99, and ₹ 2,000.00 is due"),
        PassedOver("nocash", "collects no cash in 560034"),
        PassedOver("nowhere", "does not serve 560034"),
    )
    # a limit on cash is no obstacle to a parcel that is paid
    assert set(names(quotes, PREPAID)) == {"nocash", "littlecash", "able"}


def test_nobody_can() -> None:
    ranking = rank([replace(SWIFT, serviceable=False)], {}, PREPAID)
    assert ranking.stops == ()
    assert [one.carrier for one in ranking.passed_over] == ["swift"]
    assert rank([], {}, PREPAID).stops == ()


@pytest.mark.parametrize(
    ("days", "returns"), [(0, 2200), (2, 2200), (3, 2700), (5, 2700), (6, 3500), (30, 3500)]
)
def test_usual_returns_of_cash_parcels(days: int, returns: int) -> None:
    assert usual_returns_bp(days, cash=True) == returns
    assert usual_returns_bp(days, cash=False) == 200


def test_the_prefix_is_the_sorting_district() -> None:
    assert prefix_of("560034") == "560"


def test_refusals() -> None:
    refusals: dict[str, Callable[[], object]] = {
        "QUOTE_INVALID": lambda: replace(SWIFT, promised_days=-1),
        "RECORD_INVALID": lambda: Record(delivered=1, late=2),
        "QUOTED_TWICE": lambda: rank([SWIFT, SWIFT], {}, PREPAID),
        "POLICY_INVALID": lambda: replace(POLICY, prior_weight=0),
    }
    for code, bad in refusals.items():
        with pytest.raises(ShippingError) as refused:
            bad()
        assert refused.value.code == code
    with pytest.raises(InvalidMoney):
        replace(POLICY, late_cost=Money(-1))


QUOTES = st.lists(
    st.builds(
        Quote,
        carrier=st.sampled_from("abcdef"),
        promised_days=st.integers(0, 9),
        cost=st.integers(0, 300_00).map(Money),
        serviceable=st.booleans(),
        takes_cash=st.booleans(),
        max_grams=st.none() | st.integers(1, 2_000),
    ),
    max_size=6,
    unique_by=lambda quote: quote.carrier,
)
RECORDS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        lambda delivered, returned, late: Record(
            delivered=delivered, returned=returned, late=min(late, delivered)
        ),
        st.integers(0, 500),
        st.integers(0, 500),
        st.integers(0, 500),
    ),
)


@given(QUOTES, RECORDS, st.sampled_from([PREPAID, CASH]), st.randoms(use_true_random=False))
def test_a_ranking_is_complete_ordered_and_of_the_set(
    quotes: list[Quote], records: dict[str, Record], parcel: ParcelToSend, random: Random
) -> None:
    ranking = rank(quotes, records, parcel)
    costs = [stop.expected for stop in ranking.stops]
    assert costs == sorted(costs)
    assert all(stop.expected >= stop.quote.cost for stop in ranking.stops)
    told = [s.quote.carrier for s in ranking.stops] + [p.carrier for p in ranking.passed_over]
    assert sorted(told) == sorted(quote.carrier for quote in quotes)
    random.shuffle(quotes)
    assert rank(quotes, records, parcel) == ranking


@given(QUOTES, st.integers(1, 400), st.integers(0, 400))
def test_a_worse_record_never_helps(quotes: list[Quote], more: int, returned: int) -> None:
    able = [replace(q, serviceable=True, takes_cash=True, max_grams=None) for q in quotes]
    for quote in able:
        better = rank([quote], {quote.carrier: Record(delivered=400, returned=returned)}, CASH)
        worse = rank(
            [quote], {quote.carrier: Record(delivered=400, returned=returned + more)}, CASH
        )
        assert worse.stops[0].expected >= better.stops[0].expected
