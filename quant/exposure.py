"""What a set of holdings would have done, and how spread out it is."""

import math

import numpy as np
import numpy.typing as npt

from quant.stats import SESSIONS_A_YEAR

Floats = npt.NDArray[np.float64]
_SAME = 1e-12


def effective_number(weights: Floats) -> float | None:
    """The number of equal parts that would be as concentrated: 1 / sum of squared shares (Herfindahl, Hirschman).

    None where nothing is held.
    """
    total = float(weights.sum())
    return float(total * total / (weights @ weights)) if total > 0 else None


def annual_volatility(daily: Floats) -> float:
    """Sample deviation of daily returns times the root of 252."""
    return float(daily.std(ddof=1)) * math.sqrt(SESSIONS_A_YEAR)


def beta(daily: Floats, market: Floats) -> float | None:
    """Slope of the returns on the market's; None where the market did not move."""
    deviations = market - market.mean()
    variance = float(deviations @ deviations)
    return float((daily - daily.mean()) @ deviations) / variance if variance > _SAME else None
