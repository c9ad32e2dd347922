"""The search: what it proposes, what it gives up, and that it ends the same however it was interrupted."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from core.errors import DataMissing
from database.queries.features import Snapshot
from ml_models.algorithms import ALGORITHMS
from ml_models.dataset import Dataset
from ml_models.recipe import Recipe, RuleTerm
from ml_models.study import Outcome, Study, Tried, plan_study
from ml_models.tuning import ROUND, Pruning, best_of, judge_proposal, search
from tests.factories.scores import SCREENER_FEATURES, make_panel, make_snapshots, signal_reader

TOY = Recipe("toy_largecap", keeps=(), emphasis={}, rule=(RuleTerm("momentum_63", "high"),))
SNAPSHOTS = make_snapshots(2008, 2014)


def study_of(
    algorithm: str = "xgboost", first_test_year: int = 2013, snapshots: Mapping[int, Snapshot] = SNAPSHOTS
) -> Study:
    return plan_study(
        TOY, algorithm, snapshots, SCREENER_FEATURES, possible=range(2009, 2015), first_test_year=first_test_year
    )


def quality(parameters: dict[str, int | float], year: int) -> float:
    """A made-up rank IC that is best at a learning rate of 0.03 and a depth of 5."""
    return -abs(math.log(parameters["learning_rate"] / 0.03)) - abs(parameters["depth_max"] - 5) + 0.01 * (year - 2010)


def judge_round(proposals: Sequence[tuple[dict[str, int | float], Pruning]]) -> list[Outcome]:
    outcomes = []
    for parameters, pruning in proposals:
        found: dict[str, float] = {}
        state = "complete"
        for step, year in enumerate((2010, 2011, 2012)):
            found[str(year)] = quality(parameters, year)
            if step < 2 and pruning.falls_behind(step, sum(found.values()) / len(found)):
                state = "pruned"
                break
        outcomes.append(Outcome(state, found))
    return outcomes


class TestPlanStudy:
    def test_inner_years_lie_before_the_test_years(self) -> None:
        study = study_of()
        assert study.inner_years == (2010, 2011, 2012)
        assert study.test_from_on == date(2013, 1, 1)
        assert study_of(first_test_year=2011).inner_years == (2009, 2010)

    @pytest.mark.parametrize("year", [2009, 2018])
    def test_without_years_before_them_says_so(self, year: int) -> None:
        with pytest.raises(DataMissing, match=f"test years from {year} on needs a fold of one of the 3 years"):
            study_of(first_test_year=year)

    def test_its_key_knows_nothing_of_the_test_years(self) -> None:
        changed = SNAPSHOTS | {2013: make_snapshots(2012, 2012)[2012]}
        assert study_of(snapshots=changed).key == study_of().key
        changed = SNAPSHOTS | {2012: make_snapshots(2013, 2013)[2013]}
        assert study_of(snapshots=changed).key != study_of().key

    def test_proposal_and_choice_are_trials_of_their_own(self) -> None:
        study, parameters = study_of(), {"depth_max": 4}
        proposal, chosen = (make(parameters).as_dict(SCREENER_FEATURES) for make in (study.proposal, study.chosen))
        assert proposal != chosen
        assert proposal["parameters"] == chosen["parameters"] == {**study.usual.parameters, **parameters}


class TestSearch:
    def test_begins_with_what_is_usual_and_ends_with_no_less(self) -> None:
        tried = search(study_of(), trials=24, work=judge_round)
        assert tried[0].parameters["depth_max"] == 3
        best = best_of(tried)
        assert best is not None
        assert best.outcome.value is not None
        assert tried[0].outcome.value is not None
        assert best.outcome.value > tried[0].outcome.value + 1.0
        assert best.parameters["depth_max"] == 5

    def test_gives_up_what_falls_behind(self) -> None:
        states = [one.outcome.state for one in search(study_of(), trials=24, work=judge_round)]
        assert set(states[:ROUND]) == {"complete"}
        assert states.count("pruned") >= 3

    def test_more_trials_go_on_where_fewer_ended(self) -> None:
        few, many = (search(study_of(), trials=trials, work=judge_round) for trials in (6, 14))
        assert many[:6] == few

    def test_the_order_of_work_inside_a_round_does_not_matter(self) -> None:
        def backwards(proposals: Sequence[tuple[dict[str, int | float], Pruning]]) -> list[Outcome]:
            return judge_round(proposals[::-1])[::-1]

        assert search(study_of(), trials=14, work=backwards) == search(study_of(), trials=14, work=judge_round)

    @pytest.mark.parametrize("algorithm", list(ALGORITHMS))
    def test_every_algorithm_can_be_searched(self, algorithm: str) -> None:
        def barren(proposals: Sequence[Any]) -> list[Outcome]:
            return [Outcome("barren", {}) for _ in proposals]

        tried = search(study_of(algorithm), trials=5, work=barren)
        assert all(one.parameters.keys() == ALGORITHMS[algorithm].ranges.keys() for one in tried)
        assert best_of(tried) is None

    def test_of_equals_the_first_is_best(self) -> None:
        tried = [Tried({"depth_max": depth}, Outcome("complete", {"2010": 0.1})) for depth in (3, 4)]
        assert best_of(tried) is tried[0]


class TestJudgeProposal:
    @staticmethod
    def rows(last_year: int) -> Dataset:
        panel = make_panel(first_year=2009, last_year=last_year, instruments=40)
        return Dataset(
            panel=panel,
            features=[feature.name for feature in SCREENER_FEATURES],
            read_year=signal_reader(panel, strength=1.0),
            every_sessions=5,
            label_sessions=21,
            years_kept=6,
        )

    def test_judges_each_inner_year_by_a_model_of_the_years_before(self) -> None:
        study = study_of("elastic_net", snapshots=make_snapshots(2008, 2012))

        class Never(Pruning):
            def __init__(self) -> None:
                pass

            def falls_behind(self, step: int, value: float) -> bool:
                return False

        outcome, said = judge_proposal(
            study, {}, self.rows(2012), make_snapshots(2008, 2012), SCREENER_FEATURES, Never()
        )
        assert outcome.state == "complete"
        assert outcome.rank_ics.keys() == {"2010", "2011", "2012"}
        assert min(outcome.rank_ics.values()) > 0.3
        assert [str(judged.session_on.max())[:4] for judged in said.values()] == ["2010", "2011", "2012"]

    def test_rows_of_the_test_years_are_refused(self) -> None:
        study = study_of("elastic_net")
        with pytest.raises(AssertionError, match="must not see the years that will judge it"):
            judge_proposal(study, {}, self.rows(2013), SNAPSHOTS, SCREENER_FEATURES, None)  # type: ignore[arg-type]
