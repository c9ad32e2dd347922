"""One night of one screener: the eligible stocks scored and ranked, the best hundred explained."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

from database.queries.scores import ScoreRows
from features.feature import Feature
from ml_models.artefact import load
from ml_models.dataset import Matrix
from ml_models.eligibility import Mask
from ml_models.explain import Standing, reasons
from ml_models.screener import contributions, margins, probabilities

TOP = 100
_MODELS_IN_MEMORY = 128


@lru_cache(maxsize=_MODELS_IN_MEMORY)
def loaded(target: Path, expected_sha256: str, features: tuple[str, ...]) -> xgboost.Booster:
    """The booster of an artefact, checked once per process."""
    return load(target, expected_sha256=expected_sha256, features=features)


def screen(
    booster: xgboost.Booster,
    *,
    instrument_ids: npt.NDArray[np.int32],
    X: Matrix,
    eligible: Mask,
    features: Sequence[Feature],
    standing: Standing,
) -> ScoreRows:
    """Score the eligible rows of the universe (instrument_ids and X are parallel); the best TOP, best first.

    Ties go to the lower instrument id. Reasons compare with the whole universe, not only with the eligible.
    """
    ids, rows = instrument_ids[eligible], X[eligible]
    margin = margins(booster, rows)
    best = np.lexsort((ids, -margin))[:TOP]
    values, bases = contributions(booster, rows[best])
    return ScoreRows(
        instrument_ids=ids[best],
        scores=probabilities(margin[best]),
        margins=margin[best].astype(np.float64),
        bases=bases,
        contributions=values,
        reasons=[
            reasons(row, contribution, features, standing) for row, contribution in zip(rows[best], values, strict=True)
        ],
    )
