"""The table and the choice."""

import numpy as np
import pytest

from quant.costs import FREE
from quant.stats import SESSIONS_A_YEAR
from rl_trading.artefact import Policy
from rl_trading.baselines import DEFAULT, SIMPLE
from rl_trading.dynamics import Rules
from rl_trading.evaluate import (
    COSTS_DOUBLED,
    DECISIONS_MIN,
    IMPACT_BY_VOLATILITY,
    INDEX,
    PPO,
    Judgement,
    Result,
    by_regime,
    choose,
    judge,
    table_lines,
)
from rl_trading.weights import Limits
from tests.factories.allocations import fit_scales, make_decisions, make_market


class Oracle(Policy):
    """Stands in for a graph: each seed puts all on the slots that its mark says will rise."""

    def __init__(self, *marks: float) -> None:
        self.marks = marks

    @property
    def seeds(self) -> int:
        return len(self.marks)

    def weights_by_seed(self, stocks, mask, context, held, account):  # type: ignore[no-untyped-def]  # as in the parent
        return np.stack([self._weights(mark, stocks, mask) for mark in self.marks])

    def _weights(self, mark: float, stocks: np.ndarray, mask: np.ndarray) -> np.ndarray:
        wanted = np.where(mask & (mark * stocks[:, :, 0] > 0), 1.0, 1e-9)
        weights = np.concatenate([0.98 * wanted / wanted.sum(axis=1, keepdims=True), np.zeros((len(mask), 1))], axis=1)
        weights[:, -1] = 1.0 - weights[:, :-1].sum(axis=1)
        return weights


def _result(name: str, ratio: float) -> Result:
    return Result(name, 250, 0.1, 0.1, 0.15, ratio * 252**0.5, ratio, -0.1, 10.0, 0.01, 0.02, 40.0)


def _judgement(simple: dict[str, float], *, ppo: float | None = None, decisions: int = 50) -> Judgement:
    lines = [_result(name, ratio) for name, ratio in simple.items()]
    if ppo is not None:
        lines.insert(0, _result(PPO, ppo))
    seeds = () if ppo is None else tuple(_result(f"seed-{k}", ppo + 0.01 * (k - 2)) for k in (1, 2, 3))
    return Judgement("2016-01-04", "2016-12-30", decisions, tuple(lines), seeds, (), (), {}, {})


SIMPLE_RATIOS = dict(zip(SIMPLE, (0.05, 0.07, 0.06, 0.01, 0.065, 0.02), strict=True))


class TestChoose:
    def test_the_best_simple_allocator_never_the_policy(self) -> None:
        choice = choose(_judgement(SIMPLE_RATIOS, ppo=0.9), DEFAULT)
        assert choice.allocator == "inverse_volatility"
        assert PPO not in choice.reason

    def test_reason_has_the_numbers(self) -> None:
        reason = choose(_judgement(SIMPLE_RATIOS), DEFAULT).reason
        assert f"{0.07 * 252**0.5:.2f}, before risk_parity {0.065 * 252**0.5:.2f}" in reason
        assert "2016-01-04 to 2016-12-30" in reason

    @pytest.mark.parametrize(
        "judgement", [None, _judgement({**SIMPLE_RATIOS, "hrp": 0.9}, decisions=DECISIONS_MIN - 1)]
    )
    def test_too_little_to_validate_on_means_the_default(self, judgement: Judgement | None) -> None:
        choice = choose(judgement, DEFAULT)
        assert choice.allocator == DEFAULT
        assert "by default" in choice.reason


class TestPolicySummary:
    def test_median_and_quarters_of_the_seeds_beside_their_mean(self) -> None:
        policy = _judgement(SIMPLE_RATIOS, ppo=0.05).policy()
        assert policy is not None
        assert policy["seeds"] == 3
        assert policy["ensemble_sharpe"] == pytest.approx(0.05 * SESSIONS_A_YEAR**0.5, abs=1e-5)
        spread = policy["seeds_sharpe"]
        assert spread["median"] == pytest.approx(0.05 * SESSIONS_A_YEAR**0.5, abs=1e-5)
        assert spread["interquartile_range"] == pytest.approx(0.01 * SESSIONS_A_YEAR**0.5, abs=1e-5)

    def test_nothing_without_a_policy(self) -> None:
        assert _judgement(SIMPLE_RATIOS).policy() is None


class TestJudge:
    def _judged(self, rules: Rules, *marks: float) -> Judgement:
        signal, told = np.zeros((300, 20)), np.zeros((300, 20))
        generator = np.random.default_rng(8)
        for day in range(30, 294, 5):
            told[day] = generator.normal(size=20)
            signal[day + 1 : day + 6] += 0.004 * np.sign(told[day])
        market = make_market(signal=signal)
        decisions = make_decisions(market, informative=told)
        levels = np.full(300, 100.0) * 1.0005 ** np.arange(300)
        regimes = np.where(np.arange(300) < 150, "calm", "crisis")
        judged = judge(
            market,
            decisions,
            Oracle(*marks),
            levels,
            scales=fit_scales(market, decisions),
            regimes=regimes,
            rules=rules,
        )
        assert judged is not None
        return judged

    def test_knows_the_oracle_from_its_opposite(self) -> None:
        judged = self._judged(Rules(limits=Limits(position_weight_max=0.5)), 1.0, -1.0, 1.0)
        good, bad, _ = judged.seeds
        assert good.total_return > judged.result("equal_weight").total_return > bad.total_return
        assert good.total_return > judged.result(PPO).total_return > bad.total_return

    def test_the_policy_is_the_mean_of_the_seeds_weights(self) -> None:
        judged = self._judged(Rules(limits=Limits(position_weight_max=0.5)), 1.0, 1.0)
        seed = judged.courses["seed-1"]
        assert (judged.courses[PPO].returns == seed.returns).all()
        courses = self._judged(Rules(limits=Limits(position_weight_max=0.5)), 1.0, -1.0).courses
        both = np.stack([courses["seed-1"].targets, courses["seed-2"].targets])
        assert courses[PPO].targets == pytest.approx(both.mean(axis=0))

    def test_lists_every_allocator_and_the_index(self) -> None:
        judged = self._judged(Rules(), 1.0, -1.0)
        assert [result.allocator for result in judged.results] == [PPO, *SIMPLE, INDEX]
        assert [result.allocator for result in judged.seeds] == ["seed-1", "seed-2"]
        assert set(judged.courses) == {PPO, *SIMPLE, INDEX, "seed-1", "seed-2", COSTS_DOUBLED, IMPACT_BY_VOLATILITY}
        index = judged.result(INDEX)
        assert index.total_return == pytest.approx(1.0005**index.sessions * 0.9998 - 1)

    def test_courses_are_the_daily_returns_of_the_table(self) -> None:
        judged = self._judged(Rules(), 1.0)
        for result in (*judged.results, *judged.seeds, *judged.stress):
            course = judged.courses[result.allocator]
            assert len(course.sessions) == len(course.returns) == result.sessions
            assert np.prod(1 + course.returns) - 1 == pytest.approx(result.total_return)
            assert (np.diff(course.sessions) > np.timedelta64(0)).all()
        assert str(judged.courses[PPO].sessions[-1]) == judged.to_on

    def test_costs_are_taken_and_stress_takes_more(self) -> None:
        dear, free = self._judged(Rules(), 1.0), self._judged(Rules(costs=FREE), 1.0)
        for name in (PPO, *SIMPLE):
            assert dear.result(name).costs > 0 == free.result(name).costs
            assert dear.result(name).total_return < free.result(name).total_return
        doubled = next(result for result in dear.stress if result.allocator == COSTS_DOUBLED)
        assert doubled.costs > 1.5 * dear.result(PPO).costs
        assert doubled.total_return < dear.result(PPO).total_return

    def test_lead_over_equal_weight_has_an_interval_around_it(self) -> None:
        judged = self._judged(Rules(limits=Limits(position_weight_max=0.5)), 1.0)
        lead = judged.result(PPO).lead
        assert lead is not None
        assert lead.observed == pytest.approx(judged.result(PPO).ratio - judged.result("equal_weight").ratio)
        assert 0 < lead.low < lead.observed < lead.high
        assert judged.result("equal_weight").lead is None

    def test_regimes_are_those_known_before_the_session(self) -> None:
        judged = self._judged(Rules(), 1.0)
        sessions = judged.courses["equal_weight"].sessions
        changed = make_market().sessions[150]
        assert judged.regimes["calm"]["sessions"] == int((sessions <= changed).sum())
        assert set(judged.regimes["crisis"]["mean_bps"]) == {PPO, *SIMPLE, INDEX}

    def test_degeneracy_is_looked_for(self) -> None:
        readings = {reading.name.split(",")[0]: reading for reading in self._judged(Rules(), 1.0, -1.0).readings}
        assert len(readings) == 7
        # Whatever is marked sits at the cap, and two opposite seeds have nothing in common with their mean's half.
        assert readings["constant weights"].degenerate is False

    def test_nothing_shorter_than_a_year_is_annualised(self) -> None:
        market = make_market(sessions=120)
        decisions = make_decisions(market)
        judged = judge(market, decisions, None, np.full(120, np.nan), scales=fit_scales(market, decisions))
        assert judged is not None
        assert [result.allocator for result in judged.results] == list(SIMPLE)
        assert {result.annual_return for result in judged.results} == {None}
        assert {result.sharpe for result in judged.results} == {None}
        assert judged.readings == ()

    def test_one_decision_cannot_be_judged(self) -> None:
        market = make_market(sessions=40)
        decisions = make_decisions(market, first=38)
        assert judge(market, decisions, None, np.ones(40), scales=fit_scales(market, decisions)) is None


class TestByRegime:
    def test_means_in_basis_points_of_what_lasted_a_month(self) -> None:
        labels = np.array(["bull"] * 30 + ["crisis"] * 10 + [""] * 30)
        table = by_regime({PPO: np.r_[np.full(30, 0.001), np.full(40, -0.5)]}, labels)
        assert table == {"bull": {"sessions": 30, "mean_bps": {PPO: 10.0}}}


class TestTableLines:
    def test_prints_what_is_stored(self) -> None:
        lines = table_lines("validation", _judgement(SIMPLE_RATIOS, ppo=0.05).to_json())
        assert lines[0] == "validation, 2016-01-04 to 2016-12-30, 50 decisions, net of costs, hypothetical"
        assert len({len(line) for line in lines[1:]}) == 1
        assert [line.split()[0] for line in lines[2:]] == [PPO, *SIMPLE]
        assert lines[3].split() == [
            "equal_weight",
            "10.0%",
            "10.0%",
            "15.0%",
            "0.79",
            "-10.0%",
            "10.0",
            "1.00%",
            "2.0%",
            "40.0",
            "-",
        ]
