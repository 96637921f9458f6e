"""The production shape, as far as it can be judged without a container engine."""

import re
from pathlib import Path

from stack.serve import ROLES
from stack.settings import REPLACED_BY, SECRETS, Settings

COMPOSE = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
VARIABLE = re.compile(r"\$\{(\w+)(:[-?])?")


def test_no_secret_has_a_default() -> None:
    used = dict(VARIABLE.findall(COMPOSE))
    secret = {name for name in used if re.search("SECRET|PASSWORD|KEY", name)}
    assert {f"SAGAKART_{name.upper()}" for name in SECRETS} <= secret
    assert all(used[name] == ":?" for name in secret)
    assert all(mark in {":?", ":-"} for mark in used.values())


def test_processes_are_told_all_that_production_demands_and_nothing_unknown() -> None:
    told = set(re.findall(r"^  SAGAKART_(\w+):", COMPOSE, re.MULTILINE))
    assert {name.upper() for name in (*REPLACED_BY.values(), *SECRETS)} <= told
    assert told <= {name.upper() for name in Settings.model_fields}
    assert re.findall("SAGAKART_ENVIRONMENT: (.*)", COMPOSE) == ["production"]


def test_every_process_of_ours_has_a_service_and_no_other_role() -> None:
    served = re.findall(r'command: \["serve", "(\w+)"', COMPOSE)
    assert sorted(served) == sorted(set(ROLES) - {"seed"})


def test_tabs_do_not_indent() -> None:
    assert "\t" not in COMPOSE
