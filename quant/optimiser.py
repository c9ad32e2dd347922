"""Contract of the optimisers: past returns in, long-only weights that sum to one out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError

FloatArray = npt.NDArray[np.float64]
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Optimiser:
    """A rule that turns past returns into weights. `solve(returns, weight_max)` may trust its input."""

    name: str
    label: str
    solve: Callable[[FloatArray, float], FloatArray]

    def weights(self, returns: FloatArray, *, weight_max: float = 1.0) -> FloatArray:
        """Weights of the assets, each in [0, weight_max], summing to one.

        `returns` is sessions x assets: simple daily returns, oldest first, at least two sessions and no missing
        value. InputError when the values are unusable or the cap leaves no solution (assets * weight_max < 1).
        """
        returns = np.asarray(returns, dtype=np.float64)
        if returns.ndim != 2 or returns.shape[0] < 2 or returns.shape[1] < 1:
            raise InputError(f"returns must be sessions x assets with two sessions or more, got shape {returns.shape}")
        if not np.isfinite(returns).all():
            raise InputError("returns hold missing or infinite values; leave assets without full history out")
        if returns.shape[1] * weight_max < 1 - _TOLERANCE:
            raise InputError(
                f"weight_max {weight_max} leaves no solution for {returns.shape[1]} assets;"
                f" raise it to {1 / returns.shape[1]:.4f} or more"
            )
        weights = self.solve(returns, min(weight_max, 1.0))
        assert abs(weights.sum() - 1) < _TOLERANCE
        assert weights.min() >= 0
        assert weights.max() <= weight_max + _TOLERANCE
        return weights


def cap_weights(weights: FloatArray, weight_max: float) -> FloatArray:
    """Non-negative weights scaled to sum to one under a cap: what is cut flows to the others in proportion.

    Needs as many positive weights as it takes to hold one under the cap. The result is proportional to `weights`
    wherever the cap does not bind.
    """
    weights = weights / weights.sum()
    capped = np.zeros(len(weights), dtype=bool)
    while (over := ~capped & (weights > weight_max)).any():
        capped |= over
        weights[capped] = weight_max
        rest = 1 - weight_max * capped.sum()
        free = weights[~capped].sum()
        # All free weights are zero only when the cap was reached exactly: then nothing is left to hand on.
        weights[~capped] *= rest / free if free > 0 else 0.0
    return weights
