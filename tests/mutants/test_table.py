"""The table of mutants fits the tree: each finds its place, and names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
_IDS = [f"{number}-{mutant.file}" for number, mutant in enumerate(MUTANTS, 1)]


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= 10
    assert len({(mutant.file, mutant.old) for mutant in MUTANTS}) >= len(MUTANTS) - 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=_IDS)
def test_its_place_is_there_once(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    ast.parse(changed)


@pytest.mark.parametrize("mutant", MUTANTS, ids=_IDS)
def test_its_tests_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        defined = [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert name in defined
