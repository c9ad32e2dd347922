"""The same weight for every asset."""

import numpy as np

from quant.optimiser import FloatArray, Optimiser


def solve(returns: FloatArray, weight_max: float) -> FloatArray:  # noqa: ARG001 the contract hands the cap to all
    """One over the number of assets; the contract has checked that the cap allows it."""
    return np.full(returns.shape[1], 1 / returns.shape[1])


EQUAL_WEIGHT = Optimiser(name="equal_weight", label="Equal weight", solve=solve)
