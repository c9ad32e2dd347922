"""The shape of the returns. Bali, Cakici and Whitelaw (2011), JFE 99(2): the largest day. Lou, Polk and Skouras (2019),
JFE 134(1): night against day.
"""

import math

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import StockHistory
from features.windows import lagged, rolling_max, rolling_min, rolling_sum


def _skewness(stock: StockHistory) -> Floats:
    """Adjusted Fisher-Pearson coefficient of 252 returns."""
    n = 252
    mean = stock.means("returns", n)
    second = stock.means("squared_returns", n)
    third = rolling_sum(stock.squared_returns * stock.returns, n) / n
    variance = np.maximum(second - mean * mean, 0.0)
    central: Floats = third - 3.0 * mean * second + 2.0 * mean * mean * mean
    adjustment = math.sqrt(n * (n - 1.0)) / (n - 2.0)
    skewness: Floats = adjustment * central / (variance * np.sqrt(variance))
    return skewness


def _autocorrelation(stock: StockHistory) -> Floats:
    """Correlation of 63 returns with the returns one session earlier."""
    n = 63
    mean, mean_before = stock.means("returns", n), lagged(stock.means("returns", n), 1)
    product = rolling_sum(stock.returns * lagged(stock.returns, 1), n) / n - mean * mean_before
    scale = (n - 1.0) / n
    variance = stock.variances(n) * scale
    return product / np.sqrt(variance * lagged(variance, 1))


def _overnight(stock: StockHistory) -> Floats:
    return rolling_sum(np.log(stock.open * stock.adjustment / lagged(stock.adj_close, 1)), 21)


FEATURES = (
    StockFeature(
        name="skewness_252",
        group="risk",
        inputs=("adj_close",),
        look_back=252,
        unit="ratio",
        description="skewness of the returns of a year",
        compute=_skewness,
    ),
    StockFeature(
        name="max_return_21",
        group="risk",
        inputs=("adj_close",),
        look_back=21,
        unit="fraction",
        description="largest return of a session in the last month",
        compute=lambda stock: rolling_max(stock.returns, 21),
    ),
    StockFeature(
        name="min_return_21",
        group="risk",
        inputs=("adj_close",),
        look_back=21,
        unit="fraction",
        description="worst return of a session in the last month",
        compute=lambda stock: rolling_min(stock.returns, 21),
    ),
    StockFeature(
        name="autocorrelation_63",
        group="reversal",
        inputs=("adj_close",),
        look_back=64,
        unit="ratio",
        description="correlation of each session's return with the one before",
        compute=_autocorrelation,
    ),
    StockFeature(
        name="overnight_return_21",
        group="momentum",
        inputs=("adj_close", "close", "open"),
        look_back=21,
        unit="fraction",
        description="return from closes to next opens over a month (logarithm)",
        compute=_overnight,
    ),
    StockFeature(
        name="intraday_return_21",
        group="reversal",
        inputs=("close", "open"),
        look_back=20,
        unit="fraction",
        description="return from opens to closes over a month (logarithm)",
        compute=lambda stock: rolling_sum(np.log(stock.close / stock.open), 21),
    ),
)
