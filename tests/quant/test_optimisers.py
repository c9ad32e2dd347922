"""The optimisers against other people's solvers and formulas."""

from typing import Any

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from quant.optimiser import FloatArray, cap_weights
from quant.optimisers import OPTIMISERS
from quant.optimisers.minimum_variance import shrink_covariance, solve_box_quadratic

cp: Any = cvxpy  # its annotations are incomplete


def _returns(seed: int, sessions: int, assets: int) -> FloatArray:
    source = np.random.default_rng(seed)
    market = source.standard_normal((sessions, 1)) * (0.3 + 1.4 * source.random(assets))
    return 0.01 * (market + source.standard_normal((sessions, assets)) * (0.5 + source.random(assets)))


class TestShrinkCovariance:
    @pytest.mark.parametrize(("sessions", "assets"), [(252, 50), (30, 50), (500, 3)])
    def test_equals_scikit_learn(self, sessions: int, assets: int) -> None:
        returns = _returns(sessions, sessions, assets)
        theirs, share = ledoit_wolf(returns)
        ours, our_share = shrink_covariance(returns)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-16)
        assert our_share == pytest.approx(share, rel=1e-8)


class TestMinimumVariance:
    @pytest.mark.parametrize(("assets", "weight_max"), [(50, 1.0), (50, 0.1), (50, 0.03), (12, 0.09), (3, 0.5)])
    def test_variance_is_not_above_clarabel(self, assets: int, weight_max: float) -> None:
        returns = _returns(assets, 252, assets)
        covariance, _ = shrink_covariance(returns)
        weights = OPTIMISERS["minimum_variance"].weights(returns, weight_max=weight_max)
        theirs = cp.Variable(assets)
        problem = cp.Problem(
            cp.Minimize(cp.quad_form(theirs, cp.psd_wrap(covariance * 252e4))),
            [cp.sum(theirs) == 1, theirs >= 0, theirs <= weight_max],
        )
        problem.solve(solver=cp.CLARABEL)
        assert weights @ covariance @ weights * 252e4 <= problem.value * (1 + 1e-7)
        np.testing.assert_allclose(weights, theirs.value, atol=2e-4)

    def test_two_assets_by_hand(self) -> None:
        # Variances 1 and 4, no correlation: weights in proportion to one over variance.
        weights = solve_box_quadratic(np.diag([1.0, 4.0]), 1.0)
        np.testing.assert_allclose(weights, [0.8, 0.2], atol=1e-12)

    def test_highly_correlated_volatile_asset_is_left_out(self) -> None:
        # Correlation 0.9 with three times the volatility: the unconstrained optimum would be short.
        weights = solve_box_quadratic(np.array([[1.0, 2.7], [2.7, 9.0]]), 1.0)
        np.testing.assert_allclose(weights, [1, 0], atol=1e-12)

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 100_000), assets=st.integers(2, 40), slack=st.floats(1.01, 10))
    def test_no_pair_could_trade_to_less_variance(self, seed: int, assets: int, slack: float) -> None:
        covariance, _ = shrink_covariance(_returns(seed, 120, assets))
        covariance /= np.trace(covariance)
        weight_max = min(1.0, slack / assets)
        weights = solve_box_quadratic(covariance, weight_max)
        gradient = covariance @ weights
        can_rise, can_fall = weights < weight_max - 1e-9, weights > 1e-9
        if can_rise.any() and can_fall.any():
            assert gradient[can_rise].min() >= gradient[can_fall].max() - 1e-9 * gradient.max()


class TestInverseVolatility:
    def test_is_one_over_the_sample_deviation(self) -> None:
        returns = _returns(7, 63, 5)
        expected = 1 / returns.std(axis=0, ddof=1)
        weights = OPTIMISERS["inverse_volatility"].weights(returns)
        np.testing.assert_allclose(weights, expected / expected.sum())

    def test_untraded_asset_does_not_take_the_whole_portfolio(self) -> None:
        returns = _returns(8, 63, 10)
        returns[:, 0] = 0
        weights = OPTIMISERS["inverse_volatility"].weights(returns, weight_max=1.0)
        assert weights[0] < 0.9


class TestCapWeights:
    def test_excess_flows_on_in_proportion_and_may_meet_the_cap_in_turn(self) -> None:
        # 0.6 is cut to 0.4; the 0.2 left over makes 0.3 -> 0.45, which is cut as well; 0.1 takes the rest.
        np.testing.assert_allclose(cap_weights(np.array([0.6, 0.3, 0.1]), 0.4), [0.4, 0.4, 0.2])

    @given(
        raw=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40),
        slack=st.floats(1.001, 20),
    )
    def test_sums_to_one_keeps_order_and_proportion(self, raw: list[float], slack: float) -> None:
        weight_max = slack / len(raw)
        weights = cap_weights(np.array(raw), weight_max)
        assert weights.sum() == pytest.approx(1)
        assert weights.max() <= weight_max + 1e-12
        free = weights < weight_max - 1e-9
        ratio = weights[free] / np.array(raw)[free]
        assert ratio.size < 2 or ratio.max() == pytest.approx(ratio.min(), rel=1e-6)
        assert (np.diff(weights[np.argsort(raw)]) >= -1e-12).all()
