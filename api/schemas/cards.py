"""Bodies that must not hold a card number, in whatever field: it is refused, and never logged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from api.handlers import CARD_NUMBER
from api.schemas.base import ULID_PATTERN, Asked

_GROUPS = re.compile(r"[\s._/-]{1,3}")
_RUN = re.compile(rf"\d+(?:{_GROUPS.pattern}\d+)*")
_ULID = re.compile(ULID_PATTERN)


class CardFree(Asked):
    """A body without a card number."""

    @model_validator(mode="before")
    @classmethod
    def _without_card_number(cls, data: Any) -> Any:
        # before anything else, so that no other message and no log can hold it
        if any(has_card_number(text) for text in _texts(data)):
            raise PydanticCustomError(CARD_NUMBER, "holds a card number")
        return data


def has_card_number(text: str) -> bool:
    """Tell whether 13 to 19 digits of a text, alone or in groups, pass the Luhn check."""
    if _ULID.fullmatch(text):
        return False
    runs = (_GROUPS.split(run) for run in _RUN.findall(text))
    return any(_luhn(digits) for groups in runs for digits in _joined(groups))


def _joined(groups: Sequence[str]) -> Iterator[str]:
    """The 13 to 19 digits that neighbouring groups make together, wherever they begin."""
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > 19:
                break
            if len(digits) >= 13:
                yield digits


def _luhn(text: str) -> bool:
    digits = [int(letter) for letter in reversed(text)]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _texts(data: Any) -> Iterator[str]:
    """Every text and number of a JSON document, names of fields too."""
    left = [data]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend((*each.keys(), *each.values()))
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, str):
            yield each
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield _digits_of(each)


def _digits_of(number: float) -> str:
    if isinstance(number, float):
        return f"{number:.0f}" if abs(number) < 1e20 else ""
    return str(number) if abs(number) < 10**20 else ""
