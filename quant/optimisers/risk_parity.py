"""Every asset adds the same to the portfolio's risk, on a shrunk covariance."""

import numpy as np

from core.errors import IntegrityBroken
from quant.covariance import definite_covariance
from quant.optimiser import FloatArray, Optimiser, cap_weights

_TOLERANCE = 1e-12
_ROUNDS_MAX = 100


def equal_contributions(covariance: FloatArray) -> FloatArray:
    """Weights w > 0, summing to one, with w_i (Cw)_i the same for all i; for positive definite C.

    Newton's method on x'Rx / 2 - sum(log x) / n over the correlations R, damped until the decrement is small. Source:
    Spinu, An Algorithm for Computing Risk Parity Weights (2013), algorithm 3.
    """
    assets = len(covariance)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    # Correlations near minus one may leave nothing of their sum.
    x = np.full(assets, 1 / np.sqrt(max(correlation.sum(), 1.0)))
    for _ in range(_ROUNDS_MAX):
        gradient = correlation @ x - 1 / (assets * x)
        step = np.linalg.solve(correlation + np.diag(1 / (assets * x**2)), gradient)
        decrement = float(np.sqrt(max(assets * (gradient @ step), 0.0)))
        x -= step / (1 + decrement) if decrement > 0.25 else step
        if decrement < _TOLERANCE:
            weights = x / deviation
            return np.asarray(weights / weights.sum())
    raise IntegrityBroken("the risk-parity solver did not settle; the covariance is not positive definite")


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """Equal contributions, capped; equal weight when nothing ever moved."""
    covariance = definite_covariance(returns)
    if covariance is None:
        return np.full(returns.shape[1], 1 / returns.shape[1])
    return cap_weights(equal_contributions(covariance), weight_max)


RISK_PARITY = Optimiser(name="risk_parity", label="Risk parity", solve=solve)
