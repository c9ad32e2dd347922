"""The model itself: gradient-boosted trees that grow until the validation window stops them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost

from core.errors import DataMissing
from features.feature import Feature, Group, MarketFeature
from ml_models.dataset import Matrix, Rows
from ml_models.recipe import Parameters

ROUNDS_MIN = 20


@dataclass(frozen=True)
class Grown:
    """A trained booster and how its growth went."""

    booster: xgboost.Booster
    rounds: int
    best_round: int
    validation_auc: float
    train_rows: int
    validation_rows: int


def feature_weights(features: Sequence[Feature], emphasis: Mapping[Group, float]) -> npt.NDArray[np.float32]:
    """How likely each feature is to be tried at a split, relative to 1; 0 for what all stocks of a day share.

    Such a feature ranks nothing. In a filtered universe, whose share of winners swings from week to week, it would
    teach the dates instead.
    """
    return np.array(
        [0.0 if is_market_wide(feature) else emphasis.get(feature.group, 1.0) for feature in features],
        dtype=np.float32,
    )


def is_market_wide(feature: Feature) -> bool:
    """Whether all stocks of a day have the same value."""
    return isinstance(feature, MarketFeature) or feature.group in {"macro", "market"}


def grow(
    train: Rows,
    validation: Rows,
    *,
    features: Sequence[Feature],
    emphasis: Mapping[Group, float],
    parameters: Parameters,
    threads: int = 1,
) -> Grown:
    """Train on rows with known labels; stop once the validation AUC has not risen for `patience_rounds`.

    AUC judges what the scores are for, the order of the stocks: a log loss would rather follow the share of winners,
    which inside a filtered universe differs from year to year. The trees after the best round are cut off, but at
    least ROUNDS_MIN stay: where validation finds nothing to learn a stump's few distinct scores would still have to
    rank a hundred stocks. Same rows, parameters and one thread: same bits. DataMissing where a window has no rows or
    only one class.
    """
    for name, rows in (("training", train), ("validation", validation)):
        if len(np.unique(rows.labels)) < 2:
            raise DataMissing(f"the {name} window has {len(rows)} rows and not both labels; load earlier bars")
    names = [feature.name for feature in features]
    settings = parameters.booster() | {"nthread": threads}
    matrix = xgboost.QuantileDMatrix(
        train.X,
        label=train.labels,
        feature_names=names,
        feature_weights=feature_weights(features, emphasis),
        max_bin=parameters.bins_max,
        nthread=threads,
    )
    judge = xgboost.QuantileDMatrix(
        validation.X,
        label=validation.labels,
        feature_names=names,
        ref=matrix,
        max_bin=parameters.bins_max,
        nthread=threads,
    )
    booster = xgboost.train(
        settings,
        matrix,
        num_boost_round=parameters.rounds_max,
        evals=[(judge, "validation")],
        early_stopping_rounds=parameters.patience_rounds,
        verbose_eval=False,
    )
    rounds = min(max(booster.best_iteration + 1, ROUNDS_MIN), booster.num_boosted_rounds())
    return Grown(
        booster=booster[:rounds],
        rounds=rounds,
        best_round=booster.best_iteration + 1,
        validation_auc=float(booster.best_score),
        train_rows=len(train),
        validation_rows=len(validation),
    )


def margins(booster: xgboost.Booster, X: Matrix) -> npt.NDArray[np.float32]:
    """Raw margin (log odds) of each row, read in place from a C-ordered float32 matrix."""
    return np.asarray(booster.inplace_predict(X, predict_type="margin"), dtype=np.float32)


def probabilities(margin: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probability of beating the median, from the raw margin."""
    return 1.0 / (1.0 + np.exp(-margin.astype(np.float64)))


def contributions(booster: xgboost.Booster, X: Matrix) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Exact SHAP values of each row and feature, and each row's base; base + their sum is the raw margin.

    Tree SHAP: Lundberg, Erion and Lee (2018), "Consistent Individualized Feature Attribution for Tree Ensembles".
    """
    names = booster.feature_names
    values = booster.predict(xgboost.DMatrix(X, feature_names=names, nthread=1), pred_contribs=True).astype(np.float64)
    return values[:, :-1], values[:, -1]
