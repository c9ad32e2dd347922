"""The gate's word carried out: skill is promoted, noise and leaks are not, and what changes is judged anew."""

import inspect
from datetime import date
from types import ModuleType

import pytest

from core.errors import Refused
from database.queries.roles import role_history
from database.queries.verdicts import newest_verdict
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from mlops.jobs import judge_models
from registry import decisions, evidence, service, trials, verdicts
from registry.alerts import open_alerts
from registry.decisions import promote_version
from registry.roles import challengers, champions, hold, rollback
from registry.service import Candidate, judge_candidates
from registry.trials import record_trial
from tests.factories.market import create_market
from tests.factories.models import create_model
from tests.factories.trials import create_audit, create_candidate, create_reading, create_trial

NIGHT = date(2017, 1, 3)
NEXT = date(2017, 1, 4)
NOISE = 4  # a seed without skill and with a little luck
SKILL = 4.0  # a Sharpe ratio against the universe that four years prove beyond doubt


def ready(session: Session, model: ModelVersion, *, on: date = NIGHT) -> ModelVersion:
    """The code audited, the inputs calm: what remains is whether the model is any good."""
    create_audit(session)
    create_reading(session, model, on=on)
    return model


def verdict_on(session: Session, model: ModelVersion, as_of: date = NIGHT) -> GateVerdict:
    found = newest_verdict(session, model_version_id=model.model_version_id, as_of=as_of)
    assert found is not None
    return found


def judged(session: Session, as_of: date = NIGHT) -> Candidate:
    (candidate,) = judge_candidates(session, as_of=as_of)
    return candidate


def serving(session: Session, as_of: date = NIGHT) -> ModelVersion | None:
    return champions(session, kind="screener", as_of=as_of).get("momentum_largecap")


class TestJudgeCandidates:
    def test_no_models_no_words(self, session: Session) -> None:
        assert judge_candidates(session, as_of=NIGHT) == []

    def test_proven_skill_serves_from_that_night_on(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        assert judged(session).outcome == "promoted"
        assert serving(session) is model
        assert serving(session, date(2017, 1, 2)) is None
        verdict = verdict_on(session, model)
        assert (verdict.verdict, verdict.trials, verdict.as_of) == ("pass", 4, NIGHT)
        assert (verdict.evidence["from_on"], verdict.evidence["to_on"]) == ("2013-01-01", "2016-12-30")
        assert verdict.evidence["trials_side_by_side"] == 4

    def test_noise_runs_in_shadow_and_reaches_nobody(self, session: Session) -> None:
        model = ready(session, create_candidate(session, seed=NOISE))
        told = judged(session)
        assert (told.verdict, told.outcome) == ("not_proven", "registered")
        assert serving(session) is None
        assert challengers(session, kind="screener", as_of=NIGHT) == {"momentum_largecap": model}
        ratio = next(c for c in verdict_on(session, model).checks if c["name"] == "deflated_sharpe")
        assert ratio["value"] < 0.95

    def test_noise_is_not_promoted_by_hand_either(self, session: Session) -> None:
        create_market(session, instruments=2, sessions=3, last_on=NIGHT)
        ready(session, create_candidate(session, seed=NOISE))
        with pytest.raises(Refused, match="the gate says not proven"):
            promote_version(session, name="screener-momentum_largecap", version=1, actor="ada")
        assert serving(session) is None

    def test_splendid_returns_of_leaking_code_are_refused(self, session: Session) -> None:
        create_market(session, instruments=2, sessions=3, last_on=NIGHT)
        model = create_candidate(session, ratio=8.0)
        create_audit(session, status="found")
        create_reading(session, model, on=NIGHT)
        told = judged(session)
        assert (told.verdict, told.outcome) == ("fail", "refused")
        assert "knowledge of the future: the leak probes found something: prefix invariance" in told.sentence
        with pytest.raises(Refused, match=r"is not registered: .*knowledge of the future"):
            promote_version(session, name=model.name, version=1, actor="ada")
        assert role_history(session, name=model.name) == []

    def test_splendid_returns_of_sessions_it_was_trained_on_are_refused(self, session: Session) -> None:
        trial_id = create_trial(session, ratio=8.0)
        for seed in range(5):
            create_trial(session, seed=100 + seed, without=("plain", "model_costs_doubled"))
        model = ready(session, create_model(session, trial_id=trial_id, metrics={}))
        told = judged(session)
        assert (told.verdict, told.outcome) == ("not_proven", "refused")
        assert "sessions belong to no known fold" in told.sentence
        assert serving(session) is None
        assert not challengers(session, kind="screener", as_of=NIGHT), model.name

    @pytest.mark.parametrize(
        ("missing", "words"),
        [
            ("audit", "have not run over this code"),
            ("reading", "Whether its inputs have drifted is not known"),
            ("degeneracy", "Nobody has looked"),
            ("trial", "no results on sessions that it had not seen"),
        ],
    )
    def test_what_nobody_looked_at_is_no_pass(self, session: Session, missing: str, words: str) -> None:
        kind = "allocator" if missing == "degeneracy" else "screener"
        model = create_candidate(
            session, ratio=SKILL, kind=kind, metrics={} if missing == "degeneracy" else {"degeneracy": []}
        )
        if missing != "audit":
            create_audit(session)
        if missing != "reading":
            create_reading(session, model, on=NIGHT)
        if missing == "trial":
            model.trial_id = None
        told = judged(session)
        assert (told.verdict, told.outcome) == ("not_proven", "refused")
        unproven = [check["sentence"] for check in verdict_on(session, model).checks if check["status"] != "pass"]
        assert any(words in sentence for sentence in unproven)
        assert role_history(session, name=model.name) == []

    def test_drifted_inputs_are_no_start(self, session: Session) -> None:
        model = create_candidate(session, ratio=SKILL)
        create_audit(session)
        create_reading(session, model, on=NIGHT, is_alarm=True)
        assert (judged(session).outcome, serving(session)) == ("refused", None)

    def test_an_allocator_passes_by_the_same_gate(self, session: Session) -> None:
        ready(session, create_candidate(session, ratio=SKILL, kind="allocator"))
        assert judged(session).outcome == "promoted"

    def test_a_degenerate_allocator_fails_whatever_it_earned(self, session: Session) -> None:
        metrics = {"degeneracy": ["its weights never change"]}
        model = ready(session, create_candidate(session, ratio=SKILL, kind="allocator", metrics=metrics))
        assert judged(session).verdict == "fail"
        assert "its weights never change" in verdict_on(session, model).reason


class TestTwice:
    def test_the_second_night_writes_nothing(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        first = judged(session)
        history = len(role_history(session, name=model.name))
        again = judged(session, NEXT)
        assert (again.verdict_id, again.outcome) == (first.verdict_id, "champion")
        assert len(role_history(session, name=model.name)) == history

    def test_the_same_evidence_on_another_day_is_the_same_verdict(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        (first,) = judge_candidates(session, as_of=NIGHT)
        (second,) = judge_candidates(session, as_of=NEXT, anew=True)
        assert first.verdict_id == second.verdict_id == verdict_on(session, model, NEXT).verdict_id

    def test_a_past_verdict_knows_nothing_of_later_returns(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        before = verdict_on(session, model).evidence["series_sha256"]
        create_trial(session, ratio=SKILL, years=[2017])
        judge_candidates(session, as_of=NIGHT, anew=True)
        assert verdict_on(session, model).evidence["series_sha256"] != before, "two sessions of 2017 were known"
        judge_candidates(session, as_of=date(2017, 1, 1), anew=True)
        assert verdict_on(session, model, date(2017, 1, 1)).evidence["to_on"] == "2016-12-30"


class TestTrialsCount:
    def test_every_configuration_ever_tried_raises_the_bar(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=1.6))
        judged(session)
        few = verdict_on(session, model)
        for number in range(200):
            record_trial(
                session, kind="screener", strategy="value_largecap", source="tracking", configuration={"run": number}
            )
        judged(session)
        many = verdict_on(session, model)
        assert (few.trials, many.trials) == (4, 204)
        values = [
            next(check["value"] for check in verdict.checks if check["name"] == "deflated_sharpe")
            for verdict in (few, many)
        ]
        assert values[1] < values[0]


class TestWhatChangesLater:
    def test_a_leak_found_later_takes_the_champion_out(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        create_audit(session, status="found")
        assert judged(session, NEXT).outcome == "withdrawn"
        assert serving(session, NEXT) is None
        assert serving(session) is model, "who served yesterday is history"
        assert challengers(session, kind="screener", as_of=NEXT) == {}
        assert [alert.severity for alert in open_alerts(session, subject=model.name)] == ["critical"]

    def test_drift_holds_the_champion_until_it_is_over(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        create_reading(session, model, on=NEXT, is_alarm=True)
        assert judged(session, NEXT).outcome == "champion", "one night's alarm is not acted on"
        third, fourth = date(2017, 1, 5), date(2017, 1, 6)
        create_reading(session, model, on=third, is_alarm=True)
        assert judged(session, third).outcome == "on_hold"
        assert serving(session, third) is None
        assert challengers(session, kind="screener", as_of=third) == {"momentum_largecap": model}
        assert judged(session, fourth).outcome == "on_hold"
        create_reading(session, model, on=fourth)
        assert judged(session, fourth).outcome == "champion"
        assert serving(session, fourth) is model

    def test_a_hold_by_people_is_not_the_gates_to_lift(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        hold(session, name=model.name, effective_on=NIGHT, actor="ada@firm.example", reason="earnings season")
        rival = create_candidate(session, ratio=SKILL, version=2, seed=2)
        create_reading(session, rival, on=NIGHT)
        assert "pass" in {one.verdict for one in judge_candidates(session, as_of=NEXT)}
        assert serving(session, NEXT) is None

    def test_who_was_taken_out_does_not_come_back_by_itself(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        rollback(session, name=model.name, effective_on=NIGHT, actor="shadow", reason="behind the plain rule")
        told = judged(session, NEXT)
        assert (told.verdict, told.outcome, serving(session, NEXT)) == ("pass", "challenger", None)
        assert "only people bring it back" in told.sentence

    def test_next_years_fold_is_judged_by_itself(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        new_year = date(2018, 1, 2)
        assert serving(session, new_year) is None
        following = create_model(session, year=2018, version=2, trial_id=model.trial_id, metrics={})
        create_reading(session, following, on=new_year)
        assert judged(session, new_year).outcome == "promoted"
        assert serving(session, new_year) is following

    def test_a_newer_training_of_the_same_configuration_takes_over(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        newer = create_model(session, version=2, trial_id=model.trial_id, metrics={})
        create_reading(session, newer, on=NIGHT)
        assert [told.outcome for told in judge_candidates(session, as_of=NEXT)] == ["superseded", "promoted"]
        assert serving(session, NEXT) is newer

    def test_another_configuration_waits_in_shadow(self, session: Session) -> None:
        model = ready(session, create_candidate(session, ratio=SKILL))
        judged(session)
        rival = create_candidate(session, ratio=SKILL, version=2, seed=2)
        create_reading(session, rival, on=NIGHT)
        told = judge_candidates(session, as_of=NEXT)
        assert [(one.version, one.outcome) for one in told] == [(1, "champion"), (2, "registered")]
        assert serving(session, NEXT) is model
        assert challengers(session, kind="screener", as_of=NEXT) == {"momentum_largecap": rival}
        assert [one.outcome for one in judge_candidates(session, as_of=NEXT)] == ["champion", "challenger"]


@pytest.mark.parametrize("module", [service, decisions, verdicts, evidence, trials, judge_models])
def test_nobody_hands_the_number_of_trials_in(module: ModuleType) -> None:
    functions = [one for _, one in inspect.getmembers(module, inspect.isfunction) if one.__module__ == module.__name__]
    assert functions
    for function in functions:
        assert not {"trials", "trial_count", "n_trials"} & set(inspect.signature(function).parameters), function


class TestSeveralConfigurations:
    def test_the_most_convincing_of_those_that_pass_serves(self, session: Session) -> None:
        weaker = ready(session, create_candidate(session, ratio=4.0, seed=1))
        stronger = create_candidate(session, ratio=6.0, version=2, seed=2)
        create_reading(session, stronger, on=NIGHT)
        told = {one.version: one.outcome for one in judge_candidates(session, as_of=NIGHT)}
        assert serving(session) is stronger
        assert challengers(session, kind="screener", as_of=NIGHT) == {"momentum_largecap": weaker}
        assert told == {1: "registered", 2: "promoted"}

    def test_who_runs_in_shadow_stays_there_until_another_passes(self, session: Session) -> None:
        first = ready(session, create_candidate(session, seed=NOISE))
        judged(session)
        second = create_candidate(session, ratio=0.5, version=2, seed=NOISE + 1)
        create_reading(session, second, on=NIGHT)
        told = {one.version: one for one in judge_candidates(session, as_of=NEXT)}
        assert told[2].outcome == "waiting", told[2].sentence
        assert challengers(session, kind="screener", as_of=NEXT) == {"momentum_largecap": first}
        third = create_candidate(session, ratio=SKILL, version=3, seed=NOISE + 2)
        create_reading(session, third, on=NEXT)
        judge_candidates(session, as_of=date(2017, 1, 5))
        assert serving(session, date(2017, 1, 5)) is third

    def test_nights_on_which_nothing_changed_say_the_same(self, session: Session) -> None:
        ready(session, create_candidate(session, ratio=SKILL))
        second = create_candidate(session, version=2, seed=NOISE)
        create_reading(session, second, on=NIGHT)
        judge_candidates(session, as_of=NIGHT)
        again, later = (judge_candidates(session, as_of=day) for day in (NEXT, date(2017, 1, 5)))
        assert [(one.verdict_id, one.outcome) for one in again] == [(one.verdict_id, one.outcome) for one in later]
