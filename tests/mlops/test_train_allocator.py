"""Training the allocator as a job: folds from stored scores, each stored once, judged and served."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import AcisError, DataMissing, InputError
from database.queries.models import valid_models
from database.queries.trials import read_returns
from database.session import transaction
from features.service import build_features
from mlops.jobs.train_allocator import AllocatorReport, run_train_allocator
from registry.trials import count_trials
from rl_trading import training
from rl_trading.artefact import load
from rl_trading.baselines import DEFAULT, SIMPLE
from rl_trading.dataset import load_history
from rl_trading.evaluate import PPO
from rl_trading.learners import Learners, learners
from rl_trading.settings import Training
from tests.factories.allocations import make_recording
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.scores import create_out_of_fold

MOMENTUM, QUALITY = "momentum_largecap", "quality_largecap"
SHORT = partial(Training, steps=1024, environments=16, rollout=8, batch=64)


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """Scores of momentum reach to the end, those of quality only to the end of 2015."""
    with transaction() as session:
        market = create_market(session, instruments=60, sessions=600, last_on=date(2017, 6, 30))
        for year in (2015, 2016, 2017):
            days = [day for day in market.sessions if day.year == year][::5]
            for strategy in (MOMENTUM, QUALITY):
                model = create_model(session, strategy=strategy, year=year, version=year - 2014)
                if strategy == MOMENTUM or year == 2015:
                    create_out_of_fold(session, model=model, sessions=days, instrument_ids=market.instrument_ids)
    build_features()
    return market


@pytest.fixture(scope="module")
def stored(market: Market) -> AllocatorReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Training", SHORT)
        return run_train_allocator(seeds=3)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Training", SHORT)


class TestRunTrainAllocator:
    def test_one_row_a_strategy_on_one_artefact(self, stored: AllocatorReport) -> None:
        assert [(fold.strategy, fold.year, fold.version) for fold in stored.trained] == [
            (MOMENTUM, 2017, 1),
            (QUALITY, 2017, 1),
        ]
        with transaction() as session:
            models = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))
        assert models.keys() == {MOMENTUM, QUALITY}
        (folder,) = {model.artefact_dir for model in models.values()}
        (digest,) = {model.artefact_sha256 for model in models.values()}
        assert load(get_settings().models_dir / folder, digest).seeds == 3

    def test_learns_from_the_years_before_the_validation_year(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
        assert model.train_to_on <= date(2015, 12, 31)
        assert date(2016, 12, 1) < model.last_label_on < model.valid_from_on == date(2017, 1, 1)
        validation = model.metrics["validation"]
        assert "2016-01-01" <= validation["from_on"] <= validation["to_on"] <= "2016-12-31"
        assert model.metrics["test"]["from_on"] >= "2017-01-01"

    def test_table_lists_all_and_the_choice_follows_from_it(self, stored: AllocatorReport) -> None:
        fold = stored.trained[0]
        table = {row["allocator"]: row for row in fold.metrics["validation"]["table"]}
        assert [*table] == [PPO, *SIMPLE, "index"]
        assert len(fold.metrics["validation"]["seeds"]) == 3
        assert fold.allocator == max(SIMPLE, key=lambda name: table[name]["ratio"])
        for window in ("validation", "test"):
            summary = fold.metrics["policy"][window]
            assert summary["seeds"] == 3
            assert summary["seeds_sharpe"]["quarter"] <= summary["seeds_sharpe"]["median"]
        assert len(fold.metrics["degeneracy_readings"]) >= 7
        degenerate = [reading for reading in fold.metrics["degeneracy_readings"] if reading["degenerate"]]
        assert len(fold.metrics["degeneracy"]) == len(degenerate)
        assert any(line.startswith("validation, 2016") for line in fold.lines())

    def test_strategy_without_validation_gets_the_default(self, stored: AllocatorReport) -> None:
        quality = stored.trained[1]
        assert quality.allocator == DEFAULT
        assert quality.metrics["validation"] is None
        assert quality.metrics["degeneracy"] is None
        assert "only 0 decisions" in quality.reason

    def test_training_lines_hold_no_session_without_a_regime(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            first = session.execute(text("select min(session_on) from regimes where detector = 'rules'")).scalar_one()
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
        assert date(2015, 3, 1) < first <= model.train_from_on

    def test_second_run_trains_nothing(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            before = count_trials(session, kind="allocator")
        again = run_train_allocator(seeds=3)
        assert (again.trained, again.extended) == ((), ())
        assert [table.strategy for table in again.tables] == [MOMENTUM]
        with transaction() as session:
            assert count_trials(session, kind="allocator") == before == 2

    def test_other_scores_make_the_fold_stale(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            session.execute(text("update model_versions set input_hash = repeat('1', 64) where kind = 'screener'"))
            plans = training.plan_folds(session, as_of=date(2017, 6, 30), seeds=3)
            assert [plan.year for plan in plans] == [2017]
            session.rollback()

    def test_the_test_years_returns_are_kept_for_the_gate(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
            tried = read_returns(session, kind="allocator", strategy=MOMENTUM, through_on=date(2017, 12, 31))
        assert tried.keys() == {model.trial_id}
        series = tried[model.trial_id or 0]
        assert series.keys() == {"model", "model_costs_doubled", "seed-1", "seed-2", "seed-3", *SIMPLE, "index"}
        test = model.metrics["test"]
        for kept in series.values():
            assert test["from_on"] < str(kept.sessions[0]) <= str(kept.sessions[-1]) == test["to_on"]
        row = next(row for row in test["table"] if row["allocator"] == PPO)
        assert np.prod(1 + series["model"].returns) - 1 == pytest.approx(row["total_return"], abs=1e-6)

    def test_tables_are_of_what_was_kept(self, stored: AllocatorReport) -> None:
        (table,) = stored.tables
        assert [line.allocator for line in table.lines] == ["model", "model_costs_doubled", *SIMPLE, "index"]
        assert len(table.seeds_sharpe) == 3
        # Half a year: nothing is annualised.
        assert {line.annual_return for line in table.lines} == {None}
        row = next(row for row in stored.trained[0].metrics["test"]["table"] if row["allocator"] == "hrp")
        assert table.lines[-2].years[2017] == pytest.approx(row["total_return"], abs=1e-6)

    def test_sessions_that_came_later_are_judged_without_training(self, stored: AllocatorReport) -> None:
        with transaction() as session:
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
            last = model.metrics["test"]["to_on"]
            session.execute(
                text(
                    "update model_versions set metrics = jsonb_set(metrics::jsonb, '{test,to_on}', '\"2017-03-01\"')"
                    " where model_version_id = :id"
                ),
                {"id": model.model_version_id},
            )
            session.execute(
                text(
                    "update model_versions set metrics = metrics::jsonb ||"
                    " jsonb_build_object('judged_to_on', cast(:d as text))"
                    " where kind = 'screener' and strategy = :s and valid_from_on = '2017-01-01'"
                ),
                {"s": MOMENTUM, "d": last},
            )
            session.execute(text("delete from trial_returns"))
        report = run_train_allocator(seeds=3)
        assert report.trained == ()
        assert [(fold.strategy, fold.metrics["test"]["to_on"]) for fold in report.extended] == [(MOMENTUM, last)]
        assert report.extended[0].metrics["policy"]["validation"] is not None
        assert [table.to_on for table in report.tables] == [date.fromisoformat(last)]
        assert run_train_allocator(seeds=3).extended == ()

    @pytest.mark.parametrize(("year", "error"), [(1999, InputError), (2031, InputError), (2016, DataMissing)])
    def test_refuses_years_that_cannot_be(self, stored: AllocatorReport, year: int, error: type[AcisError]) -> None:
        with pytest.raises(error, match=str(year)):
            run_train_allocator(years=[year])


def _any_recording() -> Path:
    path = get_settings().models_dir / "any.npz"
    make_recording().save(path)
    return path


class Pool:
    """Stands in for the learner processes: notes the seeds that it is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def submit(self, task: Mapping[str, Any], heard: Callable[[int], None]) -> "Future[None]":
        self.asked.append(task["seed"])
        done: Future[None] = Future()
        done.set_result(None)
        return done


class TestResume:
    def test_seeds_that_are_finished_are_not_learned_again(self, stored: AllocatorReport, tmp_path: Path) -> None:
        with transaction() as session:
            (plan,) = training.plan_folds(session, as_of=date(2017, 6, 30), seeds=5)
        history = load_history(as_of=date(2017, 6, 30), first_on=date(2009, 1, 1))
        heard: list[int] = []
        steps = training._Steps(5 * plan.training.steps, lambda _, done, total: heard.append(done))
        lessons = training._Lessons(plan, history, tmp_path)
        (tmp_path / "seed-2.npz").write_bytes(b"learned before")
        pool = Pool()
        lessons.begin(cast(Learners, pool), steps)
        assert pool.asked == [1, 3, 4, 5]
        assert heard == [plan.training.steps]

    def test_nothing_is_left_behind_and_what_is_no_longer_wanted_goes(self, stored: AllocatorReport) -> None:
        learning = get_settings().models_dir / "learning"
        assert list(learning.iterdir()) == []
        stale = learning / "2016-0123456789abcdef"
        stale.mkdir()
        training._forget_others([learning / "2017-0123456789abcdef"])
        assert not stale.exists()


class TestLearners:
    def test_a_device_that_is_not_there_is_refused_with_the_remedy(self, stored: AllocatorReport) -> None:
        """Said by the learner's process, which alone has torch, and raised here."""
        task = {
            "layout": {"stocks": 10, "features": 4, "context": 3},
            "seed": 1,
            "output": "nowhere",
            "validation": None,
        }
        with learners(1) as pool:
            environment = {**task, "recording": str(_any_recording()), "training": asdict(SHORT(device="cuda"))}
            with pytest.raises(InputError, match="finds no GPU here"):
                pool.submit(environment, lambda steps: None).result(timeout=120)

    def test_a_device_that_nobody_knows_is_refused(self) -> None:
        with pytest.raises(InputError, match="tpu"):
            run_train_allocator(device="tpu")

    def test_a_process_that_fails_says_why_and_none_is_left_behind(self) -> None:
        with learners(1) as pool:
            started = list(pool.processes)
            assert [process.poll() for process in started] == [None]
            with pytest.raises(AcisError, match=r"(?s)KeyError.*recording"):
                pool.submit({"seed": 1}, lambda steps: None).result(timeout=120)
        assert all(process.poll() is not None for process in started)
