"""Sliding windows against the plain definition, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrays import Floats
from features.windows import lagged, rolling_max, rolling_min, rolling_sum, share_below, smoothed

numbers = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))
series = st.lists(numbers, max_size=60).map(lambda values: np.array(values, dtype=np.float64))
windows = st.integers(1, 20)


def plainly(values: Floats, window: int, what: str) -> list[float]:
    """The last `window` values by numpy; NaN where there are not that many."""
    return [
        getattr(np, what)(values[i + 1 - window : i + 1]) if i + 1 >= window else np.nan for i in range(len(values))
    ]


class TestRollingSum:
    @given(series, windows)
    def test_is_the_sum_of_the_window(self, values: Floats, window: int) -> None:
        assert np.allclose(rolling_sum(values, window), plainly(values, window, "sum"), atol=1e-7, equal_nan=True)

    @given(series, windows, st.integers(0, 59))
    def test_later_values_change_no_bit(self, values: Floats, window: int, cut: int) -> None:
        whole, part = rolling_sum(values, window), rolling_sum(values[:cut], window)
        assert np.array_equal(whole[:cut], part, equal_nan=True)

    def test_nothing_lingers(self) -> None:
        """A sliding subtraction would leave 1e16 - 1e16 behind, and a NaN for ever."""
        values = np.array([0.1, 1e16, np.nan, *[0.1] * 10])
        assert rolling_sum(values, 3)[5:] == pytest.approx(0.3, rel=1e-15)


class TestRollingExtremes:
    @given(series, windows)
    def test_are_those_of_the_window(self, values: Floats, window: int) -> None:
        assert np.array_equal(rolling_max(values, window), plainly(values, window, "max"), equal_nan=True)
        assert np.array_equal(rolling_min(values, window), plainly(values, window, "min"), equal_nan=True)


class TestSmoothed:
    @given(series, st.integers(1, 10))
    def test_is_the_recursion(self, values: Floats, seed: int) -> None:
        weight = 2.0 / (seed + 1)
        expected, known = [], []
        level = np.nan
        for value in values:
            if np.isnan(value):
                expected.append(np.nan)
                continue
            known.append(value)
            if len(known) == seed:
                level = float(np.mean(known))
            elif len(known) > seed:
                level = (1 - weight) * level + weight * value
            expected.append(level)
        assert np.allclose(smoothed(values, weight, seed), expected, atol=1e-6, equal_nan=True)


class TestLagged:
    @given(series, windows)
    def test_is_the_earlier_value(self, values: Floats, sessions: int) -> None:
        found = lagged(values, sessions)
        assert np.isnan(found[:sessions]).all()
        assert np.array_equal(found[sessions:], values[: max(len(values) - sessions, 0)], equal_nan=True)


class TestShareBelow:
    @settings(max_examples=50)
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 8))
    def test_counts(self, whole_numbers: list[int], window: int) -> None:
        values = np.array(whole_numbers, dtype=np.float64)
        found = share_below(values, window)
        for i in range(window - 1, len(values)):
            last = values[i + 1 - window : i + 1]
            assert found[i] == pytest.approx(((last < values[i]).sum() + 0.5 * (last == values[i]).sum()) / window)
        assert np.isnan(found[: window - 1]).all()
