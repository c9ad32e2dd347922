"""Regimes by rules that a person can check: each input is evidence between 0 and 1 for each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from quant.regime import Detector, FloatArray


@dataclass(frozen=True)
class Ramp:
    """Evidence of one input: 0 at `none_at`, 1 at `full_at` and beyond, straight in between."""

    column: str
    none_at: float
    full_at: float
    weight: float

    def evidence(self, values: FloatArray) -> FloatArray:
        """Evidence of each value; unknown stays NaN."""
        return np.clip((values - self.none_at) / (self.full_at - self.none_at), 0, 1)


@dataclass(frozen=True)
class Tent:
    """Evidence of one input: 1 within `flat` of `centre`, 0 from `wide` on."""

    column: str
    centre: float
    flat: float
    wide: float
    weight: float

    def evidence(self, values: FloatArray) -> FloatArray:
        """Evidence of each value; unknown stays NaN."""
        return 1 - np.clip((np.abs(values - self.centre) - self.flat) / (self.wide - self.flat), 0, 1)


# Units as in quant.regime_inputs. Levels are round numbers of market practice, not fitted: a VIX under 12 is calm and
# above 30 is fear, a bear market is a fall of 20 %, a curve steeper than 1 % is healthy and an inverted one is not.
_BULL = (
    Ramp("trend", 0.0, 0.06, 2.0),
    Ramp("quarter_return", 0.0, 0.06, 1.5),
    Ramp("breadth", 0.45, 0.75, 2.0),
    Ramp("net_new_highs", 0.0, 0.10, 1.0),
    Ramp("rotation", -0.04, 0.04, 1.0),
    Ramp("slope_10y3m", -0.5, 1.0, 0.5),
    Ramp("slope_10y2y", -0.25, 0.5, 0.5),
    Ramp("vix", 24.0, 16.0, 1.5),
)
_BEAR = (
    Ramp("trend", 0.0, -0.08, 2.0),
    Ramp("quarter_return", 0.0, -0.10, 1.5),
    Ramp("drawdown", -0.08, -0.20, 2.0),
    Ramp("breadth", 0.50, 0.20, 2.0),
    Ramp("net_new_highs", 0.02, -0.08, 1.0),
    Ramp("rotation", 0.0, -0.06, 0.5),
    Ramp("slope_10y3m", 0.5, -0.5, 0.25),
    Ramp("slope_10y2y", 0.25, -0.25, 0.25),
)
_HIGH_VOLATILITY = (
    Ramp("vix", 18.0, 30.0, 2.0),
    Ramp("realised_volatility", 14.0, 28.0, 1.0),
)
_LOW_VOLATILITY = (
    Ramp("vix", 17.0, 12.0, 2.0),
    Ramp("realised_volatility", 13.0, 7.0, 2.0),
    Ramp("drawdown", -0.06, -0.02, 1.0),
)
_SIDEWAYS = (
    Tent("trend", 0.02, 0.01, 0.05, 1.0),
    Tent("quarter_return", 0.01, 0.01, 0.06, 1.0),
    Tent("breadth", 0.55, 0.05, 0.25, 1.0),
)
# In the order of LABELS. Going nowhere is what is left when nothing else is certain, so its evidence counts for less;
# so does volatility alone, which in a deep fall must not hide that it is a bear market.
_EVIDENCE: tuple[tuple[Sequence[Ramp | Tent], float], ...] = (
    (_BULL, 1.0),
    (_BEAR, 1.0),
    (_HIGH_VOLATILITY, 0.9),
    (_LOW_VOLATILITY, 1.0),
    (_SIDEWAYS, 0.85),
)
_SHARPNESS = 7.0
_REQUIRED = ("vix", "trend", "quarter_return")


def weigh(inputs: pl.DataFrame) -> FloatArray:
    """Softmax over each label's weighted mean evidence; inputs that are unknown are left out of the mean."""
    columns = {name: inputs[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in inputs.columns[1:]}
    evidence = np.column_stack([ceiling * _mean_evidence(columns, terms) for terms, ceiling in _EVIDENCE])
    for name in _REQUIRED:
        evidence[np.isnan(columns[name])] = np.nan
    odds = np.exp(_SHARPNESS * (evidence - evidence.max(axis=1, keepdims=True)))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def _mean_evidence(columns: dict[str, FloatArray], terms: Sequence[Ramp | Tent]) -> FloatArray:
    total = np.zeros(len(columns["vix"]))
    weights = np.zeros(len(columns["vix"]))
    for term in terms:
        evidence = term.evidence(columns[term.column])
        known = np.isfinite(evidence)
        total[known] += term.weight * evidence[known]
        weights[known] += term.weight
    mean = np.full(len(total), np.nan)
    np.divide(total, weights, out=mean, where=weights > 0)
    return mean


RULES = Detector(
    name="rules",
    label="Transparent rules",
    version="rules 1",
    reads=tuple(dict.fromkeys(term.column for terms, _ in _EVIDENCE for term in terms)),
    probabilities=weigh,
)
