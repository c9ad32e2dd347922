"""Elastic net: the honest linear baseline, solved on the Gram matrix, with the strength that validation likes best.

The target is the label itself. Near an undecided label the log odds are four times the distance of the probability
from one half, so four times the fitted line is the margin. A recipe's emphasis does not reach it.
Source: Zou and Hastie (2005), "Regularization and variable selection via the elastic net"; coordinate descent with
covariance updates: Friedman, Hastie and Tibshirani (2010), "Regularization Paths for Generalized Linear Models".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from core.errors import IntegrityBroken
from features.feature import Feature, Group
from ml_models.algorithm import (
    SEED,
    Algorithm,
    Floats,
    Parameters,
    Range,
    Trained,
    is_market_wide,
    require_both_labels,
)
from ml_models.dataset import Matrix, Rows
from ml_models.evaluate import auc

FILE = "model.json"
MARGIN_A_PROBABILITY = 4.0
# Deviations beyond which a value counts as this far out: one bad figure must not move a line.
CLIP = 3.0
_ROWS_AT_ONCE = 65_536
_SWEEPS_MAX = 1_000
_TOLERANCE = 1e-9
WEEKLY: Parameters = {
    "every_sessions": 5,
    "penalties": 40,
    "penalty_share_min": 0.001,
    "lasso_fraction": 0.5,
    "seed": SEED,
}


@dataclass(frozen=True)
class LinearModel:
    """margin = intercept + sum of coefficients * standardised values; an unknown value counts as the median."""

    names: tuple[str, ...]
    medians: Floats
    deviations: Floats
    coefficients: Floats
    intercept: float

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.names

    def margins(self, X: Matrix) -> Floats:
        """The line's value; summed as `contributions` are, so that they add up to it."""
        values, base = self.contributions(X)
        margins: Floats = base + values.sum(axis=1)
        return margins

    def contributions(self, X: Matrix) -> tuple[Floats, Floats]:
        """Coefficient times standardised value, and the intercept."""
        return standardise(X, self.medians, self.deviations) * self.coefficients, np.full(len(X), self.intercept)

    def to_files(self) -> dict[str, bytes]:
        """All numbers as JSON, which keeps every bit of a double."""
        content = {
            "features": self.names,
            "medians": self.medians.tolist(),
            "deviations": self.deviations.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
        }
        return {FILE: json.dumps(content, indent=1, allow_nan=False).encode()}


def standardise(X: Matrix, medians: Floats, deviations: Floats) -> Floats:
    """Deviations from the median, cut off at CLIP; 0 where a value is unknown or infinite."""
    values = (X.astype(np.float64) - medians) / deviations
    values[~np.isfinite(values)] = 0.0
    return np.clip(values, -CLIP, CLIP)


def scale_of(X: Matrix) -> tuple[Floats, Floats]:
    """(median, 1.4826 x median absolute deviation) of each column's known values, (0, 1) where none is known.

    The factor makes it the standard deviation of a normal variable. A column that mostly repeats one value has no
    such deviation and takes the plain one.
    """
    medians, deviations = np.zeros(X.shape[1]), np.ones(X.shape[1])
    for column in range(X.shape[1]):
        known = X[:, column][np.isfinite(X[:, column])].astype(np.float64)
        if not len(known):
            continue
        medians[column] = np.median(known)
        deviation = 1.4826 * np.median(np.abs(known - medians[column])) or known.std()
        deviations[column] = deviation or 1.0
    return medians, deviations


def train_line(
    train: Rows,
    validation: Rows,
    *,
    features: Sequence[Feature],
    emphasis: Mapping[Group, float],  # noqa: ARG001 the contract's; see the top of this file
    parameters: Parameters,
    threads: int,  # noqa: ARG001 one pass over the rows is all it costs
) -> Trained:
    """Fit the path of penalties from the one that leaves nothing down, and keep the best by validation AUC.

    Scales come from the training rows alone. DataMissing where a window has no rows or only one class.
    """
    require_both_labels(train, validation)
    medians, deviations = scale_of(train.X)
    gram, target, means, share = moments(train, medians, deviations)
    usable = np.array([not is_market_wide(feature) for feature in features]) & (np.diag(gram) > 0)
    path = _path(gram, np.where(usable, target, 0.0), parameters)
    values = standardise(validation.X, medians, deviations)
    # A line of no slope ranks nothing: it is on the path for the penalty's sake only.
    judged = [auc(values @ line, validation.labels) if line.any() else None for line in path]
    scores = [0.0 if score is None else score for score in judged]
    best = int(np.argmax(scores))
    coefficients = MARGIN_A_PROBABILITY * path[best]
    model = LinearModel(
        names=tuple(feature.name for feature in features),
        medians=medians,
        deviations=deviations,
        coefficients=coefficients,
        intercept=float(MARGIN_A_PROBABILITY * (share - 0.5) - coefficients @ means),
    )
    return Trained(model, len(path), best + 1, scores[best])


def moments(train: Rows, medians: Floats, deviations: Floats) -> tuple[Floats, Floats, Floats, float]:
    """(covariance of the standardised columns, their covariance with the labels, their means, mean label).

    Blocks of rows are summed one after another, so memory does not grow with history.
    """
    size, width = train.X.shape
    products, with_labels, totals = np.zeros((width, width)), np.zeros(width), np.zeros(width)
    for start in range(0, size, _ROWS_AT_ONCE):
        block = standardise(train.X[start : start + _ROWS_AT_ONCE], medians, deviations)
        products += block.T @ block
        with_labels += block.T @ train.labels[start : start + _ROWS_AT_ONCE].astype(np.float64)
        totals += block.sum(axis=0)
    means, share = totals / size, float(train.labels.mean(dtype=np.float64))
    return products / size - np.outer(means, means), with_labels / size - means * share, means, share


def _path(gram: Floats, target: Floats, parameters: Parameters) -> Floats:
    """(penalties, columns): the lines from the strongest penalty to the weakest, each begun at the one before."""
    lasso = float(parameters["lasso_fraction"])
    strongest = np.abs(target).max() / max(lasso, 1e-3)
    weakest = strongest * float(parameters["penalty_share_min"])
    penalties = np.geomspace(max(strongest, 1e-12), max(weakest, 1e-15), int(parameters["penalties"]))
    lines = np.zeros((len(penalties), len(target)))
    line = np.zeros(len(target))
    for row, penalty in enumerate(penalties):
        descend(gram, target, line, penalty * lasso, penalty * (1.0 - lasso))
        lines[row] = line
    return lines


@njit(cache=True)
def descend(
    gram: npt.NDArray[np.float64],
    target: npt.NDArray[np.float64],
    line: npt.NDArray[np.float64],
    lasso: float,
    ridge: float,
) -> None:
    """Minimise line' G line / 2 - target' line + lasso |line|_1 + ridge |line|_2^2 / 2 by coordinates, in place.

    A column whose target is exactly 0 stays out.
    """
    fitted = gram @ line
    for _ in range(_SWEEPS_MAX):
        largest = 0.0
        for j in range(len(line)):
            if target[j] == 0.0:
                continue
            pull = target[j] - fitted[j] + gram[j, j] * line[j]
            moved = max(abs(pull) - lasso, 0.0) * np.sign(pull) / (gram[j, j] + ridge)
            change = moved - line[j]
            if change != 0.0:
                line[j] = moved
                fitted += change * gram[j]
                largest = max(largest, abs(change))
        if largest < _TOLERANCE:
            return


def read(files: Mapping[str, bytes]) -> LinearModel:
    """From `to_files`. IntegrityBroken where it is not what `to_files` writes."""
    try:
        content = json.loads(files[FILE])
        medians, deviations, coefficients = (
            np.array(content[name], dtype=np.float64) for name in ("medians", "deviations", "coefficients")
        )
        names, intercept = tuple(str(name) for name in content["features"]), float(content["intercept"])
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityBroken(f"{FILE} holds no line: {error!r}") from error
    if not medians.shape == deviations.shape == coefficients.shape == (len(names),):
        raise IntegrityBroken(f"{FILE} has {len(names)} features and other numbers of coefficients")
    return LinearModel(names, medians, deviations, coefficients, intercept)


ELASTIC_NET = Algorithm(
    name="elastic_net",
    library=f"numpy {np.__version__}",
    modules=(__name__,),
    weekly=WEEKLY,
    daily={**WEEKLY, "every_sessions": 1},
    ranges={"lasso_fraction": Range(0.05, 1.0), "penalty_share_min": Range(1e-4, 0.1, log=True)},
    train=train_line,
    read=read,
)
