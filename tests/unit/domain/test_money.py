"""Money adds up, splits without loss, and rounds as its roundings are named."""

from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CurrencyMismatch, InvalidMoney
from domain.money import Money, Rounding, divide, total

PAISE = st.integers(-(10**13), 10**13)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)
DECIMAL_ROUNDINGS = {
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
}


def test_arithmetic() -> None:
    a, b = Money(1050), Money(925)
    assert (a + b, a - b, b - a, -a, abs(-a), a * 3, 3 * a) == (
        Money(1975),
        Money(125),
        Money(-125),
        Money(-1050),
        Money(1050),
        Money(3150),
        Money(3150),
    )
    assert (b < a, b <= a, a > b, a >= b, a < b, a <= b, b > a, b >= a) == (True,) * 4 + (
        False,
    ) * 4
    assert (a <= Money(1050), a >= Money(1050), a < Money(1050), a > Money(1050)) == (
        True,
        True,
        False,
        False,
    )
    assert (Money(0).is_zero, Money(1).is_zero) == (True, False)
    assert (Money(-1).is_negative, Money(0).is_negative) == (True, False)
    assert total([a, b, a]) == Money(3025)
    assert total([], "USD") == Money(0, "USD")


@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_currencies_do_not_mix(operator: str) -> None:
    with pytest.raises(CurrencyMismatch, match="INR and USD cannot be combined"):
        getattr(Money(100), operator)(Money(100, "USD"))
    assert Money(100) != Money(100, "USD")


@pytest.mark.parametrize("amount", [1.0, "1", True, None, Decimal(1)])
def test_paise_are_ints(amount: Any) -> None:
    with pytest.raises(InvalidMoney, match="whole number of paise"):
        Money(amount)


@pytest.mark.parametrize("code", ["", "inr", "RUPEE", "IN1", "₹₹₹"])
def test_currency_is_an_iso_code(code: str) -> None:
    with pytest.raises(InvalidMoney, match="ISO 4217"):
        Money(1, code)


@pytest.mark.parametrize("factor", [1.5, True, Decimal(2)])
def test_multiplies_by_ints_only(factor: Any) -> None:
    with pytest.raises(InvalidMoney, match="multiply by an int"):
        Money(100) * factor


def test_a_bare_number_is_not_money() -> None:
    other: Any = 5
    with pytest.raises(InvalidMoney, match="wrap it"):
        Money(100) + other


@pytest.mark.parametrize(
    ("paise", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (100, [1, 2, 3], [17, 33, 50]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [0, 1, 0], [0, 5, 0]),
        (1, [1, 1], [1, 0]),
        (0, [3, 4], [0, 0]),
        (50000, [99800, 1249950], [3697, 46303]),
    ],
)
def test_allocate_by_hand(paise: int, weights: list[int], shares: list[int]) -> None:
    assert Money(paise, "USD").allocate(weights) == tuple(Money(s, "USD") for s in shares)


@given(PAISE, WEIGHTS)
def test_allocate_loses_nothing_and_is_fair(paise: int, weights: list[int]) -> None:
    shares = Money(paise).allocate(weights)
    assert total(shares) == Money(paise)
    whole = sum(weights)
    # within a paisa of the exact part, without leaving the integers
    assert all(
        abs(share.paise * whole - paise * weight) < whole
        for share, weight in zip(shares, weights, strict=True)
    )
    assert all(s.is_zero for s, weight in zip(shares, weights, strict=True) if weight == 0)


@given(PAISE, WEIGHTS)
def test_allocate_of_a_refund_mirrors_the_charge(paise: int, weights: list[int]) -> None:
    assert Money(-paise).allocate(weights) == tuple(-s for s in Money(paise).allocate(weights))


@given(st.data(), WEIGHTS)
def test_allocate_never_exceeds_a_weight(data: st.DataObject, weights: list[int]) -> None:
    paise = data.draw(st.integers(0, sum(weights)))
    shares = Money(paise).allocate(weights)
    assert all(0 <= s.paise <= w for s, w in zip(shares, weights, strict=True))


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1, 1], [0.5, 0.5], [True]])
def test_allocate_refuses(weights: list[Any]) -> None:
    with pytest.raises(InvalidMoney, match="positive sum"):
        Money(100).allocate(weights)


@pytest.mark.parametrize(
    ("paise", "basis_points", "rounding", "expected"),
    [
        (999, 1800, Rounding.HALF_UP, 180),
        (999, 1800, Rounding.FLOOR, 179),
        (250, 500, Rounding.HALF_UP, 13),
        (250, 500, Rounding.FLOOR, 12),
        (250, 500, Rounding.HALF_EVEN, 12),
        (350, 500, Rounding.HALF_EVEN, 18),
        (-250, 500, Rounding.HALF_UP, -13),
        (-250, 500, Rounding.FLOOR, -13),
        (-250, 500, Rounding.HALF_EVEN, -12),
    ],
)
def test_percent_by_hand(paise: int, basis_points: int, rounding: Rounding, expected: int) -> None:
    assert Money(paise).percent(basis_points, rounding) == Money(expected)


@given(st.integers(-(10**12), 10**12), st.integers(1, 20_000), st.sampled_from(Rounding))
def test_divide_rounds_as_decimal_does(number: int, by: int, rounding: Rounding) -> None:
    # 32 digits hold every tie of these ranges exactly, so that Decimal can be the judge
    exact = Decimal(number) / Decimal(by)
    expected = exact.quantize(Decimal(1), rounding=DECIMAL_ROUNDINGS[rounding])
    assert divide(number, by, rounding) == int(expected)


@pytest.mark.parametrize("denominator", [0, -1])
def test_divide_refuses(denominator: int) -> None:
    with pytest.raises(InvalidMoney, match="must be positive"):
        divide(1, denominator, Rounding.FLOOR)


@pytest.mark.parametrize(
    ("paise", "rounded"),
    [(149, 100), (150, 200), (151, 200), (200, 200), (0, 0), (-149, -100), (-150, -200)],
)
def test_rounded_to_rupee(paise: int, rounded: int) -> None:
    assert Money(paise).rounded_to_rupee() == Money(rounded)


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (123456789, "₹ 12,34,567.89"),
        (0, "₹ 0.00"),
        (-5, "-₹ 0.05"),
        (99999, "₹ 999.99"),
        (100000, "₹ 1,000.00"),
        (9999999, "₹ 99,999.99"),
        (10000000, "₹ 1,00,000.00"),
        (10_00_00_000_00, "₹ 10,00,00,000.00"),
    ],
)
def test_in_rupees(paise: int, text: str) -> None:
    assert Money(paise).in_rupees() == text == str(Money(paise))


def test_other_currencies_are_not_written_in_rupees() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(123456, "USD").in_rupees()
    assert str(Money(-123456789, "USD")) == "-USD 1,234,567.89"


@given(PAISE)
def test_rupees_read_back(paise: int) -> None:
    assert Money.from_rupees(Money(paise).in_rupees().replace("₹ ", "")) == Money(paise)


@pytest.mark.parametrize(
    ("rupees", "paise"),
    [
        ("999", 99900),
        (" 1,29,999.5 ", 12999950),
        (379, 37900),
        ("-0.05", -5),
        (Decimal("10.5000"), 1050),
        (Decimal("1E+3"), 100000),
    ],
)
def test_from_rupees(rupees: str | int | Decimal, paise: int) -> None:
    assert Money.from_rupees(rupees) == Money(paise)


@pytest.mark.parametrize(
    "rupees", ["", "abc", "1.005", "1e9", "NaN", "--1", "१२", 1.5, None, True, Decimal("Infinity")]
)
def test_from_rupees_refuses(rupees: Any) -> None:
    with pytest.raises(InvalidMoney, match="not an amount in rupees"):
        Money.from_rupees(rupees)
