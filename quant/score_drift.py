"""Whether a screener still says what it said: ranking, calibration, and its performance before the labels arrive.

Scores and labels are parallel arrays, grouped by session; `day` numbers the sessions from 0. What happened on a
session tells little by itself, so every measure is a series of sessions of which stretches are compared.
"""

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import isotonic_regression

from quant.placement import Floats, correlation_time, independent_months, monthly_worst, p_values, window_sums

Ints = npt.NDArray[np.int64]
RELIABILITY_BINS = 10
HISTORY_WINDOWS_MIN = 6
_DEVIATION_MIN = 1e-12


def rank_correlations(day: Ints, scores: Floats, forward: Floats, days: int) -> Floats:
    """Spearman's rank correlation of scores and forward returns of each day; NaN where fewer than three are known."""
    told = np.full(days, np.nan)
    known = np.isfinite(forward)
    for number in np.unique(day[known]):
        here = known & (day == number)
        if here.sum() >= 3 and np.ptp(scores[here]) > 0 and np.ptp(forward[here]) > 0:
            told[number] = stats.spearmanr(scores[here], forward[here]).statistic
    return told


def daily_means(day: Ints, values: Floats, days: int) -> Floats:
    """Mean of the known values of each day, NaN for a day without."""
    known = np.isfinite(values)
    counts = np.bincount(day[known], minlength=days)
    totals = np.bincount(day[known], values[known], minlength=days)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def brier_scores(probabilities: Floats, labels: Floats) -> Floats:
    """Squared error of each probability against what came, 1 or 0 (Brier, 1950)."""
    return (probabilities - labels) ** 2


def calibration_error(probabilities: Floats, labels: Floats) -> float:
    """Expected calibration error: mean distance of probability and frequency over ten bins of equal count.

    Naeini, Cooper and Hauskrecht (2015), with bins of equal count as in Nixon et al. (2019).
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, RELIABILITY_BINS) if len(part)]
    distances = [abs(probabilities[part].mean() - labels[part].mean()) * len(part) for part in parts]
    return float(sum(distances) / len(order))


def fell_p_value(history: Floats, recent: Floats, *, window: int, month: int) -> float | None:
    """Probability, in a month like those of the history, of a mean over `window` days as low as that of `recent`.

    `history` and `recent` are series of days, `month` is how many readings one month has. None where the history has
    fewer than six windows.
    """
    history, recent = history[np.isfinite(history)], recent[np.isfinite(recent)]
    if len(history) < max(HISTORY_WINDOWS_MIN * window, window + 3 * month) or len(recent) < window:
        return None
    worst = monthly_worst(-window_sums(history, window) / window, month)
    n = independent_months(len(history), correlation_time(history[:, None]), window)
    deviation = max(float(worst.std(ddof=1)), _DEVIATION_MIN)
    score = (-recent[-window:].mean() - worst.mean()) / (deviation * np.sqrt(1.0 + 1.0 / n))
    return float(p_values(score, n)[0])


class Calibration:
    """Probability of beating the median, learned from what came of earlier scores, by isotonic regression.

    Least squares under the condition that a higher score never means less (Barlow et al., 1972); between the scores
    seen it is interpolated, beyond them it is constant.
    """

    def __init__(self, scores: Floats, labels: Floats) -> None:
        order = np.argsort(scores, kind="stable")
        known, first = np.unique(scores[order], return_index=True)
        counts = np.diff(np.append(first, len(scores)))
        means = np.add.reduceat(labels[order].astype(np.float64), first) / counts
        self._scores = known
        self._probabilities = np.asarray(isotonic_regression(means, weights=counts.astype(np.float64)).x)

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities of these scores."""
        return np.interp(scores, self._scores, self._probabilities)


def ranking_quality(scores: Floats, probabilities: Floats) -> float | None:
    """Area under the ROC curve of `scores` where row i is a winner with probability `probabilities[i]`.

    With calibrated probabilities it is the performance to expect before any label is known: confidence-based
    performance estimation (NannyML's CBPE; Kivimäki et al. 2024, arXiv:2407.08649). With labels, 1 or 0, in their
    place it is the realised area (Mann-Whitney, ties half). None where there are no winners or no losers.
    """
    order = np.argsort(scores, kind="stable")
    wins = probabilities[order]
    _, first = np.unique(scores[order], return_index=True)
    winners = np.add.reduceat(wins, first)
    losers = np.add.reduceat(1.0 - wins, first)
    if winners.sum() <= 0 or losers.sum() <= 0:
        return None
    below = losers.cumsum() - losers
    return float((winners * (below + losers / 2.0)).sum() / (winners.sum() * losers.sum()))
