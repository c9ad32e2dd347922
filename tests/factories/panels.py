"""Made-up feature panels whose stocks move together from day to day, as those of a market do."""

import numpy as np
import numpy.typing as npt

from quant.drift import Counts, Reference, count_days, fit_bins, refer

Floats32 = npt.NDArray[np.float32]


def day_factor(random: np.random.Generator, days: int, persistence: float) -> npt.NDArray[np.float64]:
    """A stationary AR(1) of unit variance; `persistence` 0 is independent days."""
    shocks = random.normal(size=days) * np.sqrt(1.0 - persistence**2)
    factor = np.empty(days)
    factor[0] = random.normal()
    for day in range(1, days):
        factor[day] = persistence * factor[day - 1] + shocks[day]
    return factor


def make_panel(
    random: np.random.Generator,
    *,
    days: int,
    stocks: int = 200,
    correlation: float = 0.3,
    persistence: float = 0.0,
) -> Floats32:
    """(days, stocks) of unit variance; two stocks of a day correlate by `correlation`, a day with the next as given."""
    factor = day_factor(random, days, persistence)
    own = random.standard_normal((days, stocks), dtype=np.float32)
    return np.asarray(np.sqrt(correlation) * factor[:, None] + np.sqrt(1.0 - correlation) * own, dtype=np.float32)


def count_panel(panel: Floats32, reference_days: int) -> tuple[Reference, Counts, Counts]:
    """(yardsticks of the first `reference_days`, their counts, the counts of the days after) of one feature."""
    bins = fit_bins([panel[:reference_days:5].ravel()])
    day = np.repeat(np.arange(len(panel)), panel.shape[1])
    counts = count_days(bins, [panel.ravel()], day, len(panel))
    return refer(bins, counts[:reference_days]), counts[:reference_days], counts[reference_days:]
