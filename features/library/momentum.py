"""How far and how steadily a stock has come. Jegadeesh and Titman (1993), Journal of Finance 48(1)."""

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import StockHistory
from features.windows import lagged, rolling_sum


def _total_return(window: int) -> StockFeature:
    return StockFeature(
        name=f"momentum_{window}",
        group="momentum",
        inputs=("adj_close",),
        look_back=window,
        unit="fraction",
        description=f"total return over {window} sessions",
        compute=lambda stock: stock.total_return(window),
    )


def _share_of_rises(stock: StockHistory) -> Floats:
    rises = np.where(np.isnan(stock.returns), np.nan, stock.returns > 0.0)
    return rolling_sum(rises, 63) / 63


def _change(stock: StockHistory) -> Floats:
    latest = stock.total_return(63)
    return latest - lagged(latest, 63)


FEATURES = (
    *(_total_return(window) for window in (5, 10, 21, 63, 126, 252)),
    StockFeature(
        name="momentum_252_21",
        group="momentum",
        inputs=("adj_close",),
        look_back=252,
        unit="fraction",
        description="total return over twelve months without the last one",
        compute=lambda stock: stock.total_return(252, skipped=21),
    ),
    StockFeature(
        name="momentum_change_63",
        group="momentum",
        inputs=("adj_close",),
        look_back=126,
        unit="fraction",
        description="quarterly return against that of the quarter before",
        compute=_change,
    ),
    StockFeature(
        name="up_days_63",
        group="momentum",
        inputs=("adj_close",),
        look_back=63,
        unit="fraction",
        description="share of rising sessions in the last 63",
        compute=_share_of_rises,
    ),
)
