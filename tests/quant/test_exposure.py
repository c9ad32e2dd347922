"""Spread and slope: known cases and bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.exposure import annual_volatility, beta, effective_number


class TestEffectiveNumber:
    def test_textbook_shares(self) -> None:
        # US Department of Justice, Horizontal Merger Guidelines: shares of 30, 30, 20 and 20 % have an index of 2,600.
        assert effective_number(np.array([30.0, 30.0, 20.0, 20.0])) == pytest.approx(10_000 / 2_600)

    def test_nothing_is_unknown(self) -> None:
        assert effective_number(np.array([])) is None

    @given(values=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30))
    def test_lies_between_one_and_the_count(self, values: list[float]) -> None:
        found = effective_number(np.array(values))
        assert found is not None
        assert 1.0 - 1e-9 <= found <= len(values) + 1e-9


class TestBeta:
    def test_leverage(self) -> None:
        market = np.array([0.01, -0.02, 0.03, 0.0])
        assert beta(1.5 * market + 0.001, market) == pytest.approx(1.5)
        assert beta(market, np.full(4, 0.01)) is None

    def test_volatility_of_a_known_series(self) -> None:
        # Deviation of (1, -1, 1, -1) percent is 1.1547 percent.
        assert annual_volatility(np.array([0.01, -0.01, 0.01, -0.01])) == pytest.approx(0.011547 * 252**0.5, abs=1e-5)
