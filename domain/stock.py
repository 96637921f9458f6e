"""The life of a stock reservation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from domain.states import check, final_states, transition_table


class ReservationState(StrEnum):
    """Whether reserved units are held for an order, sold to it, or free again."""

    HELD = "HELD"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


_R = ReservationState

# every end is final: a reservation is committed or given back exactly once
TRANSITIONS: Mapping[ReservationState, frozenset[ReservationState]] = transition_table(
    ReservationState,
    {
        _R.HELD: {_R.COMMITTED, _R.RELEASED, _R.EXPIRED},
        _R.COMMITTED: set(),
        _R.RELEASED: set(),
        _R.EXPIRED: set(),
    },
)

FINAL_STATES = final_states(TRANSITIONS)


def check_transition(old: ReservationState, new: ReservationState) -> None:
    """Raise IllegalTransition unless a reservation may go from `old` to `new`."""
    check("a reservation", TRANSITIONS, old, new)
