"""The quadratic problem of a long-only portfolio under a position cap, exactly."""

import numpy as np
import numpy.typing as npt

from core.errors import IntegrityBroken

FloatArray = npt.NDArray[np.float64]
_TOLERANCE = 1e-10


def solve_box_quadratic(
    covariance: FloatArray, weight_max: float, *, wish: FloatArray | None = None, start: FloatArray | None = None
) -> FloatArray:
    """The weights that minimise w'Cw / 2 - wish'w with sum one and 0 <= w <= weight_max; for positive definite C.

    Primal active set: solve for the free weights, walk until one meets a bound, hold it there; at an optimum of the
    free ones let go of the bound that costs most. Each step lowers the objective, so no set of bounds comes twice.
    `start` is a solution of a neighbouring problem: from there it is a few steps. Source: Nocedal and Wright,
    Numerical Optimization (2006), algorithm 16.3.
    """
    assets = len(covariance)
    wish = np.zeros(assets) if wish is None else wish
    weights = np.full(assets, 1 / assets) if start is None else start.copy()
    free = np.ones(assets, dtype=bool) if start is None else (weights > 0) & (weights < weight_max)
    if not free.any():
        free[weights.argmax()] = True
    for _ in range(20 * assets + 20):
        index = np.flatnonzero(free)
        held = weights[~free]
        pull = covariance[np.ix_(index, np.flatnonzero(~free))] @ held - wish[index]
        solved = np.linalg.solve(covariance[np.ix_(index, index)], np.column_stack([np.ones(len(index)), pull]))
        price = (1 - held.sum() + solved[:, 1].sum()) / solved[:, 0].sum()
        step = price * solved[:, 0] - solved[:, 1] - weights[index]
        blocking, share = _first_bound(weights[index], step, weight_max)
        weights[index] += share * step
        if blocking is not None:
            weights[index[blocking]] = weight_max if step[blocking] > 0 else 0.0
            free[index[blocking]] = False
            if free.any():
                continue
            # All are held: the next to be let go is found with the price of the one that was held last.
            price = (covariance @ weights - wish)[index[blocking]]
        gradient = covariance @ weights - wish - price
        gain = np.where(free, 0.0, np.where(weights > weight_max / 2, gradient, -gradient))
        if gain.max() <= _TOLERANCE * max(abs(price), np.abs(wish).max()):
            return weights
        free[gain.argmax()] = True
    raise IntegrityBroken("the portfolio solver found no optimum; the covariance is not positive definite")


def _first_bound(weights: FloatArray, step: FloatArray, weight_max: float) -> tuple[int | None, float]:
    """Which weight meets a bound first on the way along `step`, and after what share of it; None: none does."""
    room = np.full(len(step), np.inf)
    np.divide(weight_max - weights, step, out=room, where=step > _TOLERANCE)
    np.divide(-weights, step, out=room, where=step < -_TOLERANCE)
    first = int(room.argmin())
    return (first, max(0.0, float(room[first]))) if room[first] < 1 else (None, 1.0)
