"""Intervals around what a series of daily returns showed, by resampling blocks of it, so that dependence is kept.

Stationary bootstrap: blocks begin anywhere, run around the end, and have geometric lengths. Sources: Politis and
Romano, The Stationary Bootstrap (1994); for the mean length Politis and White, Automatic Block-Length Selection for
the Dependent Bootstrap (2004), as corrected by Patton, Politis and White (2009).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats = npt.NDArray[np.float64]
DRAWS = 1_000
LEVEL = 0.90
# What one evening decides is held for five sessions, so no shorter block keeps the dependence of a portfolio's returns.
BLOCK_MIN_SESSIONS = 5.0
_LAGS_QUIET = 5
_SAME = 1e-12


@dataclass(frozen=True)
class Interval:
    """What was observed, and where the middle `level` of the resampled values lies."""

    observed: float
    low: float
    high: float


def mean_interval(returns: Floats, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the mean return per session. InputError below two sessions."""
    _require(returns)
    block = optimal_block(returns)
    sums = _resample(returns[:, None], block=block, draws=draws, seed=seed)
    return _interval(float(returns.mean()), sums[:, 0] / len(returns), level)


def ratio_interval(returns: Floats, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> Interval | None:
    """Of the Sharpe ratio per session, not annualised; None where the returns do not vary."""
    _require(returns)
    observed = _ratio(returns)
    if observed is None:
        return None
    block = optimal_block(_influence(returns, observed))
    sums = _resample(np.column_stack([returns, returns**2]), block=block, draws=draws, seed=seed)
    return _interval(observed, _ratios(sums[:, 0], sums[:, 1], len(returns)), level)


def ratio_difference_interval(
    returns: Floats, others: Floats, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """Of the Sharpe ratio per session of `returns` less that of `others`, which are of the same sessions.

    Both are resampled in the same blocks, so what they share cancels. None where one of them does not vary.
    """
    _require(returns)
    _require(others)
    if len(returns) != len(others):
        raise InputError(f"paired series must be as long as each other, got {len(returns)} and {len(others)} sessions")
    first, second = _ratio(returns), _ratio(others)
    if first is None or second is None:
        return None
    block = optimal_block(_influence(returns, first) - _influence(others, second))
    sums = _resample(np.column_stack([returns, returns**2, others, others**2]), block=block, draws=draws, seed=seed)
    leads = _ratios(sums[:, 0], sums[:, 1], len(returns)) - _ratios(sums[:, 2], sums[:, 3], len(returns))
    return _interval(first - second, leads, level)


def optimal_block(series: Floats) -> float:
    """Mean block length in sessions that estimates the variance of the mean of `series` best; at least a week."""
    count = len(series)
    lags_max = min(math.ceil(math.sqrt(count)) + _LAGS_QUIET, count - 1)
    centred = series - series.mean()
    covariance = np.array([centred[lag:] @ centred[: count - lag] for lag in range(lags_max + 1)]) / count
    if covariance[0] <= _SAME**2:
        return BLOCK_MIN_SESSIONS
    loud = np.abs(covariance / covariance[0]) >= 2.0 * math.sqrt(math.log10(count) / count)
    last = _last_loud_lag(loud)
    lags = np.arange(1, min(2 * max(last, 1), lags_max) + 1)
    taper = np.minimum(1.0, 2.0 * (1.0 - lags / max(lags[-1], 2)))
    curvature = 2.0 * float(taper @ (lags * covariance[lags]))
    long_run = float(covariance[0] + 2.0 * taper @ covariance[lags])
    if last == 0 or long_run <= 0.0:
        return BLOCK_MIN_SESSIONS
    longest = max(min(3.0 * math.sqrt(count), count / 3.0), BLOCK_MIN_SESSIONS)
    return float(np.clip((curvature**2 / long_run**2 * count) ** (1.0 / 3.0), BLOCK_MIN_SESSIONS, longest))


def _last_loud_lag(loud: npt.NDArray[np.bool_]) -> int:
    """The smallest lag after which five in a row do not matter; without one, the last that does."""
    for lag in range(len(loud) - _LAGS_QUIET):
        if not loud[lag + 1 : lag + 1 + _LAGS_QUIET].any():
            return lag
    return int(np.flatnonzero(loud)[-1])


def _resample(values: Floats, *, block: float, draws: int, seed: int) -> Floats:
    """(draws, columns): sums of the columns of `values` over as many resampled sessions as there are.

    Only the ends of the blocks are looked up, in running sums, so the cost falls with the length of the blocks.
    """
    count = len(values)
    generator = np.random.default_rng(seed)
    expected = count / block
    blocks = min(count, math.ceil(expected + 4.0 * math.sqrt(expected) + 4.0))
    lengths = generator.geometric(1.0 / block, (draws, blocks))
    reached = np.minimum(lengths.cumsum(axis=1, out=lengths), count)
    # The last block of the table fills what is left, which with so many blocks is nothing.
    reached[:, -1] = count
    first = generator.integers(0, count, (draws, blocks))
    last = first + reached
    last[:, 1:] -= reached[:, :-1]
    centre = values.mean(axis=0)
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.vstack([values, values]) - centre, axis=0)])
    columns = np.ascontiguousarray(running.T)
    sums = np.empty((draws, values.shape[1]))
    for place, column in enumerate(columns):
        sums[:, place] = column.take(last).sum(axis=1) - column.take(first).sum(axis=1) + count * centre[place]
    return sums


def _require(returns: Floats) -> None:
    if returns.ndim != 1 or len(returns) < 2 or not np.isfinite(returns).all():
        raise InputError(f"returns must be one series of two or more finite numbers, got shape {returns.shape}")


def _ratio(returns: Floats) -> float | None:
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > _SAME else None


def _ratios(sums: Floats, squares: Floats, count: int) -> Floats:
    """Sharpe ratios from sums; a draw that does not vary says nothing and counts as the middle."""
    mean = sums / count
    variance = (squares / count - mean**2) * count / (count - 1)
    varies = variance > _SAME**2
    ratios: Floats = mean / np.sqrt(np.where(varies, variance, 1.0))
    ratios[~varies] = np.median(ratios[varies]) if varies.any() else 0.0
    return ratios


def _influence(returns: Floats, ratio: float) -> Floats:
    """What each session adds to the Sharpe ratio, to first order: its dependence is that of the estimate."""
    standard: Floats = (returns - returns.mean()) / returns.std()
    return standard - ratio / 2.0 * (standard**2 - 1.0)


def _interval(observed: float, resampled: Floats, level: float) -> Interval:
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    low, high = np.quantile(resampled, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(observed, float(low), float(high))
