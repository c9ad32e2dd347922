"""The long-only portfolio of the highest Sharpe ratio under a position cap, on shrunk means and covariance."""

import numpy as np
from scipy.optimize import brentq

from quant.covariance import definite_covariance, shrink_covariance, shrink_means
from quant.optimiser import FloatArray, Optimiser
from quant.quadratic import solve_box_quadratic

# A mean this small beside the largest is none.
_MEAN_MIN = 1e-6


class _Frontier:
    """Efficient portfolios: weights that minimise w'Cw / 2 - taste * means'w, each found from the one before."""

    def __init__(self, covariance: FloatArray, means: FloatArray, weight_max: float) -> None:
        self.covariance, self.means, self.weight_max = covariance, means, weight_max
        self.weights = solve_box_quadratic(covariance, weight_max)

    def slope(self, taste: float) -> float:
        """Variance - taste * mean at that taste: zero where the Sharpe ratio is highest, positive before it."""
        self.weights = solve_box_quadratic(
            self.covariance, self.weight_max, wish=taste * self.means, start=self.weights
        )
        w = self.weights
        return float(w @ self.covariance @ w - taste * (self.means @ w))


def tangent_weights(covariance: FloatArray, means: FloatArray, weight_max: float) -> FloatArray:
    """The weights of the highest means'w / sqrt(w'Cw) with sum one and 0 <= w <= weight_max, cash earning nothing.

    On the frontier the ratio rises with the taste for return until taste = variance / mean, and falls from there on:
    Merton, An Analytic Derivation of the Efficient Portfolio Frontier, Journal of Financial and Quantitative Analysis 7
    (1972). Where no portfolio has a positive mean no ratio is worth having, and the least variance is returned.
    """
    frontier = _Frontier(covariance, means, weight_max)
    best = _highest_mean(means, weight_max)
    if best <= _MEAN_MIN * np.abs(means).max():
        return frontier.weights
    taste = float(frontier.weights @ covariance @ frontier.weights) / best
    while frontier.slope(taste) > 0:
        taste *= 2
    brentq(frontier.slope, 0.0, taste, xtol=1e-15 * taste, rtol=1e-14)
    return frontier.weights


def _highest_mean(means: FloatArray, weight_max: float) -> float:
    """Of all portfolios under the cap: the best assets at the cap, the next with what is left."""
    room = 1 - weight_max * np.arange(len(means))
    return float(np.sort(means)[::-1] @ np.clip(room, 0, weight_max))


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """Highest Sharpe ratio; equal weight when nothing ever moved."""
    covariance = definite_covariance(returns)
    if covariance is None:
        return np.full(returns.shape[1], 1 / returns.shape[1])
    scale = float(np.trace(shrink_covariance(returns)[0]))
    means = shrink_means(returns.mean(axis=0) / np.sqrt(scale), covariance, len(returns))
    return np.clip(tangent_weights(covariance, means, weight_max), 0, weight_max)


MAXIMUM_SHARPE = Optimiser(name="maximum_sharpe", label="Maximum Sharpe ratio", solve=solve)
