"""Contract of the regime detectors, and the smoothing that they share.

A detector turns the daily inputs (`quant.regime_inputs`) into probabilities of the five labels, each row from that
row and earlier ones alone. Smoothing is causal as well: what is said about a session never changes later.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from database.tables.regimes import LABELS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BULL, BEAR, HIGH_VOLATILITY, LOW_VOLATILITY, SIDEWAYS = range(len(LABELS))

# Daily probabilities are averaged with this half-life before they are compared.
HALFLIFE_SESSIONS = 5.0
# Another label takes over once its averaged probability leads by the margin and the present one has had its time.
MARGIN = 0.10
DWELL_SESSIONS = 15
# Danger is not averaged away: this much daily probability of bear and high volatility together ends a calm label at
# once, whatever its age.
ALARM = 0.70


@dataclass(frozen=True)
class Detector:
    """One way to read the regime.

    `probabilities(inputs)`: rows x LABELS, each row non-negative with sum one, or all NaN where the inputs do not
    suffice. `reads` names the inputs it looks at; `version` changes whenever the same inputs could read differently.
    """

    name: str
    label: str
    version: str
    reads: tuple[str, ...]
    probabilities: Callable[[pl.DataFrame], FloatArray]

    def detect(self, inputs: pl.DataFrame) -> pl.DataFrame:
        """session_on, label, raw_label and one probability column for each of LABELS; rows that can be read only.

        `raw_label` is the likeliest of the day itself; `label` and the probabilities are smoothed over the past.
        """
        daily = self.probabilities(inputs)
        known = np.isfinite(daily).all(axis=1)
        daily = daily[known]
        labels, smoothed = smooth(daily)
        names = np.array(LABELS)
        return inputs.filter(pl.Series(known)).select(
            "session_on",
            pl.Series("label", names[labels]),
            pl.Series("raw_label", names[daily.argmax(axis=1)]),
            *(pl.Series(name, smoothed[:, index]) for index, name in enumerate(LABELS)),
        )


def smooth(daily: FloatArray) -> tuple[IntArray, FloatArray]:
    """Labels that do not flutter, and the averaged probabilities behind them; each row from itself and earlier rows.

    An alarm restarts the average, so that the label and the probabilities agree on it.
    """
    labels = np.zeros(len(daily), dtype=np.int64)
    averaged = daily.copy()
    fresh = 1 - 0.5 ** (1 / HALFLIFE_SESSIONS)
    age = DWELL_SESSIONS
    for row in range(len(daily)):
        if row == 0:
            labels[row] = daily[row].argmax()
            continue
        label = labels[row - 1]
        averaged[row] = (1 - fresh) * averaged[row - 1] + fresh * daily[row]
        likeliest = averaged[row].argmax()
        age += 1
        if label not in (BEAR, HIGH_VOLATILITY) and daily[row, BEAR] + daily[row, HIGH_VOLATILITY] >= ALARM:
            averaged[row] = daily[row]
            label, age = BEAR if daily[row, BEAR] > daily[row, HIGH_VOLATILITY] else HIGH_VOLATILITY, 0
        elif age >= DWELL_SESSIONS and averaged[row, likeliest] - averaged[row, label] >= MARGIN:
            label, age = likeliest, 0
        labels[row] = label
    return labels, averaged
