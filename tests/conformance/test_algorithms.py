"""What every learning algorithm promises, and against whose figures each is held."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet

from core.errors import DataMissing, InputError, IntegrityBroken
from features.feature import Group
from ml_models.algorithm import TREES_MIN, Algorithm, Parameters, Trained, is_market_wide
from ml_models.algorithms import ALGORITHMS
from ml_models.algorithms.elastic_net import LinearModel, descend, moments, scale_of, standardise
from ml_models.algorithms.ensemble import EnsembleModel, spread_weights
from ml_models.algorithms.xgboost_trees import feature_weights
from ml_models.dataset import Rows
from ml_models.evaluate import auc
from tests.factories.scores import QUICK_TREES, SCREENER_FEATURES

FEATURES = SCREENER_FEATURES
SIGNAL = 1
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=list(ALGORITHMS))


def rows(size: int, *, strength: float, seed: int, missing: float = 0.0) -> Rows:
    """Feature SIGNAL says `strength` of the label's logit, the others nothing."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(size, len(FEATURES))).astype(np.float32)
    labels = (generator.random(size) < 1 / (1 + np.exp(-strength * X[:, SIGNAL]))).astype(np.float32)
    X[generator.random(X.shape) < missing] = np.nan
    return Rows(
        np.repeat(np.arange(size // 50 + 1), 50)[:size], np.arange(size, dtype=np.int32), X, labels - 0.5, labels
    )


def quick(algorithm: Algorithm) -> Parameters:
    """Its usual parameters, with trees that a few thousand rows can feed."""
    small = {"rounds_max": 60, "leaf_rows_min": 20}
    changes = {
        name: value for name in algorithm.weekly for end, value in small.items() if name.rpartition(".")[2] == end
    }
    return algorithm.configured(changes)


def train(
    algorithm: Algorithm, lessons: Rows, validation: Rows, emphasis: Mapping[Group, float] | None = None
) -> Trained:
    return algorithm.train(
        lessons, validation, features=FEATURES, emphasis=emphasis or {}, parameters=quick(algorithm), threads=1
    )


@cache
def signal_model(name: str) -> Trained:
    return train(
        ALGORITHMS[name], rows(2000, strength=1.0, seed=1, missing=0.05), rows(800, strength=1.0, seed=2, missing=0.05)
    )


@every_algorithm
class TestEveryAlgorithm:
    def test_is_listed_under_its_name(self, algorithm: Algorithm) -> None:
        assert ALGORITHMS[algorithm.name] is algorithm
        assert len(algorithm.name) <= 16

    def test_states_its_parameters(self, algorithm: Algorithm) -> None:
        assert {"every_sessions", "seed"} <= algorithm.weekly.keys() == algorithm.daily.keys()
        assert algorithm.daily["every_sessions"] == 1 < algorithm.weekly["every_sessions"]
        for name, span in algorithm.ranges.items():
            assert span.low < span.high
            assert span.low <= algorithm.weekly[name] <= span.high
            assert isinstance(algorithm.weekly[name], int) == isinstance(span.low, int), name

    def test_a_parameter_that_it_does_not_know_is_refused(self, algorithm: Algorithm) -> None:
        with pytest.raises(InputError, match="has no parameter 'depht_max'; it has"):
            algorithm.configured({"depht_max": 3})

    def test_finds_a_planted_signal(self, algorithm: Algorithm) -> None:
        model, test = signal_model(algorithm.name).model, rows(2000, strength=1.0, seed=3)
        score, best = auc(model.margins(test.X), test.labels), auc(test.X[:, SIGNAL], test.labels)
        assert score is not None
        assert best is not None
        assert score > best - 0.03 > 0.68

    def test_finds_nothing_in_shuffled_labels(self, algorithm: Algorithm) -> None:
        lessons, test = rows(2000, strength=1.0, seed=1), rows(4000, strength=1.0, seed=3)
        generator = np.random.default_rng(4)
        scores = []
        for seed in range(8):
            shuffled = replace(lessons, labels=generator.permutation(lessons.labels))
            model = train(algorithm, shuffled, rows(800, strength=0.0, seed=10 + seed)).model
            scores.append(auc(model.margins(test.X), test.labels))
        # What one shuffling leaves correlated moves the AUC by about 0.07, the mean of eight by 0.025.
        assert abs(np.mean([score for score in scores if score is not None]) - 0.5) < 0.06

    def test_same_rows_same_bits(self, algorithm: Algorithm) -> None:
        lessons, validation = rows(600, strength=0.5, seed=1), rows(300, strength=0.5, seed=2)
        first, second = (train(algorithm, lessons, validation).model.to_files() for _ in range(2))
        assert first == second

    def test_comes_back_from_its_files_to_the_bit(self, algorithm: Algorithm) -> None:
        model = signal_model(algorithm.name).model
        again = algorithm.read(model.to_files())
        X = rows(300, strength=1.0, seed=6, missing=0.2).X
        assert again.features == model.features == tuple(feature.name for feature in FEATURES)
        np.testing.assert_array_equal(again.margins(X), model.margins(X))
        for ours, theirs in zip(again.contributions(X), model.contributions(X), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert again.to_files() == model.to_files()

    @settings(max_examples=10)
    @given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.3, 1.0]))
    def test_base_and_contributions_are_the_margin(self, algorithm: Algorithm, seed: int, missing: float) -> None:
        model, X = signal_model(algorithm.name).model, rows(100, strength=1.0, seed=seed, missing=missing).X
        values, base = model.contributions(X)
        assert values.shape == X.shape
        assert np.abs(base + values.sum(axis=1) - model.margins(X)).max() < 1e-6

    def test_what_is_not_known_is_no_failure_and_no_number(self, algorithm: Algorithm) -> None:
        model = signal_model(algorithm.name).model
        X = rows(50, strength=1.0, seed=7).X
        X[0], X[1, SIGNAL] = np.nan, np.nan
        assert np.isfinite(model.margins(X)).all()
        assert model.contributions(X)[0][1, SIGNAL] != model.contributions(X)[0][3, SIGNAL]

    def test_what_all_stocks_share_is_never_used(self, algorithm: Algorithm) -> None:
        shared = [column for column, feature in enumerate(FEATURES) if is_market_wide(feature)]
        values, _ = signal_model(algorithm.name).model.contributions(rows(100, strength=1.0, seed=8).X)
        assert shared
        assert not values[:, shared].any()

    @pytest.mark.parametrize("empty", [True, False], ids=["no rows", "one class"])
    def test_a_window_without_both_labels_is_refused(self, algorithm: Algorithm, empty: bool) -> None:
        lessons = rows(100, strength=0.0, seed=1)
        one = lessons.between(slice(0, 0)) if empty else replace(lessons, labels=np.ones(100, dtype=np.float32))
        with pytest.raises(DataMissing, match=f"validation window has {len(one)} rows and not both labels"):
            train(algorithm, lessons, one)
        with pytest.raises(DataMissing, match=f"training window has {len(one)} rows and not both labels"):
            train(algorithm, one, lessons)


class TestTrees:
    def test_xgboost_is_the_bare_library_with_the_same_parameters(self) -> None:
        lessons, validation, test = (rows(1500, strength=0.5, seed=seed, missing=0.1) for seed in (1, 2, 3))
        emphasis: dict[Group, float] = {"momentum": 3.0, "risk": 0.25}
        trained = train(ALGORITHMS["xgboost"], lessons, validation, emphasis)
        matrix = xgboost.QuantileDMatrix(
            lessons.X,
            lessons.labels,
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
                "seed": 20170630,
                "nthread": 1,
            },
            matrix,
            num_boost_round=trained.rounds,
        )
        np.testing.assert_array_equal(
            trained.model.margins(test.X), bare.predict(xgboost.DMatrix(test.X), output_margin=True)
        )

    def test_lightgbm_is_the_bare_library_with_the_same_parameters(self) -> None:
        lessons, validation, test = (rows(1500, strength=0.5, seed=seed, missing=0.1) for seed in (1, 2, 3))
        trained = train(ALGORITHMS["lightgbm"], lessons, validation)
        bare = lightgbm.train(
            {
                "objective": "binary",
                "verbosity": -1,
                "deterministic": True,
                "force_row_wise": True,
                "learning_rate": 0.05,
                "max_depth": 3,
                "num_leaves": 8,
                "min_data_in_leaf": 20,
                "lambda_l2": 10,
                "bagging_fraction": 0.7,
                "bagging_freq": 1,
                "feature_fraction_bynode": 0.3,
                "max_bin": 64,
                "seed": 20170630,
                "num_threads": 1,
                "feature_contri": [float(f.name != "vix_level") for f in FEATURES],
            },
            lightgbm.Dataset(lessons.X, lessons.labels),
            num_boost_round=trained.rounds,
        )
        np.testing.assert_array_equal(trained.model.margins(test.X), bare.predict(test.X, raw_score=True))

    @pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
    def test_stop_where_validation_says_so_but_keep_enough_to_rank(self, name: str) -> None:
        trained = train(ALGORITHMS[name], rows(500, strength=0.0, seed=1), rows(300, strength=0.0, seed=2))
        assert trained.rounds == max(trained.best_round, TREES_MIN) < QUICK_TREES["rounds_max"]

    def test_emphasis_follows_the_group(self) -> None:
        weights = feature_weights(FEATURES, {"momentum": 3.0})
        found = {(f.group, float(w)) for f, w in zip(FEATURES, weights, strict=True)}
        assert found >= {("momentum", 3.0), ("risk", 1.0), ("macro", 0.0)}

    def test_text_that_is_no_trees_is_refused(self) -> None:
        with pytest.raises(IntegrityBroken, match="holds no trees of LightGBM"):
            ALGORITHMS["lightgbm"].read({"model.txt": b"import os"})


class TestElasticNet:
    @pytest.mark.parametrize("lasso_fraction", [0.1, 0.5, 1.0])
    @pytest.mark.parametrize("penalty", [0.003, 0.03])
    def test_agrees_with_scikit_learn(self, lasso_fraction: float, penalty: float) -> None:
        lessons = rows(2000, strength=1.0, seed=1, missing=0.05)
        medians, deviations = scale_of(lessons.X)
        gram, target, means, share = moments(lessons, medians, deviations)
        line = np.zeros(len(FEATURES))
        descend(gram, target, line, penalty * lasso_fraction, penalty * (1 - lasso_fraction))
        peer = ElasticNet(alpha=penalty, l1_ratio=lasso_fraction, tol=1e-12, max_iter=100_000)
        peer.fit(standardise(lessons.X, medians, deviations), lessons.labels.astype(np.float64))
        np.testing.assert_allclose(line, peer.coef_, atol=1e-8)
        assert share - line @ means == pytest.approx(peer.intercept_, abs=1e-8)

    def test_scales_come_from_the_training_rows_alone(self) -> None:
        lessons, validation = rows(600, strength=1.0, seed=1), rows(300, strength=1.0, seed=2)
        shifted = replace(validation, X=100.0 + 50.0 * validation.X)
        first, second = (train(ALGORITHMS["elastic_net"], lessons, judge).model for judge in (validation, shifted))
        assert isinstance(first, LinearModel)
        assert isinstance(second, LinearModel)
        np.testing.assert_array_equal(first.medians, second.medians)
        np.testing.assert_array_equal(first.deviations, second.deviations)
        np.testing.assert_allclose(first.medians, np.median(lessons.X, axis=0), rtol=1e-6)

    def test_a_column_without_values_or_without_spread_is_left_alone(self) -> None:
        lessons = rows(600, strength=1.0, seed=1)
        lessons.X[:, 0], lessons.X[:, 4] = np.nan, 7.0
        model = train(ALGORITHMS["elastic_net"], lessons, rows(300, strength=1.0, seed=2)).model
        assert isinstance(model, LinearModel)
        assert model.coefficients[0] == model.coefficients[4] == 0.0
        assert model.coefficients[SIGNAL] > 0.5

    def test_one_wild_figure_moves_nothing(self) -> None:
        model, X = signal_model("elastic_net").model, rows(2, strength=1.0, seed=9).X
        X[0, SIGNAL], X[1, SIGNAL] = 1e30, 30.0
        values, _ = model.contributions(X)
        assert values[0, SIGNAL] == values[1, SIGNAL]

    @pytest.mark.parametrize("content", [b"{}", b"[1]", b"not json", b'{"features": ["a"], "medians": [], "x": 1}'])
    def test_what_is_no_line_is_refused(self, content: bytes) -> None:
        with pytest.raises(IntegrityBroken, match=r"model\.json"):
            ALGORITHMS["elastic_net"].read({"model.json": content})


class TestEnsemble:
    def test_gives_each_member_the_same_spread(self) -> None:
        validation = rows(800, strength=1.0, seed=2, missing=0.05)
        model = signal_model("ensemble").model
        assert isinstance(model, EnsembleModel)
        spreads = [
            weight * member.margins(validation.X).std()
            for member, weight in zip(model.members, model.weights, strict=True)
        ]
        assert spreads == pytest.approx([spreads[0]] * 3)

    def test_a_member_that_says_the_same_of_all_has_no_voice(self) -> None:
        assert spread_weights(np.array([0.2, 0.0, 0.4])).tolist() == pytest.approx([0.75, 0.0, 0.375])
        assert spread_weights(np.zeros(2)).tolist() == [0.5, 0.5]

    def test_members_take_their_own_parameters(self) -> None:
        changed = ALGORITHMS["ensemble"].configured({"lightgbm.depth_max": 5})
        assert changed["xgboost.depth_max"] == 3

    @pytest.mark.parametrize("content", [b"{}", b"[]", b'{"weights": [1.0]}'])
    def test_what_holds_no_weights_is_refused(self, content: bytes) -> None:
        with pytest.raises(IntegrityBroken, match=r"ensemble\.json"):
            ALGORITHMS["ensemble"].read({"ensemble.json": content})
