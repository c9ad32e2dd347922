"""The verbs, on real tables: what is missing, what is stored, what a night says, and that it stands."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import islice

import numpy as np
import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import DataMissing, InputError, IntegrityBroken, ModelMissing, UnknownName
from database.queries.scores import batches_on, read_out_of_fold, top_scores
from database.session import transaction
from features.library import FEATURES
from features.service import build_features, cross_section
from ml_models import night, training
from ml_models.artefact import MODEL_FILE
from ml_models.recipes import RECIPES
from ml_models.screening import loaded
from ml_models.service import (
    TrainingPlan,
    extend_screeners,
    judge_screeners,
    plan_training,
    score_night,
    store_fold,
    train_screeners,
)
from tests.factories.market import Market, create_market
from tests.factories.models import make_model
from tests.factories.regimes import create_regime

YEAR = 2017
NIGHT = date(2017, 6, 30)
STRATEGIES = tuple(RECIPES)


def plan(**options: object) -> TrainingPlan:
    with transaction() as session:
        return plan_training(session, **({"years": [YEAR]} | options))  # type: ignore[arg-type]  # the verb's own


def fingerprint(table: str) -> list[tuple[object, ...]]:
    """Every row with the transaction that wrote it: a rewritten row would show."""
    with transaction() as session:
        return [tuple(row) for row in session.execute(text(f"select xmin::text, * from {table} order by 2, 3, 4"))]


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    with transaction() as session:
        market = create_market(session, instruments=60, sessions=630, last_on=NIGHT)
    build_features()
    return market


@pytest.fixture(scope="module")
def trained(market: Market) -> None:
    """All six screeners of YEAR, after a training that was cut off following its second fold."""
    first = train_screeners(plan())
    for fold in islice(first, 2):
        with transaction() as session:
            assert store_fold(session, fold).is_new
    first.close()  # type: ignore[attr-defined]  # a generator
    rest = plan()
    assert [missing.recipe.strategy for missing in rest.missing] == list(STRATEGIES[2:])
    for fold in train_screeners(rest):
        with transaction() as session:
            store_fold(session, fold)


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A night on which no company has reported for too long."""
    day = cross_section(as_of=NIGHT)
    reported = [name for name, feature in FEATURES.items() if feature.group in {"value", "quality", "growth", "size"}]
    frame = day.frame.with_columns(pl.lit(np.nan, dtype=pl.Float32).alias(name) for name in reported)
    monkeypatch.setattr(night, "cross_section", lambda as_of: replace(day, frame=frame))


class TestPlanTraining:
    def test_nothing_built_says_what_to_do(self, session: Session) -> None:
        with pytest.raises(DataMissing, match="acis features build"):
            plan_training(session)

    def test_unknown_strategy_names_the_known(self, market: Market) -> None:
        with pytest.raises(UnknownName, match="known: dividend_largecap, growth_largecap"):
            plan(strategies=["glamour"])

    def test_a_year_without_features_names_the_possible(self, market: Market) -> None:
        with pytest.raises(InputError, match="no screener can be trained for 2030; the features allow 2017 to 2017"):
            plan(years=[2030])

    def test_what_is_stored_is_not_missing(self, trained: None) -> None:
        assert plan() == TrainingPlan(missing=(), behind=(), folds_total=6)
        assert len(plan(full=True).missing) == 6

    def test_changed_code_makes_all_missing(self, trained: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(training, "shaping_code_hash", lambda: "other")
        assert len(plan().missing) == 6


class TestStoreFold:
    def test_a_second_time_changes_nothing(self, trained: None, monkeypatch: pytest.MonkeyPatch) -> None:
        before = fingerprint("model_versions"), fingerprint("out_of_fold_scores")
        monkeypatch.setattr(training, "shaping_code_hash", lambda: "other")
        again = replace(plan(strategies=["momentum_largecap"]).missing[0], input_hash="")
        monkeypatch.undo()
        fold = next(iter(train_screeners(TrainingPlan((again,), (), 1))))
        with transaction() as session:
            hash_now = session.execute(
                text("select input_hash from model_versions where strategy = 'momentum_largecap'")
            ).scalar_one()
            known = replace(fold, manifest=replace(fold.manifest, input_hash=hash_now))
            assert not store_fold(session, known).is_new
        assert (fingerprint("model_versions"), fingerprint("out_of_fold_scores")) == before

    def test_the_database_refuses_a_fold_that_saw_its_test_year(self, session: Session) -> None:
        session.add(make_model(year=2017, last_label_on=date(2017, 1, 1)))
        with pytest.raises(IntegrityError, match="no_look_ahead"):
            session.flush()


class TestOutOfFold:
    def test_every_fifth_session_of_the_test_year_by_a_model_that_ended_before(self, trained: None) -> None:
        said = read_out_of_fold(as_of=NIGHT, strategies=["momentum_largecap"])
        sessions = said["session_on"].unique().sort().to_list()
        assert sessions[0] == date(2017, 1, 3)
        assert len(sessions) == 25
        assert said["score"].is_between(0, 1).all()
        with transaction() as session:
            late = session.execute(text("select count(*) from model_versions where last_label_on >= '2017-01-01'"))
            assert late.scalar_one() == 0

    def test_only_what_was_known_then(self, trained: None) -> None:
        said = read_out_of_fold(as_of=date(2017, 3, 1))
        assert said["session_on"].max() <= date(2017, 3, 1)  # type: ignore[operator]  # dates, says the table


class TestExtendScreeners:
    def test_new_sessions_are_scored_and_old_scores_stand(self, trained: None) -> None:
        before = read_out_of_fold(as_of=NIGHT)
        with transaction() as session:
            session.execute(text("delete from out_of_fold_scores where session_on > '2017-03-31'"))
            session.execute(text("update out_of_fold_scores set score = 0.5 where session_on = '2017-01-03'"))
            session.execute(
                text(
                    "update model_versions set metrics = metrics"
                    """ || '{"judged_hash": "as of March", "judged_to_on": "2017-03-31"}'"""
                )
            )
        grown = plan()
        assert (len(grown.missing), len(grown.behind)) == (0, 6)
        with transaction() as session:
            extended = extend_screeners(session, grown)
        assert sum(fold.out_of_fold_rows for fold in extended) == len(
            before.filter(pl.col("session_on") > date(2017, 3, 31))
        )
        is_old = pl.col("session_on") == date(2017, 1, 3)
        after = read_out_of_fold(as_of=NIGHT)
        assert after.filter(~is_old).equals(before.filter(~is_old))
        assert after.filter(is_old)["score"].unique().to_list() == [0.5]
        assert plan() == TrainingPlan((), (), 6)


class TestScoreNight:
    def test_without_a_valid_model_says_what_to_run(self, trained: None) -> None:
        with transaction() as session, pytest.raises(ModelMissing, match="run: acis train screener --years 2016"):
            score_night(session, as_of=date(2016, 12, 29))
        with transaction() as session:
            assert batches_on(session, session_on=date(2016, 12, 29)) == {}

    def test_a_session_without_features_is_refused(self, trained: None) -> None:
        with transaction() as session, pytest.raises(DataMissing, match="2017-07-03"):
            score_night(session, as_of=date(2017, 7, 3))

    def test_ranks_and_explains_every_strategy(self, trained: None) -> None:
        with transaction() as session:
            batches = score_night(session, as_of=NIGHT)
            assert tuple(batch.strategy for batch in batches) == STRATEGIES
            for batch in batches:
                assert batch.status == "scored", batch.reason
                rows = top_scores(session, score_batch_id=batch.score_batch_id)
                assert len(rows) == batch.scored_count == min(batch.eligible_count, 100)
                assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
                assert [row.margin for row in rows] == sorted((row.margin for row in rows), reverse=True)
                for row in rows:
                    assert abs(row.base + sum(row.contributions) - row.margin) < 1e-6
                    assert row.score == pytest.approx(1 / (1 + np.exp(-row.margin)), abs=1e-9)
                    assert len(row.contributions) == len(FEATURES)
                    assert all(reason["text"].endswith("the score") for reason in row.reasons)

    def test_a_second_time_rewrites_no_row(self, trained: None) -> None:
        with transaction() as session:
            first = score_night(session, as_of=NIGHT)
        before = fingerprint("score_batches"), fingerprint("scores")
        with transaction() as session:
            assert score_night(session, as_of=NIGHT) == first
        assert (fingerprint("score_batches"), fingerprint("scores")) == before

    @pytest.mark.usefixtures("trained", "stale")
    def test_stale_reports_refuse_the_strategies_that_read_them(self) -> None:
        with transaction() as session:
            session.execute(text("delete from score_batches"))
            batches = {batch.strategy: batch for batch in score_night(session, as_of=NIGHT)}
            session.rollback()
        refused = {name for name, batch in batches.items() if batch.status == "refused"}
        assert refused == {"growth_largecap", "value_largecap", "quality_largecap"}
        assert batches["growth_largecap"].reason == (
            "sustainable_growth is unknown for 60 of the 60 stocks of the universe (at most 75% may be)"
        )
        assert batches["growth_largecap"].model_version_id is None

    def test_a_tampered_model_is_refused_and_nothing_is_stored(self, trained: None) -> None:
        day = date(2017, 6, 29)
        path = next(get_settings().models_dir.glob(f"screener-momentum_largecap/*/{MODEL_FILE}"))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"\0")
        loaded.cache_clear()
        with pytest.raises(IntegrityBroken, match="refused"), transaction() as session:
            score_night(session, as_of=day)
        path.write_bytes(whole)
        with transaction() as session:
            assert batches_on(session, session_on=day) == {}


class TestJudgeScreeners:
    def test_covers_the_judged_sessions_by_year(self, trained: None) -> None:
        judged = judge_screeners(as_of=NIGHT, strategies=["momentum_largecap", "growth_largecap"])
        assert {judgement.strategy for judgement in judged} == {"momentum_largecap", "growth_largecap"}
        for judgement in judged:
            assert judgement.by_year.keys() == {"2017"}
            assert judgement.by_year["2017"] == judgement.overall
            # The last four of twenty-five weeks have no forward return yet.
            assert judgement.overall.sessions == 21

    def test_by_regime_covers_the_sessions_whose_regime_is_stored(self, trained: None) -> None:
        sessions = (
            read_out_of_fold(as_of=NIGHT, strategies=["momentum_largecap"])["session_on"].unique().sort().to_list()
        )
        with transaction() as session:
            for day in sessions[:7]:
                create_regime(session, session_on=day, label="bull")
            create_regime(session, session_on=sessions[7], label="sideways")
        (judged,) = judge_screeners(as_of=NIGHT, strategies=["momentum_largecap"])
        assert {name: quality.sessions for name, quality in judged.by_regime.items()} == {"bull": 7, "sideways": 1}

    def test_nothing_stored_is_nothing_to_judge(self, trained: None) -> None:
        assert judge_screeners(as_of=date(2015, 1, 1)) == []


@pytest.fixture(autouse=True)
def fresh_models() -> Iterator[None]:
    """Each test reads the artefacts anew."""
    loaded.cache_clear()
    yield
    loaded.cache_clear()
