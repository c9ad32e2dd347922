"""Weights over time on the shared simulator: whole shares, next open, costs, dividends; the whole path in one kernel.

The same accounting as the RL environment and the paper broker, so the same decisions end on the same cent.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from core.errors import InputError
from quant.costs import STANDARD_COSTS, CostModel
from quant.simulator import CENTS_A_DOLLAR, TICKS_A_DOLLAR, cost_terms, market_value, settle, target_orders

# numba compiles the simulator's kernels into this file's own and rebuilds them only when this file changes. So it names
# the simulator that it was built with; a test holds the two together.
SIMULATOR_SHA256 = "52915d9ca8603822"
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prices:
    """What is traded: all arrays sessions x assets, USD; NaN where there is no price.

    `open` and `close` share one split basis, `volume` is the average daily volume in shares known at the close,
    `dividend` the USD a share that go ex on the session (0: none), on the same basis. `volatility` is the deviation of
    daily returns known at the close, for costs that take it.
    """

    open: Floats
    close: Floats
    volume: Floats
    dividend: Floats
    volatility: Floats | None = None


@dataclass(frozen=True)
class Backtest:
    """One value a session: worth at the close, traded notional over worth, and what spread, impact, commission cost."""

    values_usd: Floats
    turnover: Floats
    costs_usd: Floats


def run_backtest(
    prices: Prices,
    *,
    decided: Ints,
    weights: Floats,
    cash_usd: float = 10_000_000.0,
    cash_weight_min: float = 0.0,
    trade_usd_min: float = 0.0,
    costs: CostModel = STANDARD_COSTS,
) -> Backtest:
    """Follow decisions from cash to the last session.

    `decided[d]` is the session (rising) on whose close `weights[d]` (assets; sum at most one) was known; its orders
    are sized at that close and filled at the next open. A position keeps its last price while it has none.
    """
    if weights.shape != (len(decided), prices.close.shape[1]):
        raise InputError(f"weights are {weights.shape}, not {len(decided)} decisions x {prices.close.shape[1]} assets")
    if (np.diff(decided) <= 0).any() or (weights < 0).any() or (weights.sum(axis=1) > 1 + 1e-9).any():
        raise InputError("decisions must rise in time, weights be non-negative and sum to one at most")
    sessions = len(prices.close)
    values, traded, lost = (np.zeros(sessions, dtype=np.int64) for _ in range(3))
    _follow(
        np.ascontiguousarray(prices.open),
        np.ascontiguousarray(prices.close),
        np.ascontiguousarray(costs.depth(prices.volume, prices.volatility)),
        np.ascontiguousarray(prices.dividend),
        decided.astype(np.int64),
        np.ascontiguousarray(weights),
        round(cash_usd * CENTS_A_DOLLAR),
        cash_weight_min,
        round(trade_usd_min * CENTS_A_DOLLAR),
        cost_terms(costs),
        values,
        traded,
        lost,
    )
    return Backtest(
        values_usd=values / CENTS_A_DOLLAR,
        turnover=traded / np.maximum(values, 1),
        costs_usd=lost / CENTS_A_DOLLAR,
    )


@njit(cache=True)
def _follow(
    opens: Floats,
    closes: Floats,
    volumes: Floats,
    dividends: Floats,
    decided: Ints,
    weights: Floats,
    cash_cents: int,
    cash_weight_min: float,
    trade_cents_min: int,
    costs: tuple[float, float, float, float],
    values: Ints,
    traded: Ints,
    lost: Ints,
) -> None:
    sessions, assets = closes.shape
    cash, value, floor = np.array([cash_cents]), np.array([cash_cents]), np.zeros(1, dtype=np.int64)
    shares, orders = np.zeros((1, assets), dtype=np.int64), np.zeros((1, assets), dtype=np.int64)
    executed, ticks, commission = np.zeros_like(shares), np.zeros_like(shares), np.zeros_like(shares)
    marks = np.full((1, assets), np.nan)
    pending = False
    decision = 0
    for s in range(sessions):
        for k in range(assets):
            # What goes ex today belongs to yesterday's holder.
            if shares[0, k] != 0 and dividends[s, k] > 0.0:
                cash[0] += int(np.rint(shares[0, k] * dividends[s, k] * CENTS_A_DOLLAR))
        if pending:
            now = slice(s, s + 1)
            settle(cash, shares, orders, opens[now], volumes[s - 1 : s], floor, costs, executed, ticks, commission)
            for k in range(assets):
                if executed[0, k] != 0:
                    quantity, paid = abs(executed[0, k]), ticks[0, k] / TICKS_A_DOLLAR
                    traded[s] += int(np.rint(quantity * opens[s, k] * CENTS_A_DOLLAR))
                    slip = quantity * abs(paid - opens[s, k]) * CENTS_A_DOLLAR
                    lost[s] += int(np.rint(slip)) + commission[0, k]
            pending = False
        for k in range(assets):
            if closes[s, k] > 0.0:
                marks[0, k] = closes[s, k]
        market_value(cash, shares, marks, value)
        values[s] = value[0]
        if decision < len(decided) and decided[decision] == s:
            target_orders(value, shares, weights[decision : decision + 1], closes[s : s + 1], trade_cents_min, orders)
            floor[0] = int(cash_weight_min * value[0])
            decision += 1
            pending = True
