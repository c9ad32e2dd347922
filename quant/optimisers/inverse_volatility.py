"""Weights in proportion to one over volatility."""

import numpy as np

from quant.optimiser import FloatArray, Optimiser, cap_weights

# An asset that never moved is untraded, not riskless: it counts as calm as the floor, 1 % a year.
_DAILY_VOLATILITY_MIN = 0.01 / np.sqrt(252)


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """One over the sample standard deviation, capped."""
    volatility = np.maximum(returns.std(axis=0, ddof=1), _DAILY_VOLATILITY_MIN)
    return cap_weights(1 / volatility, weight_max)


INVERSE_VOLATILITY = Optimiser(name="inverse_volatility", label="Inverse volatility", solve=solve)
