"""The verbs, on real tables: what is missing, what is stored, what a night says, and that it stands."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import islice

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import DataMissing, InputError, Refused, UnknownName
from database.queries.models import newest_folds, valid_models
from database.queries.scores import batches_on, read_out_of_fold, top_scores
from database.session import transaction
from database.tables.models import ModelVersion
from database.tables.scores import ScoreBatch
from database.tables.verdicts import GateVerdict
from features.library import FEATURES
from features.service import build_features, cross_section
from ml_models import configuration, folds, night
from ml_models.algorithms.xgboost_trees import FILE as MODEL_FILE
from ml_models.night import score_strategies
from ml_models.recipes import RECIPES
from ml_models.returns import Judged
from ml_models.screening import loaded
from ml_models.service import (
    TrainingPlan,
    extend_screeners,
    judge_screeners,
    plan_retraining,
    plan_training,
    record_trials,
    score_night,
    store_fold,
    train_screeners,
)
from registry import roles
from registry.alerts import open_alerts
from registry.trials import ReturnSeries, count_trials
from tests.factories.market import Market, create_market
from tests.factories.models import create_model, make_model
from tests.factories.regimes import create_regime
from tests.factories.roles import create_role, create_verdict, crown, crown_all

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
        monkeypatch.setattr(configuration, "code_hash", lambda _: "other")
        assert len(plan().missing) == 6


class TestStoreFold:
    def test_a_second_time_changes_nothing(self, trained: None, monkeypatch: pytest.MonkeyPatch) -> None:
        before = fingerprint("model_versions"), fingerprint("out_of_fold_scores")
        monkeypatch.setattr(configuration, "code_hash", lambda _: "other")
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

    def test_a_fold_whose_files_are_damaged_is_trained_again(self, trained: None) -> None:
        with transaction() as session:
            row = newest_folds(session, kind="screener", strategies=["momentum_largecap"])[0]
        file = get_settings().models_dir / row.artefact_dir / "model.ubj"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        missing = plan(strategies=["momentum_largecap"]).missing
        assert [fold.input_hash for fold in missing] == [row.input_hash]
        for fold in train_screeners(TrainingPlan(missing, (), 1)):
            with transaction() as session:
                store_fold(session, fold)
        assert plan(strategies=["momentum_largecap"]).missing == ()
        assert file.read_bytes() == whole

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


def returns_of(session: Session, series: str) -> tuple[list[date], np.ndarray]:
    """(sessions, returns) of the momentum screener in YEAR."""
    rows = session.execute(
        text(
            "select sessions, returns from trial_returns join trials using (trial_id)"
            " where strategy = 'momentum_largecap' and year = :year and series = :series"
        ),
        {"year": YEAR, "series": series},
    ).one()
    return list(rows[0]), np.array(rows[1])


class TestTrials:
    def test_each_configuration_is_counted_once_with_what_it_earned(self, trained: None) -> None:
        with transaction() as session:
            assert count_trials(session, kind="screener") == 6
            tried = session.execute(text("select count(*) from model_versions join trials using (trial_id)"))
            assert tried.scalar_one() == 6
            for series in ("model", "model_costs_doubled", "plain", "universe"):
                sessions, returns = returns_of(session, series)
                # From the day after the first decision on, at the close of the year's first session.
                assert (sessions[0], sessions[-1]) == (date(2017, 1, 4), NIGHT)
                assert np.abs(returns).max() < 0.2

    def test_is_noted_before_it_is_trained(self, session: Session, trained: None) -> None:
        with transaction() as session:
            wanted = plan_training(session, years=[YEAR], algorithm="lightgbm", strategies=["momentum_largecap"])
            record_trials(session, wanted)
            assert count_trials(session, kind="screener") == 7
            session.rollback()


class TestRetraining:
    SERVE_FROM_ON = date(2017, 4, 3)

    def plan(self, session: Session) -> TrainingPlan:
        return plan_retraining(session, strategies=["momentum_largecap"], serve_from_on=self.SERVE_FROM_ON)

    def test_a_fold_from_the_middle_of_the_year_takes_over_there(
        self, trained: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judged: list[Judged] = []

        def watched(of_year: Judged, market: object) -> dict[str, ReturnSeries]:
            judged.append(of_year)
            return {}

        with transaction() as session:
            planned = self.plan(session)
        (fold,) = train_screeners(planned)
        assert fold.fold.last_label_on < self.SERVE_FROM_ON
        with transaction() as session:
            yearly = valid_models(session, kind="screener", as_of=NIGHT)["momentum_largecap"]
            monkeypatch.setattr(folds, "returns_of_year", watched)
            stored = store_fold(session, fold)
            assert (stored.is_new, stored.version) == (True, yearly.version + 1)
            for day, version in ((NIGHT, stored.version), (date(2017, 3, 31), yearly.version)):
                assert valid_models(session, kind="screener", as_of=day)["momentum_largecap"].version == version
            # Its returns are the configuration's: by the yearly fold's word up to then, by its own from there on.
            said = read_out_of_fold(as_of=NIGHT, strategies=["momentum_largecap"])["score"].to_numpy()
            (spliced,) = judged
            is_later = spliced.session_on >= np.datetime64(self.SERVE_FROM_ON)
            np.testing.assert_array_equal(spliced.scores[~is_later], said[~is_later])
            np.testing.assert_array_equal(spliced.scores[is_later], fold.judged.said().scores)
            assert (spliced.scores[is_later] != said[is_later]).any()
            # It is trained once, and the yearly folds, which everybody else reads, stay what they were.
            assert self.plan(session).missing == ()
            assert plan_training(session, years=[YEAR]).missing == ()
            assert yearly in newest_folds(session, kind="screener", strategies=["momentum_largecap"])
            session.rollback()

    def test_retrains_the_champions_own_configuration(self, trained: None) -> None:
        with transaction() as session:
            champion = valid_models(session, kind="screener", as_of=NIGHT)["momentum_largecap"]
            changed = {"parameters": champion.manifest["parameters"] | {"depth_max": 2}, "origin": {"study": "s"}}
            champion.manifest = champion.manifest | changed
            crown(session, champion)
            (planned,) = self.plan(session).missing
            assert planned.configuration.parameters["depth_max"] == 2
            assert planned.configuration.origin == {"study": "s"}
            session.rollback()

    def test_the_first_day_of_a_year_has_its_fold(self, trained: None) -> None:
        with transaction() as session, pytest.raises(InputError, match="the yearly fold begins to serve on that day"):
            plan_retraining(session, strategies=["momentum_largecap"], serve_from_on=date(2017, 1, 1))


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
    """Transactions are rolled back: who serves on NIGHT differs from test to test."""

    @pytest.fixture
    def night(self, trained: None) -> Iterator[Session]:
        with transaction() as session:
            yield session
            session.rollback()

    def model_of(self, session: Session, strategy: str) -> ModelVersion:
        return valid_models(session, kind="screener", as_of=NIGHT)[strategy]

    def test_nobody_serves_unjudged(self, night: Session) -> None:
        for batch in score_night(night, as_of=NIGHT):
            assert (batch.status, batch.source, batch.model_version_id) == ("scored", "rule", None)
            assert batch.source_reason == f"plain rule: no screener has been judged by {NIGHT}"
        assert not batches_on(night, session_on=NIGHT, lane="screener")

    def test_without_any_model_the_rule_scores(self, night: Session) -> None:
        (batch, *_) = score_night(night, as_of=date(2016, 12, 29))
        assert batch.source_reason == "plain rule: no screener may serve on 2016-12-29"

    def test_says_what_the_gate_said(self, night: Session) -> None:
        model = self.model_of(night, "momentum_largecap")
        create_verdict(night, model, verdict="not_proven", reason="the track record is too short")
        batches = {batch.strategy: batch for batch in score_night(night, as_of=NIGHT)}
        assert batches["momentum_largecap"].source_reason == (
            "plain rule: no screener passed the gate; newest verdict, on version 1: not proven: the track record is too"
            " short"
        )

    def test_a_session_without_features_is_refused(self, night: Session) -> None:
        with pytest.raises(DataMissing, match="2017-07-03"):
            score_night(night, as_of=date(2017, 7, 3))

    @pytest.mark.parametrize("source", ["model", "rule"])
    def test_ranks_and_explains_every_strategy(self, night: Session, source: str) -> None:
        if source == "model":
            crown_all(night)
        batches = score_night(night, as_of=NIGHT)
        assert tuple(batch.strategy for batch in batches) == STRATEGIES
        for batch in batches:
            assert (batch.status, batch.source) == ("scored", source)
            rows = top_scores(night, score_batch_id=batch.score_batch_id)
            assert len(rows) == batch.scored_count == min(batch.eligible_count, 100)
            assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
            assert [row.margin for row in rows] == sorted((row.margin for row in rows), reverse=True)
            for row in rows:
                assert abs(row.base + sum(row.contributions) - row.margin) < 1e-6
                of_a_model = 1 / (1 + np.exp(-row.margin))
                assert row.score == pytest.approx(of_a_model if source == "model" else 0.5 + row.margin, abs=1e-9)
                assert len(row.contributions) == len(FEATURES)
                assert all(reason["text"].endswith("the score") for reason in row.reasons)

    def test_the_rule_is_explained_by_its_own_terms(self, night: Session) -> None:
        score_night(night, as_of=NIGHT)
        batch = batches_on(night, session_on=NIGHT)["momentum_largecap"]
        terms = {term.feature for term in RECIPES["momentum_largecap"].rule}
        for row in top_scores(night, score_batch_id=batch.score_batch_id):
            named = {name for name, added in zip(FEATURES, row.contributions, strict=True) if added}
            assert {reason["feature"] for reason in row.reasons} == named <= terms

    def test_every_lane_is_stored(self, night: Session) -> None:
        crown(night, self.model_of(night, "momentum_largecap"))
        create_role(night, self.model_of(night, "value_largecap"), role="challenger")
        score_night(night, as_of=NIGHT)
        served, plain, screener = (
            batches_on(night, session_on=NIGHT, lane=lane) for lane in ("served", "plain", "screener")
        )
        assert served.keys() == plain.keys() == set(STRATEGIES)
        assert screener.keys() == {"momentum_largecap", "value_largecap"}
        assert {batch.source for batch in plain.values()} == {"rule"}
        assert [name for name, batch in served.items() if batch.source == "model"] == ["momentum_largecap"]
        assert "no challenger" in screener["momentum_largecap"].source_reason
        assert screener["value_largecap"].source_reason == "screener-value_largecap version 1 is challenger"

        def ranked(batch: ScoreBatch) -> list[tuple[int, float]]:
            rows = top_scores(night, score_batch_id=batch.score_batch_id)
            return [(row.instrument_id, row.margin) for row in rows]

        for same in (plain["value_largecap"], screener["momentum_largecap"]):
            assert ranked(same) == ranked(served[same.strategy])
            assert all(
                row.contributions == row.reasons == [] for row in top_scores(night, score_batch_id=same.score_batch_id)
            )
        assert ranked(plain["momentum_largecap"]) != ranked(served["momentum_largecap"])
        assert ranked(screener["value_largecap"]) != ranked(served["value_largecap"])

    def test_a_champion_on_hold_does_not_serve(self, night: Session) -> None:
        model = self.model_of(night, "momentum_largecap")
        crown(night, model)
        create_role(night, model, action="hold", effective_on=date(2017, 6, 1))
        batches = {batch.strategy: batch for batch in score_night(night, as_of=NIGHT)}
        assert "the champion is on hold since 2017-06-01" in batches["momentum_largecap"].source_reason
        assert batches["momentum_largecap"].source == "rule"

    def test_a_second_time_rewrites_no_row(self, trained: None) -> None:
        with transaction() as session:
            first = score_night(session, as_of=NIGHT)
        before = fingerprint("score_batches"), fingerprint("scores")
        with transaction() as session:
            assert score_night(session, as_of=NIGHT) == first
        assert (fingerprint("score_batches"), fingerprint("scores")) == before
        with transaction() as session:
            session.execute(text("delete from score_batches"))

    @pytest.mark.usefixtures("stale")
    def test_stale_reports_refuse_the_strategies_that_read_them(self, night: Session) -> None:
        crown_all(night)
        batches = {batch.strategy: batch for batch in score_night(night, as_of=NIGHT)}
        refused = {name for name, batch in batches.items() if batch.status == "refused"}
        assert refused == {"growth_largecap", "value_largecap", "quality_largecap"}
        assert batches["growth_largecap"].reason == (
            "sustainable_growth is unknown for 60 of the 60 stocks of the universe (at most 75% may be)"
        )
        assert batches["growth_largecap"].model_version_id is None
        assert refused.isdisjoint(batches_on(night, session_on=NIGHT, lane="plain"))

    def test_a_tampered_champion_gives_way_and_raises_an_alert(self, night: Session) -> None:
        strategy = "momentum_largecap"
        model = crown(night, self.model_of(night, strategy))
        path = get_settings().models_dir / model.artefact_dir / MODEL_FILE
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"\0")
        try:
            batches = {batch.strategy: batch for batch in score_night(night, as_of=NIGHT)}
        finally:
            path.write_bytes(whole)
        assert batches[strategy].source_reason == f"plain rule: screener-{strategy} version 1 was refused at loading"
        assert batches[strategy].source == "rule"
        (alert,) = open_alerts(night, subject=f"screener-{strategy}")
        assert (alert.severity, alert.details["model_version_id"]) == ("critical", model.model_version_id)

    def test_the_champion_before_serves_again_where_the_new_one_is_refused(self, night: Session) -> None:
        before = crown(night, self.model_of(night, "momentum_largecap"))
        crown(night, create_model(night, year=YEAR, version=2), effective_on=date(2017, 3, 1))
        batches = {batch.strategy: batch for batch in score_night(night, as_of=NIGHT)}
        assert batches["momentum_largecap"].model_version_id == before.model_version_id
        assert "serves again" in batches["momentum_largecap"].source_reason

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_happens_to_roles_no_unjudged_model_is_served(self, night: Session, data: st.DataObject) -> None:
        with night.begin_nested() as savepoint:
            model = self.model_of(night, "momentum_largecap")
            verdict = data.draw(st.sampled_from(["pass", "not_proven", "fail"]))
            days = st.sampled_from([date(2017, 1, 1), date(2017, 4, 3)])
            create_verdict(night, model, verdict=verdict, as_of=data.draw(days))
            for change in data.draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=6)):
                with suppress(Refused, InputError):
                    change(night, model, data.draw(days))
            as_of = data.draw(st.sampled_from([NIGHT, date(2017, 3, 31), date(2016, 12, 29)]))
            score_strategies(night, as_of=as_of, recipes=[RECIPES["momentum_largecap"]])
            batch = batches_on(night, session_on=as_of)["momentum_largecap"]
            if batch.source == "model":
                assert batch.model_version_id == model.model_version_id
                assert model.valid_from_on <= as_of < model.valid_to_on
                passed = select(GateVerdict).where(GateVerdict.verdict == "pass", GateVerdict.as_of <= as_of)
                assert night.scalars(passed.where(GateVerdict.model_version_id == batch.model_version_id)).first()
            else:
                assert batch.model_version_id is None
            savepoint.rollback()


CHANGES: tuple[Callable[[Session, ModelVersion, date], object], ...] = (
    lambda session, model, day: create_verdict(session, model, verdict="pass", as_of=day),
    lambda session, model, day: create_verdict(session, model, verdict="fail", as_of=day),
    lambda session, model, day: create_verdict(session, model, verdict="not_proven", as_of=day),
    lambda session, model, day: roles.register(session, model=model, effective_on=day, actor="gate"),
    lambda session, model, day: roles.promote(session, model=model, effective_on=day, actor="gate"),
    lambda session, model, day: roles.rollback(
        session, name=model.name, effective_on=day, actor="gate", reason="for a test"
    ),
    lambda session, model, day: roles.hold(
        session, name=model.name, effective_on=day, actor="ann", reason="for a test"
    ),
    lambda session, model, day: roles.release(
        session, name=model.name, effective_on=day, actor="ann", reason="for a test"
    ),
)


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
