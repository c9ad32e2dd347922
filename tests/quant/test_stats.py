"""Performance measures against textbook formulas and hand arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from quant.stats import measure_performance


class TestMeasurePerformance:
    def test_a_year_that_gains_a_tenth(self) -> None:
        values = 100 * 1.1 ** (np.arange(253) / 252)
        measured = measure_performance(values)
        assert measured.sessions == 252
        assert measured.total_return == pytest.approx(0.1)
        assert measured.annual_return == pytest.approx(0.1)
        assert measured.annual_volatility == pytest.approx(0, abs=1e-12)
        assert measured.sharpe is None
        assert measured.drawdown_max == 0

    def test_drawdown_is_from_the_highest_value_so_far(self) -> None:
        # 120 -> 90 is a quarter down; 110 -> 80 later is less than that below 120: a third down.
        assert measure_performance(np.array([100, 120, 90, 110, 80, 130.0])).drawdown_max == pytest.approx(-1 / 3)

    def test_sharpe_of_four_returns_by_hand(self) -> None:
        # Returns 2 %, -1 %, 3 %, 0 %: mean 1 %, sum of squared deviations 10e-4, sample deviation sqrt(10e-4 / 3).
        values = 100 * np.cumprod([1, 1.02, 0.99, 1.03, 1.0])
        measured = measure_performance(values)
        deviation = math.sqrt(10e-4 / 3)
        assert measured.annual_volatility == pytest.approx(deviation * math.sqrt(252))
        assert measured.sharpe == pytest.approx(0.01 / deviation * math.sqrt(252))

    def test_benchmark_of_constant_lag(self) -> None:
        # The benchmark earns half a point less each day, with a ripple of a point up and down.
        own = np.array([0.02, -0.01, 0.03, 0.0])
        other = own - np.array([0.015, -0.005, 0.015, -0.005])
        values, benchmark = (np.cumprod(np.concatenate([[1.0], 1 + daily])) for daily in (own, other))
        measured = measure_performance(values, benchmark)
        assert measured.information_ratio == pytest.approx(0.005 / math.sqrt(4 * 0.01**2 / 3) * math.sqrt(252))
        expected = (values[-1] ** 63) - (benchmark[-1] ** 63)
        assert measured.excess_return == pytest.approx(expected)

    def test_nothing_compared_is_unknown_not_zero(self) -> None:
        measured = measure_performance(np.array([1.0, 1.1, 1.05]))
        assert measured.excess_return is None
        assert measured.information_ratio is None

    def test_same_path_has_no_information_ratio(self) -> None:
        values = np.array([1.0, 1.1, 1.05])
        assert measure_performance(values, values).information_ratio is None

    @given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60), st.floats(0.01, 1e6))
    def test_size_of_the_account_does_not_matter(self, daily: list[float], scale: float) -> None:
        values = np.cumprod([1, *(1 + change for change in daily)])
        small, large = measure_performance(values), measure_performance(values * scale)
        assert large.total_return == pytest.approx(small.total_return, abs=1e-9)
        assert large.drawdown_max == pytest.approx(small.drawdown_max, abs=1e-9)
        assert -1 <= small.drawdown_max <= 0

    @pytest.mark.parametrize("values", [[100.0], [100.0, 0.0], [100.0, math.nan], [[1.0, 2.0]]])
    def test_unusable_values_are_refused(self, values: list[float]) -> None:
        with pytest.raises(InputError, match="positive"):
            measure_performance(np.array(values))

    def test_benchmark_of_another_length_is_refused(self) -> None:
        with pytest.raises(InputError, match="benchmark has 2"):
            measure_performance(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0]))
