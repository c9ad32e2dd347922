"""How often the best of many in one half of history is a bad one in the other: the probability of overfitting.

Combinatorially symmetric cross-validation: history in S blocks, every choice of half of them as the past in which the
best configuration is picked, the rest as the future in which it is ranked. Source: Bailey, Borwein, López de Prado
and Zhu, The Probability of Backtest Overfitting, Journal of Computational Finance 20 (2017).
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats = npt.NDArray[np.float64]
# 252 ways to halve history. Sixteen blocks, the choice of the paper, cost fifty times as much and move the figure by a
# few hundredths.
BLOCKS = 10
_BLOCKS_MAX = 18
_SAME = 1e-12


@dataclass(frozen=True)
class Overfitting:
    """What cross-validation says of choosing the best of `trials` configurations.

    `probability`: share of the halvings in which the pick falls to the lower half of the others' future (logit <= 0).
    `loss_probability`: share in which the pick's future ratio is negative. `slope`: by how much a pick's future ratio
    rises with its past one; None where the past ratios do not vary. `logits`: one of each halving.
    """

    trials: int
    halvings: int
    probability: float
    loss_probability: float
    slope: float | None
    logits: Floats


def measure_overfitting(returns: Floats, *, blocks: int = BLOCKS) -> Overfitting:
    """PBO by CSCV of daily `returns`, shape (sessions, configurations), judged by Sharpe ratio.

    `blocks` is even; the blocks differ by one session at most. InputError for fewer than two configurations, fewer
    than two sessions a block, or a half of history in which a configuration does not vary.
    """
    if returns.ndim != 2 or returns.shape[1] < 2 or not np.isfinite(returns).all():
        raise InputError(f"returns must be finite, sessions by two or more configurations, got shape {returns.shape}")
    if blocks % 2 or not 2 <= blocks <= _BLOCKS_MAX or len(returns) < 2 * blocks:
        raise InputError(f"blocks must be even, 2 to {_BLOCKS_MAX}, of two sessions or more, got {blocks}")
    past = _half_ratios(returns, blocks)
    # Halvings come in lexicographic order, so the other half of the first is the last.
    future = past[::-1]
    rows = np.arange(len(past))
    pick = past.argmax(axis=1)
    past_of_pick, future_of_pick = past[rows, pick], future[rows, pick]
    below = (future < future_of_pick[:, None]).sum(axis=1)
    level = (future == future_of_pick[:, None]).sum(axis=1)
    rank = below + (level + 1) / 2
    logits = np.log(rank / (returns.shape[1] + 1 - rank))
    return Overfitting(
        trials=returns.shape[1],
        halvings=len(past),
        probability=float((logits <= 0.0).mean()),
        loss_probability=float((future_of_pick < 0.0).mean()),
        slope=_slope(past_of_pick, future_of_pick),
        logits=logits,
    )


def _half_ratios(returns: Floats, blocks: int) -> Floats:
    """(halvings, configurations): Sharpe ratio in each half of history, from sums and squares by block."""
    centred = returns - returns.mean(axis=0)
    starts = np.array([part[0] for part in np.array_split(np.arange(len(returns)), blocks)])
    sizes = np.diff([*starts, len(returns)])
    chosen = _halvings(blocks)
    count = (chosen @ sizes)[:, None]
    mean = chosen @ np.add.reduceat(centred, starts) / count
    variance = chosen @ np.add.reduceat(centred**2, starts) / count - mean**2
    if (variance <= _SAME**2).any():
        raise InputError("returns of a configuration do not vary in a half of history; leave it out")
    ratios: Floats = (mean + returns.mean(axis=0)) / np.sqrt(variance)
    return ratios


@cache
def _halvings(blocks: int) -> Floats:
    """(comb(blocks, blocks / 2), blocks): 1 where the block belongs to the half, in lexicographic order."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    halvings = np.zeros((len(chosen), blocks))
    np.put_along_axis(halvings, chosen, 1.0, axis=1)
    return halvings


def _slope(past: Floats, future: Floats) -> float | None:
    deviations = past - past.mean()
    variance = float(deviations @ deviations)
    return float(deviations @ future) / variance if variance > _SAME else None
