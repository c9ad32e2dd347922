"""The arithmetic of back-tests that people ask for: decisions, weights, and what is told of the result."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Cancelled
from market_data.calendars import sessions_between
from mlops.rehearsal import (
    CASH_WEIGHT_MIN,
    Decided,
    changes,
    costs_times,
    decide,
    monthly,
    rolling_sharpe,
    tell_result,
    tell_series,
    weigh,
    weigh_universe,
)
from quant.backtest import Backtest
from quant.costs import STANDARD_COSTS
from registry.evidence import BASELINES

SESSIONS = sessions_between(date(2016, 1, 4), date(2017, 3, 31))
IDS = np.array([3, 5, 8, 13], dtype=np.int32)
CLOSE = np.full((len(SESSIONS), 4), 10.0)


def silent(done: int, total: int) -> None:
    """Nobody listens."""


def result(values: Any, *, costs: float = 0.0) -> Backtest:
    """A path of values with a turnover of a tenth a session."""
    values = np.asarray(values, dtype=np.float64)
    return Backtest(values, np.full(len(values), 0.1), np.full(len(values), costs))


class TestDecide:
    def test_keeps_the_distance_and_the_best_with_a_price(self) -> None:
        close = CLOSE.copy()
        close[0, 1] = np.nan
        ranks = {day: [5, 13, 99, 3] for day in SESSIONS[:8]}
        decided = decide(ranks, SESSIONS, IDS, close, stocks=2, every=3)
        assert decided.places.tolist() == [0, 3, 6]
        assert [columns.tolist() for columns in decided.columns] == [[3, 0], [1, 3], [1, 3]]

    def test_the_last_session_is_no_decision_for_nothing_follows_it(self) -> None:
        assert not len(decide({SESSIONS[-1]: [3]}, SESSIONS, IDS, CLOSE, stocks=2, every=1).places)


class TestWeigh:
    @given(seed=st.integers(0, 10_000), optimiser=st.sampled_from(BASELINES["allocator"]))
    def test_weights_are_shares_below_one_of_what_was_chosen(self, seed: int, optimiser: str) -> None:
        generator = np.random.default_rng(seed)
        prices = 10 * np.exp(np.cumsum(generator.normal(0, 0.01, (300, 4)), axis=0))
        prices[:280, 3] = np.nan
        decided = Decided(np.array([270, 290]), (np.array([0, 1, 3]), np.array([0, 1, 2])))
        weights = weigh(decided, prices, optimiser=optimiser, position_weight_max=0.6, tell=silent)
        assert (weights >= 0).all()
        assert weights.sum(axis=1) == pytest.approx([1 - CASH_WEIGHT_MIN] * 2)
        assert weights[0, 2] == weights[1, 3] == 0.0
        if optimiser != "equal_weight":
            # Its price was not known throughout the look-back, so nobody can tell its risk.
            assert weights[0, 3] == 0.0

    def test_whoever_listens_may_end_it(self) -> None:
        def stop(done: int, total: int) -> None:
            if done == 1:
                raise Cancelled("enough")

        decided = Decided(np.array([0, 1, 2]), (np.array([0]),) * 3)
        with pytest.raises(Cancelled):
            weigh(decided, CLOSE, optimiser="equal_weight", position_weight_max=1.0, tell=stop)

    def test_the_universe_is_who_could_be_bought(self) -> None:
        member = np.ones(CLOSE.shape, dtype=bool)
        member[0, 1:] = False
        weights = weigh_universe(Decided(np.array([0, 5]), (np.array([0]),) * 2), member)
        assert weights[0].tolist() == pytest.approx([0.98, 0, 0, 0])
        assert weights[1].tolist() == pytest.approx([0.245] * 4)


class TestCostsTimes:
    def test_one_and_two_are_the_standard_and_the_doubled(self) -> None:
        assert costs_times(1.0) == STANDARD_COSTS
        assert costs_times(2.0) == STANDARD_COSTS.doubled()


class TestTellResult:
    def told(self, sessions: int, trials: int = 5) -> dict[str, Any]:
        growth = 1 + 0.001 * np.sin(np.arange(sessions)) + 0.0005
        own = result(1e6 * np.cumprod(growth), costs=10.0)
        universe = result(1e6 * np.full(sessions, 1.0003).cumprod())
        places = np.arange(0, sessions - 1, 5)
        return tell_result(
            own, universe, Decided(places, (np.array([0]),) * len(places)), SESSIONS[:sessions], trials=trials
        )

    def test_below_a_year_nothing_is_annualised(self) -> None:
        told = self.told(100)
        for name in ("annual_return", "annual_volatility", "sharpe", "excess_return", "information_ratio"):
            assert told["portfolio"][name] is None
        assert (told["sharpe_interval"], told["deflated_sharpe"], told["turnover_a_year"]) == (None, None, None)
        assert told["turnover"] == pytest.approx(10.0)
        assert told["costs_usd"] == pytest.approx(1000.0)

    def test_more_looks_at_the_past_prove_less(self) -> None:
        few, many = self.told(300, trials=2), self.told(300, trials=500)
        assert few["portfolio"] == many["portfolio"]
        assert few["deflated_sharpe"] > many["deflated_sharpe"]
        low, high = few["sharpe_interval"]
        assert low < few["portfolio"]["sharpe"] < high

    def test_months_compound_to_the_whole(self) -> None:
        told = self.told(300)
        whole = np.prod([1 + row["portfolio"] for row in told["months"]]) - 1
        assert whole == pytest.approx(told["portfolio"]["total_return"])

    def test_hit_rate_counts_the_stretches_that_beat_the_universe(self) -> None:
        own = result([100, 100, 110, 110, 105])
        universe = result([100, 100, 105, 105, 106])
        decided = Decided(np.array([0, 2, 3]), (np.array([0]),) * 3)
        assert tell_result(own, universe, decided, SESSIONS[:5], trials=1)["hit_rate"] == pytest.approx(1 / 3)


class TestMonthly:
    def test_first_month_begins_with_the_first_value(self) -> None:
        days = [date(2017, 1, 30), date(2017, 1, 31), date(2017, 2, 1)]
        rows = monthly(np.array([100.0, 101.0, 50.5]), None, days)
        assert [(row["month"], row["portfolio"], row["benchmark"]) for row in rows] == [
            (1, pytest.approx(0.01), None),
            (2, pytest.approx(-0.5), None),
        ]


class TestRollingSharpe:
    @given(st.lists(st.floats(-0.05, 0.05), min_size=0, max_size=80))
    def test_one_entry_a_value_none_before_the_window(self, returns: list[float]) -> None:
        told = rolling_sharpe(np.array(returns), window=10)
        assert len(told) == len(returns) + 1
        assert told[:10] == [None] * min(10, len(told))
        if len(returns) >= 10:
            part = np.array(returns[-10:])
            expected = part.mean() / part.std(ddof=1) * np.sqrt(252) if part.std(ddof=1) > 1e-12 else None
            assert told[-1] == (None if expected is None else pytest.approx(expected, abs=1e-3))


class TestTellSeries:
    def test_all_begin_at_one_and_gaps_stay_gaps(self) -> None:
        days = SESSIONS[:4]
        series = tell_series(
            result([1, 100, 120, 90]),
            result([1, 100, 110, 121]),
            1,
            days,
            index={days[1]: 2000.0, days[3]: 2200.0},
            regimes={days[1]: "bull"},
        )
        assert series["portfolio"] == [1.0, 1.2, 0.9]
        assert series["drawdown"] == [0.0, 0.0, -0.25]
        assert series["index"] == [1.0, None, 1.1]
        assert series["regimes"] == ["bull", None, None]
        assert {len(column) for column in series.values()} == {3}


class TestChanges:
    def test_only_what_changes_is_told_with_the_next_open(self) -> None:
        weights = np.array([[0.5, 0.4, 0, 0], [0.5, 0.0, 0.4, 0]])
        opens = np.arange(len(SESSIONS) * 4, dtype=np.float64).reshape(-1, 4)
        decided = Decided(np.array([0, 5]), (np.array([0, 1]), np.array([0, 2])))
        symbols = {0: "A", 1: "B", 2: "C", 3: "D"}
        told = list(changes(decided, weights, SESSIONS, symbols, opens))
        assert [(row[2], row[3], row[4]) for row in told] == [
            ("A", 0.0, 0.5),
            ("B", 0.0, 0.4),
            ("B", 0.4, 0.0),
            ("C", 0.0, 0.4),
        ]
        assert (told[0][0], told[0][1], told[0][5]) == (SESSIONS[0], SESSIONS[1], 4.0)
