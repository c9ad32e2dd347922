"""The long-only portfolio of least variance under a position cap, on a shrunk covariance."""

import numpy as np

from core.errors import IntegrityBroken
from quant.optimiser import FloatArray, Optimiser

_TOLERANCE = 1e-10
# Shrinkage may be zero, and twins or a handful of sessions then leave the covariance singular.
_RIDGE = 1e-8


def shrink_covariance(returns: FloatArray) -> tuple[FloatArray, float]:
    """Sample covariance shrunk towards a scaled identity, and the share of the target in it.

    Source: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88 (2004), section 3.3; the covariance divides by the number of sessions.
    """
    sessions, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / sessions
    mean_variance = np.trace(sample) / assets
    dispersion = np.sum(sample**2) - assets * mean_variance**2
    squares = centred**2
    noise = (np.sum(squares.T @ squares) / sessions - np.sum(sample**2)) / sessions
    share = 1.0 if dispersion <= 0 else float(np.clip(noise / dispersion, 0, 1))
    shrunk = (1 - share) * sample
    shrunk.flat[:: assets + 1] += share * mean_variance
    return shrunk, share


def solve_box_quadratic(covariance: FloatArray, weight_max: float) -> FloatArray:
    """The weights that minimise w'Cw with sum one and 0 <= w <= weight_max; exact, for positive definite C.

    Primal active set: solve for the free weights, walk until one meets a bound, hold it there; at an optimum of the
    free ones let go of the bound that costs most. Each step lowers the variance, so no set of bounds comes twice.
    Source: Nocedal and Wright, Numerical Optimization (2006), algorithm 16.3.
    """
    assets = len(covariance)
    weights = np.full(assets, 1 / assets)
    free = np.ones(assets, dtype=bool)
    for _ in range(20 * assets + 20):
        index = np.flatnonzero(free)
        held = weights[~free]
        pull = covariance[np.ix_(index, np.flatnonzero(~free))] @ held
        solved = np.linalg.solve(covariance[np.ix_(index, index)], np.column_stack([np.ones(len(index)), pull]))
        price = (1 - held.sum() + solved[:, 1].sum()) / solved[:, 0].sum()
        step = price * solved[:, 0] - solved[:, 1] - weights[index]
        blocking, share = _first_bound(weights[index], step, weight_max)
        weights[index] += share * step
        if blocking is not None:
            weights[index[blocking]] = weight_max if step[blocking] > 0 else 0.0
            free[index[blocking]] = False
            continue
        gradient = covariance @ weights - price
        gain = np.where(free, 0.0, np.where(weights > weight_max / 2, gradient, -gradient))
        if gain.max() <= _TOLERANCE * abs(price):
            return weights
        free[gain.argmax()] = True
    raise IntegrityBroken("the minimum-variance solver found no optimum; the covariance is not positive definite")


def _first_bound(weights: FloatArray, step: FloatArray, weight_max: float) -> tuple[int | None, float]:
    """Which weight meets a bound first on the way along `step`, and after what share of it; None: none does."""
    room = np.full(len(step), np.inf)
    np.divide(weight_max - weights, step, out=room, where=step > _TOLERANCE)
    np.divide(-weights, step, out=room, where=step < -_TOLERANCE)
    first = int(room.argmin())
    return (first, max(0.0, float(room[first]))) if room[first] < 1 else (None, 1.0)


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """Least variance; equal weight when nothing ever moved."""
    covariance, _ = shrink_covariance(returns)
    scale = np.trace(covariance)
    if scale <= 0:
        return np.full(returns.shape[1], 1 / returns.shape[1])
    definite = covariance / scale + _RIDGE * np.eye(len(covariance)) / len(covariance)
    return np.clip(solve_box_quadratic(definite, weight_max), 0, weight_max)


MINIMUM_VARIANCE = Optimiser(name="minimum_variance", label="Minimum variance", solve=solve)
