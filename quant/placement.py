"""Is this month further away than the months before? Placement tests on statistics of windows of whole days.

The stocks of a day move together and slow features hardly change from day to day, so neither stocks nor days are
independent draws, and textbook p-values of panels mean nothing. What can be permuted are blocks of whole days as long
as the window that is judged: the window is held against every window of the reference. Windows are read each day, so
the yardstick is the worst reading of each reference month; with it a calm month fires once in twenty, not a calm day.
"""

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
WINDOW_SESSIONS = 21
_INDEPENDENT_MIN = 2.5  # fewer months than that say nothing about spread
_CORRELATION_MIN = 0.05


def window_sums(days: Floats, window: int = WINDOW_SESSIONS) -> Floats:
    """Sums over each `window` consecutive days, along the first axis: (days, ...) to (days - window + 1, ...)."""
    totals = np.concatenate([np.zeros((1, *days.shape[1:])), days.cumsum(axis=0, dtype=np.float64)])
    return np.asarray(totals[window:] - totals[:-window])


def monthly_worst(readings: Floats, month: int = WINDOW_SESSIONS) -> Floats:
    """The largest reading of each stretch of `month` readings, the newest last: (days, ...) to (months, ...)."""
    months = len(readings) // month
    kept = readings[len(readings) - months * month :]
    return np.asarray(kept.reshape(months, month, *readings.shape[1:]).max(axis=1))


def correlation_time(days: Floats) -> Floats:
    """Integrated autocorrelation time of each column of (days, series), at least 1: how many days tell one thing.

    One plus twice the autocorrelations up to the first below 0.05 (Sokal, Monte Carlo Methods in Statistical
    Mechanics, 1997, section 3, with a window by significance). Constant series count as independent.
    """
    centred = days - days.mean(axis=0)
    spectrum = np.fft.rfft(centred, 2 * len(days), axis=0)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), axis=0)[: len(days) // 2]
    variance = covariance[0]
    correlation = covariance / np.where(variance > 1e-12 * len(days), variance, np.inf)
    kept = np.cumprod(correlation[1:] > _CORRELATION_MIN, axis=0)
    return np.asarray(1.0 + 2.0 * (correlation[1:] * kept).sum(axis=0))


def independent_months(days: int, time_days: Floats, month: int = WINDOW_SESSIONS) -> Floats:
    """How many independent months `days` hold where one thing lasts `time_days`: what the t-test has to go by."""
    return np.asarray(np.maximum(days / (month + np.asarray(time_days) - 1.0), _INDEPENDENT_MIN))


def standing(distances: Floats, worst: Floats, independent: Floats, *, deviation_min: float) -> Floats:
    """t-scores, with `independent - 1` degrees of freedom, of distances (..., series) among `worst` (months, series).

    On the scale of cube roots, on which distances, like sums of squares, are close to normal (Wilson and Hilferty,
    1931); `deviation_min` is the least deviation there. A new month differs from the mean of n others by more than
    those do: by the root of (1 + 1/n) / (1 - 1/n) in its distance from a reference that they make up themselves, and
    by 1 + 1/n in the variance of a prediction (Hahn and Meeker, Statistical Intervals, 1991, section 4.7).
    """
    mean, deviation = _yardstick(worst, independent, deviation_min)
    return np.asarray((np.cbrt(distances) - mean) / deviation)


def alarm_line(worst: Floats, independent: Floats, *, p: float, deviation_min: float) -> Floats:
    """The distance of each series whose p-value is `p`."""
    mean, deviation = _yardstick(worst, independent, deviation_min)
    return np.asarray((mean + stats.t.isf(p, independent - 1.0) * deviation) ** 3)


def _yardstick(worst: Floats, independent: Floats, deviation_min: float) -> tuple[Floats, Floats]:
    n = independent
    roots = np.cbrt(worst * np.sqrt((n + 1.0) / (n - 1.0)))
    deviation = np.maximum(roots.std(axis=0, ddof=1), deviation_min)
    return roots.mean(axis=0), deviation * np.sqrt(1.0 + 1.0 / n)


def p_values(scores: Floats, independent: Floats) -> Floats:
    """Probability of a t-score as high or higher in a month without drift."""
    return np.asarray(stats.t.sf(scores, independent - 1.0))


def rank_p_value(now: float, history: Floats) -> float:
    """Share of the months, this one among them, in which it was as high: the exact test of exchangeable months."""
    return float((1 + (history >= now).sum()) / (1 + len(history)))


def holm(p: Floats) -> Floats:
    """p-values adjusted for the family that they are, whatever their dependence (Holm, 1979)."""
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted
