"""Money, prices and weights: one rounding rule each, checked against exact rationals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import CENT, PRICE_STEP, WEIGHT_STEP, money, price, weight

amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False, allow_infinity=False)
prices = st.decimals(min_value="0.0001", max_value=10**6, places=4, allow_nan=False, allow_infinity=False)


def half_even(value: Decimal, step: Decimal) -> Fraction:
    """The rule by exact arithmetic: Python's round() of a Fraction is half-even."""
    return round(Fraction(value) / Fraction(step)) * Fraction(step)


@given(amounts)
@pytest.mark.parametrize(("rounding", "step"), [(money, CENT), (price, PRICE_STEP), (weight, WEIGHT_STEP)])
def test_rounds_half_even_to_its_step(rounding: type[Decimal], step: Decimal, value: Decimal) -> None:
    assert Fraction(rounding(value)) == half_even(value, step)


@given(amounts)
def test_rounding_twice_changes_nothing(value: Decimal) -> None:
    assert money(money(value)) == money(value)


@pytest.mark.parametrize(
    ("given_value", "cents"), [("0.005", "0.00"), ("0.015", "0.02"), ("2.675", "2.68"), ("-0.005", "0.00")]
)
def test_ties_go_to_the_even_cent(given_value: str, cents: str) -> None:
    assert money(given_value) == Decimal(cents)


def test_a_float_means_the_number_that_it_prints() -> None:
    assert money(2.675) == Decimal("2.68"), "the binary value is 2.67499..., which nobody wrote"
    assert money(0.1) + money(0.2) == money("0.3")
