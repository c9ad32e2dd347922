"""What the owners get: dividends by ex-date from the prices, purchases of own shares from the reports."""

from features.arrays import Floats
from features.facts import FACT_LAG_DAYS, SHARES
from features.feature import StockFeature
from features.history import YEAR_SESSIONS, StockHistory


def _payout_ratio(stock: StockHistory) -> Floats:
    paid = stock.sums("dividend", YEAR_SESSIONS) * stock.fact(SHARES)
    return paid / stock.fact("net_income")


FEATURES = (
    StockFeature(
        name="dividend_yield_252",
        group="payout",
        inputs=("dividend", "close"),
        look_back=251,
        unit="fraction",
        description="dividends of the last year for the price",
        compute=lambda stock: stock.sums("dividend", YEAR_SESSIONS) / stock.close,
    ),
    StockFeature(
        name="payout_ratio",
        group="payout",
        inputs=("dividend", SHARES, "net_income"),
        look_back=251,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="dividends of the last year for the earnings",
        compute=_payout_ratio,
    ),
    StockFeature(
        name="buyback_yield",
        group="payout",
        inputs=("sale_and_purchase_of_stock", SHARES, "close"),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="own shares bought back for the price",
        # Reported as a cash flow: purchases are negative.
        compute=lambda stock: -stock.fact("sale_and_purchase_of_stock") / stock.market_cap,
    ),
)
