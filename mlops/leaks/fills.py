"""Who turns decisions into fills: the back-test, and the allocator's game with its rewards, on two made-up prices."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quant.backtest import Prices, run_backtest
from quant.costs import FREE
from quant.guards import Follow
from rl_trading.dynamics import Portfolios, Rules
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Scales
from rl_trading.weights import Limits
from rl_trading.windows import STOCKS, Decisions, Market, record

Floats = npt.NDArray[np.float64]
_CASH_USD = 1_000_000.0
_VOLUME = 1e9
# The differential Sharpe ratio of a first return is a hundred times the return, see `rl_trading.reward`.
_REWARD_A_RETURN = 100.0


def follow_backtest(opens: Floats, closes: Floats, decided: int, weights: Floats) -> Floats:
    """Worth at each close."""
    still = np.zeros_like(closes)
    result = run_backtest(
        Prices(open=opens, close=closes, volume=still + _VOLUME, dividend=still),
        decided=np.array([decided]),
        weights=weights[None, :],
        cash_usd=_CASH_USD,
        costs=FREE,
    )
    return result.values_usd / _CASH_USD


def follow_game(opens: Floats, closes: Floats, decided: int, weights: Floats) -> Floats:
    """Worth before and after one step of the allocator's environment."""
    portfolios = _step(opens, closes, decided, weights)
    return np.array([_CASH_USD, portfolios.state.value[0] / 100.0]) / _CASH_USD


def follow_reward(opens: Floats, closes: Floats, decided: int, weights: Floats) -> Floats:
    """The same by the reward of that step, as a return."""
    portfolios = _step(opens, closes, decided, weights)
    return np.array([1.0, 1.0 + float(portfolios.outcome.reward[0]) / _REWARD_A_RETURN])


def _step(opens: Floats, closes: Floats, decided: int, weights: Floats) -> Portfolios:
    sessions, assets = closes.shape
    still = np.zeros_like(closes)
    days = np.datetime64("2014-01-02") + np.arange(sessions)
    market = Market(
        sessions=days,
        instrument_ids=np.arange(1, assets + 1),
        open=opens,
        close=closes,
        adj_close=closes,
        volume=still + _VOLUME,
        dividend=still,
    )
    slots = np.full((2, STOCKS), -1, dtype=np.int64)
    slots[:, :assets] = np.arange(assets)
    stocks = np.zeros((2, STOCKS, len(STOCK_COLUMNS)), dtype=np.float32)
    context = np.zeros((2, len(CONTEXT_COLUMNS)), dtype=np.float32)
    decisions = Decisions("made-up", np.array([decided, sessions - 1]), slots, stocks, context)
    scales = Scales.fit(stocks, slots >= 0, context)
    rules = Rules(limits=Limits(position_weight_max=1.0), costs=FREE, initial_cash_usd=round(_CASH_USD))
    portfolios = Portfolios(record(market, [decisions], scales), 1, rules)
    portfolios.start(np.array([0]), np.array([0]))
    wanted = np.zeros((1, STOCKS + 1))
    wanted[0, :assets] = weights
    wanted[0, -1] = 1.0 - weights.sum()
    portfolios.step(wanted)
    return portfolios


FOLLOWERS: Mapping[str, Follow] = {
    "the back-test": follow_backtest,
    "the allocator's game": follow_game,
    "the allocator's reward": follow_reward,
}
