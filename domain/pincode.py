"""PIN codes: reading them, the state they lie in, and which of two is nearer."""

from __future__ import annotations

import re
from itertools import takewhile

from domain.errors import InvalidPincode
from domain.regions import STATE_BY_PREFIX

__all__ = ["InvalidPincode", "distance_rank", "parse_pincode", "state_code_for"]

_WRITTEN = re.compile(r"([1-9][0-9]{2}) ?([0-9]{3})")
_LENGTH = 6


def parse_pincode(text: str) -> str:
    """Six digits from 'NNNNNN' or 'NNN NNN'; raises InvalidPincode, naming the value."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise InvalidPincode(
            f"{text!r} is not a PIN code: write six digits, the first not 0, such as 560001"
        )
    return match[1] + match[2]


def state_code_for(pincode: str) -> str:
    """The two-digit GST code of the state in which a PIN code lies, '97' for army posts.

    Read from the sub-region (the leading digits), longest prefix first; a few post offices on
    state borders share a sub-region with the neighbour. Raises InvalidPincode for other text
    and for a sub-region that the post does not use.
    """
    code = parse_pincode(pincode)
    for length in range(_LENGTH, 0, -1):
        state = STATE_BY_PREFIX.get(code[:length])
        if state is not None:
            return state
    raise InvalidPincode(f"{code} is in no postal sub-region: no PIN code starts with {code[:2]}")


def distance_rank(a: str, b: str) -> tuple[int, int]:
    """How far apart two PIN codes are, as a sort key: smaller is nearer, (0, 0) the same.

    A heuristic without a map: digits run from postal region to post office, so codes that
    share more leading digits are nearer, and among equals the smaller difference is.
    """
    left, right = parse_pincode(a), parse_pincode(b)
    shared = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=True))
    )
    return _LENGTH - shared, abs(int(left) - int(right))
