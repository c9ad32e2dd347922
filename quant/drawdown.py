"""How far a path fell from its highest point, when, and whether it is back. Bacon (2008), chapter 4."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drawdown:
    """Places are indices of the path. `recovered` is where the old peak was reached again, None where it was not.

    Depths are fractions, negative or zero; `current` is the distance from the highest point so far.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None
    current: float


def find_drawdown(path: Floats) -> Drawdown:
    """The deepest fall of a path of positive values."""
    highest = np.maximum.accumulate(path)
    below = path / highest - 1.0
    trough = int(below.argmin())
    peak = int(path[: trough + 1].argmax())
    back = np.flatnonzero(path[trough:] >= path[peak])
    recovered = trough + int(back[0]) if len(back) and trough > peak else None
    return Drawdown(float(below[trough]), peak, trough, recovered, float(below[-1]))
