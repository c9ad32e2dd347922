"""What a replay tells of an account's path."""

import numpy as np
import pytest

from mlops.rehearsal import measures_of


class TestMeasuresOf:
    def test_less_than_a_year_is_not_annualised(self) -> None:
        path = np.linspace(100.0, 110.0, 120)
        told = measures_of(path, path)
        assert told["total_return"] == pytest.approx(0.1)
        assert told["drawdown_max"] == 0.0
        annualised = ("annual_return", "annual_volatility", "sharpe", "excess_return", "information_ratio")
        assert [told[name] for name in annualised] == [None] * 5

    def test_a_year_is(self) -> None:
        told = measures_of(np.linspace(100.0, 110.0, 253), None)
        assert told["annual_return"] == pytest.approx(0.1)
        assert told["sharpe"] is not None
