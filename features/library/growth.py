"""Annual report against the annual report before it, both as known then; and the growth that one report can carry.

Sustainable growth: Higgins (1977), "How Much Growth Can a Firm Afford?", Financial Management 6(3).
"""

import numpy as np

from features.arrays import Floats
from features.facts import FACT_LAG_DAYS, SHARES
from features.feature import StockFeature
from features.history import YEAR_SESSIONS, StockHistory


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


def _sustainable_growth(stock: StockHistory) -> Floats:
    """Earnings that were not paid out, for the equity: return on equity * (1 - payout)."""
    equity = stock.fact("total_equity")
    retained = stock.fact("net_income") - stock.sums("dividend", YEAR_SESSIONS) * stock.fact(SHARES)
    return retained / np.where(equity > 0.0, equity, np.nan)


FEATURES = (
    _growth("sales_growth", "total_revenue", "growth of sales over the year before"),
    _growth("earnings_growth", "net_income", "growth of earnings over the year before"),
    _growth("asset_growth", "total_assets", "growth of assets over the year before"),
    StockFeature(
        name="sustainable_growth",
        group="growth",
        inputs=("net_income", "total_equity", "dividend", SHARES),
        look_back=251,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="earnings kept in the company for its equity",
        compute=_sustainable_growth,
    ),
)
