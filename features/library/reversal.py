"""Short moves that tend to come back, in units of the stock's usual move. Lehmann (1990), QJE 105(1)."""

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import StockHistory

_USUAL = 63


def _minus_scaled_return(stock: StockHistory, window: int) -> Floats:
    return -stock.total_return(window) / np.sqrt(stock.variances(_USUAL) * window)


def _reversal(window: int) -> StockFeature:
    return StockFeature(
        name=f"reversal_{window}",
        group="reversal",
        inputs=("adj_close",),
        look_back=_USUAL,
        unit="standard deviations",
        description=f"fall over {window} sessions for the stock's usual move",
        compute=lambda stock: _minus_scaled_return(stock, window),
    )


FEATURES = tuple(_reversal(window) for window in (5, 21))
