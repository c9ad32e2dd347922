"""Annual report against the annual report before it, both as known then."""

import numpy as np

from features.facts import FACT_LAG_DAYS
from features.feature import StockFeature


def _growth(name: str, item: str, description: str) -> StockFeature:
    return StockFeature(
        name=name,
        group="growth",
        inputs=(item,),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description=description,
        # Against the size of the former figure, so that a smaller loss counts as growth.
        compute=lambda stock: (stock.fact(item) - stock.fact_year_before(item)) / np.abs(stock.fact_year_before(item)),
    )


FEATURES = (
    _growth("sales_growth", "total_revenue", "growth of sales over the year before"),
    _growth("earnings_growth", "net_income", "growth of earnings over the year before"),
    _growth("asset_growth", "total_assets", "growth of assets over the year before"),
)
