"""How far a Sharpe ratio may be believed, given its length, its shape and how many were tried to find it.

Ratios are per session, not annualised; kurtosis is the plain one, 3 for a normal series. Sources: Bailey and López de
Prado, The Sharpe Ratio Efficient Frontier (2012), for the probabilistic ratio and the minimum track record; the same,
The Deflated Sharpe Ratio (2014), for the highest of many.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from core.errors import InputError

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
_SAME = 1e-12
_EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True)
class Moments:
    """What the formulas ask of a series: its length, its Sharpe ratio per session, its shape."""

    sessions: int
    ratio: float
    skewness: float
    kurtosis: float


def measure_moments(returns: Floats) -> Moments | None:
    """The moments of daily returns; None for fewer than two or for returns that do not vary. The ratio uses the
    sample deviation; skewness and kurtosis are those of the population, as in the sources."""
    if returns.ndim != 1 or not np.isfinite(returns).all():
        raise InputError(f"returns must be one series of finite numbers, got shape {returns.shape}")
    if len(returns) < 2:
        return None
    mean = float(returns.mean())
    deviations = returns - mean
    variance = float(deviations @ deviations) / len(returns)
    # Returns that differ by rounding alone do not vary.
    if math.sqrt(variance) <= _SAME * max(1.0, abs(mean)):
        return None
    standard = deviations / math.sqrt(variance)
    square = standard * standard
    return Moments(
        sessions=len(returns),
        ratio=mean / math.sqrt(variance * len(returns) / (len(returns) - 1)),
        skewness=float((square * standard).mean()),
        kurtosis=float((square * square).mean()),
    )


def probabilistic_ratio(moments: Moments, *, bar: float = 0.0) -> float:
    """The probability that the true ratio is above `bar`."""
    distance = (moments.ratio - bar) * math.sqrt(moments.sessions - 1)
    return float(ndtr(distance / _spread(moments)))


def expected_maximum(*, trials: int, variance: float) -> float:
    """The highest ratio that `trials` configurations without skill are expected to show.

    `variance` is that of the ratios across the trials. One trial is no selection: 0.
    """
    if trials < 1 or not variance >= 0.0:
        raise InputError(f"trials must be at least 1 and the variance not negative, got {trials} and {variance}")
    if trials == 1:
        return 0.0
    typical = (1.0 - _EULER_MASCHERONI) * ndtri(1.0 - 1.0 / trials)
    return math.sqrt(variance) * float(typical + _EULER_MASCHERONI * ndtri(1.0 - 1.0 / (trials * math.e)))


def deflated_ratio(moments: Moments, *, trials: int, variance: float) -> float:
    """The probability that the true ratio is above what the best of `trials` without skill would show."""
    return probabilistic_ratio(moments, bar=expected_maximum(trials=trials, variance=variance))


def minimum_track_record(moments: Moments, *, bar: float = 0.0, confidence: float = CONFIDENCE) -> float | None:
    """Sessions that it takes until a ratio like this one is above `bar` with `confidence`; None if it is not above."""
    if not 0.5 < confidence < 1.0:
        raise InputError(f"confidence must lie between 0.5 and 1, got {confidence}")
    if moments.ratio <= bar:
        return None
    return 1.0 + (_spread(moments) * float(ndtri(confidence)) / (moments.ratio - bar)) ** 2


def _spread(moments: Moments) -> float:
    """Deviation of the estimated ratio, times the root of sessions - 1."""
    variance = 1.0 - moments.skewness * moments.ratio + (moments.kurtosis - 1.0) / 4.0 * moments.ratio**2
    if moments.sessions < 2 or variance <= 0.0:
        raise InputError(f"no series has these moments: {moments}")
    return math.sqrt(variance)
