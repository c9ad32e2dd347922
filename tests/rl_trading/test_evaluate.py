"""The table and the choice."""

from dataclasses import replace

import numpy as np
import pytest

from quant.costs import FREE
from rl_trading.artefact import Policy
from rl_trading.baselines import DEFAULT, SIMPLE
from rl_trading.dynamics import Rules
from rl_trading.evaluate import DECISIONS_MIN, INDEX, PPO, Judgement, Result, choose, judge, table_lines
from rl_trading.weights import Limits
from tests.factories.allocations import fit_scales, make_decisions, make_market


class Oracle(Policy):
    """Stands in for a graph: all on the slots that it is told will rise."""

    def __init__(self, mark: float) -> None:
        self.mark = mark

    def weights(self, stocks, mask, context, held, account):  # type: ignore[no-untyped-def]  # as in the parent
        wanted = np.where(mask & (self.mark * stocks[:, :, 0] > 0), 1.0, 1e-9)
        weights = np.concatenate([0.98 * wanted / wanted.sum(axis=1, keepdims=True), np.zeros((len(mask), 1))], axis=1)
        weights[:, -1] = 1.0 - weights[:, :-1].sum(axis=1)
        return weights


def _result(name: str, ratio: float) -> Result:
    return Result(name, 250, 0.1, 0.1, 0.15, ratio * 252**0.5, ratio, -0.1, 10.0, 0.01, 0.02, 40.0)


def _judgement(ppo: dict[int, float], simple: dict[str, float], decisions: int = 50) -> Judgement:
    seeds = {seed: _result(f"ppo-{seed}", ratio) for seed, ratio in ppo.items()}
    median = sorted(seeds, key=lambda seed: seeds[seed].ratio)[(len(seeds) - 1) // 2] if seeds else None
    lines = [_result(name, ratio) for name, ratio in simple.items()]
    if median is not None:
        lines.insert(0, _result(PPO, seeds[median].ratio))
    return Judgement("2016-01-04", "2016-12-30", decisions, tuple(lines), tuple(seeds.values()), median)


SIMPLE_RATIOS = dict(zip(SIMPLE, (0.05, 0.07, 0.06), strict=True))


class TestChoose:
    def test_policy_only_if_its_median_seed_beats_the_best_simple_one(self) -> None:
        choice = choose(_judgement({1: 0.01, 2: 0.09, 3: 0.08}, SIMPLE_RATIOS), DEFAULT)
        assert (choice.allocator, choice.seed) == (PPO, 3)

    def test_one_lucky_seed_is_not_enough(self) -> None:
        choice = choose(_judgement({1: 0.01, 2: 0.5, 3: 0.06}, SIMPLE_RATIOS), DEFAULT)
        assert (choice.allocator, choice.seed) == ("inverse_volatility", None)

    def test_a_draw_goes_to_the_simple_one(self) -> None:
        assert choose(_judgement({1: 0.07}, SIMPLE_RATIOS), DEFAULT).allocator == "inverse_volatility"

    def test_reason_has_the_numbers(self) -> None:
        reason = choose(_judgement({1: 0.01, 2: 0.05, 3: 0.06}, SIMPLE_RATIOS), DEFAULT).reason
        assert f"{0.05 * 252**0.5:.2f}" in reason
        assert f"{0.07 * 252**0.5:.2f} of inverse_volatility" in reason
        assert "2016-01-04 to 2016-12-30" in reason

    @pytest.mark.parametrize("judgement", [None, _judgement({1: 0.9}, SIMPLE_RATIOS, decisions=DECISIONS_MIN - 1)])
    def test_too_little_to_validate_on_means_the_default(self, judgement: Judgement | None) -> None:
        choice = choose(judgement, DEFAULT)
        assert choice.allocator == DEFAULT
        assert "by default" in choice.reason


class TestJudge:
    def _judged(self, rules: Rules) -> Judgement:
        signal, told = np.zeros((300, 20)), np.zeros((300, 20))
        generator = np.random.default_rng(8)
        for day in range(30, 294, 5):
            told[day] = generator.normal(size=20)
            signal[day + 1 : day + 6] += 0.004 * np.sign(told[day])
        market = make_market(signal=signal)
        decisions = make_decisions(market, informative=told)
        policies: dict[int, Policy] = {1: Oracle(1.0), 2: Oracle(-1.0), 3: Oracle(1.0)}
        levels = np.full(300, 100.0) * 1.0005 ** np.arange(300)
        judged = judge(market, decisions, policies, levels, scales=fit_scales(market, decisions), rules=rules)
        assert judged is not None
        return judged

    def test_knows_the_oracle_from_its_opposite(self) -> None:
        judged = self._judged(Rules(limits=Limits(position_weight_max=0.5)))
        good, bad, _ = judged.seeds
        assert good.total_return > judged.result("equal_weight").total_return > bad.total_return
        assert judged.result(PPO) == replace(good, allocator=PPO)
        assert judged.median_seed in {1, 3}

    def test_lists_every_allocator_and_the_index(self) -> None:
        judged = self._judged(Rules())
        assert [result.allocator for result in judged.results] == [PPO, *SIMPLE, INDEX]
        index = judged.result(INDEX)
        assert index.total_return == pytest.approx(1.0005**index.sessions * 0.9998 - 1)

    def test_costs_are_taken(self) -> None:
        dear, free = self._judged(Rules()), self._judged(Rules(costs=FREE))
        for name in (PPO, *SIMPLE):
            assert dear.result(name).costs > 0 == free.result(name).costs
            assert dear.result(name).total_return < free.result(name).total_return

    def test_nothing_shorter_than_a_year_is_annualised(self) -> None:
        market = make_market(sessions=120)
        decisions = make_decisions(market)
        judged = judge(market, decisions, {}, np.full(120, np.nan), scales=fit_scales(market, decisions))
        assert judged is not None
        assert [result.allocator for result in judged.results] == list(SIMPLE)
        assert {result.annual_return for result in judged.results} == {None}
        assert {result.sharpe for result in judged.results} == {None}

    def test_one_decision_cannot_be_judged(self) -> None:
        market = make_market(sessions=40)
        decisions = make_decisions(market, first=38)
        assert judge(market, decisions, {}, np.ones(40), scales=fit_scales(market, decisions)) is None


class TestTableLines:
    def test_prints_what_is_stored(self) -> None:
        lines = table_lines("validation", _judgement({1: 0.05}, SIMPLE_RATIOS).to_json())
        assert lines[0] == "validation, 2016-01-04 to 2016-12-30, 50 decisions, net of costs"
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
        ]
