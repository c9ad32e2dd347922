"""The plain rule of a strategy: what ranks its stocks while no model has earned the place.

A stock's standing is the mean, over the published factors of `Recipe.rule`, of its rank among the stocks shown, turned
so that 1 is best. Averaging ranks is the usual composite of factor research (Asness, Moskowitz and Pedersen (2013),
"Value and Momentum Everywhere", JF 68(3), weigh by ranks for the same reason: no outlier rules). Nothing is learned,
so nothing can be overfitted; the standing is no probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.feature import Feature
from features.ranking import rank_in_groups
from ml_models.dataset import Matrix
from ml_models.recipe import Recipe

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """Of n stocks: `margins` (n) from -1/2 to 1/2, and what each feature adds to them, (n, features).

    `margins` are the sums of `contributions` along their columns, from the first to the last.
    """

    margins: Floats
    contributions: Floats


def rank_by_rule(recipe: Recipe, X: Matrix, features: Sequence[Feature]) -> Floats:
    """The rule's margins of the stocks X (rows) whose columns are `features`: mean rank minus 1/2, highest is best."""
    return _add_up(_terms(recipe, X, features), len(X))


def explain_by_rule(recipe: Recipe, X: Matrix, features: Sequence[Feature]) -> Ranked:
    """The same with what each feature adds: 0 for those that the rule does not read and where a value is unknown."""
    terms = _terms(recipe, X, features)
    contributions = np.zeros(X.shape)
    for column, added in terms.items():
        contributions[:, column] = added
    return Ranked(_add_up(terms, len(X)), contributions)


def mean_ranks(margins: Floats) -> Floats:
    """Mean ranks from 0 to 1, for the column that holds a model's probabilities; they are none."""
    return margins + 0.5


def _terms(recipe: Recipe, X: Matrix, features: Sequence[Feature]) -> dict[int, Floats]:
    """By column, in the order of columns: each stock's centred rank over the number of terms."""
    place = {feature.name: column for column, feature in enumerate(features)}
    sign = {place[term.feature]: 1.0 if term.direction == "high" else -1.0 for term in recipe.rule}
    columns = sorted(sign)
    values = np.ascontiguousarray(X[:, columns].T)
    values[~np.isfinite(values)] = np.nan
    groups = np.repeat(np.arange(len(columns)), len(X))
    ranks = rank_in_groups(values.ravel(), groups, np.ones(values.size, dtype=np.bool_)).reshape(values.shape)
    # An unknown value says nothing for or against the stock: the middle rank.
    centred = np.where(np.isnan(ranks), 0.0, ranks.astype(np.float64) - 0.5)
    return {column: sign[column] * centred[row] / len(columns) for row, column in enumerate(columns)}


def _add_up(terms: dict[int, Floats], count: int) -> Floats:
    margins = np.zeros(count)
    for added in terms.values():
        margins += added
    return margins
