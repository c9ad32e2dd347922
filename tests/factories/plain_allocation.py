"""The allocation game once more, in plain Python and NumPy straight from the market: an oracle and a peer.

Written the ordinary way, one portfolio and one share count at a time, without the tape, the simulator or any compiled
code of the product, so that the batched environment can be held against it to the cent and timed beside it.
"""

import math
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from quant.costs import STANDARD_COSTS, CostModel
from rl_trading.observation import Scales
from rl_trading.windows import Decisions, Market

Floats = npt.NDArray[np.float64]
CASH_MIN, POSITION_MAX = 0.02, 0.08
TRADE_CENTS_MIN = 50_000
START_CENTS = 100_000_000
VOLUME_DAYS = 21


def last_known(close: Floats) -> Floats:
    """Each instrument's last close, session by session."""
    filled = close.copy()
    for day in range(1, len(filled)):
        filled[day] = np.where(np.isnan(filled[day]), filled[day - 1], filled[day])
    return filled


def _deviation(gains: Floats) -> Floats:
    """Sample deviation of each column, NaN with fewer than two numbers in it."""
    known = [column[np.isfinite(column)] for column in gains.T]
    return np.array([np.std(column, ddof=1) if len(column) > 1 else np.nan for column in known])


def plain_weights(action: npt.NDArray[Any], listed: npt.NDArray[np.bool_]) -> Floats:
    """Softmax of three times the clipped action over the stocks there are and cash, then floor and cap."""
    wanted = np.exp(3.0 * np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0))
    stocks = np.where(listed, wanted[:-1], 0.0)
    if stocks.sum() <= 0:
        return np.append(np.zeros(len(stocks)), 1.0)
    cash = max(wanted[-1] / (stocks.sum() + wanted[-1]), CASH_MIN)
    weights = np.zeros(len(stocks))
    capped = np.zeros(len(stocks), dtype=np.bool_)
    while True:
        free = stocks[~capped].sum()
        scale = (1.0 - cash - POSITION_MAX * capped.sum()) / free if free > 0 else 0.0
        over = ~capped & (stocks * scale > POSITION_MAX)
        if not over.any():
            break
        capped |= over
    weights[~capped] = stocks[~capped] * scale
    weights[capped] = POSITION_MAX
    return np.append(weights, max(1.0 - weights.sum(), 0.0))


class PlainAllocationEnv(gymnasium.Env[npt.NDArray[np.float32], npt.NDArray[np.float32]]):
    """One portfolio on one strategy's decisions, start to end."""

    metadata = {"render_modes": []}  # noqa: RUF012 the base class fixes the form

    def __init__(self, market: Market, decisions: Decisions, scales: Scales, costs: CostModel = STANDARD_COSTS) -> None:
        self.market, self.decisions, self.costs = market, decisions, costs
        self.marks = last_known(market.close)
        shares = np.ma.masked_invalid(market.volume)
        spans = [slice(max(0, t - VOLUME_DAYS + 1), t + 1) for t in range(len(market.close))]
        self.volume = np.array([shares[span].mean(axis=0).filled(0.0) for span in spans])
        gains = np.vstack([np.full(market.close.shape[1], np.nan), market.adj_close[1:] / market.adj_close[:-1] - 1])
        self.volatility = np.array([_deviation(gains[span]) for span in spans])
        trading = np.isfinite(market.close[decisions.session_index[:, None], decisions.slots])
        self.listed = (decisions.slots >= 0) & trading
        self.static = scales.encode(decisions.stocks, self.listed, decisions.context)
        count = decisions.slots.shape[1]
        self.observation_space = spaces.Box(-1e3, 1e3, (self.static.shape[1] + count + 2,), dtype=np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (count + 1,), dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Cash only, at the first decision or at options["row"]."""
        super().reset(seed=seed)
        self.row = options["row"] if options else 0
        self.cash: int = START_CENTS
        self.value: int = START_CENTS
        self.shares: dict[int, int] = {}
        self.mean, self.square = 0.0, 1e-4
        return self._observe(), {}

    def step(
        self, action: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trade at the next open towards the action's weights, then live through the sessions to the next decision."""
        today = int(self.decisions.session_index[self.row])
        following = int(self.decisions.session_index[self.row + 1])
        weights = plain_weights(action, self.listed[self.row])
        self._receive_dividends(today + 1)
        self._sell_leavers(today)
        self._trade(today, weights)
        values, reward = [], 0.0
        for day in range(today + 1, following + 1):
            if day > today + 1:
                self._receive_dividends(day)
            value = self._worth(day)
            reward += self._reward(value / self.value - 1.0)
            self.value = value
            values.append(value)
        self.row += 1
        truncated = self.row == len(self.decisions.session_index) - 1
        return self._observe(), reward, False, truncated, {"values": values}

    def _slots(self, row: int) -> dict[int, int]:
        return {int(s): k for k, s in enumerate(self.decisions.slots[row]) if self.listed[row, k]}

    def _observe(self) -> npt.NDArray[np.float32]:
        slots = self._slots(self.row)
        close = self.market.close[self.decisions.session_index[self.row]]
        weights = np.zeros(self.decisions.slots.shape[1])
        for instrument, shares in self.shares.items():
            if instrument in slots:
                weights[slots[instrument]] = shares * close[instrument] * 100 / self.value
        cash = self.cash / self.value
        tail = [cash, max(1.0 - cash - weights.sum(), 0.0)]
        return np.concatenate([self.static[self.row], weights, tail]).astype(np.float32)

    def _receive_dividends(self, day: int) -> None:
        for instrument, shares in self.shares.items():
            self.cash += round(shares * self.market.dividend[day, instrument] * 100)

    def _worth(self, day: int) -> int:
        total = self.cash
        for instrument, shares in self.shares.items():
            total += round(shares * round(self.marks[day, instrument] * 10_000) / 100)
        return total

    def _sell_leavers(self, today: int) -> None:
        slots = self._slots(self.row)
        for instrument in [i for i in self.shares if i not in slots]:
            price = self.market.open[today + 1, instrument]
            if math.isnan(price):
                price = self.marks[today + 1, instrument]
            self._sell(instrument, self.shares[instrument], price, today)

    def _trade(self, today: int, weights: Floats) -> None:
        opens, closes = self.market.open[today + 1], self.market.close[today]
        orders = {}
        for instrument, slot in self._slots(self.row).items():
            held = self.shares.get(instrument, 0)
            wanted = int(weights[slot] * self.value / (closes[instrument] * 100))
            change = wanted - held
            large = abs(change) * closes[instrument] * 100 >= TRADE_CENTS_MIN
            if opens[instrument] > 0 and change and (large or wanted == 0):
                orders[instrument] = change
        for instrument, change in orders.items():
            if change < 0:
                self._sell(instrument, -change, opens[instrument], today)
        floor = int(CASH_MIN * self.value)
        buys = [i for i, change in orders.items() if change > 0]
        for instrument in sorted(buys, key=lambda i: -orders[i] * opens[i]):
            self._buy(instrument, orders[instrument], opens[instrument], today, floor)

    def _slip(self, instrument: int, quantity: int, today: int) -> float:
        slip = self.costs.half_spread_bps / 10_000
        volume = self.volume[today, instrument]
        if volume > 0:
            impact = self.costs.impact_bps / 10_000 * math.sqrt(quantity / volume)
            volatility = self.volatility[today, instrument]
            if self.costs.impact_by_volatility and not math.isnan(volatility):
                impact *= volatility / 0.01
            slip += impact
        return slip

    def _commission(self, quantity: int) -> int:
        return round(max(quantity * self.costs.commission_usd_per_share, self.costs.commission_usd_min) * 100)

    def _sell(self, instrument: int, quantity: int, price: float, today: int) -> None:
        ticks = max(round(price * (1.0 - self._slip(instrument, quantity, today)) * 10_000), 1)
        self.cash += round(quantity * ticks / 100) - self._commission(quantity)
        self.shares[instrument] -= quantity
        if self.shares[instrument] == 0:
            del self.shares[instrument]

    def _buy(self, instrument: int, quantity: int, price: float, today: int, floor: int) -> None:
        ticks = max(round(price * (1.0 + self._slip(instrument, quantity, today)) * 10_000), 1)
        spendable = self.cash - floor
        quantity = min(quantity, max(spendable, 0) * 100 // ticks)
        while quantity > 0 and round(quantity * ticks / 100) + self._commission(quantity) > spendable:
            quantity -= 1
        if quantity > 0:
            self.cash -= round(quantity * ticks / 100) + self._commission(quantity)
            self.shares[instrument] = self.shares.get(instrument, 0) + quantity

    def _reward(self, gain: float) -> float:
        """Moody and Saffell's differential Sharpe ratio at a rate of one over 252."""
        step_mean, step_square = gain - self.mean, gain * gain - self.square
        variance = max(self.square - self.mean**2, 1e-10)
        reward: float = (self.square * step_mean - 0.5 * self.mean * step_square) / variance**1.5
        self.mean += step_mean / 252
        self.square += step_square / 252
        return reward
