"""What a screener's choices would have earned: daily returns of an out-of-sample year, net of costs.

Every fifth session the best fifty eligible stocks are bought in equal weights at the next open, on the one simulator;
each year starts from cash. Beside the model's list, under the same rule: the same with costs doubled, the list of the
plain rule, and all eligible stocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from quant.backtest import run_backtest
from quant.costs import STANDARD_COSTS, CostModel
from quant.market import Market, lay_out_market
from quant.stats import daily_returns
from registry.trials import ReturnSeries

STOCKS = 50
# Calendar days that surely hold the sessions over which volumes are averaged.
_LOOK_BACK = timedelta(days=45)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The eligible stocks of each session that was judged, by session, then instrument; arrays are parallel.

    `scores` are the model's, NaN on sessions that it may not judge; `plain` are the plain rule's margins.
    """

    session_on: npt.NDArray[np.datetime64]
    instrument_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    plain: Floats

    def said(self, after_on: date | None = None) -> "Judged":
        """The rows that the model judged, of sessions after `after_on`."""
        kept = ~np.isnan(self.scores)
        if after_on is not None:
            kept &= self.session_on > np.datetime64(after_on)
        return Judged(self.session_on[kept], self.instrument_ids[kept], self.scores[kept], self.plain[kept])


def read_market(year: int) -> Market:
    """Prices of all sessions of a year and of the volumes before it. Reads committed rows only."""
    last_on = date(year, 12, 31)
    bars = read_bars(as_of=last_on, first_on=date(year, 1, 1) - _LOOK_BACK, columns=("open", "close", "volume"))
    return lay_out_market(bars, read_dividends(as_of=last_on)).since(np.datetime64(date(year, 1, 1)))


def returns_of_year(judged: Judged, market: Market) -> dict[str, ReturnSeries]:
    """The year's series by name, from the day after the first decision; empty where nothing was decided.

    Sessions on which the model said nothing, or was refused, change no holding of any series. `judged` may hold
    sessions of `market` only; a stock without a price at the close cannot be chosen.
    """
    said = judged.said()
    if not len(said.scores):
        return {}
    row = np.searchsorted(market.sessions, said.session_on)
    column = np.searchsorted(market.instrument_ids, said.instrument_ids).clip(max=len(market.instrument_ids) - 1)
    priced = (market.instrument_ids[column] == said.instrument_ids) & (market.prices.close[row, column] > 0)
    decided, decision = np.unique(row[priced], return_inverse=True)
    if not len(decided) or decided[0] + 1 >= len(market.sessions):
        return {}
    places = decision, column[priced]
    width = len(market.instrument_ids)
    best = equal_weights(*places, said.scores[priced], width=width)
    portfolios: Mapping[str, tuple[Floats, CostModel]] = {
        "model": (best, STANDARD_COSTS),
        "model_costs_doubled": (best, STANDARD_COSTS.doubled()),
        "plain": (equal_weights(*places, said.plain[priced], width=width), STANDARD_COSTS),
        "universe": (equal_weights(*places, said.plain[priced], width=width, stocks=width), STANDARD_COSTS),
    }
    held = slice(int(decided[0]), None)
    return {
        name: ReturnSeries(
            market.sessions[held][1:],
            daily_returns(run_backtest(market.prices, decided=decided, weights=weights, costs=costs).values_usd[held]),
        )
        for name, (weights, costs) in portfolios.items()
    }


def equal_weights(
    decision: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
    values: npt.NDArray[np.floating],
    *,
    width: int,
    stocks: int = STOCKS,
) -> Floats:
    """(decisions, width): equal parts of the `stocks` of each decision with the highest values; ties: lower column.

    `decision` counts from 0 without gaps and does not fall; the first three arrays are parallel.
    """
    order = np.lexsort((column, -values, decision))
    place = np.arange(len(order)) - np.searchsorted(decision, decision)
    chosen = order[place < stocks]
    weights = np.zeros((int(decision[-1]) + 1, width))
    weights[decision[chosen], column[chosen]] = 1.0
    equal: Floats = weights / weights.sum(axis=1, keepdims=True)
    return equal
