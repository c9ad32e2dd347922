"""How large the company is. Banz (1981), JFE 9(1)."""

import numpy as np

from features.facts import FACT_LAG_DAYS, SHARES
from features.feature import StockFeature

FEATURES = (
    StockFeature(
        name="log_market_cap",
        group="size",
        inputs=(SHARES, "close"),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="logarithm of USD",
        description="market value",
        compute=lambda stock: np.log(stock.market_cap),
    ),
)
