"""Windows that slide over one stock's sessions, in constant time a session.

Sums and extremes keep two stacks: the window is the tail of the last full block plus the head of the current one, so
values only ever enter. Nothing is subtracted, hence nothing cancels or drifts, a broken value leaves no trace once it
is out of the window, and what comes later cannot matter.
"""

import numpy as np

from features.arrays import Floats
from features.kernel import kernel


@kernel
def rolling_sum(values: Floats, window: int) -> Floats:
    """Sum of the last `window` values; NaN before there are that many, and where one of them is NaN."""
    count = len(values)
    out = np.empty(count)
    tail = np.zeros(window + 1)
    for start in range(0, count, window):
        if start > 0:
            total = 0.0
            for back in range(window - 1, 0, -1):
                total += values[start - window + back]
                tail[back] = total
        head = 0.0
        for step in range(min(window, count - start)):
            head += values[start + step]
            whole = start > 0 or step == window - 1
            out[start + step] = tail[step + 1] + head if whole else np.nan
    return out


@kernel
def rolling_max(values: Floats, window: int) -> Floats:
    """Largest of the last `window` values; NaN before there are that many, and where one of them is NaN."""
    count = len(values)
    out = np.empty(count)
    tail = np.full(window + 1, -np.inf)
    for start in range(0, count, window):
        if start > 0:
            largest = -np.inf
            for back in range(window - 1, 0, -1):
                value = values[start - window + back]
                # A NaN is taken over and never let go: comparisons with it are false.
                largest = largest if largest >= value or largest != largest else value
                tail[back] = largest
        head = -np.inf
        for step in range(min(window, count - start)):
            value = values[start + step]
            head = head if head >= value or head != head else value
            before = tail[step + 1]
            largest = head if head >= before or head != head else before
            out[start + step] = largest if start > 0 or step == window - 1 else np.nan
    return out


def rolling_min(values: Floats, window: int) -> Floats:
    """Smallest of the last `window` values, as `rolling_max`."""
    return -rolling_max(-values, window)


@kernel
def smoothed(values: Floats, weight: float, seed: int) -> Floats:
    """Exponential average: level += weight * (value - level), begun with the mean of the first `seed` values.

    Wilder's smoothing for weight = 1/n, the usual moving average for weight = 2/(n+1), both with seed = n. Unknown
    values are passed over and answered by NaN.
    """
    out = np.full(len(values), np.nan)
    level = 0.0
    seen = 0
    for i in range(len(values)):
        if not np.isfinite(values[i]):
            continue
        if seen < seed:
            level += values[i]
            seen += 1
            if seen == seed:
                level /= seed
        else:
            level += weight * (values[i] - level)
        if seen == seed:
            out[i] = level
    return out


def lagged(values: Floats, sessions: int) -> Floats:
    """The value `sessions` rows earlier; NaN where there is none."""
    out = np.empty(len(values))
    out[:sessions] = np.nan
    out[sessions:] = values[: max(len(values) - sessions, 0)]
    return out


def share_below(values: Floats, window: int) -> Floats:
    """Share of the last `window` values that the newest of them exceeds, ties counting half; 0.5/window at the low."""
    out = np.full(len(values), np.nan)
    if len(values) >= window:
        spans = np.lib.stride_tricks.sliding_window_view(values, window)
        newest = spans[:, -1:]
        below = (spans < newest).sum(axis=1) + 0.5 * (spans == newest).sum(axis=1)
        out[window - 1 :] = np.where(np.isnan(spans).any(axis=1), np.nan, below / window)
    return out
