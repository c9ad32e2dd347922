"""The trees: what they find, what they do not find, and that they are the library's own."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataMissing
from features.feature import Group
from features.library import FEATURES as LIBRARY
from ml_models.dataset import Rows
from ml_models.evaluate import auc
from ml_models.recipe import WEEKLY
from ml_models.screener import ROUNDS_MIN, Grown, contributions, feature_weights, grow, margins, probabilities
from tests.factories.scores import SCREENER_FEATURES

FEATURES = SCREENER_FEATURES
QUICK = replace(WEEKLY, rounds_max=60, patience_rounds=20, leaf_weight_min=20.0)


def rows(size: int, *, strength: float, seed: int, missing: float = 0.0) -> Rows:
    """Feature 1 says `strength` of the label's logit, the others nothing."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(size, len(FEATURES))).astype(np.float32)
    labels = (generator.random(size) < 1 / (1 + np.exp(-strength * X[:, 1]))).astype(np.float32)
    X[generator.random(X.shape) < missing] = np.nan
    return Rows(
        np.repeat(np.arange(size // 50 + 1), 50)[:size], np.arange(size, dtype=np.int32), X, labels - 0.5, labels
    )


def grown(train: Rows, validation: Rows, emphasis: Mapping[Group, float] | None = None) -> Grown:
    return grow(train, validation, features=FEATURES, emphasis=emphasis or {}, parameters=QUICK)


class TestGrow:
    def test_finds_a_planted_signal(self) -> None:
        model = grown(rows(3000, strength=1.0, seed=1), rows(1000, strength=1.0, seed=2))
        test = rows(2000, strength=1.0, seed=3)
        score = auc(margins(model.booster, test.X), test.labels)
        best = auc(test.X[:, 1], test.labels)
        assert score is not None
        assert best is not None
        assert score > best - 0.02 > 0.68

    def test_finds_nothing_in_shuffled_labels(self) -> None:
        train = rows(3000, strength=1.0, seed=1)
        shuffled = replace(train, labels=np.random.default_rng(4).permutation(train.labels))
        model = grown(shuffled, rows(1000, strength=0.0, seed=5))
        test = rows(4000, strength=1.0, seed=3)
        score = auc(margins(model.booster, test.X), test.labels)
        assert score is not None
        # Of 4,000 rows the AUC of a coin has a standard error of 0.009; what shuffling left correlated adds to it.
        assert abs(score - 0.5) < 0.06
        assert model.best_round < QUICK.rounds_max

    def test_is_bare_xgboost_with_the_same_parameters(self) -> None:
        train, validation, test = (rows(1500, strength=0.5, seed=seed, missing=0.1) for seed in (1, 2, 3))
        emphasis: dict[Group, float] = {"momentum": 3.0, "risk": 0.25}
        model = grown(train, validation, emphasis=emphasis)
        matrix = xgboost.QuantileDMatrix(
            train.X,
            train.labels,
            max_bin=64,
            feature_weights=[emphasis.get(f.group, 1.0) * (f.name != "vix_level") for f in FEATURES],
        )
        bare = xgboost.train(
            {
                "objective": "binary:logistic",
                "tree_method": "hist",
                "eta": 0.05,
                "max_depth": 3,
                "min_child_weight": 5,
                "lambda": 10,
                "subsample": 0.7,
                "colsample_bynode": 0.3,
                "max_bin": 64,
                "seed": WEEKLY.seed,
                "nthread": 1,
            },
            matrix,
            num_boost_round=model.rounds,
        )
        np.testing.assert_array_equal(
            margins(model.booster, test.X), bare.predict(xgboost.DMatrix(test.X), output_margin=True)
        )

    def test_same_rows_same_bits(self) -> None:
        train, validation = rows(800, strength=0.5, seed=1), rows(400, strength=0.5, seed=2)
        first, second = (grown(train, validation).booster.save_raw("ubj") for _ in range(2))
        assert first == second

    def test_stops_where_validation_says_so_but_keeps_enough_to_rank(self) -> None:
        model = grown(rows(500, strength=0.0, seed=1), rows(300, strength=0.0, seed=2))
        assert model.booster.num_boosted_rounds() == model.rounds == max(model.best_round, ROUNDS_MIN)

    def test_a_window_of_one_class_is_refused(self) -> None:
        one = rows(100, strength=0.0, seed=1)
        with pytest.raises(DataMissing, match="validation window has 100 rows and not both labels"):
            grown(one, replace(one, labels=np.ones(100, dtype=np.float32)))


class TestProbabilities:
    def test_are_the_logistic_of_the_margin(self) -> None:
        margin = np.array([-2.0, 0.0, 2.0], dtype=np.float32)
        np.testing.assert_allclose(probabilities(margin), [0.1192029220, 0.5, 0.8807970780], atol=1e-9)


class TestFeatureWeights:
    def test_follow_the_group(self) -> None:
        weights = feature_weights(FEATURES, {"momentum": 3.0})
        assert {(f.group, float(w)) for f, w in zip(FEATURES, weights, strict=True)} >= {
            ("momentum", 3.0),
            ("risk", 1.0),
        }

    def test_what_all_stocks_share_is_never_tried(self) -> None:
        every = tuple(LIBRARY.values())
        shared = {f.name for f, w in zip(every, feature_weights(every, {}), strict=True) if w == 0}
        assert {"vix_level", "market_momentum_21", "breadth_50", "month_sin"} <= shared
        assert not {"beta_252", "same_month_return_252", "rank_momentum_252"} & shared


@cache
def signal_model() -> Grown:
    return grown(rows(1500, strength=1.0, seed=1), rows(500, strength=1.0, seed=2))


class TestContributions:
    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.3, 1.0]))
    def test_base_and_sum_are_the_raw_margin(self, seed: int, missing: float) -> None:
        booster = signal_model().booster
        X = rows(100, strength=1.0, seed=seed, missing=missing).X
        values, base = contributions(booster, X)
        assert values.shape == (100, len(FEATURES))
        assert np.abs(base + values.sum(axis=1) - margins(booster, X)).max() < 1e-6
