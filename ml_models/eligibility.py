"""Which stocks of the universe a recipe looks at, and when it must refuse a day.

At night a stock without the filter's inputs is left out (but for conditions that the recipe calls optional), and a
day on which more than MISSING_FRACTION_MAX of the universe lacks one is refused. In training such rows stay: they
teach the same label, and without them the years before the first fundamentals would be lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_models.recipe import CapBand, Keep, Recipe

# At both ends of the shipped reports only a third of the universe has them; see ADR 0011.
MISSING_FRACTION_MAX = 0.75
MARKET_CAP = "log_market_cap"

Values = Mapping[str, npt.NDArray[np.float32]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Eligibility:
    """`mask` over the day's universe; `reason` says why the day is refused, None when it is not."""

    mask: Mask
    reason: str | None


def filter_inputs(recipe: Recipe) -> tuple[str, ...]:
    """Features that the recipe's filter reads."""
    return (*(keep.feature for keep in recipe.keeps), MARKET_CAP)


def judge_day(recipe: Recipe, day: Values) -> Eligibility:
    """Apply the filter to one day's universe (feature name -> one value a stock, NaN unknown)."""
    size = len(day[MARKET_CAP])
    if size == 0:
        return Eligibility(np.zeros(0, dtype=bool), "no stock of the universe has features on this day")
    mask = _in_band(recipe.cap_band, day[MARKET_CAP])
    for keep in recipe.keeps:
        values = day[keep.feature]
        if keep.optional:
            mask &= _kept(keep, values) | np.isnan(values)
            continue
        missing = int(np.isnan(values).sum())
        if missing > MISSING_FRACTION_MAX * size:
            reason = (
                f"{keep.feature} is unknown for {missing} of the {size} stocks of the universe"
                f" (at most {MISSING_FRACTION_MAX:.0%} may be)"
            )
            return Eligibility(np.zeros(size, dtype=bool), reason)
        mask &= _kept(keep, values)
    return Eligibility(mask, None)


def teaching_rows(recipe: Recipe, day: Values) -> Mask:
    """Rows of one day to train on: those that pass the filter or lack its inputs."""
    mask = _in_band(recipe.cap_band, day[MARKET_CAP])
    for keep in recipe.keeps:
        values = day[keep.feature]
        mask &= _kept(keep, values) | np.isnan(values)
    return mask


def _in_band(band: CapBand, log_cap: npt.NDArray[np.float32]) -> Mask:
    """Inside the cap band; an index member of unknown market value counts as inside."""
    inside = log_cap >= np.float32(np.log(band.usd_min))
    if band.usd_max is not None:
        inside &= log_cap < np.float32(np.log(band.usd_max))
    mask: Mask = inside | np.isnan(log_cap)
    return mask


def _kept(keep: Keep, values: npt.NDArray[np.float32]) -> Mask:
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values), dtype=bool)
    if keep.direction == "high":
        high: Mask = values >= np.quantile(known, 1.0 - keep.fraction)
        return high
    low: Mask = values <= np.quantile(known, keep.fraction)
    return low
