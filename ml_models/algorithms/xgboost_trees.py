"""XGBoost: gradient-boosted trees that grow until the validation window stops them. The default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

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

FILE = "model.ubj"
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
class XgboostModel:
    """A booster, for one thread."""

    booster: xgboost.Booster

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.booster.feature_names or ())

    def margins(self, X: Matrix) -> Floats:
        """Log odds, read in place."""
        return np.asarray(self.booster.inplace_predict(X, predict_type="margin"), dtype=np.float64)

    def contributions(self, X: Matrix) -> tuple[Floats, Floats]:
        """Exact SHAP values; Lundberg, Erion and Lee (2018), "Consistent Individualized Feature Attribution"."""
        # The columns are those of `features`, which were held against the caller's when the model was loaded.
        matrix = xgboost.DMatrix(X, nthread=1)
        values = self.booster.predict(matrix, pred_contribs=True, validate_features=False).astype(np.float64)
        return values[:, :-1], values[:, -1]

    def to_files(self) -> dict[str, bytes]:
        """The trees in UBJSON."""
        return {FILE: bytes(self.booster.save_raw(raw_format="ubj"))}


def library_parameters(parameters: Parameters) -> dict[str, Any]:
    """The parameters by the names that XGBoost gives them; rounds, patience and threads are the trainer's."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "auc",
        "tree_method": "hist",
        "learning_rate": parameters["learning_rate"],
        "max_depth": parameters["depth_max"],
        # A row of an undecided label weighs p(1-p) = 1/4.
        "min_child_weight": parameters["leaf_rows_min"] / 4.0,
        "reg_lambda": parameters["ridge"],
        "subsample": parameters["rows_fraction"],
        "colsample_bynode": parameters["columns_fraction"],
        "max_bin": parameters["bins_max"],
        "seed": parameters["seed"],
    }


def feature_weights(features: Sequence[Feature], emphasis: Mapping[Group, float]) -> npt.NDArray[np.float32]:
    """How likely each feature is to be tried at a split, relative to 1; 0 for what all stocks of a day share."""
    return np.array(
        [0.0 if is_market_wide(feature) else emphasis.get(feature.group, 1.0) for feature in features],
        dtype=np.float32,
    )


def train_trees(
    train: Rows,
    validation: Rows,
    *,
    features: Sequence[Feature],
    emphasis: Mapping[Group, float],
    parameters: Parameters,
    threads: int,
) -> Trained:
    """Grow until the validation AUC has not risen for `patience_rounds`.

    AUC judges what the scores are for, the order of the stocks: a log loss would rather follow the share of winners,
    which inside a filtered universe differs from year to year. The trees after the best round are cut off, but at
    least TREES_MIN stay. DataMissing where a window has no rows or only one class.
    """
    require_both_labels(train, validation)
    names, bins = [feature.name for feature in features], parameters["bins_max"]
    matrix = xgboost.QuantileDMatrix(
        train.X,
        label=train.labels,
        feature_names=names,
        feature_weights=feature_weights(features, emphasis),
        max_bin=bins,
        nthread=threads,
    )
    judge = xgboost.QuantileDMatrix(
        validation.X, label=validation.labels, feature_names=names, ref=matrix, max_bin=bins, nthread=threads
    )
    booster = xgboost.train(
        library_parameters(parameters) | {"nthread": threads},
        matrix,
        num_boost_round=int(parameters["rounds_max"]),
        evals=[(judge, "validation")],
        early_stopping_rounds=int(parameters["patience_rounds"]),
        verbose_eval=False,
    )
    rounds = min(max(booster.best_iteration + 1, TREES_MIN), booster.num_boosted_rounds())
    return Trained(XgboostModel(booster[:rounds]), rounds, booster.best_iteration + 1, float(booster.best_score))


def read(files: Mapping[str, bytes]) -> XgboostModel:
    """From `to_files`."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(files[FILE]))
    booster.set_param({"nthread": 1})
    return XgboostModel(booster)


XGBOOST = Algorithm(
    name="xgboost",
    library=f"xgboost {xgboost.__version__}",
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
