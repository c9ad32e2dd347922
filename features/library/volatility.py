"""How much a stock moves, annualised with 252 sessions. Range: Parkinson (1980), Journal of Business 53(1)."""

import math

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import YEAR_SESSIONS, StockHistory
from features.windows import rolling_sum


def _close_to_close(window: int) -> StockFeature:
    return StockFeature(
        name=f"volatility_{window}",
        group="risk",
        inputs=("adj_close",),
        look_back=window,
        unit="fraction a year",
        description=f"volatility over {window} sessions",
        compute=lambda stock: np.sqrt(stock.variances(window) * YEAR_SESSIONS),
    )


def _downside(stock: StockHistory, window: int) -> Floats:
    losses = np.minimum(stock.returns, 0.0)
    return np.sqrt(rolling_sum(losses * losses, window) / window * YEAR_SESSIONS)


def _parkinson_variance(stock: StockHistory, window: int) -> Floats:
    ranges = np.log(stock.high / stock.low)
    return rolling_sum(ranges * ranges, window) / (4.0 * math.log(2.0) * window)


def _inside_the_session(window: int) -> StockFeature:
    return StockFeature(
        name=f"parkinson_volatility_{window}",
        group="risk",
        inputs=("high", "low"),
        look_back=window - 1,
        unit="fraction a year",
        description=f"volatility inside the session over {window} sessions",
        compute=lambda stock: np.sqrt(_parkinson_variance(stock, window) * YEAR_SESSIONS),
    )


FEATURES = (
    *(_close_to_close(window) for window in (10, 21, 63, 126, 252)),
    StockFeature(
        name="downside_volatility_63",
        group="risk",
        inputs=("adj_close",),
        look_back=63,
        unit="fraction a year",
        description="volatility of falling sessions over a quarter",
        compute=lambda stock: _downside(stock, 63),
    ),
    *(_inside_the_session(window) for window in (21, 63)),
    StockFeature(
        name="volatility_ratio_21_252",
        group="risk",
        inputs=("adj_close",),
        look_back=252,
        unit="ratio",
        description="volatility of the last month against that of the year",
        compute=lambda stock: np.sqrt(stock.variances(21) / stock.variances(252)),
    ),
)
