"""Daily returns of a year's choices: on markets small enough to follow by hand, and against a plain simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_models.returns import Judged, equal_weights, returns_of_year
from quant.backtest import Prices
from quant.costs import STANDARD_COSTS
from quant.market import Market

SESSIONS = 40
FIRST_ON = np.datetime64("2017-01-02")


def make_market(daily: list[float]) -> Market:
    """Stocks 1, 2, ... that start at 100 and grow by `daily` each session; opens equal the closes before."""
    close = 100.0 * (1 + np.array(daily, dtype=np.float64)) ** np.arange(SESSIONS)[:, None]
    return Market(
        sessions=FIRST_ON + np.arange(SESSIONS),
        instrument_ids=np.arange(1, len(daily) + 1, dtype=np.int32),
        prices=Prices(
            open=np.vstack([close[:1], close[:-1]]),
            close=close,
            volume=np.full(close.shape, 1e12),
            dividend=np.zeros(close.shape),
        ),
    )


def make_judged(scores: list[list[float]], *, ids: list[int], every: int = 5) -> Judged:
    """The same stocks every fifth session; the plain rule prefers the opposite."""
    days = np.repeat(FIRST_ON + every * np.arange(len(scores)), len(ids))
    values = np.array(scores, dtype=np.float32).ravel()
    return Judged(days, np.tile(np.array(ids, dtype=np.int32), len(scores)), values, -values.astype(np.float64))


class TestReturnsOfYear:
    def test_the_best_grow_as_they_do_after_the_open_that_buys_them(self) -> None:
        daily = [0.002] * 50 + [-0.001] * 50
        judged = make_judged([np.linspace(1, 0, 100).tolist()] * 8, ids=list(range(1, 101)))
        series = returns_of_year(judged, make_market(daily))
        assert series.keys() == {"model", "model_costs_doubled", "plain", "universe"}
        # Bought at the second session's open, which is the first one's close, for half the spread and a commission.
        own = series["model"].returns
        assert own[1:] == pytest.approx(0.002, abs=5e-5)
        assert own[0] == pytest.approx(0.002 - STANDARD_COSTS.half_spread_bps / 1e4, abs=1e-4)
        assert series["plain"].returns[1:] == pytest.approx(-0.001, abs=5e-5)
        # Half the weight is brought back from the winners to the losers once a week.
        assert series["universe"].returns[1:].mean() == pytest.approx(0.0005, abs=5e-5)

    def test_begins_the_day_after_the_first_decision(self) -> None:
        judged = make_judged([[np.nan] * 3, [1.0, 2.0, 3.0]], ids=[1, 2, 3])
        series = returns_of_year(judged, make_market([0.0] * 3))
        assert series["model"].sessions[0] == FIRST_ON + 6
        assert all(len(one.returns) == SESSIONS - 6 for one in series.values())

    def test_dearer_costs_cost_more_and_change_no_choice(self) -> None:
        scores = [[float((stock + week) % 7) for stock in range(60)] for week in range(8)]
        series = returns_of_year(make_judged(scores, ids=list(range(1, 61))), make_market([0.0] * 60))
        once, twice = series["model"].returns.sum(), series["model_costs_doubled"].returns.sum()
        assert 0 > once > twice
        assert twice == pytest.approx(2 * once, rel=0.02)

    def test_nothing_said_is_nothing_earned(self) -> None:
        market = make_market([0.0] * 3)
        assert returns_of_year(make_judged([[np.nan] * 3], ids=[1, 2, 3]), market) == {}
        assert returns_of_year(make_judged([], ids=[1, 2, 3]), market) == {}

    def test_a_decision_on_the_last_session_earns_nothing(self) -> None:
        judged = replace(make_judged([[1.0, 2.0]], ids=[1, 2]), session_on=np.repeat(FIRST_ON + SESSIONS - 1, 2))
        assert returns_of_year(judged, make_market([0.0] * 2)) == {}

    def test_what_has_no_price_cannot_be_chosen(self) -> None:
        market = make_market([0.01, 0.0, 0.0])
        market.prices.close[0, 0] = np.nan
        series = returns_of_year(make_judged([[9.0, 2.0, 1.0, 5.0]], ids=[1, 2, 3, 77]), market)
        assert series["model"].returns[1:] == pytest.approx(0.0, abs=1e-5)

    def test_later_prices_change_no_earlier_return(self) -> None:
        market, judged = make_market([0.001, -0.001, 0.0]), make_judged([[1.0, 2.0, 3.0]] * 6, ids=[1, 2, 3])
        before = returns_of_year(judged, market)
        market.prices.close[30:] *= 3.0
        market.prices.open[30:] *= 0.1
        after = returns_of_year(judged, market)
        for name in before:
            np.testing.assert_array_equal(before[name].returns[:29], after[name].returns[:29])


class TestEqualWeights:
    @given(seed=st.integers(0, 2**32 - 1), stocks=st.integers(1, 8), days=st.integers(1, 6))
    def test_as_sorting_each_day_by_hand(self, seed: int, stocks: int, days: int) -> None:
        generator = np.random.default_rng(seed)
        sizes = generator.integers(1, 12, days)
        decision = np.repeat(np.arange(days), sizes)
        column = np.concatenate([np.sort(generator.permutation(15)[:size]) for size in sizes])
        values = generator.integers(0, 4, len(column)).astype(np.float64)
        weights = equal_weights(decision, column, values, width=15, stocks=stocks)
        for day in range(days):
            rows = np.flatnonzero(decision == day)
            best = sorted(rows, key=lambda row: (-values[row], column[row]))[:stocks]
            expected = np.zeros(15)
            expected[column[best]] = 1.0 / len(best)
            np.testing.assert_allclose(weights[day], expected)
