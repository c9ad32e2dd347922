"""One night of one strategy: the eligible stocks scored by a model or the plain rule, the best hundred explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from database.queries.scores import ScoreRows
from features.feature import Feature
from ml_models.algorithm import Model, probabilities
from ml_models.artefact import load
from ml_models.dataset import Matrix
from ml_models.explain import Standing, reasons
from ml_models.recipe import Recipe
from ml_models.rule import explain_by_rule, mean_ranks

TOP = 100
_MODELS_IN_MEMORY = 128

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """What is to be scored: the eligible stocks (`X` a row each), and where values stand in the whole universe."""

    instrument_ids: npt.NDArray[np.int32]
    X: Matrix
    features: Sequence[Feature]
    standing: Standing


@lru_cache(maxsize=_MODELS_IN_MEMORY)
def loaded(target: Path, expected_sha256: str, features: tuple[str, ...]) -> Model:
    """The model of an artefact, checked once per process."""
    return load(target, expected_sha256=expected_sha256, features=features)


def screen(model: Model, shown: Shown, *, explained: bool) -> ScoreRows:
    """The best TOP by the model, best first, with probabilities and, if `explained`, contributions and reasons."""
    margin = model.margins(shown.X)
    best = _best(shown.instrument_ids, margin)
    values, bases = model.contributions(shown.X[best]) if explained else (None, np.zeros(len(best)))
    return _rows(shown, best, margin[best], probabilities(margin[best]), bases, values)


def screen_by_rule(recipe: Recipe, shown: Shown, *, explained: bool) -> ScoreRows:
    """The best TOP by the recipe's plain rule; their scores are mean ranks and no probabilities."""
    ranked = explain_by_rule(recipe, shown.X, shown.features)
    best = _best(shown.instrument_ids, ranked.margins)
    margin = ranked.margins[best]
    values = ranked.contributions[best] if explained else None
    return _rows(shown, best, margin, mean_ranks(margin), np.zeros(len(best)), values)


def _best(instrument_ids: npt.NDArray[np.int32], margin: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Places of the best TOP, best first; ties go to the lower instrument id."""
    return np.lexsort((instrument_ids, -margin))[:TOP]


def _rows(
    shown: Shown,
    best: npt.NDArray[np.int64],
    margin: Floats,
    scores: Floats,
    bases: Floats,
    values: Floats | None,
) -> ScoreRows:
    return ScoreRows(
        instrument_ids=shown.instrument_ids[best],
        scores=scores,
        margins=margin,
        bases=bases,
        contributions=np.empty((len(best), 0)) if values is None else values,
        reasons=[[]] * len(best) if values is None else reasons(shown.X[best], values, shown.features, shown.standing),
    )
