"""A fold from plan to judged model, and that it never saw what judges it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataMissing
from database.queries.features import Snapshot
from ml_models.algorithm import Parameters
from ml_models.algorithms import ALGORITHMS
from ml_models.algorithms.xgboost_trees import XgboostModel
from ml_models.configuration import Configuration
from ml_models.dataset import Dataset
from ml_models.labels import PricePanel
from ml_models.lessons import gather_lessons
from ml_models.recipe import Keep, Recipe, RuleTerm
from ml_models.recipes import RECIPES
from ml_models.training import FoldPlan, TrainedFold, plan_fold, train_fold
from quant.splits import fold_at
from tests.factories.scores import (
    QUICK_TREES,
    SCREENER_FEATURES,
    SIGNAL,
    make_panel,
    make_snapshots,
    signal_reader,
)

TOY = Recipe(
    strategy="toy_largecap",
    keeps=(Keep("momentum_252_21", "high", 0.7),),
    emphasis={},
    rule=(RuleTerm("momentum_252_21", "high"),),
)
GROWTH = RECIPES["growth_largecap"]
XGBOOST = ALGORITHMS["xgboost"]
NAMES = tuple(feature.name for feature in SCREENER_FEATURES)
SNAPSHOTS = make_snapshots(2010, 2014)


def plan(
    recipe: Recipe,
    year: int,
    snapshots: Mapping[int, Snapshot] = SNAPSHOTS,
    *,
    parameters: Parameters = QUICK_TREES,
    origin: dict[str, Any] | None = None,
    begins_on: date | None = None,
) -> FoldPlan:
    return plan_fold(
        Configuration(recipe, XGBOOST, XGBOOST.configured(parameters), origin or {}),
        snapshots,
        SCREENER_FEATURES,
        valid_from_on=begins_on or date(year, 1, 1),
    )


def make_dataset(panel: PricePanel, *, strength: float = 0.0, stale: tuple[str, ...] = ()) -> Dataset:
    return Dataset(
        panel=panel,
        features=NAMES,
        read_year=signal_reader(panel, strength=strength, stale=stale),
        every_sessions=5,
        label_sessions=21,
        years_kept=6,
    )


@pytest.fixture(scope="module")
def panel() -> PricePanel:
    return make_panel(first_year=2010, last_year=2014)


@pytest.fixture(scope="module")
def planted(panel: PricePanel) -> TrainedFold:
    return train_fold(plan(TOY, 2013), make_dataset(panel, strength=1.0), SCREENER_FEATURES)


@pytest.fixture(scope="module")
def barren(panel: PricePanel) -> TrainedFold:
    return train_fold(plan(TOY, 2013), make_dataset(panel), SCREENER_FEATURES)


class TestPlanFold:
    def test_same_inputs_same_hash(self) -> None:
        assert plan(TOY, 2014) == plan(TOY, 2014, dict(SNAPSHOTS))

    def test_what_shapes_the_model_changes_the_hash(self) -> None:
        changed = SNAPSHOTS | {2012: replace(SNAPSHOTS[2012], content_hash="restated")}
        other = replace(TOY, keeps=(Keep("momentum_252_21", "high", 0.6),))
        hashes = {
            planned.input_hash
            for planned in (
                plan(TOY, 2014),
                plan(TOY, 2013),
                plan(TOY, 2014, begins_on=date(2014, 7, 1)),
                plan(TOY, 2014, changed),
                plan(other, 2014),
                plan(TOY, 2014, parameters={**QUICK_TREES, "depth_max": 4}),
                plan(TOY, 2014, origin={"study": "a"}),
            )
        }
        assert len(hashes) == 7

    def test_the_plain_rule_does_not(self) -> None:
        other = replace(TOY, rule=(RuleTerm("volatility_252", "low"),))
        assert plan(other, 2014).input_hash == plan(TOY, 2014).input_hash

    def test_the_test_year_itself_does_not(self) -> None:
        changed = SNAPSHOTS | {2014: replace(SNAPSHOTS[2014], content_hash="tomorrow")}
        assert plan(TOY, 2014, changed).input_hash == plan(TOY, 2014).input_hash
        assert plan(TOY, 2014, changed).judged_hash != plan(TOY, 2014).judged_hash

    def test_a_year_without_features_before_it_is_refused(self) -> None:
        with pytest.raises(DataMissing, match="needs today's features of the years up to 2015; run: acis features"):
            plan(TOY, 2016)

    def test_a_snapshot_from_before_a_feature_is_refused(self) -> None:
        older = SNAPSHOTS | {2012: replace(SNAPSHOTS[2012], columns=NAMES[1:])}
        with pytest.raises(DataMissing, match="needs today's features"):
            plan(TOY, 2014, older)


class TestWeighFeatures:
    def test_the_planted_signal_moves_most_and_shares_sum_to_one(self, planted: TrainedFold) -> None:
        importance = planted.metrics["importance"]
        assert max(importance, key=importance.__getitem__) == SIGNAL
        assert importance[SIGNAL] > 0.5
        assert sum(importance.values()) == pytest.approx(1.0, abs=1e-4)

    def test_what_all_stocks_of_a_day_share_moves_nothing(self, planted: TrainedFold) -> None:
        assert "vix_level" not in planted.metrics["importance"]


class TestPurging:
    @settings(max_examples=12, deadline=None)
    @given(year=st.integers(2012, 2014), strategy=st.sampled_from(["toy", "growth"]), seed=st.integers(0, 3))
    def test_no_label_span_of_a_lesson_meets_what_judges_it(self, year: int, strategy: str, seed: int) -> None:
        panel = make_panel(first_year=2010, last_year=2014, instruments=8, seed=seed)
        dataset, recipe = make_dataset(panel), TOY if strategy == "toy" else GROWTH
        fold = fold_at(panel.sessions, valid_from_on=date(year, 1, 1), valid_to_on=date(year + 1, 1, 1))
        train, validation = (gather_lessons(recipe, dataset, window) for window in (fold.train, fold.validation))
        first_test = next(index for index, day in enumerate(panel.sessions) if day >= fold.valid_from_on)
        assert len(train)
        assert len(validation)
        assert train.session_of_row.max() + 21 < validation.session_of_row.min()
        assert validation.session_of_row.max() + 21 < first_test
        assert fold.last_label_on < fold.valid_from_on

    def test_poisoning_everything_from_the_test_year_on_changes_no_tree(self, panel: PricePanel) -> None:
        first_test = next(index for index, day in enumerate(panel.sessions) if day.year == 2013)
        prices = panel.prices.copy()
        prices[first_test:] *= np.random.default_rng(9).uniform(0.1, 10.0, prices[first_test:].shape)
        clean = make_dataset(panel, strength=1.0)
        poisoned = Dataset(
            panel=replace(panel, prices=prices),
            features=NAMES,
            read_year=signal_reader(panel, strength=1.0),
            every_sessions=5,
            label_sessions=21,
            years_kept=6,
        )
        hashes = {
            train_fold(plan(TOY, 2013), rows, SCREENER_FEATURES).manifest.model_sha256 for rows in (clean, poisoned)
        }
        assert len(hashes) == 1


class TestTrainFold:
    def test_finds_the_planted_signal_in_the_year_it_never_saw(self, planted: TrainedFold) -> None:
        assert planted.metrics["auc"] > 0.7
        assert planted.metrics["rank_ic_t"] > 5
        assert isinstance(planted.model, XgboostModel)
        assert planted.model.booster.get_score(importance_type="gain").keys() >= {SIGNAL}

    def test_finds_nothing_where_there_is_nothing(self, barren: TrainedFold) -> None:
        assert abs(barren.metrics["auc"] - 0.5) < 0.05

    def test_scores_the_eligible_universe_of_every_fifth_session(self, planted: TrainedFold, panel: PricePanel) -> None:
        sessions = np.unique(planted.judged.session_on)
        assert sessions.astype(object).tolist() == make_dataset(panel).sampled_sessions(2013)
        # Seventy percent of sixty stocks pass the filter.
        assert set(np.bincount(np.searchsorted(sessions, planted.judged.session_on))) == {42}

    def test_states_what_it_is(self, planted: TrainedFold) -> None:
        manifest = planted.manifest
        assert manifest.features == NAMES
        assert manifest.last_label_on < manifest.valid_from_on == "2013-01-01"
        assert manifest.train_rows > 1000
        assert planted.metrics["judged_to_on"] == "2013-12-31" or planted.metrics["judged_to_on"] > "2013-12-24"

    def test_stale_fundamentals_teach_but_are_refused(self, panel: PricePanel) -> None:
        rows = make_dataset(panel, strength=1.0, stale=("sustainable_growth", "sales_growth", "earnings_growth"))
        trained = train_fold(plan(GROWTH, 2013), rows, SCREENER_FEATURES)
        assert trained.manifest.train_rows > 1000
        assert len(trained.judged.scores) == 0
        assert trained.metrics["refused_sessions"] == len(rows.sampled_sessions(2013))
        assert trained.metrics["auc"] is None

    def test_a_test_year_that_has_not_begun_has_no_scores(self, panel: PricePanel) -> None:
        begun = PricePanel(
            tuple(day for day in panel.sessions if day.year < 2014),
            panel.instrument_ids,
            panel.prices[: sum(day.year < 2014 for day in panel.sessions)],
        )
        trained = train_fold(plan(TOY, 2014), make_dataset(begun), SCREENER_FEATURES)
        assert len(trained.judged.scores) == 0
        assert trained.fold.valid_from_on == date(2014, 1, 1)


BEGINS_ON = date(2013, 7, 1)


@pytest.fixture(scope="module")
def retrained(panel: PricePanel) -> TrainedFold:
    return train_fold(plan(TOY, 2013, begins_on=BEGINS_ON), make_dataset(panel, strength=1.0), SCREENER_FEATURES)


class TestMidYear:
    def test_learns_from_the_year_that_it_serves_up_to_its_first_day(self, retrained: TrainedFold) -> None:
        assert retrained.manifest.validation_to_on > "2013-04-01"
        assert date(2013, 5, 1) < retrained.fold.last_label_on < BEGINS_ON
        assert (retrained.manifest.valid_from_on, retrained.manifest.valid_to_on) == ("2013-07-01", "2014-01-01")

    def test_is_judged_on_what_it_serves_alone(self, retrained: TrainedFold) -> None:
        said = retrained.judged.said()
        assert said.session_on.min() >= np.datetime64(BEGINS_ON)
        assert retrained.metrics["scored_sessions"] == len(np.unique(said.session_on)) == 27
        # The plain rule is known for the year before it too: the fold may be set behind another.
        assert retrained.judged.session_on.min() == np.datetime64("2013-01-01")

    def test_needs_features_of_its_own_year(self) -> None:
        with pytest.raises(DataMissing, match="needs today's features of the years up to 2015"):
            plan(TOY, 2015, begins_on=date(2015, 7, 1))
