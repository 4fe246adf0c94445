from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hontoni import money


def test_the_specs_example_is_exact() -> None:
    price_in, price_out = money.nanos("3.00"), money.nanos("15.00")
    cost = money.per_million(1_000 * price_in + 500 * price_out)
    assert money.dollars(cost) == "0.0105"


@given(st.integers(-money.MAX, money.MAX))
def test_printing_and_parsing_are_inverse(amount: int) -> None:
    assert money.nanos(money.dollars(amount)) == amount


@pytest.mark.parametrize("text", ["0.0000000001", "ten", "NaN", "Infinity", ""])
def test_it_refuses_what_is_not_a_whole_number_of_nanos(text: str) -> None:
    with pytest.raises(ValueError):
        money.nanos(text)


def test_it_rounds_half_up_once() -> None:
    assert money.per_million(499_999) == 0
    assert money.per_million(500_000) == 1
    assert money.cents(money.nanos("0.005")) == 1


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (money.nanos("9.989961458"), "9.99"),
        (money.nanos("0.005"), "0.01"),
        (money.nanos("0.004999999"), "0.00"),
        (-money.nanos("0.005"), "-0.01"),
        (Fraction(money.nanos("0.01"), 2) - Fraction(1, 10**9), "0.00"),
    ],
)
def test_a_purchase_costs_whole_cents(amount: int | Fraction, expected: str) -> None:
    assert money.dollars(money.whole_cents(amount)) == expected
    assert money.whole_cents(money.nanos("9.989961458")) == money.nanos("9.99")
    assert money.whole_cents(money.nanos("-0.005")) == -money.CENT
