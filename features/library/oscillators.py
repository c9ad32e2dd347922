"""The chartist's gauges. Wilder (1978), New Concepts in Technical Trading Systems: RSI, ATR. Appel: MACD. Bollinger."""

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import StockHistory
from features.windows import lagged, rolling_sum, smoothed

_FADED = 252


def _relative_strength(stock: StockHistory) -> Floats:
    rise = smoothed(np.maximum(stock.changes, 0.0), 1.0 / 14, 14)
    fall = smoothed(np.maximum(-stock.changes, 0.0), 1.0 / 14, 14)
    return 100.0 * rise / (rise + fall)


def _convergence(stock: StockHistory) -> Floats:
    return smoothed(stock.adj_close, 2.0 / 13, 12) - smoothed(stock.adj_close, 2.0 / 27, 26)


def _convergence_histogram(stock: StockHistory) -> Floats:
    line = _convergence(stock)
    return (line - smoothed(line, 2.0 / 10, 9)) / stock.adj_close


def _stochastic(stock: StockHistory) -> Floats:
    lowest = stock.lowest(14)
    return 100.0 * (stock.adj_close - lowest) / (stock.highest(14) - lowest)


def _deviation(stock: StockHistory) -> Floats:
    # Prices against the window's mean level would cancel; against today's price they are small numbers.
    mean = stock.means("adj_close", 20)
    squares = rolling_sum(stock.adj_close * stock.adj_close, 20) / 20
    return np.sqrt(np.maximum(squares - mean * mean, 0.0))


def _true_range(stock: StockHistory) -> Floats:
    before = lagged(stock.adj_close, 1)
    return np.maximum(stock.adj_high, before) - np.minimum(stock.adj_low, before)


FEATURES = (
    StockFeature(
        name="rsi_14",
        group="oscillator",
        inputs=("adj_close",),
        look_back=_FADED,
        fading=True,
        unit="score from 0 to 100",
        description="relative strength index (14)",
        compute=_relative_strength,
    ),
    StockFeature(
        name="macd_12_26",
        group="oscillator",
        inputs=("adj_close",),
        look_back=_FADED,
        fading=True,
        unit="fraction",
        description="12-session average above the 26-session average, for the price (MACD)",
        compute=lambda stock: _convergence(stock) / stock.adj_close,
    ),
    StockFeature(
        name="macd_histogram_9",
        group="oscillator",
        inputs=("adj_close",),
        look_back=_FADED,
        fading=True,
        unit="fraction",
        description="MACD above its 9-session signal, for the price",
        compute=_convergence_histogram,
    ),
    StockFeature(
        name="stochastic_14",
        group="oscillator",
        inputs=("adj_close", "high", "low", "close"),
        look_back=13,
        unit="score from 0 to 100",
        description="place of the close in the range of 14 sessions (stochastic %K)",
        compute=_stochastic,
    ),
    StockFeature(
        name="bollinger_position_20",
        group="oscillator",
        inputs=("adj_close",),
        look_back=19,
        unit="standard deviations",
        description="price above its 20-session average, for its deviation (Bollinger)",
        compute=lambda stock: (stock.adj_close - stock.means("adj_close", 20)) / _deviation(stock),
    ),
    StockFeature(
        name="bollinger_width_20",
        group="oscillator",
        inputs=("adj_close",),
        look_back=19,
        unit="fraction",
        description="width of the Bollinger bands for the 20-session average",
        compute=lambda stock: 4.0 * _deviation(stock) / stock.means("adj_close", 20),
    ),
    StockFeature(
        name="atr_14",
        group="risk",
        inputs=("adj_close", "high", "low", "close"),
        look_back=_FADED,
        fading=True,
        unit="fraction",
        description="average true range (14) for the price",
        compute=lambda stock: smoothed(_true_range(stock), 1.0 / 14, 14) / stock.adj_close,
    ),
)
