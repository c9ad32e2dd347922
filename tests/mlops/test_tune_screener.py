"""Searches as jobs: counted before they are judged, resumed where they were cut off; and the comparison beside them."""

import json
from datetime import date

import pytest
from sqlalchemy import text

import mlops.jobs.compare_screeners
import mlops.jobs.tune_screener as job
from core.errors import InputError, Refused
from core.jobs import Ticket, TuneScreener
from core.progress import silent
from database.queries.runs import exclusive_run
from database.queries.scores import read_out_of_fold
from database.session import Session, transaction
from features.service import build_features
from ml_models.service import close_proposal, plan_rivals, plan_training
from ml_models.study import Outcome
from mlops.jobs.compare_screeners import run_compare_screeners
from mlops.jobs.train_screener import run_train_screener
from mlops.jobs.tune_screener import TuningReport, perform, run_tune_screener
from tests.factories.market import create_market

NIGHT = date(2017, 6, 30)
MOMENTUM = "momentum_largecap"


def tune(trials: int = 6) -> TuningReport:
    return run_tune_screener(trials=trials, strategies=[MOMENTUM], years=[2017], algorithm="elastic_net")


def trials() -> list[tuple[str, str]]:
    """(source, role) of every trial, in order."""
    with transaction() as session:
        rows = session.execute(
            text("select source, configuration -> 'origin' ->> 'role' from trials order by trial_id")
        )
        return [(row[0], row[1]) for row in rows]


@pytest.mark.usefixtures("committed_database")
class TestRunTuneScreener:
    """In order: each test goes on from what the one before stored."""

    def test_no_trials_are_no_search(self) -> None:
        with pytest.raises(InputError, match="trials is 0: a search needs at least one proposal"):
            run_tune_screener(trials=0)

    def test_a_search_that_was_killed_has_counted_what_it_began(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with transaction() as session:
            create_market(session, instruments=60, sessions=1060, last_on=NIGHT)
        build_features()
        kept: list[int] = []

        def killed_after_two(session: Session, *args: object, **fields: object) -> None:
            if len(kept) == 2:
                raise KeyboardInterrupt
            kept.append(1)
            close_proposal(session, *args, **fields)  # type: ignore[arg-type]  # the verb's own

        monkeypatch.setattr(job, "close_proposal", killed_after_two)
        with pytest.raises(KeyboardInterrupt):
            tune()
        assert trials() == [("tuning", "proposal")] * 4

    def test_the_next_one_goes_on_and_trains_what_it_decided_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        judged: list[Outcome] = []

        def counted(session: Session, *args: object, outcome: Outcome, **fields: object) -> None:
            judged.append(outcome)
            close_proposal(session, *args, outcome=outcome, **fields)  # type: ignore[arg-type]  # the verb's own

        monkeypatch.setattr(job, "close_proposal", counted)
        report = tune()
        assert len(judged) == 4
        (tuning,) = report.tunings
        assert (tuning.trials, tuning.inner_years) == (6, (2016,))
        assert tuning.usual_value is not None
        assert tuning.value >= tuning.usual_value
        (fold,) = report.trained
        assert (fold.algorithm, fold.tuned, fold.year) == ("elastic_net", True, 2017)
        assert trials() == [("tuning", "proposal")] * 6 + [("training", "choice")]
        assert json.loads(json.dumps(report.as_dict()))["tunings"][0]["study"] == tuning.study

    def test_proposals_have_returns_of_the_years_before_the_test_year_alone(self) -> None:
        with transaction() as session:
            rows = session.execute(
                text("select source, min(year), max(year) from trial_returns join trials using (trial_id) group by 1")
            ).all()
        assert {tuple(row) for row in rows} == {("tuning", 2016, 2016), ("training", 2017, 2017)}

    def test_once_more_there_is_nothing_to_do_and_the_answer_is_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = tune()
        monkeypatch.setattr(job, "judge_proposal", None)
        assert tune().tunings == before.tunings
        again = TuneScreener(trials=6, strategies=(MOMENTUM,), years=(2017,), algorithm="elastic_net")
        assert perform(again, Ticket(1, 1, "test"))["trained"] == []
        assert len(trials()) == 7

    def test_two_at_once_are_refused(self) -> None:
        with (
            exclusive_run(TuneScreener.name, NIGHT, f"models:{MOMENTUM}"),
            pytest.raises(Refused, match="already running"),
        ):
            tune()

    def test_nobody_else_reads_what_was_tuned(self) -> None:
        assert read_out_of_fold(as_of=NIGHT).is_empty()
        assert not read_out_of_fold(as_of=NIGHT, algorithm="elastic_net", tuned=True).is_empty()

    def test_a_rival_goes_on_beside_the_standard_screeners(self, monkeypatch: pytest.MonkeyPatch) -> None:
        report = run_train_screener(strategies=[MOMENTUM], progress=silent)
        assert {(fold.algorithm, fold.tuned, fold.year) for fold in report.trained} == {
            ("xgboost", False, year) for year in (2016, 2017)
        }
        monkeypatch.setattr("ml_models.configuration.code_hash", lambda _: "other")
        with transaction() as session:
            rivals = plan_rivals(session).missing
            assert [(plan.configuration.algorithm.name, plan.year) for plan in rivals] == [("elastic_net", 2017)]
            assert rivals[0].configuration.origin["role"] == "choice"
            assert len(plan_training(session, strategies=[MOMENTUM]).missing) == 2

    def test_a_comparison_counts_each_configuration_once_and_does_nothing_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = len(trials())
        table = run_compare_screeners(
            strategies=[MOMENTUM], algorithms=["xgboost", "elastic_net"], years=[2016], seeds=2
        )
        # The standard XGBoost was trained, and so is a trial already.
        assert len(trials()) == before + 1
        assert [(line.algorithm, line.seeds) for line in table.lines] == [
            ("xgboost", 2),
            ("elastic_net", 1),
            ("plain_rule", 1),
        ]
        monkeypatch.setattr(mlops.jobs.compare_screeners, "compare_in_year", None)
        again = run_compare_screeners(
            strategies=[MOMENTUM], algorithms=["xgboost", "elastic_net"], years=[2016], seeds=2
        )
        assert json.dumps(again.as_dict()) == json.dumps(table.as_dict())
        with transaction() as session:
            assert session.execute(text("select count(*) from model_versions")).scalar_one() == 3
