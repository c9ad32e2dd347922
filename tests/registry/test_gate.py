"""The gate lets nothing through that is missing, bad or lucky, and lets through what is good."""

import ast
import inspect
import json
from collections import Counter
from dataclasses import fields, replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from quant.sharpe import deflated_ratio, measure_moments
from registry import gate
from registry.gate import Check, Purge, Verdict, judge
from tests.architecture.house import imported_names, origin, parsed, rooms, sources
from tests.factories.evidence import make_evidence, make_trials

# Ten years of a Sharpe ratio of 2.5 among fifty trials: beyond doubt.
GOOD = make_evidence(make_trials(2, sessions=2520, skill=2.5))
HARD = {"leaks", "degeneracy", "drift", "out_of_sample"}
PROOFS = {"track_record", "deflated_sharpe", "overfitting", "costs_doubled", "baseline"}


def check_of(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def judged(name: str, **changes: Any) -> Check:
    """The named check of the good evidence with some of it changed."""
    return check_of(judge(replace(GOOD, **changes)), name)


class TestJudge:
    def test_the_good_pass_every_check(self) -> None:
        verdict = judge(GOOD)
        assert {check.name for check in verdict.checks if check.is_hard} == HARD
        assert {check.name for check in verdict.checks if not check.is_hard} == PROOFS
        assert {check.status for check in verdict.checks} == {"pass"}
        assert (verdict.verdict, verdict.reason) == ("pass", "All 9 checks pass.")

    @pytest.mark.parametrize(
        "missing",
        [
            {"leaks": "not_run"},
            {"degeneracies": None},
            {"drift_alarms": None},
            {"purges": ()},
            {"trials": None},
            {"trials": 0},
            {"trial_active": None},
            {"active_costs_doubled": None},
            {"baselines": {}},
        ],
        ids=lambda missing: next(iter(missing)),
    )
    def test_whatever_is_missing_proves_nothing(self, missing: dict[str, Any]) -> None:
        assert judge(replace(GOOD, **missing)).verdict == "not_proven"

    def test_no_results_at_all_prove_nothing(self) -> None:
        nothing = replace(
            GOOD,
            sessions=np.empty(0, dtype="datetime64[D]"),
            returns=np.empty(0),
            active=np.empty(0),
            active_costs_doubled=None,
            baselines={},
            trials=1,
            trial_ratios=np.empty(0),
            trial_active=None,
            purges=(),
        )
        verdict = judge(nothing)
        assert verdict.verdict == "not_proven"
        assert verdict.reason.startswith("It has no results on sessions that it had not seen.")
        assert {check.status for check in verdict.checks if not check.is_hard} == {"not_proven"}

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"leaks": "found", "leak_findings": ("label overlap.", "same bar")}, "label overlap; same bar."),
            ({"degeneracies": ("constant weights",)}, "It is degenerate: constant weights."),
            ({"drift_alarms": ("volatility_252 has moved",)}, "Its inputs have drifted: volatility_252 has moved."),
        ],
        ids=["leak", "degenerate", "drift"],
    )
    def test_one_hard_finding_fails_the_best(self, wrong: dict[str, Any], sentence: str) -> None:
        verdict = judge(replace(GOOD, **wrong))
        assert verdict.verdict == "fail"
        assert verdict.reason.endswith(sentence)

    def test_first_reason_leads_and_the_others_are_counted(self) -> None:
        verdict = judge(replace(GOOD, leaks="not_run", drift_alarms=None, trial_active=None))
        assert verdict.reason == "The leak probes have not run over this code. (and 2 more)"
        failed = judge(replace(GOOD, leaks="not_run", degeneracies=("corner",)))
        assert (failed.verdict, failed.reason) == ("fail", "It is degenerate: corner.")

    def test_is_json(self) -> None:
        checks = json.loads(json.dumps([check.as_dict() for check in judge(GOOD).checks], allow_nan=False))
        assert {frozenset(check) for check in checks} == {frozenset(field.name for field in fields(Check))}

    def test_same_evidence_same_verdict(self) -> None:
        assert judge(GOOD) == judge(replace(GOOD))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("active", GOOD.active[1:]),
            ("active", np.where(np.arange(2520) == 3, np.nan, GOOD.active)),
            ("returns", GOOD.returns[:-1]),
            ("active_costs_doubled", GOOD.active[:5]),
            ("trial_active", GOOD.trial_active[:-1] if GOOD.trial_active is not None else None),
            ("baselines", {"plain": GOOD.returns[:-1]}),
            ("sessions", GOOD.sessions[::-1]),
        ],
    )
    def test_evidence_that_contradicts_itself_is_refused(self, field: str, value: Any) -> None:
        with pytest.raises(InputError, match=r"^evidence: "):
            judge(replace(GOOD, **{field: value}))

    @settings(deadline=None, max_examples=25)
    @given(
        seed=st.integers(0, 1000),
        sessions=st.integers(2, 700),
        trials=st.integers(1, 8),
        skill=st.floats(-5, 5),
        gaps=st.sets(st.sampled_from(["leaks", "drift_alarms", "trials", "trial_active", "purges"])),
    )
    def test_worst_check_decides(self, seed: int, sessions: int, trials: int, skill: float, gaps: set[str]) -> None:
        known: dict[str, Any] = {"leaks": "not_run", "purges": ()}
        absent: dict[str, Any] = {gap: known.get(gap) for gap in gaps}
        evidence = make_evidence(make_trials(seed, sessions=sessions, trials=trials, skill=skill), seed=seed)
        verdict = judge(replace(evidence, **absent))
        order = ["pass", "not_proven", "fail"]
        assert verdict.verdict == order[max(order.index(check.status) for check in verdict.checks)]
        assert not gaps or verdict.verdict != "pass"
        assert all(check.sentence.endswith(".") for check in verdict.checks)


class TestOutOfSample:
    def test_a_label_that_reaches_the_test_fails(self) -> None:
        first, last = GOOD.sessions[0].astype(date), GOOD.sessions[-1].astype(date)
        check = judged("out_of_sample", purges=(Purge(first, first, last),))
        assert check.status == "fail"
        assert check.sentence == "The fold judged from 2011-01-03 on learned from labels that reach 2011-01-03."

    def test_folds_must_cover_every_session(self) -> None:
        days = [day.astype(date) for day in GOOD.sessions]
        early, late = Purge(date(2010, 1, 1), days[0], days[999]), Purge(date(2013, 1, 1), days[1000], days[-1])
        assert judged("out_of_sample", purges=(late, early)).status == "pass"
        check = judged("out_of_sample", purges=(early, replace(late, first_test_on=days[1007])))
        assert (check.status, check.sentence) == ("not_proven", "7 of 2520 sessions belong to no known fold.")


class TestProofs:
    def test_a_short_record_proves_nothing_however_good(self) -> None:
        month = judge(make_evidence(make_trials(2, sessions=21, skill=30.0)))
        assert {check.status for check in month.checks if not check.is_hard} == {"not_proven"}
        year = judge(make_evidence(make_trials(2, sessions=300, skill=8.0)))
        assert check_of(year, "track_record").status == "not_proven"
        assert check_of(year, "track_record").bar == 504
        assert check_of(year, "deflated_sharpe").status == "pass"

    def test_a_copy_of_its_reference_proves_nothing(self) -> None:
        still = np.zeros(2520)
        verdict = judge(replace(GOOD, active=still, active_costs_doubled=still))
        assert verdict.verdict == "not_proven"
        assert check_of(verdict, "deflated_sharpe").value is None

    def test_deflated_sharpe_counts_all_trials(self) -> None:
        moments = measure_moments(GOOD.active)
        assert moments is not None
        variance = max(GOOD.trial_ratios.var(ddof=1), 1 / 2519)
        assert judged("deflated_sharpe", trials=400).value == deflated_ratio(moments, trials=400, variance=variance)
        # The more were tried, the less the best of them proves.
        values = [judged("deflated_sharpe", trials=trials).value or 0.0 for trials in (50, 10**3, 10**6)]
        assert values == sorted(values, reverse=True)
        assert judged("deflated_sharpe", trials=10**60).status == "not_proven"

    def test_deflated_sharpe_in_words(self) -> None:
        middling = make_evidence(make_trials(4, skill=1.2))
        check = check_of(judge(middling), "deflated_sharpe")
        assert check.value is not None
        assert 0.05 < check.value < 0.95
        assert check.sentence == (
            f"Deflated Sharpe ratio {check.value:.2f} after 50 trials: below 0.95, so skill is not proven."
        )

    def test_twins_do_not_hide_how_far_luck_reaches(self) -> None:
        # Trials that resemble one another differ little; the bar stays that of trials without skill.
        assert judged("deflated_sharpe", trial_ratios=np.full(50, 0.1)).value == pytest.approx(
            judged("deflated_sharpe", trial_ratios=np.empty(0)).value
        )

    def test_fewer_counted_than_seen_is_not_believed(self) -> None:
        check = judged("deflated_sharpe", trials=49)
        assert (check.status, check.value) == ("not_proven", None)

    def test_worse_than_its_reference_fails(self) -> None:
        verdict = judge(make_evidence(make_trials(2, sessions=2520, skill=-1.5)))
        assert verdict.verdict == "fail"
        assert {check.name for check in verdict.checks if check.status == "fail"} >= {
            "deflated_sharpe",
            "costs_doubled",
            "baseline",
        }
        assert verdict.reason.startswith("Deflated Sharpe ratio 0.00 after 50 trials: it is worse than universe")

    def test_overfitting_is_told_from_several_configurations_only(self) -> None:
        assert GOOD.trial_active is not None
        check = judged("overfitting", trial_active=GOOD.trial_active[:, :3])
        assert (check.status, check.value, check.bar) == ("not_proven", None, 0.2)
        still = np.column_stack([GOOD.trial_active[:, :3], np.zeros(2520)])
        assert judged("overfitting", trial_active=still).sentence.startswith("Whether the choice is overfitted cannot")
        half_still = np.column_stack([GOOD.trial_active[:, :3], np.r_[np.zeros(1500), GOOD.active[1500:]]])
        assert judged("overfitting", trial_active=half_still).status == "not_proven"

    def test_costs_that_eat_the_gain_are_seen(self) -> None:
        noise = make_trials(8, sessions=2520)[:, 1]
        check = judged("costs_doubled", active_costs_doubled=noise - noise.mean() - 0.00001)
        assert check.status == "not_proven"
        assert (
            check.sentence == "At twice the costs it earns -0.3% a year against universe: trading eats what it knows."
        )

    def test_the_best_baseline_is_the_one_to_beat(self) -> None:
        rival = GOOD.returns + 0.0001
        check = judged("baseline", baselines=dict(GOOD.baselines) | {"risk_parity": rival})
        assert check.status == "fail"
        assert "the best simple rule, risk parity, is -" in check.sentence

    def test_less_risk_counts_in_favour_of_a_baseline(self) -> None:
        # Half the risk at half the return is no worse: twice the market beats nobody.
        check = judged("baseline", baselines={"plain": GOOD.returns / 2})
        assert check.status == "not_proven"

    def test_a_baseline_that_does_not_vary_is_no_comparison(self) -> None:
        check = judged("baseline", baselines=dict(GOOD.baselines) | {"cash": np.zeros(2520)})
        assert (check.status, check.value) == ("not_proven", None)


class TestNullControl:
    @pytest.mark.slow
    def test_of_a_thousand_sets_of_noise_one_percent_pass_at_most(self) -> None:
        """Five years; the best of 5 to 50 trials is put forward; alone or correlated, normal or with fat tails."""
        verdicts: Counter[str] = Counter()
        for seed in range(1000):
            trials = make_trials(seed, trials=(5, 10, 20, 50)[seed // 2 % 4], shared=0.5 * (seed // 8 % 2))
            chosen = int((trials.mean(axis=0) / trials.std(axis=0)).argmax())
            verdicts[judge(make_evidence(trials, chosen=chosen, seed=seed)).verdict] += 1
        assert verdicts.total() == 1000
        assert verdicts["pass"] <= 10
        # Noise is seldom harmful either: not proven is the normal answer.
        assert verdicts["not_proven"] > 850

    def test_skill_passes(self) -> None:
        """Ten years of a Sharpe ratio of 2 among fifty trials: measured elsewhere, 98 % pass DSR and PBO."""
        verdicts = Counter(
            judge(make_evidence(make_trials(seed, sessions=2520, skill=2.0), seed=seed)).verdict for seed in range(60)
        )
        assert verdicts["pass"] >= 54
        assert verdicts["fail"] == 0


class TestCountOfTrials:
    def test_only_the_room_that_reads_the_count_makes_evidence(self) -> None:
        makers = []
        for path in sources(*rooms()):
            names = imported_names(parsed(path))
            calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
            makers += [str(path) for call in calls if origin(call.func, names) == "registry.gate.Evidence"]
        assert [maker.rsplit("/", 2)[1:] for maker in makers] == [["registry", "evidence.py"]]

    def test_no_verb_of_the_registry_takes_a_count(self) -> None:
        takers = [
            f"{path.name}:{node.name}"
            for path in sources("registry")
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.FunctionDef)
            for argument in [*node.args.args, *node.args.kwonlyargs]
            if argument.arg in ("trials", "trial_count", "trials_count", "count_of_trials")
        ]
        assert not takers, "the number of trials is read from the table of trials, never handed in"
        assert list(inspect.signature(judge).parameters) == ["evidence"]


def test_bars_are_those_that_were_promised() -> None:
    assert (gate.DEFLATED_MIN, gate.OVERFITTING_MAX, gate.SESSIONS_MIN) == (0.95, 0.2, 504)
