"""The optimisers against skfolio, Clarabel and the papers' formulas."""

from typing import Any

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio import RiskMeasure
from skfolio.distance import CovarianceDistance
from skfolio.moments import LedoitWolf, ShrunkMu, ShrunkMuMethods
from skfolio.optimization import HierarchicalRiskParity, MeanRisk, ObjectiveFunction, RiskBudgeting
from skfolio.prior import EmpiricalPrior
from sklearn.covariance import ledoit_wolf

from quant.covariance import shrink_covariance, shrink_means
from quant.optimiser import FloatArray, cap_weights
from quant.optimisers import OPTIMISERS
from quant.optimisers.hrp import bisect, order_by_likeness
from quant.optimisers.maximum_sharpe import tangent_weights
from quant.optimisers.risk_parity import equal_contributions
from quant.quadratic import solve_box_quadratic

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


class TestShrinkMeans:
    @pytest.mark.parametrize(("sessions", "assets"), [(252, 50), (60, 10)])
    def test_equals_skfolio(self, sessions: int, assets: int) -> None:
        returns = _returns(sessions, sessions, assets)
        theirs = ShrunkMu(
            covariance_estimator=LedoitWolf(), vol_weighted_target=True, method=ShrunkMuMethods.BAYES_STEIN
        ).fit(returns)
        covariance, _ = shrink_covariance(returns)
        ours = shrink_means(returns.mean(axis=0), covariance, sessions)
        np.testing.assert_allclose(ours, theirs.mu_, rtol=1e-8)


class TestMaximumSharpe:
    @pytest.mark.parametrize(("seed", "assets", "weight_max"), [(1, 50, 0.08), (2, 50, 1.0), (3, 12, 0.2), (4, 5, 0.5)])
    def test_ratio_is_not_below_clarabels(self, seed: int, assets: int, weight_max: float) -> None:
        returns = _returns(seed, 252, assets) + 0.0008
        prior = EmpiricalPrior(
            covariance_estimator=LedoitWolf(),
            mu_estimator=ShrunkMu(
                covariance_estimator=LedoitWolf(), vol_weighted_target=True, method=ShrunkMuMethods.BAYES_STEIN
            ),
        )
        theirs = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_RATIO,
            risk_measure=RiskMeasure.VARIANCE,
            prior_estimator=prior,
            max_weights=weight_max,
        ).fit(returns)
        covariance, _ = shrink_covariance(returns)
        means = shrink_means(returns.mean(axis=0), covariance, 252)
        ours = OPTIMISERS["maximum_sharpe"].weights(returns, weight_max=weight_max)
        ratios = [means @ w / np.sqrt(w @ covariance @ w) for w in (ours, theirs.weights_)]
        assert ratios[0] >= ratios[1] * (1 - 1e-6)
        np.testing.assert_allclose(ours, theirs.weights_, atol=5e-3)

    def test_without_bounds_that_bind_it_is_the_tangency_portfolio(self) -> None:
        """Merton's closed form: weights in proportion to the inverse covariance times the means."""
        covariance = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 0.3], [0.5, 0.3, 1.0]])
        means = np.array([0.5, 0.9, 0.2])
        expected = np.linalg.solve(covariance, means)
        assert (expected > 0).all()
        np.testing.assert_allclose(tangent_weights(covariance, means, 1.0), expected / expected.sum(), atol=1e-9)

    @pytest.mark.parametrize("means", [[-0.3, -0.2, -0.1], [0.01, -5.0, -5.0]])
    def test_where_every_portfolio_loses_it_varies_least(self, means: list[float]) -> None:
        covariance = np.diag([1.0, 2.0, 4.0])
        weights = tangent_weights(covariance, np.array(means), 0.6)
        np.testing.assert_allclose(weights, solve_box_quadratic(covariance, 0.6), atol=1e-12)


class TestRiskParity:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_equals_skfolio(self, seed: int) -> None:
        returns = _returns(seed, 252, 50)
        prior = EmpiricalPrior(covariance_estimator=LedoitWolf())
        theirs = RiskBudgeting(risk_measure=RiskMeasure.VARIANCE, prior_estimator=prior).fit(returns)
        ours = OPTIMISERS["risk_parity"].weights(returns, weight_max=1.0)
        np.testing.assert_allclose(ours, theirs.weights_, atol=3e-6)

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 100_000), assets=st.integers(1, 60), sessions=st.integers(5, 120))
    def test_contributions_are_equal(self, seed: int, assets: int, sessions: int) -> None:
        covariance, _ = shrink_covariance(_returns(seed, sessions, assets))
        weights = equal_contributions(covariance / np.trace(covariance))
        contributions = weights * (covariance @ weights)
        assert contributions.max() / contributions.min() - 1 < 1e-8

    def test_equal_correlations_make_it_inverse_volatility(self) -> None:
        """Maillard, Roncalli and Teiletche (2010), The Properties of Equally Weighted Risk Contribution Portfolios."""
        deviation = np.array([0.1, 0.2, 0.3, 0.4])
        covariance = np.outer(deviation, deviation) * (0.4 + 0.6 * np.eye(4))
        expected = 1 / deviation
        np.testing.assert_allclose(equal_contributions(covariance), expected / expected.sum(), rtol=1e-9)


class TestHierarchicalRiskParity:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_equals_skfolio(self, seed: int) -> None:
        returns = _returns(seed, 252, 40)
        returns = returns[:, np.argsort(returns.var(axis=0))]
        theirs = HierarchicalRiskParity(
            risk_measure=RiskMeasure.VARIANCE,
            prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()),
            distance_estimator=CovarianceDistance(covariance_estimator=LedoitWolf()),
        ).fit(returns)
        ours = OPTIMISERS["hrp"].weights(returns, weight_max=1.0)
        np.testing.assert_allclose(ours, theirs.weights_, atol=1e-7)

    def test_bisection_by_hand(self) -> None:
        """Halves {1, 2} and {3}: their variances 0.8 and 4 share out 5/6 and 1/6, then 0.8 and 0.2 inside."""
        weights = bisect(np.diag([1.0, 4.0, 4.0]), [2, 0, 1])
        inner = 4.0 / (4.0 + 0.8)
        np.testing.assert_allclose(weights, [inner * 0.8, inner * 0.2, 1 - inner])

    def test_like_assets_stand_side_by_side(self) -> None:
        source = np.random.default_rng(1)
        common = source.standard_normal((500, 2))
        returns = common[:, [0, 1, 0, 1, 0, 1]] + 0.3 * source.standard_normal((500, 6))
        order = order_by_likeness(np.cov(returns.T))
        assert {frozenset(order[:3]), frozenset(order[3:])} == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}
