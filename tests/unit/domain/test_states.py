"""Transition tables are total, and let no older fact undo a newer one."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest

from domain import orders, payments, stock
from domain.errors import IllegalTransition
from domain.orders import OrderState as O
from domain.payments import PaymentState as P
from domain.states import transition_table
from domain.stock import ReservationState as R

Table = Mapping[Any, frozenset[Any]]
TABLES = [
    pytest.param(O, orders.TRANSITIONS, orders.check_transition, O.CREATED, id="orders"),
    pytest.param(P, payments.TRANSITIONS, payments.check_transition, P.CREATED, id="payments"),
    pytest.param(R, stock.TRANSITIONS, stock.check_transition, R.HELD, id="reservations"),
]
PAID = {P.PARTIALLY_CAPTURED, P.CAPTURED, P.COD_COLLECTED, P.COD_REMITTED}


def reachable(table: Table, start: StrEnum) -> set[StrEnum]:
    seen, todo = {start}, [start]
    while todo:
        fresh = table[todo.pop()] - seen
        seen |= fresh
        todo += fresh
    return seen


@pytest.mark.parametrize(("states", "table", "check", "first"), TABLES)
def test_tables_are_total(
    states: type[StrEnum], table: Table, check: Callable[..., None], first: StrEnum
) -> None:
    assert set(table) == set(states)
    assert reachable(table, first) == set(states)
    assert all(first not in after for after in table.values())
    for old in states:
        for new in states:
            if new in table[old]:
                check(old, new)
            else:
                with pytest.raises(IllegalTransition) as refused:
                    check(old, new)
                assert (refused.value.old, refused.value.new) == (old, new)


@pytest.mark.parametrize(("states", "table", "check", "first"), TABLES)
def test_tables_cannot_be_changed(
    states: type[StrEnum], table: Any, check: Callable[..., None], first: StrEnum
) -> None:
    with pytest.raises(TypeError):
        table[first] = frozenset(states)


def test_a_table_with_a_missing_row_is_refused() -> None:
    with pytest.raises(TypeError, match="ReservationState has no transition row for RELEASED"):
        transition_table(R, {R.HELD: (), R.COMMITTED: (), R.EXPIRED: ()})


def test_final_states() -> None:
    assert {O.REFUSED, O.CANCELLED, O.EXPIRED, O.RETURNED} == orders.FINAL_STATES
    assert {R.COMMITTED, R.RELEASED, R.EXPIRED} == stock.FINAL_STATES
    # a PSP may come back to any payment
    assert set() == payments.FINAL_STATES


def test_the_words_of_a_refusal() -> None:
    with pytest.raises(IllegalTransition) as refused:
        orders.check_transition(O.CONFIRMED, O.EXPIRED)
    assert str(refused.value) == (
        "an order cannot go from CONFIRMED to EXPIRED: "
        "what may follow CONFIRMED is CANCELLED, SHIPPED"
    )
    with pytest.raises(IllegalTransition, match="what may follow COMMITTED is nothing"):
        stock.check_transition(R.COMMITTED, R.RELEASED)


@pytest.mark.parametrize("unsold", [O.CREATED, O.ON_HOLD, O.AWAITING_PAYMENT])
def test_an_unsold_order_may_end_every_way(unsold: O) -> None:
    assert orders.TRANSITIONS[unsold] >= {O.CONFIRMED, O.REFUSED, O.CANCELLED, O.EXPIRED}


def test_a_sold_order_neither_expires_nor_is_refused() -> None:
    sold = {O.CONFIRMED, O.SHIPPED, O.DELIVERED, O.RETURN_REQUESTED, O.RETURNED}
    for state in sold:
        assert reachable(orders.TRANSITIONS, state) <= sold | {O.CANCELLED}
    assert O.CANCELLED not in orders.TRANSITIONS[O.SHIPPED]


@pytest.mark.parametrize("given_up", [P.FAILED, P.EXPIRED])
def test_late_success_is_legal(given_up: P) -> None:
    assert payments.TRANSITIONS[given_up] == {
        P.AUTHORISED,
        P.PARTIALLY_CAPTURED,
        P.CAPTURED,
        P.REFUND_PENDING,
        P.VOIDING,
        P.VOIDED,
        P.REFUNDED,
    }


def test_unknown_may_become_whatever_a_psp_reports() -> None:
    ours = {P.CREATED, P.UNKNOWN, P.COD_DUE, P.COD_COLLECTED, P.COD_REMITTED}
    assert payments.TRANSITIONS[P.UNKNOWN] == set(P) - ours


def test_stale_events_undo_nothing() -> None:
    table = payments.TRANSITIONS
    assert not table[P.AUTHORISED] & {P.PENDING, P.ACTION_REQUIRED, P.FAILED, P.EXPIRED}
    assert table[P.CAPTURED] == {
        P.REFUND_PENDING,
        P.PARTIALLY_REFUNDED,
        P.REFUNDED,
        P.DISPUTED,
    }
    assert P.AUTHORISED not in table[P.VOIDED]
    assert table[P.REFUNDED] == {P.DISPUTED}


@pytest.mark.parametrize("state", [s for s in P if s not in PAID | {P.REFUNDED}])
def test_money_can_always_be_given_back(state: P) -> None:
    """Wherever a payment is, a way leads on to 'nothing is owed': voided or refunded."""
    assert reachable(payments.TRANSITIONS, state) & {P.VOIDED, P.REFUNDED}


@pytest.mark.parametrize("paid", sorted(PAID))
def test_paid_money_goes_back_by_refund_alone(paid: P) -> None:
    after = reachable(payments.TRANSITIONS, paid)
    assert P.REFUNDED in payments.TRANSITIONS[paid]
    assert not after & {P.VOIDED, P.FAILED, P.EXPIRED, P.AUTHORISED, P.UNKNOWN}


def test_cash_on_delivery_never_meets_a_psp_before_it_is_collected() -> None:
    assert payments.TRANSITIONS[P.COD_DUE] == {P.COD_COLLECTED, P.COD_REMITTED, P.VOIDED}
    assert {s for s in P if P.COD_DUE in payments.TRANSITIONS[s]} == {P.CREATED}
