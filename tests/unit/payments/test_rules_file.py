"""Rules from a file: read as they stand, and refused with the line and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.payments.rules_file import RulesFileError, read_rules
from domain.payments import PaymentMethod
from domain.routing import Condition, RoutingRules, Rule

KNOWN = ("betapay", "alphapay")
GOOD = """{
  "rules": [
    {
      "name": "big cards, \\"}] and all",
      "when": {"methods": ["CARD"], "min_paise": 5000000},
      "shares": {"alphapay": 70, "betapay": 30}
    },
    {"name": "HDFC",
     "when": {"max_paise": 100, "bins": ["41", "55123456"], "banks": ["HDFC"]},
     "order": ["betapay", "alphapay"]}
  ]
}"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "routing.json"


def test_rules_are_read(file: Path) -> None:
    file.write_text(GOOD)
    assert read_rules(file, KNOWN) == RoutingRules(
        (
            Rule(
                name='big cards, "}] and all',
                when=Condition(methods=frozenset({PaymentMethod.CARD}), min_paise=5_000_000),
                shares={"alphapay": 70, "betapay": 30},
            ),
            Rule(
                name="HDFC",
                when=Condition(max_paise=100, bins=("41", "55123456"), banks=frozenset({"HDFC"})),
                order=("betapay", "alphapay"),
            ),
        )
    )
    file.write_text('{"rules": []}')
    assert read_rules(file, KNOWN) == RoutingRules()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('["CARD"]', '["CASH"]', 5, "rules[0].when.methods[0]: Input should be 'UPI_INTENT'"),
        ('["CARD"]', '["COD"]', 5, "rules[0].when: COD is paid at the door and routed to nobody"),
        ('"min_paise": 5000000', '"min_paise": "5"', 5, "rules[0].when.min_paise: Input should be"),
        ('"min_paise"', '"minimum"', 5, "rules[0].when.minimum: there is no such field"),
        ('"alphapay": 70', '"alphapay": 60', 3, "rules[0]: the shares add up to 90 %: make them"),
        ('"alphapay": 70', '"alpha": 70', 6, "rules[0].shares.alpha: there is no PSP 'alpha'; the"),
        ('["betapay", "al', '["betapay", "gl', 10, "rules[1].order[1]: there is no PSP 'glphapay'"),
        ('["betapay", "alphapay"]', '["betapay", "betapay"]', 8, "rules[1]: a PSP stands in the o"),
        ('"order"', '"shares": {"alphapay": 100}, "order"', 8, 'rules[1]: give either "shares"'),
        ('"max_paise": 100', '"max_paise": 9, "min_paise": 10', 9, "rules[1].when: max_paise 9 is"),
        ('"55123456"', '"551234567"', 9, "rules[1].when.bins[1]: String should match pattern"),
        ('"name": "HDFC"', '"name": ""', 8, "rules[1].name: String should have at least 1"),
        ('"name": "HDFC",', "", 8, "rules[1].name: this field is missing: add it"),
        ('"banks": ["HDFC"]', '"banks": "HDFC"', 9, "rules[1].when.banks: a list belongs here"),
        ('"name": "HDFC"', '"name": "big cards, \\"}] and all"', 1, "two rules are called"),
        ('"order": [', '"order": [,', 10, "not JSON (Expecting value, column"),
        ('"rules": [', '"rulez": [', 2, "rulez: there is no such field: correct or remove it"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(
    file: Path, old: str, new: str, line: int, said: str
) -> None:
    assert GOOD.count(old) == 1
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(RulesFileError) as refused:
        read_rules(file, KNOWN)
    sentences = str(refused.value).split("; /")
    assert f"{file}, line {line}" in str(refused.value)
    assert any(f"line {line}" in one and said in one for one in sentences), sentences


@pytest.mark.parametrize("text", ["[]", '"rules"', "7", "null"])
def test_what_is_no_rules_file(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(RulesFileError, match=r"routing\.json, line 1: an object belongs here"):
        read_rules(file, KNOWN)


def test_a_field_that_is_given_twice(file: Path) -> None:
    file.write_text('{"rules": [], "rules": []}')
    with pytest.raises(RulesFileError, match="the field 'rules' is given twice in one object"):
        read_rules(file, KNOWN)


def test_a_file_that_is_not_there_or_no_text(file: Path) -> None:
    with pytest.raises(RulesFileError, match=r"routing\.json cannot be read: .*; correct the path"):
        read_rules(file, KNOWN)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RulesFileError, match="cannot be read"):
        read_rules(file, KNOWN)
