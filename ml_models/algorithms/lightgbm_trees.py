"""LightGBM: the other library of gradient-boosted trees, with the same limits as ours of XGBoost.

It has no weights for the chance of a feature to be tried, so that a recipe's emphasis does not reach it; what all
stocks of a day share is kept out by a factor of zero on its gain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from core.errors import IntegrityBroken
from features.feature import Feature, Group
from ml_models.algorithm import (
    SEED,
    TREES_MIN,
    Algorithm,
    Floats,
    Parameters,
    Range,
    Trained,
    is_market_wide,
    require_both_labels,
)
from ml_models.dataset import Matrix, Rows

FILE = "model.txt"
WEEKLY: Parameters = {
    "every_sessions": 5,
    "rounds_max": 200,
    "patience_rounds": 25,
    "learning_rate": 0.05,
    "depth_max": 3,
    "leaf_rows_min": 100,
    "ridge": 10.0,
    "rows_fraction": 0.7,
    "columns_fraction": 0.3,
    "bins_max": 64,
    "seed": SEED,
}
DAILY: Parameters = {
    **WEEKLY,
    "every_sessions": 1,
    "rounds_max": 1000,
    "patience_rounds": 50,
    "learning_rate": 0.02,
    "leaf_rows_min": 500,
}


@dataclass(frozen=True)
class LightgbmModel:
    """A booster, for one thread."""

    booster: lightgbm.Booster

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.booster.feature_name())

    def margins(self, X: Matrix) -> Floats:
        """Log odds."""
        return np.asarray(self.booster.predict(X, raw_score=True, num_threads=1), dtype=np.float64)

    def contributions(self, X: Matrix) -> tuple[Floats, Floats]:
        """Exact SHAP values, the base in a column of its own."""
        values = np.asarray(self.booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
        return values[:, :-1], values[:, -1]

    def to_files(self) -> dict[str, bytes]:
        """The trees in LightGBM's own text."""
        return {FILE: self.booster.model_to_string().encode()}


def library_parameters(parameters: Parameters) -> dict[str, Any]:
    """The parameters by the names that LightGBM gives them; rounds, patience and threads are the trainer's."""
    return {
        "objective": "binary",
        "metric": "auc",
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "learning_rate": parameters["learning_rate"],
        "max_depth": parameters["depth_max"],
        "num_leaves": 2 ** int(parameters["depth_max"]),
        "min_data_in_leaf": parameters["leaf_rows_min"],
        "lambda_l2": parameters["ridge"],
        "bagging_fraction": parameters["rows_fraction"],
        "bagging_freq": 1,
        "feature_fraction_bynode": parameters["columns_fraction"],
        "max_bin": parameters["bins_max"],
        "seed": parameters["seed"],
    }


def train_trees(
    train: Rows,
    validation: Rows,
    *,
    features: Sequence[Feature],
    emphasis: Mapping[Group, float],  # noqa: ARG001 the contract's; see the top of this file
    parameters: Parameters,
    threads: int,
) -> Trained:
    """Grow until the validation AUC has not risen for `patience_rounds`; at least TREES_MIN trees stay."""
    require_both_labels(train, validation)
    settings = library_parameters(parameters) | {
        "num_threads": threads,
        "feature_contri": [0.0 if is_market_wide(feature) else 1.0 for feature in features],
    }
    matrix = lightgbm.Dataset(
        train.X, label=train.labels, feature_name=[feature.name for feature in features], params=settings
    )
    judge = matrix.create_valid(validation.X, label=validation.labels)
    booster = lightgbm.train(
        settings,
        matrix,
        num_boost_round=int(parameters["rounds_max"]),
        valid_sets=[judge],
        valid_names=["validation"],
        callbacks=[lightgbm.early_stopping(int(parameters["patience_rounds"]), verbose=False)],
        # Else the trees after the best round are cut off here already.
        keep_training_booster=True,
    )
    rounds = min(max(booster.best_iteration, TREES_MIN), booster.current_iteration())
    text = booster.model_to_string(num_iteration=rounds)
    model = read({FILE: text.encode()})
    return Trained(model, rounds, booster.best_iteration, float(booster.best_score["validation"]["auc"]))


def read(files: Mapping[str, bytes]) -> LightgbmModel:
    """From `to_files`. IntegrityBroken where the library cannot make trees of it."""
    try:
        return LightgbmModel(lightgbm.Booster(model_str=files[FILE].decode()))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise IntegrityBroken(f"{FILE} holds no trees of LightGBM: {error}") from error


LIGHTGBM = Algorithm(
    name="lightgbm",
    library=f"lightgbm {lightgbm.__version__}",
    modules=(__name__,),
    weekly=WEEKLY,
    daily=DAILY,
    ranges={
        "learning_rate": Range(0.01, 0.2, log=True),
        "depth_max": Range(2, 6),
        "leaf_rows_min": Range(25, 800, log=True),
        "ridge": Range(0.1, 100.0, log=True),
        "rows_fraction": Range(0.4, 1.0),
        "columns_fraction": Range(0.1, 1.0),
    },
    train=train_trees,
    read=read,
)
