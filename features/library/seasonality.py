"""The calendar. Heston and Sadka (2008), JFE 87(2): stocks repeat the month of the year before."""

import math

import numpy as np

from features.arrays import Floats
from features.feature import MarketFeature, StockFeature
from features.history import MarketHistory
from features.windows import lagged


def _year_angle(market: MarketHistory) -> Floats:
    months = market.days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    return months.astype(np.float64) * (2.0 * math.pi / 12.0)


FEATURES = (
    StockFeature(
        name="same_month_return_252",
        group="seasonality",
        inputs=("adj_close",),
        look_back=252,
        unit="fraction",
        description="total return of the month that followed this day a year ago",
        compute=lambda stock: lagged(stock.adj_close, 231) / lagged(stock.adj_close, 252) - 1.0,
    ),
    MarketFeature(
        name="month_sin",
        group="seasonality",
        inputs=(),
        look_back=0,
        unit="position on a circle",
        description="nearness of the month to April rather than October",
        compute=lambda market: np.sin(_year_angle(market)),
    ),
    MarketFeature(
        name="month_cos",
        group="seasonality",
        inputs=(),
        look_back=0,
        unit="position on a circle",
        description="nearness of the month to January rather than July",
        compute=lambda market: np.cos(_year_angle(market)),
    ),
)
