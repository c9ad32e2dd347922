"""Why a stock scores as it does: the largest contributions in words that an advisor can repeat."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.feature import Feature
from ml_models.dataset import Matrix

REASONS_MAX = 5


@dataclass(frozen=True)
class Standing:
    """The day's universe, by feature: its known values in ascending order, where a value is looked up."""

    known: Sequence[Sequence[float]]

    def alike(self, feature: int) -> bool:
        """Whether all stocks have the same value."""
        values = self.known[feature]
        return values[0] == values[-1]

    def share(self, feature: int, value: float) -> tuple[str, float]:
        """("top" or "bottom", share of the universe that stands there or further out)."""
        values = self.known[feature]
        lower = bisect_left(values, value)
        top, bottom = (len(values) - lower) / len(values), bisect_right(values, value, lower) / len(values)
        return ("top", top) if top <= bottom else ("bottom", bottom)


def stand(X: Matrix) -> Standing:
    """Sort each feature of the universe (a row a stock); NaN is not known."""
    ascending = np.sort(np.ascontiguousarray(X.T), axis=1)
    counts = (~np.isnan(X)).sum(axis=0).tolist()
    # Views, not lists: of a hundred features some thirty are ever looked at.
    return Standing([memoryview(row[:count]) for row, count in zip(ascending, counts, strict=True)])


def reasons(
    X: Matrix, contributions: npt.NDArray[np.float64], features: Sequence[Feature], standing: Standing
) -> list[list[dict[str, Any]]]:
    """The largest contributions to the scores of these stocks (a row a stock), most telling first.

    Each is {feature, value (None: unknown), contribution (log odds), text}; those that contribute nothing are left
    out.
    """
    largest = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :REASONS_MAX]
    values, added = (np.take_along_axis(matrix, largest, axis=1).tolist() for matrix in (X, contributions))
    return [
        [_reason(features[f], f, value, share, standing) for f, value, share in zip(*row, strict=True) if share != 0.0]
        for row in zip(largest.tolist(), values, added, strict=True)
    ]


def _reason(feature: Feature, index: int, value: float, contribution: float, standing: Standing) -> dict[str, Any]:
    return {
        "feature": feature.name,
        "value": None if math.isnan(value) else value,
        "contribution": contribution,
        "text": _sentence(feature, index, value, contribution, standing),
    }


def _sentence(feature: Feature, index: int, value: float, contribution: float, standing: Standing) -> str:
    effect = "raises" if contribution > 0 else "lowers"
    if math.isnan(value):
        return f"{feature.description} unknown {effect} the score"
    if standing.alike(index):
        return f"{feature.description} {amount(feature, value)} (the same for all stocks) {effect} the score"
    side, share = standing.share(index, value)
    return (
        f"{feature.description} {amount(feature, value)} ({side} {math.ceil(share * 100)} % of the universe)"
        f" {effect} the score"
    )


def amount(feature: Feature, value: float) -> str:
    """A feature's value in its unit, as a reader would write it."""
    match feature.unit:
        case "fraction":
            return f"{value * 100:+.3g} %"
        case "fraction a year":
            return f"{value * 100:.3g} % a year"
        case "share of stocks":
            return f"{value * 100:.3g} %"
        case "percent a year":
            return f"{value:.2f} % a year"
        case "logarithm of USD":
            return f"USD {math.exp(value) / 1e6:,.0f} million"
        case "standard deviations":
            return f"{value:+.2f} standard deviations"
        case "score from 0 to 100":
            return f"{value:.0f}"
        case _:
            return f"{value:.3g}"
