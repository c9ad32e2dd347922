"""The training job: fold by fold, once, and on from where it was cut off."""

import json
from datetime import date

import pytest

import mlops.jobs.train_screener as job
from core.errors import DataMissing, Refused
from core.jobs import Ticket, TrainScreener
from core.progress import silent
from database.queries.runs import exclusive_run
from database.session import Session, transaction
from features.service import build_features
from ml_models.service import StoredFold, TrainedFold, plan_training, store_fold
from mlops.jobs.train_screener import perform, run_train_screener
from tests.factories.market import create_market

NIGHT = date(2017, 6, 30)


@pytest.mark.usefixtures("committed_database")
class TestRunTrainScreener:
    """In order: each test goes on from what the one before stored."""

    def test_without_bars_says_what_to_do(self) -> None:
        with pytest.raises(DataMissing, match="acis data load-sample"):
            run_train_screener()

    def test_a_training_that_was_killed_keeps_what_it_stored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with transaction() as session:
            create_market(session, instruments=60, sessions=630, last_on=NIGHT)
        build_features()
        stored: list[StoredFold] = []

        def killed_after_two(session: Session, trained: TrainedFold) -> StoredFold:
            if len(stored) == 2:
                raise KeyboardInterrupt
            stored.append(store_fold(session, trained))
            return stored[-1]

        monkeypatch.setattr(job, "store_fold", killed_after_two)
        with pytest.raises(KeyboardInterrupt):
            run_train_screener()
        with transaction() as session:
            assert len(plan_training(session).missing) == 4

    def test_the_next_one_trains_the_rest_and_reports(self) -> None:
        told: list[tuple[str, int, int]] = []
        report = run_train_screener(progress=lambda *step: told.append(step))
        assert (report.folds_total, len(report.trained)) == (6, 4)
        assert ("train screeners", 4, 4) in told
        assert {judgement.strategy for judgement in report.judgements} >= {"momentum_largecap"}
        parsed = json.loads(json.dumps(report.as_dict()))
        assert parsed["folds_present"] == 2
        assert {fold["year"] for fold in parsed["trained"]} == {2017}

    def test_then_there_is_nothing_to_do(self) -> None:
        report = run_train_screener(progress=silent)
        assert (report.trained, report.extended, report.judgements) == ((), (), ())
        assert perform(TrainScreener(), Ticket(1, 1, "test"))["trained"] == []

    def test_two_at_once_are_refused_and_others_are_not(self) -> None:
        with exclusive_run(TrainScreener.name, NIGHT, "models:growth_largecap"):
            with pytest.raises(Refused, match="already running"):
                run_train_screener()
            perform(TrainScreener(strategies=("momentum_largecap",)), Ticket(1, 1, "test"))
