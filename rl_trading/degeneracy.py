"""What is wrong with a policy that may still earn well: it does not look, copies a simple rule, or trades itself away.

Pure functions of what a policy wanted at each decision. Weights are (d, n + 1), decisions by slots with cash last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Deviation of a slot's weight over the decisions, in equal shares. Weights that never move answer to nothing.
CONSTANT_BAR = 0.01
# Active share: half the sum of absolute differences. Under it, the cheaper thing would do the same.
EQUAL_WEIGHT_BAR = 0.05
BUY_AND_HOLD_BAR = 0.01
# Share of what is invested that sits at the cap, or in one stock.
CORNER_BAR = 0.90
# Traded a decision (buys plus sales) over the value: three times what equal weights trade, and half the portfolio.
TURNOVER_MULTIPLE, TURNOVER_BAR = 3.0, 0.5
CASH_BAR = 0.90
# Active share of the seeds to their mean, and the middle half of their yearly Sharpe ratios.
DISAGREEMENT_BAR = 0.50
SPREAD_BAR = 1.0


@dataclass(frozen=True)
class Reading:
    """One measure beside its bar, and whether it is on the wrong side of it."""

    name: str
    value: float
    bar: float
    degenerate: bool

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.name}: {self.value:.3f}, bar {self.bar:.3f}"


def _below(name: str, value: float, bar: float) -> Reading:
    return Reading(name, round(value, 6), bar, degenerate=value < bar)


def _above(name: str, value: float, bar: float) -> Reading:
    return Reading(name, round(value, 6), bar, degenerate=value > bar)


def active_share(first: Floats, second: Floats) -> float:
    """Mean over decisions of half the sum of absolute differences, (d, n + 1) each; one is nothing in common."""
    return float(np.abs(first - second).sum(axis=-1).mean() / 2)


def constant_weights(weights: Floats) -> Reading:
    """Whether the weights of the slots ever move."""
    moves = weights[:, :-1].std(axis=0).mean() * (weights.shape[1] - 1)
    return _below("constant weights, deviation in equal shares", float(moves), CONSTANT_BAR)


def clone_of_equal_weight(weights: Floats, equal: Floats) -> Reading:
    """Active share to the equal weights under the same limits."""
    return _below("clone of equal weight, active share", active_share(weights, equal), EQUAL_WEIGHT_BAR)


def clone_of_buy_and_hold(weights: Floats, held: Floats, outside: Floats) -> Reading:
    """Active share to what is held already, after the first decision.

    held (d, n + 1) before trading, cash last with what stocks outside the list will bring; outside (d) is the weight of
    those. They must be sold, so reinvesting what they bring is no decision and is taken off.
    """
    chosen = np.abs(weights[1:] - held[1:]).sum(axis=1) / 2 - outside[1:]
    value = float(np.maximum(chosen, 0.0).mean()) if len(chosen) else 1.0
    return _below("clone of buy and hold, active share", value, BUY_AND_HOLD_BAR)


def corner_solutions(weights: Floats, position_max: float) -> Reading:
    """Share of what is invested that sits at the cap, or in one stock that is more than half of it."""
    stocks = weights[:, :-1]
    invested = np.maximum(stocks.sum(axis=1), 1e-9)
    at_cap = np.where(stocks >= position_max - 1e-6, stocks, 0.0).sum(axis=1) / invested
    largest = stocks.max(axis=1) / invested
    share = np.maximum(at_cap, np.where(largest > 0.5, largest, 0.0))
    return _above("corner solutions, share at the cap or in one", float(share.mean()), CORNER_BAR)


def exploding_turnover(traded: float, traded_by_equal: float) -> Reading:
    """Traded a decision over the value, beside what equal weights trade with the same lists."""
    return _above("turnover a decision", traded, max(TURNOVER_MULTIPLE * traded_by_equal, TURNOVER_BAR))


def all_cash(weights: Floats) -> Reading:
    """Mean weight of cash."""
    return _above("all cash, mean weight", float(weights[:, -1].mean()), CASH_BAR)


def disagreeing_seeds(by_seed: Floats) -> Reading:
    """Active share of each seed to the mean of all, for the same observations; by_seed (k, d, n + 1)."""
    value = float(np.mean([active_share(weights, by_seed.mean(axis=0)) for weights in by_seed]))
    return _above("seeds disagree, active share to their mean", value, DISAGREEMENT_BAR)


def spread_of_seeds(sharpes: Sequence[float | None]) -> list[Reading]:
    """The distance between the quarters of the seeds' yearly Sharpe ratios; nothing where there are none."""
    known = [sharpe for sharpe in sharpes if sharpe is not None]
    if len(known) < 2:
        return []
    low, high = np.quantile(known, [0.25, 0.75])
    return [_above("seeds disagree, interquartile range of their Sharpe ratios", float(high - low), SPREAD_BAR)]
