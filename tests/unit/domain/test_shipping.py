"""The tables of a parcel's life."""

import pickle

import pytest

from domain.errors import IllegalTransition
from domain.shipping import (
    ENDED,
    FINAL_STATES,
    FORWARD,
    FREE_TO_CANCEL,
    RANK,
    REVERSE,
    RTO_STATES,
    START,
    TRANSITIONS,
    Direction,
    ShippingError,
    check_transition,
    may_follow,
)
from domain.shipping import ShipmentState as S


def test_every_state_is_in_a_table_and_no_table_leads_outside_itself() -> None:
    assert FORWARD.keys() | REVERSE.keys() == set(S) - {S.UNMAPPED}
    for table in TRANSITIONS.values():
        assert set().union(*table.values()) <= table.keys()
        assert all(state not in after for state, after in table.items())


def test_every_state_can_be_reached_from_the_start() -> None:
    for direction, table in TRANSITIONS.items():
        assert table[START[direction]] | {START[direction]} == table.keys()


def test_only_what_arrived_is_final() -> None:
    empty = {s for table in TRANSITIONS.values() for s, after in table.items() if not after}
    assert empty == FINAL_STATES == {S.DELIVERED, S.RTO_DELIVERED, S.DTO_DELIVERED}
    assert {S.LOST, S.DAMAGED, S.CANCELLED, S.QC_FAILED} == ENDED - FINAL_STATES


def test_a_parcel_that_turned_round_turns_no_more() -> None:
    for state in RTO_STATES:
        assert FORWARD[state] <= RTO_STATES | {S.LOST, S.DAMAGED}


def test_cancelling_is_free_until_the_pickup() -> None:
    assert {s for s in FORWARD if S.CANCELLED in FORWARD[s]} == FREE_TO_CANCEL


def test_carriers_may_skip_scans() -> None:
    assert may_follow(S.BOOKED, S.DELIVERED)
    assert may_follow(S.RVP_SCHEDULED, S.DTO_DELIVERED, Direction.REVERSE)
    assert not may_follow(S.OUT_FOR_DELIVERY, S.PICKED_UP)
    assert not may_follow(S.BOOKED, S.RVP_PICKED)
    assert not may_follow(S.RVP_PICKED, S.IN_TRANSIT, Direction.REVERSE)


def test_the_words_of_a_refused_transition() -> None:
    check_transition(S.NDR, S.RTO_INITIATED)
    with pytest.raises(IllegalTransition) as refused:
        check_transition(S.DELIVERED, S.NDR)
    assert str(refused.value) == (
        "a forward shipment cannot go from DELIVERED to NDR: "
        "what may follow DELIVERED is nothing, it is final"
    )
    # a state of the other direction is followed by nothing here
    with pytest.raises(IllegalTransition, match="a reverse shipment"):
        check_transition(S.BOOKED, S.PICKED_UP, Direction.REVERSE)


def test_ranks_are_a_total_order_along_the_way() -> None:
    assert sorted(RANK.values()) == list(range(len(S)))
    way = (S.BOOKED, S.PICKED_UP, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.NDR, S.DELIVERED)
    ranks = [RANK[state] for state in way]
    assert ranks == sorted(ranks)
    assert max(RANK[S.DELIVERED], RANK[S.NDR]) < min(RANK[state] for state in RTO_STATES)


def test_a_refusal_survives_pickling() -> None:
    error = ShippingError("BOX_INVALID", "words")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), copy.code, str(copy)) == (ShippingError, "BOX_INVALID", "words")
