"""Training the allocator as a job: folds from stored scores, each stored once, judged and served."""

from datetime import date
from functools import partial

import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import AcisError, DataMissing, InputError
from database.queries.models import valid_models
from database.session import transaction
from features.service import build_features
from mlops.jobs.train_allocator import AllocatorFold, run_train_allocator
from rl_trading import training
from rl_trading.artefact import load
from rl_trading.baselines import DEFAULT, SIMPLE
from rl_trading.evaluate import PPO
from rl_trading.learners import learners
from rl_trading.settings import Training
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
def stored(market: Market) -> list[AllocatorFold]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Training", SHORT)
        return run_train_allocator(seeds=3)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Training", SHORT)


class TestRunTrainAllocator:
    def test_one_row_a_strategy_on_one_artefact(self, stored: list[AllocatorFold]) -> None:
        assert [(fold.strategy, fold.year, fold.version) for fold in stored] == [
            (MOMENTUM, 2017, 1),
            (QUALITY, 2017, 1),
        ]
        with transaction() as session:
            models = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))
        assert models.keys() == {MOMENTUM, QUALITY}
        (folder,) = {model.artefact_dir for model in models.values()}
        (digest,) = {model.artefact_sha256 for model in models.values()}
        for seed in (1, 2, 3):
            load(get_settings().models_dir / folder, digest, seed)

    def test_learns_from_the_years_before_the_validation_year(self, stored: list[AllocatorFold]) -> None:
        with transaction() as session:
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
        assert model.train_to_on <= date(2015, 12, 31)
        assert date(2016, 12, 1) < model.last_label_on < model.valid_from_on == date(2017, 1, 1)
        validation = model.metrics["validation"]
        assert "2016-01-01" <= validation["from_on"] <= validation["to_on"] <= "2016-12-31"
        assert model.metrics["test"]["from_on"] >= "2017-01-01"

    def test_table_lists_all_and_the_choice_follows_from_it(self, stored: list[AllocatorFold]) -> None:
        fold = stored[0]
        table = {row["allocator"]: row for row in fold.metrics["validation"]["table"]}
        assert [*table] == [PPO, *SIMPLE, "index"]
        assert len(fold.metrics["validation"]["seeds"]) == 3
        best = max(SIMPLE, key=lambda name: table[name]["ratio"])
        assert fold.allocator == (PPO if table[PPO]["ratio"] > table[best]["ratio"] else best)
        assert any(line.startswith("validation, 2016") for line in fold.lines())

    def test_strategy_without_validation_gets_the_default(self, stored: list[AllocatorFold]) -> None:
        assert stored[1].allocator == DEFAULT
        assert stored[1].metrics["validation"] is None
        assert "only 0 decisions" in stored[1].reason

    def test_training_lines_hold_no_session_without_a_regime(self, stored: list[AllocatorFold]) -> None:
        with transaction() as session:
            first = session.execute(text("select min(session_on) from regimes where detector = 'rules'")).scalar_one()
            model = valid_models(session, kind="allocator", as_of=date(2017, 6, 30))[MOMENTUM]
        assert date(2015, 3, 1) < first <= model.train_from_on

    def test_second_run_trains_nothing(self, stored: list[AllocatorFold]) -> None:
        assert run_train_allocator(seeds=3) == []

    def test_other_scores_make_the_fold_stale(self, stored: list[AllocatorFold]) -> None:
        with transaction() as session:
            session.execute(text("update model_versions set input_hash = repeat('1', 64) where kind = 'screener'"))
            plans = training.plan_folds(session, as_of=date(2017, 6, 30), seeds=3)
            assert [plan.year for plan in plans] == [2017]
            session.rollback()

    @pytest.mark.parametrize(("year", "error"), [(1999, InputError), (2031, InputError), (2016, DataMissing)])
    def test_refuses_years_that_cannot_be(self, stored: list[AllocatorFold], year: int, error: type[AcisError]) -> None:
        with pytest.raises(error, match=str(year)):
            run_train_allocator(years=[year])


class TestLearners:
    def test_a_process_that_fails_says_why_and_none_is_left_behind(self) -> None:
        with learners(1) as pool:
            started = list(pool.processes)
            assert [process.poll() for process in started] == [None]
            with pytest.raises(AcisError, match=r"(?s)KeyError.*layout"):
                pool.submit({"seed": 1}, lambda steps: None).result(timeout=120)
        assert all(process.poll() is not None for process in started)
