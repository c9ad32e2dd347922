"""Performance of a portfolio from its daily values. Years have 252 sessions; rates of cash count as zero.

Formulas: Bacon, Practical Portfolio Performance Measurement and Attribution (2008), chapters 3 and 4.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats = npt.NDArray[np.float64]
SESSIONS_A_YEAR = 252
# A calendar year less the days before its first decision; what is shorter is not annualised.
YEAR_ENOUGH_SESSIONS = 240


@dataclass(frozen=True)
class Performance:
    """Fractions, not percent. A ratio is None where its denominator is zero, a comparison where nothing is compared.

    `annual_return` compounds; volatilities are sample deviations times the root of 252; `sharpe` is mean over
    deviation, annualised; `drawdown_max` is negative or zero; `excess_return` is the annual return less the
    benchmark's; `information_ratio` is mean over deviation of the daily differences, annualised.
    """

    sessions: int
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float | None
    drawdown_max: float
    excess_return: float | None
    information_ratio: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_performance(values: npt.NDArray[Any], benchmark: npt.NDArray[Any] | None = None) -> Performance:
    """Measures of a path of positive `values` (first: the starting value), beside a `benchmark` path as long."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"values must be two or more positive amounts, got shape {values.shape}")
    daily = daily_returns(values)
    excess, information = None, None
    if benchmark is not None:
        if len(benchmark) != len(values):
            raise InputError(f"the benchmark has {len(benchmark)} values, the portfolio {len(values)}")
        others = np.asarray(benchmark, dtype=np.float64)
        excess = _annual_return(values) - _annual_return(others)
        information = _ratio(daily - daily_returns(others))
    return Performance(
        sessions=len(daily),
        total_return=float(values[-1] / values[0] - 1),
        annual_return=_annual_return(values),
        annual_volatility=_deviation(daily) * math.sqrt(SESSIONS_A_YEAR),
        sharpe=_ratio(daily),
        drawdown_max=float((values / np.maximum.accumulate(values) - 1).min()),
        excess_return=excess,
        information_ratio=information,
    )


def daily_returns(values: Floats) -> Floats:
    """Simple returns from each value to the next."""
    return values[1:] / values[:-1] - 1


def _annual_return(values: Floats) -> float:
    return float((values[-1] / values[0]) ** (SESSIONS_A_YEAR / (len(values) - 1)) - 1)


def _deviation(daily: Floats) -> float:
    return float(daily.std(ddof=1)) if len(daily) > 1 else 0.0


def _ratio(daily: Floats) -> float | None:
    deviation = _deviation(daily)
    # Returns that differ by rounding alone do not vary.
    return float(daily.mean()) / deviation * math.sqrt(SESSIONS_A_YEAR) if deviation > 1e-12 else None
