"""The long-only portfolio of least variance under a position cap, on a shrunk covariance."""

import numpy as np

from quant.covariance import definite_covariance
from quant.optimiser import FloatArray, Optimiser
from quant.quadratic import solve_box_quadratic


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """Least variance; equal weight when nothing ever moved."""
    covariance = definite_covariance(returns)
    if covariance is None:
        return np.full(returns.shape[1], 1 / returns.shape[1])
    return np.clip(solve_box_quadratic(covariance, weight_max), 0, weight_max)


MINIMUM_VARIANCE = Optimiser(name="minimum_variance", label="Minimum variance", solve=solve)
