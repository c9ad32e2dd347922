"""What a strategy's best-ranked stocks earned: on windows small enough to follow by hand."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from quant.backtest import Prices
from strategies.performance import REBALANCE_SESSIONS, WINDOW_SESSIONS, Window, measure

SESSIONS = 80


def _window(daily: Sequence[float], *, members: Sequence[bool] | None = None) -> Window:
    """Stocks 1, 2, ... that start at 100 and grow by `daily` each session; opens equal the closes before."""
    days = tuple(date(2017, 1, 2) + timedelta(days=n) for n in range(SESSIONS))
    close = 100.0 * (1 + np.array(daily, dtype=np.float64)) ** np.arange(SESSIONS)[:, None]
    return Window(
        sessions=days,
        instrument_ids=np.arange(1, len(daily) + 1, dtype=np.int32),
        prices=Prices(
            open=np.vstack([close[:1], close[:-1]]),
            close=close,
            volume=np.full(close.shape, 1e9),
            dividend=np.zeros(close.shape),
        ),
        member=np.tile(members if members is not None else [True] * len(daily), (SESSIONS, 1)),
    )


class TestMeasure:
    def test_best_ranked_stock_against_the_universe(self) -> None:
        window = _window([0.002, 0.0])
        start = SESSIONS - 1 - WINDOW_SESSIONS
        realised = measure(window, {window.sessions[start]: [1]})
        assert realised is not None
        assert realised.sessions == WINDOW_SESSIONS
        # The open after the decision is the decision's close; spread and impact are a few basis points.
        assert realised.total_return == pytest.approx(1.002**63 - 1, abs=2e-3)
        assert realised.universe_return == pytest.approx((1.002**63 - 1) / 2, abs=2e-3)
        assert realised.excess_return == pytest.approx(realised.total_return - realised.universe_return)
        assert realised.costs_usd > 0
        assert realised.turnover == pytest.approx(1, abs=0.01)

    def test_newer_ranks_take_over_after_a_rebalance(self) -> None:
        window = _window([0.004, -0.004])
        last = SESSIONS - 1
        first, second = window.sessions[last - WINDOW_SESSIONS], window.sessions[last - REBALANCE_SESSIONS]
        stayed, changed = measure(window, {first: [1]}), measure(window, {first: [1], second: [2]})
        assert stayed is not None
        assert changed is not None
        assert changed.turnover == pytest.approx(stayed.turnover + 2, abs=0.05)
        assert changed.total_return < stayed.total_return

    def test_only_scores_at_or_before_an_anchor_count(self) -> None:
        window = _window([0.001, 0.0])
        anchor = SESSIONS - 1 - WINDOW_SESSIONS
        late = measure(window, {window.sessions[anchor + 1]: [1]})
        early = measure(window, {window.sessions[anchor - 6]: [1]})
        assert late is None
        assert early is not None
        assert early.sessions == WINDOW_SESSIONS + 6

    def test_scores_of_this_night_say_nothing_yet(self) -> None:
        window = _window([0.001, 0.0])
        assert measure(window, {window.sessions[-1]: [1]}) is None

    def test_what_is_outside_the_universe_does_not_count_for_it(self) -> None:
        window = _window([0.0, 0.01], members=[True, False])
        realised = measure(window, {window.sessions[SESSIONS - 1 - WINDOW_SESSIONS]: [1]})
        assert realised is not None
        assert realised.universe_return == pytest.approx(0, abs=1e-3)
