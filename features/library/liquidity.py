"""How much is traded, and what a trade moves. Amihud (2002), Journal of Financial Markets 5(1)."""

import numpy as np

from features.arrays import Floats
from features.facts import FACT_LAG_DAYS, SHARES
from features.feature import StockFeature
from features.history import StockHistory
from features.windows import rolling_sum


def _volume_ratio(short: int, long: int) -> StockFeature:
    return StockFeature(
        name=f"volume_ratio_{short}_{long}",
        group="liquidity",
        inputs=("volume",),
        look_back=long - 1,
        unit="ratio",
        description=f"volume of {short} sessions against that of {long}",
        compute=lambda stock: stock.means("volume", short) / stock.means("volume", long),
    )


def _illiquidity(stock: StockHistory) -> Floats:
    # A session without trade has no price impact to measure, so its window stays unknown. USD million as in the paper.
    impact = np.abs(stock.returns) / np.where(stock.usd_volume > 0.0, stock.usd_volume * 1e-6, np.nan)
    return rolling_sum(impact, 21) / 21


def _volume_variation(stock: StockHistory) -> Floats:
    mean = stock.means("volume", 63)
    squares = rolling_sum(stock.volume * stock.volume, 63) / 63
    return np.sqrt(np.maximum(squares - mean * mean, 0.0)) / mean


FEATURES = (
    _volume_ratio(5, 63),
    _volume_ratio(21, 252),
    StockFeature(
        name="volume_variation_63",
        group="liquidity",
        inputs=("volume",),
        look_back=62,
        unit="ratio",
        description="unsteadiness of the volume over a quarter",
        compute=_volume_variation,
    ),
    StockFeature(
        name="turnover_21",
        group="liquidity",
        inputs=("volume", SHARES),
        look_back=20,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="share of the company traded in a session, average of 21",
        compute=lambda stock: stock.means("volume", 21) / stock.fact(SHARES),
    ),
    StockFeature(
        name="log_usd_volume_21",
        group="liquidity",
        inputs=("volume", "close"),
        look_back=20,
        unit="logarithm of USD",
        description="money traded in a session, average of 21",
        compute=lambda stock: np.log(stock.means("usd_volume", 21)),
    ),
    StockFeature(
        name="amihud_21",
        group="liquidity",
        inputs=("adj_close", "close", "volume"),
        look_back=21,
        unit="fraction",
        description="price move for each million USD traded (Amihud)",
        compute=_illiquidity,
    ),
)
