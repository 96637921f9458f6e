"""PIN codes are read, placed in their state, and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidPincode
from domain.pincode import distance_rank, parse_pincode, state_code_for
from domain.regions import STATE_BY_PREFIX, STATES

PINCODES = st.integers(100_000, 999_999).map(str)


@pytest.mark.parametrize("text", ["560001", "560 001", " 560001\n"])
def test_parse(text: str) -> None:
    assert parse_pincode(text) == "560001"


@pytest.mark.parametrize(
    "text",
    ["", "56000", "5600011", "060001", "56 0001", "560  001", "560-001", "56000a", "५६०००१"],
)
def test_parse_refuses_and_names_the_value(text: str) -> None:
    with pytest.raises(InvalidPincode) as refused:
        parse_pincode(text)
    assert refused.value.code == "INVALID_PINCODE"
    assert str(refused.value).startswith(f"{text!r} is not a PIN code")


@pytest.mark.parametrize(
    ("pincode", "state"),
    [
        ("110001", "07"),
        ("122001", "06"),
        ("141001", "03"),
        ("160017", "04"),
        ("171001", "02"),
        ("180001", "01"),
        ("194101", "38"),
        ("226001", "09"),
        ("246001", "05"),
        ("246701", "09"),
        ("247001", "09"),
        ("247667", "05"),
        ("248001", "05"),
        ("263139", "05"),
        ("302001", "08"),
        ("362520", "26"),
        ("362001", "24"),
        ("380001", "24"),
        ("396230", "26"),
        ("396001", "24"),
        ("400 001", "27"),
        ("403001", "30"),
        ("462001", "23"),
        ("492001", "22"),
        ("500001", "36"),
        ("522001", "37"),
        ("533464", "34"),
        ("560001", "29"),
        ("600001", "33"),
        ("605001", "34"),
        ("605602", "33"),
        ("609602", "34"),
        ("673310", "34"),
        ("673001", "32"),
        ("682001", "32"),
        ("682555", "31"),
        ("700001", "19"),
        ("737101", "11"),
        ("744101", "35"),
        ("751001", "21"),
        ("781001", "18"),
        ("791111", "12"),
        ("793001", "17"),
        ("795001", "14"),
        ("796001", "15"),
        ("797001", "13"),
        ("799001", "16"),
        ("800001", "10"),
        ("814112", "20"),
        ("821001", "10"),
        ("826001", "20"),
        ("834001", "20"),
        ("900056", "97"),
    ],
)
def test_state(pincode: str, state: str) -> None:
    assert state_code_for(pincode) == state


@pytest.mark.parametrize("pincode", ["100001", "290001", "350001", "540001", "660001", "870001"])
def test_unused_sub_regions_are_refused(pincode: str) -> None:
    with pytest.raises(InvalidPincode, match=f"no PIN code starts with {pincode[:2]}"):
        state_code_for(pincode)


def test_every_state_has_pincodes() -> None:
    assert set(STATE_BY_PREFIX.values()) == set(STATES)


def test_nearer_is_smaller() -> None:
    home = "560034"
    others = ["560034", "560035", "560001", "561203", "570001", "600001", "110001"]
    farthest_first = others[::-1]
    assert sorted(farthest_first, key=lambda other: distance_rank(home, other)) == others
    assert distance_rank("560 034", "560001") == (2, 33)


@given(PINCODES, PINCODES)
def test_distance_is_symmetric_and_zero_only_at_home(a: str, b: str) -> None:
    assert distance_rank(a, b) == distance_rank(b, a)
    assert (distance_rank(a, b) == (0, 0)) == (a == b)
