"""Routes keep their shares, are never empty while anybody can be asked, and say why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breaker import Breaker, BreakerPolicy, BreakerState, Health, Tally
from domain.payments import PaymentMethod
from domain.routing import (
    EVEN,
    Condition,
    Downtime,
    LiveView,
    RouteRequest,
    RoutingRules,
    Rule,
    Severity,
    plan,
)

NOW = datetime(2026, 5, 4, 12, 3, 11, tzinfo=UTC)
POLICY = BreakerPolicy()
CARD, QR, WALLET = PaymentMethod.CARD, PaymentMethod.UPI_QR, PaymentMethod.WALLET
ALL = frozenset(PaymentMethod) - {PaymentMethod.COD}
OFFERS = {"alphapay": ALL, "betapay": ALL, "gammapay": frozenset({QR})}
CLOSED = Health()
OPEN = Health(breaker=Breaker(state=BreakerState.OPEN, since=NOW - timedelta(seconds=10)))
HALF = Health(breaker=Breaker(state=BreakerState.HALF_OPEN, since=NOW))
BIG = Rule(
    name="big cards",
    when=Condition(methods=frozenset({CARD}), min_paise=50_000_00),
    shares={"alphapay": 70, "betapay": 30},
)


def request(order_id: str = "order", **changes: object) -> RouteRequest:
    known = RouteRequest(order_id=order_id, method=CARD, amount_paise=60_000_00)
    return replace(known, **changes)  # type: ignore[arg-type]


def live(*downtimes: Downtime, **health: Health) -> LiveView:
    return LiveView(now=NOW, policy=POLICY, health=health, downtimes=downtimes)


def named(
    view: LiveView, asked: RouteRequest | None = None, rules: RoutingRules = EVEN
) -> list[str]:
    return [stop.psp for stop in plan(rules, asked or request(), OFFERS, view)]


def rated(approved: int, declined: int = 0) -> Health:
    return Health(rate=Tally(approved=approved, declined=declined))


def down(psp: str = "alphapay", **changes: object) -> Downtime:
    return replace(Downtime(psp=psp, begins=NOW - timedelta(minutes=1)), **changes)  # type: ignore[arg-type]


def first_of(orders: int, rules: RoutingRules, view: LiveView) -> Mapping[str, int]:
    return Counter(named(view, request(f"order {n}"), rules)[0] for n in range(orders))


@pytest.mark.parametrize("shares", [{"alphapay": 70, "betapay": 30}, {"alphapay": 1, "betapay": 1}])
def test_shares_come_true_over_many_orders(shares: dict[str, int]) -> None:
    rules = RoutingRules((Rule(name="split", shares=shares),))
    firsts = first_of(10_000, rules, live())
    for psp, share in shares.items():
        expected = 10_000 * share / sum(shares.values())
        assert abs(firsts[psp] - expected) < 150  # more than three standard deviations


def test_without_rules_every_psp_with_the_method_has_an_even_share() -> None:
    firsts = Counter(named(live(), request(f"order {n}", method=QR))[0] for n in range(3_000))
    assert set(firsts) == {"alphapay", "betapay", "gammapay"}
    assert all(abs(count - 1_000) < 100 for count in firsts.values())
    assert set(named(live())) == {"alphapay", "betapay"}


def test_a_route_says_why() -> None:
    rules = RoutingRules((BIG,))
    health = {"alphapay": rated(206, 6), "betapay": rated(3)}
    asked = next(
        one
        for one in (request(f"order {n}") for n in range(100))
        if named(live(**health), one, rules)[0] == "alphapay"
    )
    route = plan(rules, asked, OFFERS, live(**health))
    assert [(stop.psp, stop.reason) for stop in route] == [
        (
            "alphapay",
            (
                "choice 1 of 2 for CARD, rule 'big cards': 70 % share; "
                "success 97 % of 212 in 10 min; breaker closed"
            ),
        ),
        (
            "betapay",
            (
                "choice 2 of 2 for CARD, rule 'big cards': 30 % share; "
                "3 results in 10 min, too few to judge; breaker closed"
            ),
        ),
    ]


def test_without_health_the_rules_alone_decide() -> None:
    route = plan(EVEN, request(), OFFERS, LiveView(now=NOW))
    assert {stop.psp for stop in route} == {"alphapay", "betapay"}
    assert [stop.reason for stop in route] == [
        "choice 1 of 2 for CARD, by even share; health unknown",
        "choice 2 of 2 for CARD, by even share; health unknown",
    ]


ORDERED = RoutingRules((Rule(name="by hand", order=("betapay", "alphapay")),))


def test_a_fixed_order_is_kept() -> None:
    assert {tuple(named(live(), request(f"order {n}"), ORDERED)) for n in range(50)} == {
        ("betapay", "alphapay")
    }


@pytest.mark.parametrize(
    ("when", "changes", "holds"),
    [
        (Condition(), {}, True),
        (Condition(methods=frozenset({CARD, QR})), {}, True),
        (Condition(methods=frozenset({QR})), {}, False),
        (Condition(min_paise=60_000_00), {}, True),
        (Condition(min_paise=60_000_01), {}, False),
        (Condition(max_paise=60_000_00), {}, True),
        (Condition(max_paise=59_999_99), {}, False),
        (Condition(bins=("41", "55")), {"bin": "411111"}, True),
        (Condition(bins=("41", "55")), {"bin": "511111"}, False),
        (Condition(bins=("41",)), {}, False),
        (Condition(banks=frozenset({"HDFC"})), {"bank": "hdfc"}, True),
        (Condition(banks=frozenset({"HDFC"})), {"bank": "SBIN"}, False),
        (Condition(banks=frozenset({"HDFC"})), {}, False),
        (Condition(methods=frozenset({CARD}), banks=frozenset({"HDFC"})), {"bank": "SBIN"}, False),
    ],
)
def test_conditions(when: Condition, changes: dict[str, object], holds: bool) -> None:
    assert when.holds(request(**changes)) is holds
    rules = RoutingRules((Rule(name="it", when=when, order=("betapay",)),))
    assert (named(live(), request(**changes), rules) == ["betapay"]) is holds


def test_the_first_rule_that_fits_decides() -> None:
    rules = RoutingRules((Rule(name="one", order=("betapay",)), *ORDERED.rules))
    assert named(live(), rules=rules) == ["betapay"]


def test_a_rule_whose_psps_cannot_take_it_is_passed_over() -> None:
    rules = RoutingRules((Rule(name="qr", order=("gammapay", "nobody")), *ORDERED.rules))
    assert named(live(), rules=rules) == ["betapay", "alphapay"]
    assert named(live(), request(method=QR), rules) == ["gammapay"]


def test_what_others_lose_is_shared_by_weight() -> None:
    """A share of a PSP without the method is the others'."""
    rules = RoutingRules((Rule(name="s", shares={"gammapay": 50, "alphapay": 40, "betapay": 10}),))
    firsts = first_of(5_000, rules, live())
    assert set(firsts) == {"alphapay", "betapay"}
    assert abs(firsts["alphapay"] - 4_000) < 120


@pytest.mark.parametrize("rule", [{}, {"shares": {"a": 1}, "order": ("a",)}, {"shares": {"a": 0}}])
def test_a_rule_that_decides_nothing_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rule 'bad': "):
        Rule(name="bad", **rule)  # type: ignore[arg-type]


def test_nobody_has_the_method() -> None:
    assert plan(EVEN, request(method=PaymentMethod.COD), OFFERS, live()) == ()
    assert plan(EVEN, request(), {}, live()) == ()


def test_the_others_are_asked_by_success() -> None:
    view = live(alphapay=rated(95, 5), betapay=rated(99, 1), gammapay=rated(97, 3))
    for n in range(30):
        drawn, second, third = named(view, request(f"order {n}", method=QR))
        rest = [psp for psp in ("betapay", "gammapay", "alphapay") if psp != drawn]
        assert [second, third] == rest


@pytest.mark.parametrize(("declined", "behind"), [(9, False), (10, True), (40, True)])
def test_one_that_trails_is_asked_after_the_others(declined: int, behind: bool) -> None:
    view = live(alphapay=rated(100), betapay=rated(100 - declined, declined))
    firsts = first_of(500, EVEN, view)
    assert (firsts["betapay"] == 0) is behind
    [alpha, beta] = plan(ORDERED, request(), OFFERS, view)
    assert (alpha.psp, beta.psp) == (("alphapay", "betapay") if behind else ("betapay", "alphapay"))
    assert ("behind the best, which has 100 %" in beta.reason) is behind


def test_too_few_results_judge_nobody() -> None:
    few = Health(rate=Tally(declined=POLICY.rate_minimum - 1))
    assert first_of(200, EVEN, live(alphapay=rated(100), betapay=few))["betapay"] > 60


def test_an_open_breaker_puts_last_and_says_since_when() -> None:
    [first, last] = plan(ORDERED, request(), OFFERS, live(betapay=OPEN))
    assert (first.psp, last.psp) == ("alphapay", "betapay")
    assert last.reason.endswith("put last: breaker open since 12:03:01 UTC")


def test_a_half_open_breaker_lets_a_trickle_through() -> None:
    rules = RoutingRules((Rule(name="one first", order=("betapay", "alphapay")),))
    firsts = first_of(5_000, rules, live(betapay=HALF))
    assert abs(firsts["betapay"] - 500) < 65  # probe_percent is 10
    again = first_of(5_000, rules, live(betapay=HALF))
    assert again == firsts


def test_an_open_breaker_is_half_open_after_its_pause() -> None:
    rested = replace(OPEN.breaker, since=NOW - timedelta(seconds=POLICY.pause))
    assert first_of(1_000, ORDERED, live(betapay=Health(breaker=rested)))["betapay"] > 50
    tired = replace(rested, since=rested.since + timedelta(milliseconds=1))
    assert first_of(1_000, ORDERED, live(betapay=Health(breaker=tired)))["betapay"] == 0


@pytest.mark.parametrize(
    ("told", "concerned"),
    [
        (down("betapay"), True),
        (down("betapay", methods=frozenset({CARD})), True),
        (down("betapay", methods=frozenset({QR})), False),
        (down("betapay", bank="HDFC"), True),
        (down("betapay", bank="SBIN"), False),
        (down("betapay", ends=NOW), False),
        (down("betapay", ends=NOW + timedelta(seconds=1)), True),
        (down("betapay", begins=NOW), True),
        (down("betapay", begins=NOW + timedelta(seconds=1)), False),
        (down("betapay", severity=Severity.MEDIUM), True),
        (down("betapay", severity=Severity.LOW), False),
        (down("gammapay"), False),
    ],
)
def test_a_downtime_puts_last_what_it_concerns(told: Downtime, concerned: bool) -> None:
    expected = ["alphapay", "betapay"] if concerned else ["betapay", "alphapay"]
    assert named(live(told), request(bank="HDFC"), ORDERED) == expected


def test_its_own_word_on_top_of_an_open_breaker_drops_it() -> None:
    told = down("betapay")
    assert named(live(told, betapay=OPEN), rules=ORDERED) == ["alphapay"]
    assert named(live(down("betapay", bank="SBIN"), betapay=OPEN), rules=ORDERED) == [
        "alphapay",
        "betapay",
    ]


def test_somebody_is_asked_even_if_all_are_down() -> None:
    view = live(down("alphapay"), down("betapay"), alphapay=OPEN, betapay=OPEN)
    route = plan(ORDERED, request(), OFFERS, view)
    assert [stop.psp for stop in route] == ["betapay", "alphapay"]
    assert all("says itself that it is down (high severity)" in stop.reason for stop in route)


PSPS = ("alphapay", "betapay", "gammapay")
tallies = st.builds(
    Tally,
    approved=st.integers(0, 200),
    declined=st.integers(0, 200),
    technical=st.integers(0, 50),
    other=st.integers(0, 50),
)
breakers = st.builds(
    Breaker,
    state=st.sampled_from(BreakerState),
    since=st.integers(0, 60).map(lambda seconds: NOW - timedelta(seconds=seconds)),
)
healths = st.dictionaries(
    st.sampled_from(PSPS), st.builds(Health, breaker=breakers, recent=tallies, rate=tallies)
)
downtimes = st.lists(
    st.builds(
        Downtime,
        psp=st.sampled_from(PSPS),
        methods=st.frozensets(st.sampled_from([CARD, QR, WALLET])),
        bank=st.sampled_from(["", "HDFC"]),
        begins=st.just(NOW - timedelta(hours=1)),
        severity=st.sampled_from(Severity),
    ),
    max_size=4,
).map(tuple)
offers = st.dictionaries(
    st.sampled_from(PSPS), st.frozensets(st.sampled_from([CARD, QR, WALLET])), max_size=3
)
rules = st.lists(
    st.one_of(
        st.builds(
            Rule,
            name=st.just("shared"),
            shares=st.dictionaries(st.sampled_from(PSPS), st.integers(1, 9), min_size=1),
        ),
        st.builds(
            Rule,
            name=st.just("ordered"),
            when=st.builds(Condition, methods=st.frozensets(st.sampled_from([CARD, QR]))),
            order=st.permutations(PSPS).map(tuple),
        ),
    ),
    max_size=3,
).map(lambda all_of_them: RoutingRules(tuple(all_of_them)))
views = st.builds(
    LiveView,
    now=st.just(NOW),
    policy=st.one_of(st.none(), st.just(POLICY)),
    health=healths,
    downtimes=downtimes,
)
requests = st.builds(
    RouteRequest,
    order_id=st.text(min_size=1, max_size=8),
    method=st.sampled_from([CARD, QR, WALLET]),
    amount_paise=st.integers(1, 10**9),
    bank=st.sampled_from(["", "HDFC", "SBIN"]),
)


@given(rules, requests, offers, views)
def test_every_route_is_sound(
    rules: RoutingRules,
    asked: RouteRequest,
    offers: dict[str, frozenset[PaymentMethod]],
    view: LiveView,
) -> None:
    route = plan(rules, asked, offers, view)
    names = [stop.psp for stop in route]
    able = [psp for psp, methods in offers.items() if asked.method in methods]
    assert set(names) <= set(able)
    assert len(set(names)) == len(names)
    assert bool(names) is bool(able)
    assert plan(rules, asked, offers, view) == route
    if view.policy is None:
        assert set(names) == set(rules.choose(asked, able).psps if able else ())
        return
    is_open = [
        view.health.get(psp, Health()).breaker.at(NOW, POLICY).state is BreakerState.OPEN
        for psp in names
    ]
    announced = {
        one.psp for one in view.downtimes if one.severity is Severity.HIGH and one.concerns(asked)
    }
    spared = [psp not in announced for psp in names]
    # open breakers and announced downtimes last, and nobody fit behind them
    last = [down or not fine for down, fine in zip(is_open, spared, strict=True)]
    assert last == sorted(last)
    if any(not one for one in last):
        gone = [down and not fine for down, fine in zip(is_open, spared, strict=True)]
        assert not any(gone)
