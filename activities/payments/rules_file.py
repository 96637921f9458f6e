"""Routing rules from a JSON file, checked whole before anything starts.

    {"rules": [
        {"name": "big cards", "when": {"methods": ["CARD"], "min_paise": 5000000},
         "shares": {"alphapay": 70, "betapay": 30}},
        {"name": "HDFC", "when": {"banks": ["HDFC"]}, "order": ["betapay", "alphapay"]}]}

Light to import: the settings check the file with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.payments import PaymentMethod
from domain.routing import Condition, RoutingRules, Rule

_WHOLE = 100
_SPACE = " \t\r\n"
# What a person needs to hear where pydantic's own words do not say it.
_WORDS = {
    "extra_forbidden": "there is no such field: correct or remove it",
    "missing": "this field is missing: add it",
    "model_type": "an object belongs here",
    "list_type": "a list belongs here",
    "dict_type": "an object belongs here",
}


class RulesFileError(ValueError):
    """A rules file that cannot be used; the message names the file, the line and the remedy."""


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _When(_Read):
    methods: list[Annotated[PaymentMethod, Field(strict=False)]] = []
    min_paise: Annotated[int, Field(ge=0)] = 0
    max_paise: Annotated[int, Field(ge=1)] | None = None
    bins: list[Annotated[str, Field(pattern=r"^[0-9]{2,8}$")]] = []
    banks: list[Annotated[str, Field(min_length=1, max_length=40)]] = []

    @model_validator(mode="after")
    def _possible(self) -> _When:
        if PaymentMethod.COD in self.methods:
            raise ValueError("COD is paid at the door and routed to nobody: remove it")
        if self.max_paise is not None and self.max_paise < self.min_paise:
            raise ValueError(
                f"max_paise {self.max_paise} is less than min_paise {self.min_paise}: "
                "no amount fits, exchange them"
            )
        return self


class _Rule(_Read):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    when: _When = _When()
    shares: dict[str, Annotated[int, Field(ge=1, le=_WHOLE)]] = {}
    order: list[str] = []

    @model_validator(mode="after")
    def _decides(self) -> _Rule:
        if bool(self.shares) == bool(self.order):
            raise ValueError('give either "shares" (in percent) or "order", and not both')
        if self.shares and sum(self.shares.values()) != _WHOLE:
            raise ValueError(
                f"the shares add up to {sum(self.shares.values())} %: make them {_WHOLE}"
            )
        if len(set(self.order)) != len(self.order):
            raise ValueError("a PSP stands in the order twice: name each once")
        return self


class _File(_Read):
    rules: list[_Rule]

    @model_validator(mode="after")
    def _told_apart(self) -> _File:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}: give each a name of its own")
        return self


def read_rules(path: Path, known: Collection[str]) -> RoutingRules:
    """The rules in a file; `known` are the names of all PSPs. Raises RulesFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesFileError(f"{path} cannot be read: {error}; correct the path") from error
    try:
        document = json.loads(text, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        raise RulesFileError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}, column {error.colno})"
        ) from error
    except _Twins as error:
        raise RulesFileError(f"{path}: {error}") from error
    try:
        read = _File.model_validate(document)
    except ValidationError as error:
        raise RulesFileError("; ".join(_in_words(path, text, error))) from error
    _check_names(path, text, read, known)
    return RoutingRules(tuple(_rule(one) for one in read.rules))


class _Twins(ValueError):
    """One object has the same field twice."""


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _Twins(f"the field {twice[0]!r} is given twice in one object: keep one")
    return dict(pairs)


def _rule(read: _Rule) -> Rule:
    when = read.when
    return Rule(
        name=read.name,
        when=Condition(
            methods=frozenset(when.methods),
            min_paise=when.min_paise,
            max_paise=when.max_paise,
            bins=tuple(when.bins),
            banks=frozenset(when.banks),
        ),
        shares=dict(read.shares),
        order=tuple(read.order),
    )


def _check_names(path: Path, text: str, read: _File, known: Collection[str]) -> None:
    for number, rule in enumerate(read.rules):
        field = "shares" if rule.shares else "order"
        for at, psp in enumerate(rule.shares or rule.order):
            if psp not in known:
                place = ("rules", number, field, psp if rule.shares else at)
                raise RulesFileError(
                    f"{_where(path, text, place)}: there is no PSP {psp!r}; "
                    f"there are {', '.join(sorted(known))}"
                )


def _in_words(path: Path, text: str, error: ValidationError) -> list[str]:
    said = []
    for problem in error.errors(include_url=False):
        told = problem["msg"].removeprefix("Value error, ")
        if problem["type"] in _WORDS:
            told = _WORDS[problem["type"]]
        elif problem["type"] != "value_error":
            told = f"{told}, not {problem['input']!r}"
        said.append(f"{_where(path, text, problem['loc'])}: {told}")
    return said


def _where(path: Path, text: str, place: Sequence[str | int]) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    line = text.count("\n", 0, _offset(text, place)) + 1
    return f"{path}, line {line}" + (f", {field.lstrip('.')}" if field else "")


def _offset(text: str, place: Sequence[str | int]) -> int:
    """Where a value begins in JSON that was read before; as far down as it is there."""
    at = _after_space(text, 0)
    for part in place:
        found = _member(text, at, part)
        if found is None:
            return at
        at = found
    return at


def _member(text: str, at: int, part: str | int) -> int | None:
    """Where one member of the object or array at `at` begins."""
    if text[at] not in "{[":
        return None
    skip, number = json.JSONDecoder().raw_decode, 0
    inside, closing = text[at] == "{", "}" if text[at] == "{" else "]"
    at = _after_space(text, at + 1)
    while text[at] != closing:
        name: str | int = number
        if inside:
            name, at = skip(text, at)
            at = _after_space(text, _after_space(text, at) + 1)  # the colon
        if name == part:
            return at
        at = _after_space(text, skip(text, at)[1])
        number += 1
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return None


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
