"""The simple allocators: what a policy must beat, and what serves until one does."""

import numpy as np
import numpy.typing as npt

from core.errors import UnknownName
from quant.optimisers import OPTIMISERS
from rl_trading.weights import Limits, limited

Floats = npt.NDArray[np.float64]
SIMPLE = ("equal_weight", "inverse_volatility", "minimum_variance", "maximum_sharpe", "risk_parity", "hrp")
# Serves where no fold has judged anything yet: it needs no forecast and survives every regime.
DEFAULT = "inverse_volatility"
LOOK_BACK_SESSIONS = 252
_PLACES_MIN = 2


def simple_weights(name: str, returns: Floats, present: npt.NDArray[np.bool_], limits: Limits) -> Floats:
    """Weights (n + 1, cash last) under the limits of the stocks that are `present` (n).

    `returns` (sessions, n) are past daily returns, NaN where unknown. Equal weight holds every stock; the others only
    those known throughout the look-back, and fall back to equal weight where fewer than two are.
    """
    if name not in SIMPLE:
        raise UnknownName("simple allocator", name, SIMPLE)
    known = present & np.isfinite(returns).all(axis=0) & (len(returns) > 1)
    preferences = np.where(present, 0.0, np.nan)
    if name == "equal_weight" or known.sum() < _PLACES_MIN:
        preferences[present] = 1.0
    else:
        share = limits.position_weight_max / (1.0 - limits.cash_weight_min)
        cap = max(share, 1.0 / int(known.sum()))
        preferences[known] = OPTIMISERS[name].weights(returns[:, known], weight_max=cap)
    return limited(preferences, limits)


def past_returns(adj_close: Floats, index: int, slots: npt.NDArray[np.int64]) -> Floats:
    """Daily total returns (sessions, n) of the `LOOK_BACK_SESSIONS` up to row `index`, NaN for empty slots (-1)."""
    first = max(index - LOOK_BACK_SESSIONS, 0)
    window = adj_close[first : index + 1][:, np.maximum(slots, 0)]
    window = np.where(slots[None, :] >= 0, window, np.nan)
    returns: Floats = window[1:] / window[:-1] - 1.0
    return returns
