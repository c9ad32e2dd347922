"""The environments' accounting: to the cent what the backtest and the simulator say, and blind to the future."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quant.backtest import Prices, run_backtest
from quant.costs import FREE, STANDARD_COSTS, VOLUME_SESSIONS, CostModel
from rl_trading.dynamics import Portfolios, Rules
from rl_trading.reward import ADAPTATION, DAILY_VARIANCE_START, differential_sharpe
from rl_trading.windows import Decisions, Market, Recording, record, tradable
from tests.factories.allocations import fit_scales, make_decisions, make_market, make_recording


def _average_volume(volume: np.ndarray) -> np.ndarray:
    return np.array([volume[max(0, t - VOLUME_SESSIONS + 1) : t + 1].mean(axis=0) for t in range(len(volume))])


def _volatility(adj_close: np.ndarray) -> np.ndarray:
    returns = adj_close[1:] / adj_close[:-1] - 1
    rows = [returns[max(0, t - VOLUME_SESSIONS) : t].std(axis=0, ddof=1) for t in range(2, len(adj_close))]
    return np.vstack([np.full((2, adj_close.shape[1]), np.nan), rows])


def _random_weights(decisions: Decisions, seed: int) -> np.ndarray:
    wanted = np.random.default_rng(seed).dirichlet(np.full(decisions.slots.shape[1] + 1, 0.5), len(decisions.slots))
    return wanted * 0.97


def _walk(recording: Recording, weights: np.ndarray, rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values at each close in cents, costs and traded of each step."""
    portfolios = Portfolios(recording, 1, rules)
    (segment,) = recording.segments
    portfolios.start(np.array([0]), np.array([segment.first]))
    values, costs, traded = [], [], []
    for row in range(segment.first, segment.last):
        portfolios.step(weights[row : row + 1])
        values += portfolios.outcome.values[0, : recording.tape.days[row]].tolist()
        costs.append(int(portfolios.outcome.costs[0]))
        traded.append(int(portfolios.outcome.traded[0]))
    return np.array(values), np.array(costs), np.array(traded)


class TestStep:
    @pytest.mark.parametrize(
        "costs",
        [
            STANDARD_COSTS,
            FREE,
            CostModel(half_spread_bps=25.0, impact_bps=900.0),
            CostModel(impact_bps=900.0, impact_by_volatility=True),
        ],
    )
    @pytest.mark.parametrize("trade_usd_min", [0, 500])
    def test_agrees_with_the_backtest_to_the_cent(self, costs: CostModel, trade_usd_min: int) -> None:
        market = make_market(sessions=200, instruments=25)
        decisions = make_decisions(market, stocks=10)
        recording = record(market, [decisions], fit_scales(market, decisions))
        weights = _random_weights(decisions, seed=5)
        rules = Rules(costs=costs, initial_cash_usd=250_000, trade_usd_min=trade_usd_min)
        values, paid, traded = _walk(recording, weights, rules)

        dense = np.zeros((len(decisions.slots) - 1, len(market.instrument_ids)))
        np.put_along_axis(dense, decisions.slots[:-1], weights[:-1, :-1], axis=1)
        last = int(decisions.session_index[-1]) + 1
        theirs = run_backtest(
            Prices(
                market.open[:last],
                market.close[:last],
                _average_volume(market.volume)[:last],
                market.dividend[:last],
                _volatility(market.adj_close)[:last],
            ),
            decided=decisions.session_index[:-1],
            weights=dense,
            cash_usd=250_000,
            cash_weight_min=rules.limits.cash_weight_min,
            trade_usd_min=trade_usd_min,
            costs=costs,
        )
        first = int(decisions.session_index[0]) + 1
        assert len(values) > 100
        assert traded.sum() > 0
        assert (values == np.rint(theirs.values_usd[first:] * 100)).all()
        assert paid.sum() == round(theirs.costs_usd.sum() * 100)

    def test_stock_that_stops_trading_is_closed_out_at_its_last_price(self) -> None:
        market = make_market(sessions=60, instruments=12)
        decisions = replace(make_decisions(market, stocks=10, first=30), slots=np.tile(np.arange(10), (6, 1)))
        gone = 37
        for prices in (market.open, market.close, market.adj_close, market.volume):
            prices[gone:, 3] = np.nan
        market.dividend[:] = 0.0
        recording = record(market, [decisions], fit_scales(market, decisions))
        assert not recording.tape.mask[2:, 3].any()
        weights = np.zeros((6, 11))
        weights[:, 3] = 0.5
        # So large a least trade that nothing is traded between the purchase and the end.
        portfolios = Portfolios(recording, 1, Rules(costs=FREE, trade_usd_min=400_000))
        portfolios.start(np.array([0]), np.array([0]))
        for row in range(3):
            portfolios.step(weights[row : row + 1])
        shares = int(0.5 * 1_000_000 / market.close[30, 3])
        spent = round(shares * round(market.open[31, 3], 4) * 100) - round(shares * market.close[gone - 1, 3] * 100)
        assert int(portfolios.state.cash[0]) == pytest.approx(100_000_000 - spent, abs=2)
        assert portfolios.state.shares.sum() == 0

    def test_reward_is_the_differential_sharpe_of_the_daily_values(self) -> None:
        recording = make_recording()
        portfolios = Portfolios(recording, 1)
        portfolios.start(np.array([0]), np.array([0]))
        mean, square, before = 0.0, DAILY_VARIANCE_START, 100_000_000
        for _ in range(4):
            portfolios.step(np.full((1, 11), 1 / 11))
            expected = 0.0
            for value in portfolios.outcome.values[0, :5].tolist():
                reward, mean, square = differential_sharpe(value / before - 1.0, mean, square, ADAPTATION)
                expected, before = expected + reward, value
            assert portfolios.outcome.reward[0] == pytest.approx(expected)

    def test_cash_never_falls_under_the_floor_by_buying(self) -> None:
        recording = make_recording()
        portfolios = Portfolios(recording, 1, Rules(initial_cash_usd=50_000))
        portfolios.start(np.array([0]), np.array([0]))
        everything = np.zeros((1, 11))
        everything[0, :10] = 0.1
        for _ in range(20):
            floor = int(0.02 * portfolios.state.value[0])
            held = portfolios.state.cash[0]
            portfolios.step(everything)
            assert portfolios.state.cash[0] >= min(floor, held)
            assert (portfolios.state.shares >= 0).all()

    def test_portfolios_do_not_disturb_each_other(self) -> None:
        recording = make_recording()
        many = Portfolios(recording, 7)
        many.start(np.arange(7), np.arange(7))
        actions = np.random.default_rng(4).uniform(-1, 1, (5, 7, 11))
        for step in range(5):
            many.act(actions[step])
        for e in range(7):
            one = Portfolios(recording, 1)
            one.start(np.array([0]), np.array([e]))
            for step in range(5):
                one.act(actions[step, e : e + 1])
            assert one.state.value[0] == many.state.value[e]
            assert one.outcome.reward[0] == many.outcome.reward[e]
            assert (one.observe()[0] == many.observe()[e]).all()


def _poisoned(market: Market, after: int) -> Market:
    prices = {name: getattr(market, name).copy() for name in ("open", "close", "adj_close", "volume", "dividend")}
    for values in prices.values():
        values[after + 1 :] = 1e6 * np.random.default_rng(0).random(values[after + 1 :].shape)
    return replace(market, **prices)


class TestNoLookAhead:
    @pytest.mark.parametrize("row", [0, 7, 20, 41])
    def test_poisoned_future_changes_neither_observation_nor_sizing(self, row: int) -> None:
        market = make_market()
        decisions = make_decisions(market)
        scales = fit_scales(market, decisions)
        day = int(decisions.session_index[row])
        seen = []
        for version in (market, _poisoned(market, day)):
            recording = record(version, [decisions], scales)
            portfolios = Portfolios(recording, 1)
            portfolios.start(np.array([0]), np.array([0]))
            for _ in range(row):
                portfolios.act(np.zeros((1, 11)))
            tape = recording.tape
            seen.append([portfolios.observe()[0].copy(), tape.close[row], tape.volume[row], tape.mask[row]])
        for honest, poisoned in zip(*seen, strict=True):
            np.testing.assert_array_equal(honest, poisoned)

    def test_poison_reaches_the_window_after_the_decision(self) -> None:
        market = make_market()
        decisions = make_decisions(market)
        scales = fit_scales(market, decisions)
        day = int(decisions.session_index[7])
        honest, poisoned = (record(m, [decisions], scales).tape for m in (market, _poisoned(market, day)))
        assert (honest.fill[7] != poisoned.fill[7]).all()

    def test_cut_decisions_hold_no_window_beyond_the_cut(self) -> None:
        market = make_market()
        decisions = make_decisions(market)
        last_on = market.sessions[decisions.session_index[20]].astype(date)
        cut = decisions.between(market, date(2000, 1, 1), last_on)
        recording = record(_poisoned(market, int(decisions.session_index[20])), [cut], fit_scales(market, cut))
        whole = record(market, [decisions], fit_scales(market, cut))
        for portfolios in (Portfolios(r, 1, Rules(costs=FREE)) for r in (recording, whole)):
            portfolios.start(np.array([0]), np.array([0]))
            for _ in range(20):
                portfolios.act(np.zeros((1, 11)))
            assert portfolios.state.value[0] < 1e9
        assert recording.segments[-1].last == 20


class TestRecord:
    def test_segments_break_at_gaps_and_lone_rows_are_left_out(self) -> None:
        market = make_market()
        decisions = make_decisions(market)
        kept = np.r_[0:10, 14, 20:30]
        gappy = replace(
            decisions,
            session_index=decisions.session_index[kept],
            slots=decisions.slots[kept],
            stocks=decisions.stocks[kept],
            context=decisions.context[kept],
        )
        recording = record(market, [gappy], fit_scales(market, gappy))
        assert [(s.first, s.last) for s in recording.segments] == [(0, 9), (11, 20)]

    def test_survives_the_disk(self, tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own fixture
        recording = make_recording()
        recording.save(tmp_path / "recording.npz")
        loaded = Recording.load(tmp_path / "recording.npz")
        assert loaded.segments == recording.segments
        for ours, theirs in zip(recording.tape, loaded.tape, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_stock_without_a_bar_on_the_day_is_masked(self) -> None:
        market = make_market()
        decisions = make_decisions(market)
        row = 5
        market.close[decisions.session_index[row], decisions.slots[row, 2]] = np.nan
        mask = tradable(market, decisions)
        assert not mask[row, 2]
        assert mask.sum() == mask.size - 1
