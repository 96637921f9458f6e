"""Transition tables: one per state enum, total, and the only way from state to state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from domain.errors import IllegalTransition

__all__ = ["IllegalTransition", "check", "final_states", "transition_table"]

S = TypeVar("S", bound=StrEnum)


def transition_table(states: type[S], rows: Mapping[S, Iterable[S]]) -> Mapping[S, frozenset[S]]:
    """Freeze `rows` into a read-only table; raises TypeError unless every state has a row."""
    missing = [state.name for state in states if state not in rows]
    if missing:
        raise TypeError(f"{states.__name__} has no transition row for {', '.join(missing)}")
    return MappingProxyType({state: frozenset(rows[state]) for state in states})


def check(kind: str, table: Mapping[S, frozenset[S]], old: S, new: S) -> None:
    """Raise IllegalTransition unless `new` may follow `old`; staying put is no transition.

    A caller that may see the same fact twice compares the states first.
    """
    if new not in table[old]:
        allowed = tuple(sorted(state.value for state in table[old]))
        raise IllegalTransition(kind, old.value, new.value, allowed)


def final_states(table: Mapping[S, frozenset[S]]) -> frozenset[S]:
    """The states that nothing follows."""
    return frozenset(state for state, after in table.items() if not after)
