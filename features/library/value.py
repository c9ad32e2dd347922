"""What the market pays for what the company earns, owns, sells and takes in, per USD of market value.

Totals of the last annual report over shares times close, so no figure a share meets a split.
"""

import numpy as np

from features.arrays import Floats
from features.facts import FACT_LAG_DAYS, SHARES
from features.feature import StockFeature
from features.history import StockHistory


def _yield(name: str, item: str, description: str) -> StockFeature:
    return StockFeature(
        name=name,
        group="value",
        inputs=(item, SHARES, "close"),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description=description,
        compute=lambda stock: stock.fact(item) / stock.market_cap,
    )


def _enterprise_yield(stock: StockHistory) -> Floats:
    debt = stock.fact("long_term_debt") + stock.fact("short_term_debt_current_portion_of_long_term_debt")
    enterprise = stock.market_cap + debt - stock.fact("cash_and_cash_equivalents")
    return stock.fact("earnings_before_interest_and_tax") / np.where(enterprise > 0.0, enterprise, np.nan)


FEATURES = (
    _yield("earnings_yield", "net_income", "earnings for the price"),
    _yield("book_to_price", "total_equity", "book value for the price"),
    _yield("sales_to_price", "total_revenue", "sales for the price"),
    _yield("cash_flow_yield", "net_cash_flow_operating", "operating cash flow for the price"),
    StockFeature(
        name="free_cash_flow_yield",
        group="value",
        inputs=("net_cash_flow_operating", "capital_expenditures", SHARES, "close"),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="cash flow after investment for the price",
        # Capital expenditures are reported as a negative flow.
        compute=lambda stock: (
            (stock.fact("net_cash_flow_operating") + stock.fact("capital_expenditures")) / stock.market_cap
        ),
    ),
    StockFeature(
        name="ebit_to_enterprise_value",
        group="value",
        inputs=(
            "earnings_before_interest_and_tax",
            "long_term_debt",
            "short_term_debt_current_portion_of_long_term_debt",
            "cash_and_cash_equivalents",
            SHARES,
            "close",
        ),
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description="operating earnings for the price of the whole company, debt included",
        compute=_enterprise_yield,
    ),
)
