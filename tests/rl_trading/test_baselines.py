"""The simple allocators under the limits."""

import numpy as np
import pytest

from core.errors import UnknownName
from rl_trading.baselines import LOOK_BACK_SESSIONS, SIMPLE, past_returns, simple_weights
from rl_trading.weights import Limits

LIMITS = Limits(position_weight_max=0.08, cash_weight_min=0.02)
ALL = np.ones(30, dtype=np.bool_)


def _returns(seed: int = 0, stocks: int = 30) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(0, generator.uniform(0.005, 0.03, stocks), (252, stocks))


class TestSimpleWeights:
    @pytest.mark.parametrize("name", SIMPLE)
    def test_keeps_the_limits(self, name: str) -> None:
        weights = simple_weights(name, _returns(), ALL, LIMITS)
        assert weights.sum() == pytest.approx(1.0)
        assert weights[-1] == pytest.approx(0.02, abs=1e-6)
        assert weights[:-1].max() <= 0.08 + 1e-9

    def test_inverse_volatility_by_hand(self) -> None:
        steps = np.tile([1.0, -1.0], 126)
        returns = np.stack([0.01 * steps, 0.02 * steps, 0.04 * steps], axis=1)
        weights = simple_weights("inverse_volatility", returns, np.ones(3, dtype=np.bool_), Limits(1.0, 0.0))
        assert weights[:-1] == pytest.approx([4 / 7, 2 / 7, 1 / 7])

    def test_minimum_variance_varies_least(self) -> None:
        returns = _returns()
        variance = {name: (returns @ simple_weights(name, returns, ALL, LIMITS)[:-1]).var() for name in SIMPLE}
        assert variance["minimum_variance"] < variance["inverse_volatility"] < variance["equal_weight"]

    @pytest.mark.parametrize("name", SIMPLE)
    def test_empty_slots_get_nothing_and_young_stocks_only_equal_weight(self, name: str) -> None:
        returns, present = _returns(), ALL.copy()
        present[5] = False
        returns[:100, 7] = np.nan
        weights = simple_weights(name, returns, present, LIMITS)
        assert weights[5] == 0.0
        assert (weights[7] > 0.0) == (name == "equal_weight")

    @pytest.mark.parametrize("name", SIMPLE)
    def test_without_history_all_weigh_the_same(self, name: str) -> None:
        weights = simple_weights(name, np.full((252, 30), np.nan), ALL, LIMITS)
        assert weights[:-1] == pytest.approx(np.full(30, 0.98 / 30))

    def test_unknown_name(self) -> None:
        with pytest.raises(UnknownName, match="minimum_variance"):
            simple_weights("best", _returns(), ALL, LIMITS)


class TestPastReturns:
    def test_ends_with_the_day_itself(self) -> None:
        closes = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (400, 4)), axis=0))
        returns = past_returns(closes, 300, np.array([2, -1, 0]))
        assert returns.shape == (LOOK_BACK_SESSIONS, 3)
        assert returns[-1, 0] == pytest.approx(closes[300, 2] / closes[299, 2] - 1)
        assert np.isnan(returns[:, 1]).all()
